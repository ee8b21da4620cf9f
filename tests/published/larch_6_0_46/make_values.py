"""Write the tables of this folder, and what larch estimates from them.

Run it in larch's own environment (benchmarks/requirements/larch.txt), from this folder:
``python make_values.py``.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
ZONES, CHOOSERS = 12, 600
TRUTH = {"distance": -0.25, "size": 0.8, "high": 1.2, "low": -0.5}
# Our names for larch's parameters.
NAMES = {"high": "size:I(other * high)", "low": "size:I(other * (1 - high))", "mu": "lambda:near"}


def make_tables():
    rng = np.random.default_rng(20)
    zones = pd.DataFrame(
        {
            "zone": np.arange(1, ZONES + 1),
            "retail": rng.integers(0, 400, ZONES),
            "other": rng.integers(50, 2000, ZONES),
        }
    )
    place = rng.uniform(0, 12, size=(ZONES, 2))
    distance = np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)).round(2)
    distances = pd.DataFrame(
        [(o + 1, d + 1, distance[o, d]) for o in range(ZONES) for d in range(ZONES)],
        columns=["home", "zone", "distance"],
    )
    choosers = pd.DataFrame(
        {
            "home": rng.integers(1, ZONES + 1, CHOOSERS),
            "high": rng.integers(0, 2, CHOOSERS),
        }
    )
    gamma = np.where(choosers["high"] == 1, TRUTH["high"], TRUTH["low"])[:, None]
    size = np.log(zones["retail"].to_numpy() + np.exp(gamma) * zones["other"].to_numpy())
    V = TRUTH["distance"] * distance[choosers["home"] - 1] + TRUTH["size"] * size
    choosers["chosen"] = (V + rng.gumbel(size=V.shape)).argmax(axis=1) + 1
    for name, table in {"zones": zones, "distances": distances, "choosers": choosers}.items():
        table.to_csv(HERE / f"{name}.csv", index=False)


def long_table():
    zones, distances, choosers = (
        pd.read_csv(HERE / f"{name}.csv") for name in ("zones", "distances", "choosers")
    )
    table = choosers.rename_axis("case").reset_index().merge(distances, on="home")
    table = table.merge(zones, on="zone").sort_values(["case", "zone"])
    return table.assign(
        took=(table["zone"] == table["chosen"]).astype(float),
        other_high=table["other"] * table["high"],
        other_low=table["other"] * (1 - table["high"]),
    )


def estimate(title, *, size_free, nested):
    """Iterate until larch's numbers stop: its default is content with fewer digits."""
    import larch
    from larch import P, X

    data = larch.Dataset.construct.from_idca(long_table().set_index(["case", "zone"]))
    model = larch.Model(data, compute_engine="numba")
    model.choice_ca_var = "took"
    model.utility_ca = P.distance * X.distance
    model.quantity_ca = P.retail * X.retail + P.high * X.other_high + P.low * X.other_low
    held = ["retail"]
    if size_free:
        model.quantity_scale = P.size
    if nested:
        model.graph.new_node(parameter="mu", children=[1, 2, 3, 4, 5], name="near")
    model.plock(retail=0)
    model.maximize_loglike(
        method="bhhh", quiet=True, stderr=True, options={"ctol": 1e-12, "maxiter": 500}
    )
    lines = [f"[{title}]", f"llf = {float(model.loglike()):.9f}"]
    for table, values in (("params", model.pvals), ("bse_hessian", model.pstderr)):
        lines += ["", f"[{title}.{table}]"]
        lines += [
            f'"{NAMES.get(name, name)}" = {float(value):.9g}'
            for name, value in zip(model.pnames, values, strict=True)
            if name not in held
        ]
    return [*lines, ""]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    make_tables()
    text = ["# larch 6.0.46: 600 choosers among 12 zones.", ""]
    text += estimate("one", size_free=False, nested=False)
    text += estimate("free", size_free=True, nested=False)
    text += estimate("nested", size_free=True, nested=True)
    (HERE / "values.toml").write_text("\n".join(text), encoding="utf-8")
