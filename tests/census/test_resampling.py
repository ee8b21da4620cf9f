"""Tables drawn by their margins of error: moments, agreement, keys, and a known spread."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import NestflowError
from choicemodels.errors import EstimationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.census import CensusTables
from choicemodels.nation.generator import generate_nation
from estimation.census.margins_of_error import Z_90
from estimation.census.resampling import resample, resampled
from estimation.census.tables import consistency
from estimation.harmonization.steps import MoversAndStayers, published_steps
from estimation.harmonize import harmonize


@pytest.fixture(scope="module")
def village():
    return generate_nation("village", seed=2)


@pytest.mark.slow
def test_draws_have_the_moments_of_the_table(village):
    tables, areas = village.tables, village.areas
    drawn = [resample(tables, areas, replicate, seed=5) for replicate in range(150)]
    for name in ("movers", "stayers", "flows"):
        values = np.array([np.array(getattr(one, name)) for one in drawn])
        # Non-movers take the error of movers with the other sign.
        known = "movers" if name == "stayers" else name
        error = np.array(tables.margins_of_error[known]) / Z_90
        want = np.array(getattr(tables, name))
        if name == "flows":
            # To first order, scaling to a total takes the error of the total from each cell.
            share = want / want.sum()
            cv = np.divide(error, want, out=np.zeros_like(want), where=want > 0)
            common = (share**2 * cv**2).sum()
            error = want * np.sqrt(common + cv**2 * (1 - 2 * share))
        assert values.min() >= 0
        reach = 4.5 / np.sqrt(len(values))
        assert (np.abs(values.mean(axis=0) - want) <= reach * error + 0.003 * want).all(), name
        some = (error > 0) & (error < 0.3 * want)
        assert some.any()
        sd = values.std(axis=0, ddof=1)
        assert sd[some] == pytest.approx(error[some], rel=0.2), name


def test_what_agreed_agrees_after_the_draw(village):
    tables, areas = village.exact_tables, village.areas
    tables = replace(
        tables,
        margins_of_error={
            "populations": tables.populations * 0.3,
            "movers": tables.movers * 0.1,
            "flows": tables.flows * 0.2,
            "before": tables.before * 0.05,
            "after": tables.after * 0.05,
        },
    )
    assert (consistency(tables, areas)["areas that differ"] == 0).all()
    drawn = resample(tables, areas, 3)
    assert not np.allclose(drawn.before, tables.before, rtol=1e-3)
    found = consistency(drawn, areas).set_index(["left table", "right table"])
    for pair in (("populations", "before"), ("after", "movers + stayers"), ("before", "after")):
        assert found.loc[pair, "areas that differ"] == 0, pair
    assert abs(found.loc[("before", "rows of flows"), "difference"]) < 1e-12


def test_tables_without_margins_stay(village):
    tables = replace(
        village.tables, margins_of_error={"flows": village.tables.margins_of_error["flows"]}
    )
    drawn = resample(tables, village.areas, 0)
    for name in ("populations", "movers", "stayers", "before", "after"):
        assert np.array(getattr(drawn, name)) == pytest.approx(
            np.array(getattr(tables, name)), rel=1e-12
        )
    assert not np.allclose(drawn.flows, tables.flows)


def test_zeros_stay_zeros(village):
    tables = village.tables
    flows = tables.flows.copy()
    flows.iloc[0, 1] = 0.0
    tables = replace(
        tables, flows=flows, margins_of_error={"flows": tables.flows * 0 + flows.iloc[0, 0] / 9}
    )
    assert resample(tables, village.areas, 0).flows.iloc[0, 1] == 0.0


def one_county(labels):
    """A table of one county per area, whose populations no total ties together."""
    areas = Areas.from_table(
        pd.DataFrame({"zone": labels, "county": labels, "state": "s"}), "zone", ["county", "state"]
    )
    people = pd.Series(100.0, index=labels)
    return areas, CensusTables(
        year=2012,
        populations=people,
        movers=pd.Series([10.0], index=["s"]),
        stayers=pd.Series([100.0 * len(labels) - 10], index=["s"]),
        flows=pd.DataFrame([[100.0 * len(labels)]], index=["s"], columns=["s"]),
        before=people,
        after=people,
        margins_of_error={"before": people * 0.2},
    )


def test_a_draw_depends_on_its_own_label_alone():
    areas, tables = one_county(["a", "b", "c", "d"])
    fewer, rest = one_county(["d", "b"])
    first, second = resample(tables, areas, 7, seed=1), resample(rest, fewer, 7, seed=1)
    for label in ("b", "d"):
        assert first.before[label] == second.before[label]
    assert first.before["a"] != first.before["b"]
    again = resample(tables, areas, 7, seed=1)
    assert first.before.equals(again.before)
    for other in (resample(tables, areas, 8, seed=1), resample(tables, areas, 7, seed=2)):
        assert not np.allclose(other.before, first.before)


@pytest.mark.slow
def test_the_spread_of_a_statistic_is_that_of_its_table(village):
    tables = replace(
        village.tables, margins_of_error={"movers": village.tables.movers * 0.0 + 100.0}
    )

    def movers(matrix):
        flows = matrix.aggregate("state")
        return pd.Series(flows.after - flows.stayers, index=flows.areas.labels)

    def steps(drawn):
        return [MoversAndStayers(drawn.movers, drawn.stayers)]

    found = resampled(village.raw, tables, movers, draws=150, seed=3, steps=steps)
    assert found.estimate.to_numpy() == pytest.approx(tables.movers.to_numpy(), rel=1e-9)
    error = 100.0 / Z_90
    assert found.draws.std().to_numpy() == pytest.approx(np.full(3, error), rel=0.2)
    assert found.table["bias"].abs().max() < 4.5 * error / np.sqrt(150)
    limits = found.conf_int()
    width = (limits["upper"] - limits["lower"]).to_numpy()
    assert width == pytest.approx(np.full(3, 200.0), rel=0.25)
    assert len(found.failures) == 0


def share(matrix):
    return 1 - matrix.stayers.sum() / matrix.total


def test_a_stopped_run_goes_on(village, tmp_path):
    file, told = tmp_path / "draws.jsonl", []
    common = {"seed": 4, "checkpoint": file}
    short = resampled(village.raw, village.tables, share, draws=2, **common)
    long = resampled(
        village.raw, village.tables, share, draws=4, progress=lambda *x: told.append(x), **common
    )
    assert long.draws.iloc[:2].equals(short.draws)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(file.read_text().splitlines()) == 5
    fresh = resampled(village.raw, village.tables, share, draws=4, seed=4)
    assert np.array_equal(fresh.draws, long.draws)
    estimate = share(harmonize(village.raw, published_steps(village.tables)).matrix)
    assert long.estimate["statistic"] == estimate
    with pytest.raises(NestflowError, match="belong to another model"):
        resampled(village.raw, village.tables, share, draws=4, seed=5, checkpoint=file)


def test_replicates_that_fail_keep_their_reason(village):
    calls = []

    def sometimes(matrix):
        calls.append(matrix)
        if len(calls) in (3, 5):
            return {"share": float("nan")}
        return {"share": share(matrix)}

    found = resampled(village.raw, village.tables, sometimes, draws=6)
    assert found.failures.to_dict() == {
        1: "the statistic is missing or not finite",
        3: "the statistic is missing or not finite",
    }
    assert list(found.draws.index) == [0, 2, 4, 5]

    def steps(drawn):
        if drawn is not village.tables:
            raise EstimationError("no such tables.")
        return published_steps(drawn)

    with pytest.raises(EstimationError, match="3 of 3 replicates failed, mostly since no such"):
        resampled(village.raw, village.tables, share, draws=3, steps=steps)


def test_bad_input_ends_in_a_sentence(village):
    exact = replace(village.tables, margins_of_error={})
    with pytest.raises(NestflowError, match="nothing to draw"):
        resample(exact, village.areas, 0)
    with pytest.raises(NestflowError, match="nothing to draw"):
        resampled(village.raw, exact, share, draws=3)
    with pytest.raises(NestflowError, match="a spread needs two"):
        resampled(village.raw, village.tables, share, draws=1)
    bad = replace(village.tables, margins_of_error={"movers": village.tables.movers * -1})
    with pytest.raises(NestflowError, match="negative or not finite"):
        resample(bad, village.areas, 0)
    short = replace(village.tables, margins_of_error={"movers": village.tables.movers.iloc[1:]})
    with pytest.raises(NestflowError, match="the margins of error of movers must have"):
        resample(short, village.areas, 0)
    strange = replace(village.tables, margins_of_error={"mover": village.tables.movers})
    with pytest.raises(NestflowError, match="no table 'mover'"):
        resample(strange, village.areas, 0)
    with pytest.raises(NestflowError, match="the replicate is -1"):
        resample(village.tables, village.areas, -1)
    found = resampled(village.raw, village.tables, share, draws=2)
    with pytest.raises(NestflowError, match="between 0 and 1"):
        found.conf_int(90)
