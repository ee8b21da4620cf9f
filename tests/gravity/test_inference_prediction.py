"""Standard errors of predictions, against a GLM with every dummy written out."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result

DENSE = "log(distance) + treaty"
ONE = "log(distance) + treaty | origin^year"
TWO = "treaty + gap | origin^year + destination^year"
THREE = "treaty + gap | origin^year + destination^year + origin^destination"
SLOPES = "treaty | origin[log(distance)] + destination"
ALONE = "1 | origin + destination"


@pytest.fixture(scope="module")
def table(draw_panel):
    drawn = draw_panel(places=7, years=3, seed=5)
    return drawn.assign(weight=np.random.default_rng(3).uniform(0.5, 2, len(drawn)))


@pytest.fixture(scope="module")
def data(table):
    return FlowData(table, "origin", "destination", "migrants", "year")


def written_out(result, frame):
    """Regressors and all dummies of the rows, shape (M, P), dependent columns included."""
    columns = []
    for name in result.names:
        log = np.log(frame["distance"])
        known = {"(Intercept)": np.ones(len(frame)), "log(distance)": log}
        columns.append(np.asarray(known.get(name, frame.get(name))))
    for effect in result.effects:
        codes = effect.positions(frame)
        dummies = np.eye(len(effect.values))[codes]
        if effect.variable:
            dummies = dummies * np.log(frame["distance"]).to_numpy()[:, None]
        columns.extend(dummies.T)
    return np.column_stack(columns)


def expected_std_err(result, rows, meat_of):
    """Standard errors of eta by the delta method over all coefficients and dummies."""
    sample = result.sample
    used = sample.data.table.iloc[sample.rows]
    Z, new = written_out(result, used), written_out(result, rows)
    w = sample.working_weights
    bread = np.linalg.pinv(Z.T @ (Z * w[:, None]), rcond=1e-12, hermitian=True)
    scores = Z * sample.residuals[:, None]
    middle = meat_of(scores, used, Z.T @ (Z * w[:, None]))
    return np.sqrt(np.einsum("mp,pq,mq->m", new @ bread, middle, new @ bread))


def rowwise(scores, used, information):
    return scores.T @ scores


def by_origin(scores, used, information):
    sums = pd.DataFrame(scores).groupby(used["origin"].to_numpy()).sum().to_numpy()
    return sums.T @ sums


def by_both(scores, used, information):
    same = [used[c].to_numpy()[:, None] == used[c].to_numpy() for c in ("origin", "destination")]
    return scores.T @ (same[0] | same[1]).astype(float) @ scores


def dyadic(scores, used, information):
    members = [{o, d} for o, d in zip(used["origin"], used["destination"], strict=True)]
    share = np.array([[bool(a & b) for b in members] for a in members], dtype=float)
    return scores.T @ share @ scores


KINDS = [
    ("hessian", None, lambda scores, used, information: information),
    ("HC0", None, rowwise),
    ("cluster", "origin", by_origin),
]


@pytest.mark.parametrize(("kind", "groups", "meat_of"), KINDS)
@pytest.mark.parametrize("formula", [DENSE, ONE, TWO, THREE, SLOPES, ALONE])
def test_delta_method_with_all_dummies(formula, kind, groups, meat_of, data, table):
    result = fit(Gravity(formula), data, cov=kind, groups=groups, ssc="none", tol=1e-12)
    rows = table.iloc[result.sample.rows[:20]]
    if "treaty" in formula:
        rows = rows.assign(treaty=1 - rows["treaty"], distance=1.5 * rows["distance"])
    found = result.predict(rows, std_err=True, scale="eta")
    expected = expected_std_err(result, rows, meat_of)
    assert found["std_err"].to_numpy() == pytest.approx(expected, rel=1e-6)
    assert found["eta"].to_numpy() == pytest.approx(
        result.predict(rows, scale="eta").to_numpy(), rel=1e-12
    )
    flows = result.predict(rows, std_err=True, alpha=0.1)
    mu = result.predict(rows).to_numpy()
    assert flows["std_err"].to_numpy() == pytest.approx(mu * expected, rel=1e-6)
    assert flows["lower"].to_numpy() == pytest.approx(mu * np.exp(-1.6448536269514722 * expected))
    assert flows["upper"].to_numpy() == pytest.approx(mu * np.exp(1.6448536269514722 * expected))
    assert flows.index.equals(rows.index)


@pytest.mark.parametrize(
    ("kind", "groups", "meat_of"),
    [("cluster", ["origin", "destination"], by_both), ("dyadic", None, dyadic)],
)
def test_pairs_of_rows_that_depend(kind, groups, meat_of, data, table):
    result = fit(Gravity(DENSE), data, cov=kind, groups=groups, ssc="none", tol=1e-12)
    rows = table.iloc[:15]
    found = result.predict(rows, std_err=True, scale="eta")
    expected = expected_std_err(result, rows, meat_of)
    assert found["std_err"].to_numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["hessian", "HC0", "HC3"])
@pytest.mark.parametrize("offset", ["", "log(distance)"])
def test_weights_and_offsets(kind, offset, data, table):
    model = Gravity("treaty + gap | origin + year", offset=offset)
    result = fit(model, data, cov=kind, weights="weight", tol=1e-12)
    hat = result.leverages().to_numpy() if kind == "HC3" else np.zeros(result.nobs)

    def meat_of(scores, used, information):
        scaled = scores / (1 - hat)[:, None]
        return information if kind == "hessian" else scaled.T @ scaled

    rows = table.iloc[result.sample.rows[:12]]
    factor = np.sqrt(result.middle.factor)
    found = result.predict(rows, std_err=True, scale="eta")["std_err"].to_numpy()
    assert found == pytest.approx(factor * expected_std_err(result, rows, meat_of), rel=1e-6)
    base = result.predict(rows.assign(distance=1.0), scale="eta")
    moved = np.log(rows["distance"]) if offset else 0.0
    assert result.predict(rows, scale="eta").to_numpy() == pytest.approx((base + moved).to_numpy())


def test_statsmodels_prediction_frame(data, table):
    ours = fit(Gravity(DENSE), data, cov="HC0", tol=1e-12).predict(table, std_err=True)
    X = sm.add_constant(np.column_stack([np.log(table["distance"]), table["treaty"]]))
    glm = sm.GLM(table["migrants"], X, family=sm.families.Poisson())
    theirs = glm.fit(cov_type="HC0", tol=1e-13, maxiter=100).get_prediction(X).summary_frame()
    assert ours["mu"].to_numpy() == pytest.approx(theirs["mean"].to_numpy(), rel=1e-8)
    assert ours["std_err"].to_numpy() == pytest.approx(theirs["mean_se"].to_numpy(), rel=1e-7)
    assert ours["lower"].to_numpy() == pytest.approx(theirs["mean_ci_lower"].to_numpy(), rel=1e-7)
    assert ours["upper"].to_numpy() == pytest.approx(theirs["mean_ci_upper"].to_numpy(), rel=1e-7)


def test_small_sample_factors_and_the_sample_itself(data):
    result = fit(Gravity(TWO), data, cov="cluster", groups="origin")
    plain = result.with_cov("cluster", groups="origin", ssc="none")
    ratio = (result.bse / plain.bse).iloc[0]
    own = result.predict(std_err=True)
    bare = plain.predict(std_err=True)
    assert (own["std_err"] / bare["std_err"]).to_numpy() == pytest.approx(ratio, rel=1e-9)
    assert own.index.tolist() == result.sample.rows.tolist()
    again = result.predict(data.table.iloc[result.sample.rows], std_err=True)
    assert own.to_numpy() == pytest.approx(again.to_numpy(), rel=1e-8)


def test_balanced_margins_have_the_variance_of_the_flows(data):
    """With one effect alone, the error of a group's mean is known in closed form."""
    result = fit(Gravity("1 | origin"), data, cov="HC0")
    used = data.table.iloc[result.sample.rows]
    found = result.predict(std_err=True)
    groups = used.groupby("origin")["migrants"]
    size = groups.transform("size").to_numpy()
    spread = np.sqrt((groups.transform("var", ddof=0) / size).to_numpy())
    assert found["std_err"].to_numpy() == pytest.approx(spread, rel=1e-9)


