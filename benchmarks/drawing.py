"""Draw the tables of the benchmark problems from models with known parameters.

Needs numpy alone, so that it runs in each peer's environment. A problem is a flat dictionary of
arrays: ``table/column`` holds a column, ``truth/parameter`` what the data were drawn with.
"""

import numpy as np

YEARS = 10
Arrays = dict[str, np.ndarray]


def covariates(cases: int, J: int, K: int, rng: np.random.Generator) -> tuple[np.ndarray, Arrays]:
    """Draw X, shape (N, J, K), and return it with the coefficients of x0, x1 ..."""
    X = rng.standard_normal((cases, J, K))
    return X, {f"truth/x{k}": b for k, b in enumerate(np.linspace(-0.9, 0.9, K))}


def gumbel_argmax(V: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose along the last axis by a logit."""
    return (V + rng.gumbel(size=V.shape)).argmax(axis=-1)


def multinomial(cases: int, J: int, K: int, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    X, truth = covariates(cases, J, K, rng)
    return rows(X, gumbel_argmax(X @ np.array(list(truth.values())), rng)) | truth


def nested(cases: int, J: int, K: int, lambdas: tuple[float, ...], seed: int) -> Arrays:
    """Draw the nest from its probability, then the alternative within it."""
    rng = np.random.default_rng(seed)
    X, truth = covariates(cases, J, K, rng)
    V = X @ np.array(list(truth.values()))
    lam = np.array(lambdas)
    scaled = V.reshape(cases, len(lam), -1) / lam[:, None]
    nest = gumbel_argmax(lam * np.log(np.exp(scaled).sum(axis=2)), rng)
    member = gumbel_argmax(scaled[np.arange(cases), nest], rng)
    truth |= {f"truth/lambda:n{m}": value for m, value in enumerate(lambdas)}
    return rows(X, nest * scaled.shape[2] + member) | truth


def mixed(cases: int, J: int, K: int, draws: int, seed: int) -> Arrays:
    """Draw a normal coefficient for each case and variable."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((cases, J, K))
    mean, spread = np.linspace(-0.9, 0.9, K), np.linspace(0.5, 1.0, K)
    beta = mean + spread * rng.standard_normal((cases, K))
    chosen = gumbel_argmax(np.einsum("njk,nk->nj", X, beta), rng)
    truth = {f"truth/x{k}": value for k, value in enumerate(mean)}
    truth |= {f"truth/sd:x{k}": value for k, value in enumerate(spread)}
    return rows(X, chosen) | truth | {"draws": np.array(draws)}


def rows(X: np.ndarray, chosen: np.ndarray) -> Arrays:
    """Lay choices out, one row for each alternative of each case."""
    N, J, K = X.shape
    columns = {
        "case": np.repeat(np.arange(N), J),
        "alt": np.tile(np.arange(1, J + 1), N),
        "chosen": (np.arange(J) == chosen[:, None]).ravel().astype(np.int8),
    }
    columns |= {f"x{k}": X[:, :, k].ravel() for k in range(K)}
    return {f"rows/{name}": values for name, values in columns.items()}


REGIONS = 9
STAY = {"(Intercept):stay": 6.5, "age:stay": 0.4, "kids:stay": 0.3, "college:stay": -0.3}
MOVE = {
    "log(distance)": -0.9,
    "border": 0.4,
    "wage": 0.5,
    "rent": -0.4,
    "amenity": 0.3,
    "log_jobs": 0.8,
    "college:wage": 0.2,
    "college:amenity": 0.3,
    "age:amenity": 0.15,
    "income:rent": 0.2,
    "kids:log(distance)": -0.2,
}
LAMBDA_MOVE, LAMBDA_REGION = 0.8, 0.5


def destinations(choosers: int, places: int, seed: int) -> Arrays:
    """Draw who stays, and where the others move among places in nine regions.

    The tables are those of ``ChoiceData.from_factors``: choosers, places, and pairs of places.
    """
    rng = np.random.default_rng(seed)
    people = {
        "home": rng.integers(0, places, choosers),
        "age": rng.standard_normal(choosers),
        "income": rng.standard_normal(choosers),
        "college": (rng.random(choosers) < 0.35).astype(float),
        "kids": (rng.random(choosers) < 0.4).astype(float),
    }
    place = {name: rng.standard_normal(places) for name in ("wage", "rent", "amenity", "log_jobs")}
    at = rng.uniform(0, 1, (places, 2))
    distance = 0.02 + np.hypot(*(at[:, None] - at).transpose(2, 0, 1))
    np.fill_diagonal(distance, 1.0)
    border = (distance < 0.08).astype(float)
    region = np.arange(places) % REGIONS
    took = np.empty(choosers, dtype=np.int64)
    for begin in range(0, choosers, 10_000):
        some = slice(begin, begin + 10_000)
        group = {name: values[some] for name, values in people.items()}
        took[some] = _destination(group, place, np.log(distance), border, region, rng)
    names = np.array([f"p{j:03d}" for j in range(places)])
    origin, destination = (index.ravel() for index in np.indices((places, places)))
    truth = STAY | MOVE | {"lambda:move": LAMBDA_MOVE}
    truth |= {f"lambda:r{r}": LAMBDA_REGION for r in range(REGIONS)}
    people |= {"home": names[people["home"]], "took": np.append(names, "stay")[took]}
    pairs = {"home": names[origin], "place": names[destination]}
    pairs |= {"distance": distance.ravel(), "border": border.ravel()}
    tables = {
        "choosers": people,
        "alternatives": {"place": names, "region": np.char.add("r", region.astype(str)), **place},
        "pairs": pairs,
    }
    found = {
        f"{table}/{name}": v for table, columns in tables.items() for name, v in columns.items()
    }
    return found | {f"truth/{name}": value for name, value in truth.items()}


def _destination(
    people: Arrays,
    place: Arrays,
    log_distance: np.ndarray,
    border: np.ndarray,
    region: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the place of some choosers; the number of places stands for staying."""
    home, age, income = people["home"], people["age"], people["income"]
    college, kids = people["college"], people["kids"]
    far = MOVE["log(distance)"] + MOVE["kids:log(distance)"] * kids
    V = far[:, None] * log_distance[home] + MOVE["border"] * border[home]
    V += np.outer(MOVE["wage"] + MOVE["college:wage"] * college, place["wage"])
    V += np.outer(MOVE["rent"] + MOVE["income:rent"] * income, place["rent"])
    liking = MOVE["amenity"] + MOVE["college:amenity"] * college + MOVE["age:amenity"] * age
    V += np.outer(liking, place["amenity"]) + MOVE["log_jobs"] * place["log_jobs"]
    case = np.arange(len(home))
    stay = V[case, home] + STAY["(Intercept):stay"] + STAY["age:stay"] * age
    stay += STAY["kids:stay"] * kids + STAY["college:stay"] * college
    V[case, home] = -np.inf
    V /= LAMBDA_REGION
    order = np.argsort(region, kind="stable")
    starts = np.searchsorted(region[order], np.arange(REGIONS))
    inclusive = np.log(np.add.reduceat(np.exp(V[:, order]), starts, axis=1))
    upper = LAMBDA_REGION / LAMBDA_MOVE * inclusive
    moving = LAMBDA_MOVE * np.log(np.exp(upper).sum(axis=1))
    goes = gumbel_argmax(np.column_stack([stay, moving]), rng) == 1
    chosen = gumbel_argmax(upper, rng)
    V[region != chosen[:, None]] = -np.inf
    return np.where(goes, gumbel_argmax(V, rng), len(region))


def flows(n: int, seed: int) -> Arrays:
    """Draw flows among places on a plane, with effects of places by year and of pairs."""
    rng = np.random.default_rng(seed)
    o, d, t = (index.ravel() for index in np.indices((n, n, YEARS)))
    place = rng.uniform(0, 1, (n, 2))
    distance = 0.01 + np.hypot(*(place[o] - place[d]).T)
    contiguous = (distance < 0.08).astype(float)
    agreement = (rng.uniform(size=(n, n)) * 2 * YEARS)[o, d] < t
    ties = rng.standard_normal((n, n))[o, d] + rng.standard_normal(len(o))
    eta = -1.1 * np.log(distance) + 0.4 * contiguous + 0.3 * agreement + 0.1 * ties
    eta += rng.normal(0, 0.7, (n, YEARS))[o, t] + rng.normal(0, 0.7, (n, YEARS))[d, t]
    eta += rng.normal(0, 0.5, (n, n))[o, d]
    columns = {
        "origin": o,
        "destination": d,
        "year": 2010 + t,
        "pair": o * n + d,
        "distance": distance,
        "contiguous": contiguous,
        "agreement": agreement.astype(float),
        "ties": ties,
        "flow": rng.poisson(np.exp(eta)).astype(float),
    }
    return {f"rows/{name}": values for name, values in columns.items()}
