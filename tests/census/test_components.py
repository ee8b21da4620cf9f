"""Components of change: identities they must obey, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import NestflowError, NestflowWarning
from choicemodels.nation.generator import generate_nation
from estimation.census.components import (
    emigrants,
    flows_with_departures,
    movers,
    nonmovers,
    rescale_flows,
    rescale_margins,
    survivors_after,
)
from estimation.census.tables import census_tables, consistency

COUNTY = ["A", "B", "C"]
STATE = ["N", "S"]


def a_nation(seed=1):
    """Count one nation person by person: everybody's county before and after, births, deaths."""
    rng = np.random.default_rng(seed)
    N = 4000
    before = rng.integers(0, 4, N)  # 3 is abroad
    after = np.where(rng.random(N) < 0.8, before, rng.integers(0, 4, N))
    dead = rng.random(N) < 0.03
    born = rng.random(N) < 0.02
    same_house = (before == after) & (rng.random(N) < 0.9)
    keep = (before < 3) | (after < 3)
    return {
        "before": before[keep & ~born],
        "after": np.where(dead, -1, after)[keep & ~born],
        "same_house": same_house[keep & ~born],
        "born": after[keep & born & (after < 3)],
    }


def published(people):
    """What a census would publish of that nation."""
    b, a, same = people["before"], people["after"], people["same_house"]

    def by_county(who, where):
        return np.bincount(where[who & (where >= 0) & (where < 3)], minlength=3).astype(float)

    everyone = np.ones(len(b), dtype=bool)
    born = np.bincount(people["born"], minlength=3).astype(float)
    came = (b == 3) & (a >= 0)
    left = (b < 3) & (a == 3)
    counties = pd.DataFrame(
        {
            "before": by_county(everyone, b),
            "after": by_county(everyone, a) + born,
            "births": born,
            "deaths": by_county(a == -1, b),
            "net_international": by_county(came, a) - by_county(left, b),
        },
        index=COUNTY,
    )
    state = np.array([0, 0, 1])
    add = np.zeros((2, 3))
    add[state, np.arange(3)] = 1
    states = pd.DataFrame(
        {
            "same_house": add @ by_county(same & (a >= 0), b),
            "immigrants": add @ by_county(came, a),
        },
        index=STATE,
    )
    stays = (b < 3) & (a >= 0) & (a < 3)
    F = np.zeros((3, 3))
    np.add.at(F, (b[stays], a[stays]), 1)
    flows = pd.DataFrame(add @ F @ add.T, index=STATE, columns=STATE)
    # The same people, counted: who died or left the country stand where they lived.
    there = b < 3
    where = np.where((a == -1) | (a == 3), b, a)
    truth = np.zeros((3, 3))
    np.add.at(truth, (b[there], where[there]), 1)
    stayed = there & (same | (a == -1) | (a == 3))
    return (
        counties,
        states,
        flows,
        {
            "flows": add @ truth @ add.T,
            "before": truth.sum(axis=1),
            "after": truth.sum(axis=0),
            "stayers": add @ np.bincount(where[stayed], minlength=3).astype(float),
            "movers": add @ np.bincount(where[there & ~stayed], minlength=3).astype(float),
        },
    )


def populations(areas, counties):
    """Split the people of each county over its block groups."""
    county = areas.level("county")
    share = 1 / np.bincount(county.codes)[county.codes]
    return pd.Series(counties["before"].to_numpy()[county.codes] * share, index=areas.labels)


def test_tables_describe_exactly_the_people_of_a_matrix(areas):
    counties, states, flows, truth = published(a_nation())
    tables = census_tables(
        areas, year=2012, populations=populations(areas, counties), counties=counties,
        states=states, flows=flows,
    )  # fmt: skip
    assert np.array(tables.flows) == pytest.approx(truth["flows"])
    for name in ("before", "after", "stayers", "movers"):
        assert np.array(getattr(tables, name)) == pytest.approx(truth[name]), name
    report = consistency(tables, areas)
    assert (report["areas that differ"] == 0).all()
    assert report["difference"].abs().max() < 1e-12