def test_new_pairs_need_what_was_estimated(data, table):
    two = fit(Gravity("treaty + gap | origin + destination"), data, cov="hessian")
    new = pd.DataFrame(
        {"origin": ["P1"], "destination": ["P2"], "treaty": [1.0], "gap": [0.0]}, index=["a"]
    )
    assert two.predict(new, std_err=True).index.tolist() == ["a"]
    with pytest.raises(DataError, match="row 0 has P9"):
        two.predict(new.assign(origin="P9"), std_err=True)
    pairs = table[(table["origin"] != "P1") | (table["destination"] != "P2")]
    data = FlowData(pairs, "origin", "destination", "migrants", "year")
    three = fit(Gravity(THREE), data, cov="hessian")
    with pytest.raises(DataError, match=r"level of 'origin\^destination'.*P1\^P2"):
        three.predict(new.assign(year=2001), std_err=True)


def test_levels_that_nothing_connects(table, tmp_path):
    """Two blocks of places without a flow between them: only sums within a block are known."""
    block = {f"P{i}": i < 3 for i in range(7)}
    same = table["origin"].map(block) == table["destination"].map(block)
    data = FlowData(table[same], "origin", "destination", "migrants", "year")
    result = fit(Gravity("1 | origin + destination"), data, cov="hessian")
    across = pd.DataFrame({"origin": ["P1", "P0"], "destination": ["P2", "P5"]})
    again = load_result(result.save(tmp_path / "blocks.json"))
    for known in (result, again):
        with pytest.raises(DataError, match=r"1 rows \(rows 1\) join levels of 'origin' and"):
            known.predict(across)
        assert np.isfinite(known.predict(across.iloc[:1])).all()
    assert np.isfinite(result.predict(across.iloc[:1], std_err=True)["std_err"]).all()
    # With three effects the sets are not known beforehand; the standard errors notice.
    three = fit(Gravity("1 | origin + destination + year"), data, cov="hessian")
    with pytest.raises(DataError, match=r"1 rows \(rows 1\) do not add up"):
        three.predict(across.assign(year=2001), std_err=True)


def test_what_cannot_be_asked(data, tmp_path):
    result = fit(Gravity(TWO), data)
    with pytest.raises(SpecificationError, match="scale is 'log'"):
        result.predict(scale="log")
    with pytest.raises(SpecificationError, match="alpha is"):
        result.predict(std_err=True, alpha=1.5)
    jackknife = result.with_cov("CRV3", groups="origin")
    with pytest.raises(EstimationError, match="'CRV3' does not say how sure"):
        jackknife.predict(std_err=True)
    again = load_result(result.save(tmp_path / "gravity.json"))
    with pytest.raises(EstimationError, match="read from a file"):
        again.predict(data.table.iloc[result.sample.rows], std_err=True)


def test_a_negative_variance_is_refused(data):
    result = fit(Gravity(THREE), data, cov="cluster", groups=["origin", "destination", "year"])
    with pytest.raises(EstimationError, match="a negative variance"):
        result.predict(std_err=True)