def test_movers_and_nonmovers_are_the_survivors():
    rng = np.random.default_rng(4)
    people, came, born, died, net = rng.uniform(1, 9, (5, 6))
    index = list("abcdef")
    people = pd.Series(people + 99, index=index)
    came, born, died, net = (pd.Series(x, index=index) for x in (came, born, died, net))
    same = pd.Series(rng.uniform(40, 60, 6), index=index)
    left = came - net
    total = movers(people, came, born, same) + nonmovers(same, died, left)
    assert np.array(total) == pytest.approx(np.array(survivors_after(people, born, died, net)))


def test_tables_are_brought_into_one_order():
    came = pd.Series([5.0, 9.0], index=["x", "y"])
    net = pd.Series([1.0, 3.0], index=["y", "x"])
    assert emigrants(came, net).to_dict() == {"x": 2.0, "y": 8.0}


def test_flows_are_scaled_to_the_people(areas):
    counties, states, flows, _ = published(a_nation())
    counties["before"] *= 1.1
    common = {"populations": populations(areas, counties), "counties": counties, "states": states}
    tables = census_tables(areas, year=2012, flows=flows, **common)
    assert float(tables.flows.to_numpy().sum()) == pytest.approx(float(tables.before.sum()))
    report = consistency(tables, areas).set_index(["left table", "right table"])
    assert report.loc[("before", "rows of flows"), "difference"] == pytest.approx(0, abs=1e-12)
    assert report.loc[("before", "after"), "difference"] == pytest.approx(-0.0909, abs=1e-3)
    assert report.loc[("before", "after"), "where"] == "nation"
    bent = census_tables(areas, year=2012, flows=flows, rescale="margins", **common)
    report = consistency(bent, areas).set_index(["left table", "right table"])
    for pair in (("before", "rows of flows"), ("after", "columns of flows")):
        assert report.loc[pair, "areas that differ"] == 0
    untouched = census_tables(areas, year=2012, flows=flows, rescale="none", **common)
    assert np.array(untouched.flows) == pytest.approx(np.array(tables.flows) / 1.1)


def test_margins_of_error_follow_the_formulas(areas):
    counties, states, flows, _ = published(a_nation())
    states["same_house_moe"], states["immigrants_moe"] = [30.0, 40.0], [40.0, 30.0]
    counties["before"] *= 2
    tables = census_tables(
        areas, year=2012, populations=populations(areas, counties), counties=counties,
        states=states, flows=flows, flows_moe=flows * 0 + 30.0,
        populations_moe=pd.Series(7.0, index=areas.labels),
    )  # fmt: skip
    known = tables.margins_of_error
    assert set(known) == {"movers", "stayers", "flows", "populations"}
    assert known["movers"].tolist() == known["stayers"].tolist() == [50.0, 50.0]
    scale = 2.0
    want = scale * np.array([[50.0, 30.0], [30.0, np.hypot(30, 30)]])
    assert np.array(known["flows"]) == pytest.approx(want, rel=1e-9)


def test_states_scale_their_counties(areas):
    people = pd.Series([1.0, 3.0, 7.0], index=COUNTY)
    found = rescale_margins(people, pd.Series([8.0, 7.0], index=STATE), areas)
    assert found.to_dict() == {"A": 2.0, "B": 6.0, "C": 7.0}
    empty = pd.Series([0.0, 0.0, 7.0], index=COUNTY)
    with pytest.raises(NestflowError, match="no county of N has people to scale up"):
        rescale_margins(empty, pd.Series([8.0, 7.0], index=STATE), areas)


def test_what_falls_below_zero_is_named():
    came, net = pd.Series([5.0, 1.0], index=STATE), pd.Series([9.0, 0.0], index=STATE)
    with pytest.raises(
        NestflowError, match=r"emigrants cannot be below zero, as in N \(-4\); fewer immi"
    ):
        emigrants(came, net)
    with pytest.warns(NestflowWarning, match=r"in 1 areas \(N\), .* nobody: 4 people"):
        assert emigrants(came, net, negative="zero").tolist() == [0.0, 1.0]
    with pytest.raises(NestflowError, match="it is 'refuse' or 'zero'"):
        emigrants(came, net, negative="drop")
    house = pd.Series([7.0, 1.0], index=STATE)
    with pytest.raises(NestflowError, match="movers cannot be below zero, as in N"):
        movers(pd.Series([9.0, 9.0], index=STATE), came, net * 0, house)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"counties": lambda t: t.drop("B")}, r"level 'county', but 1 areas are missing"),
        ({"counties": lambda t: t.drop(columns="births")}, "no column 'births'"),
        (
            {"counties": lambda t: t.assign(deaths=-1.0)},
            "'deaths' of counties cannot be below zero, as",
        ),
        ({"counties": lambda t: t.assign(after=np.nan)}, "not so in 3 areas"),
        ({"states": lambda t: t.rename({"N": "Z"})}, r"labels are of none \(Z\)"),
        ({"flows": lambda t: -t}, "flows are negative"),
        ({"flows": lambda t: t.drop(columns="S")}, "the columns of the flows"),
        ({"flows": lambda t: t.astype(object).replace({t.iloc[0, 1]: "n/a"})}, "some are text"),
        ({"populations": lambda t: pd.concat([t, t])}, "must not repeat an area"),
        ({"rescale": lambda _: "all"}, "it is 'none', 'flows' or 'margins'"),
    ],
)
def test_bad_tables_end_in_a_sentence(areas, change, says):
    counties, states, flows, _ = published(a_nation())
    given = {
        "populations": populations(areas, counties), "counties": counties, "states": states,
        "flows": flows, "rescale": "flows",
    }  # fmt: skip
    given |= {name: spoil(given[name]) for name, spoil in change.items()}
    with pytest.raises(NestflowError, match=says):
        census_tables(areas, year=2012, **given)


def test_departures_stand_on_the_diagonal():
    flows = pd.DataFrame([[5.0, 1.0], [2.0, 7.0]], index=STATE, columns=STATE)
    died, left = pd.Series([1.0, 2.0], index=STATE), pd.Series([10.0, 20.0], index=STATE)
    assert flows_with_departures(flows, died, left).to_numpy().tolist() == [[16, 1], [2, 29]]
    with pytest.raises(NestflowError, match="cannot be scaled"):
        rescale_flows(flows * 0, 10.0)


def test_a_generated_nation_comes_back_from_what_is_published_of_it():
    nation = generate_nation("village", seed=6)
    truth, vital = nation.exact_tables, nation.components
    net = vital["immigrants"] - vital["emigrants"]
    parents = nation.areas.parents("county", "state")
    by_state = vital.groupby(nation.areas.level("state").labels[parents].to_numpy()).sum()
    gone = by_state["deaths"] + by_state["emigrants"]
    counties = pd.DataFrame(
        {
            "before": truth.before,
            "after": truth.after + vital["births"] - vital["deaths"] + net,
            "births": vital["births"],
            "deaths": vital["deaths"],
            "net_international": net,
        }
    )
    states = pd.DataFrame(
        {"same_house": truth.stayers - gone, "immigrants": by_state["immigrants"]}
    )
    tables = census_tables(
        nation.areas,
        year=nation.year,
        populations=truth.populations,
        counties=counties.sample(frac=1, random_state=1),
        states=states.iloc[::-1],
        flows=(truth.flows - np.diag(gone)).iloc[::-1, ::-1],
    )
    for name in ("populations", "movers", "stayers", "flows", "before", "after"):
        found, want = getattr(tables, name), getattr(truth, name)
        assert list(found.index) == list(want.index), name
        assert np.array(found) == pytest.approx(np.array(want), rel=1e-12), name
