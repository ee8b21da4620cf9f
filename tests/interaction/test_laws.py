"""Laws of opportunities: loops over places, another package's numbers, derivatives, limits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData
from choicemodels.errors import DataError
from choicemodels.interaction import laws
from choicemodels.interaction.inputs import accessibility, law_inputs
from choicemodels.interaction.laws import LawValues, conditional
from choicemodels.interaction.models import (
    ExtendedRadiation,
    PopulationWeighted,
    Radiation,
    Schneider,
    Stouffer,
)
from choicemodels.interaction.opportunities import nearer

PUBLISHED = Path(__file__).parents[1] / "published/pytdlm_0_2_2/austria.csv"


def inputs(data, ties="within"):
    return law_inputs(data, "distance", "origin_mass", "destination_mass", ties)


@pytest.fixture(scope="module")
def flows(places):
    return FlowData(
        places.assign(flow=1.0), origin="origin", destination="destination", flow="flow"
    )


@pytest.mark.parametrize(("ties", "share"), [("within", 1.0), ("half", 0.5), ("beyond", 0.0)])
def test_opportunities_by_a_double_loop(flows, ties, share):
    table = flows.table
    at = inputs(flows, ties)
    c = {(r.origin, r.destination): r.distance for r in table.itertuples()}
    n = table.groupby("destination")["destination_mass"].first()
    tied = 0
    for k, row in enumerate(at.rows):
        o, d = table.loc[row, ["origin", "destination"]]
        others = [j for j in n.index if j not in (o, d)]
        same = sum(n[j] for j in others if c[o, j] == c[o, d])
        less = sum(n[j] for j in others if c[o, j] < c[o, d])
        assert at.nearer[k] == pytest.approx(less + share * same, rel=1e-12)
        tied += same > 0
    assert tied > 10


def test_circles_by_a_double_loop(flows):
    table = flows.table
    at = inputs(flows)
    c = {(r.origin, r.destination): r.distance for r in table.itertuples()}
    n = table.groupby("destination")["destination_mass"].first()
    for k, row in enumerate(at.rows):
        o, d = table.loc[row, ["origin", "destination"]]
        want = sum(n[j] for j in n.index if c[j, d] <= c[o, d])
        assert at.circle[k] == pytest.approx(want, rel=1e-12)
    assert at.total == pytest.approx(n.sum())


def test_accessibility_by_a_double_loop(flows):
    table = flows.table
    c = {(r.origin, r.destination): r.distance for r in table.itertuples()}
    n = table.groupby("destination")["destination_mass"].first()
    found = accessibility(flows, "distance", "destination_mass", 1.5)
    for k, row in enumerate(table.itertuples()):
        o, d = row.origin, row.destination
        want = sum(n[j] * c[d, j] ** -1.5 for j in n.index if j not in (o, d))
        assert found[k] == pytest.approx(want, rel=1e-10)


def test_pytdlm_on_austria(austria):
    want = pd.read_csv(PUBLISHED)
    at = inputs(austria)
    np.testing.assert_array_equal(at.nearer, want["opportunities"])
    masses = {"origin_mass": "origin_mass", "destination_mass": "destination_mass"}
    for model, theta, column in (
        (Radiation(**masses), np.nan, "radiation"),
        (ExtendedRadiation(**masses), 0.5, "extended_radiation"),
        (Schneider(**masses), 2e-5, "schneider"),
    ):
        p = np.exp(conditional(model.law(theta, at), at.origin).log)
        np.testing.assert_allclose(at.origin_mass * p, want[column], rtol=1e-11)


def test_formulas_as_the_papers_print_them(flows):
    at = inputs(flows)
    m, n, s, S, M = at.origin_mass, at.destination_mass, at.nearer, at.circle, at.total
    printed = {
        laws.stouffer(1.3, n, s): (n / (s + n)) ** 1.3,
        laws.schneider(1e-3, n, s): np.exp(-1e-3 * s) - np.exp(-1e-3 * (s + n)),
        laws.radiation(m, n, s): n / ((m + s) * (m + n + s)),
        laws.extended_radiation(0.7, m, n, s): ((m + s + n) ** 0.7 - (m + s) ** 0.7)
        / (((m + s) ** 0.7 + 1) * ((m + s + n) ** 0.7 + 1)),
        laws.population_weighted(n, S, M): n * (1 / S - 1 / M),
    }
    for law, f in printed.items():
        total = np.bincount(at.origin, f)[at.origin]
        np.testing.assert_allclose(
            np.exp(conditional(law, at.origin).log), f / total, rtol=1e-9, atol=1e-15
        )


def test_extended_radiation_with_exponent_one_is_radiation_with_one_more_inhabitant(flows):
    at = inputs(flows)
    m, n, s = at.origin_mass, at.destination_mass, at.nearer
    extended = conditional(laws.extended_radiation(1.0, m, n, s), at.origin).log
    plain = conditional(laws.radiation(m + 1, n, s), at.origin).log
    np.testing.assert_allclose(extended, plain, rtol=1e-10)


def test_schneiders_chances_telescope_where_nothing_ties():
    n = np.array([3.0, 5.0, 2.0])
    s = np.array([0.0, 3.0, 8.0])
    total = np.exp(laws.schneider(0.1, n, s).log).sum()
    assert total == pytest.approx(1 - np.exp(-0.1 * n.sum()), rel=1e-14)


@pytest.mark.parametrize(
    ("law", "theta"),
    [
        (lambda t, at: laws.stouffer(t, at.destination_mass, at.nearer), 1.2),
        (lambda t, at: laws.schneider(t, at.destination_mass, at.nearer), 4e-4),
        (
            lambda t, at: laws.extended_radiation(
                t, at.origin_mass, at.destination_mass, at.nearer
            ),
            0.8,
        ),
    ],
)
@pytest.mark.parametrize("share", [False, True])
def test_derivatives_against_differences(flows, law, theta, share):
    at = inputs(flows)

    def evaluate(t):
        values = law(t, at)
        return conditional(values, at.origin) if share else values

    h = 1e-4 * theta
    low, mid, high = (evaluate(theta + k * h) for k in (-1, 0, 1))
    first = (high.log - low.log) / (2 * h)
    np.testing.assert_allclose(mid.first, first, rtol=1e-6, atol=1e-7 * np.abs(first).max())
    second = (high.first - low.first) / (2 * h)
    np.testing.assert_allclose(mid.second, second, rtol=1e-5, atol=1e-6 * np.abs(second).max())


@pytest.mark.parametrize("model", [Schneider, ExtendedRadiation, Stouffer])
def test_nothing_overflows_at_the_ends_of_the_search(flows, masses, model):
    at = inputs(flows)
    spec = model(**masses)
    for theta in spec.grid(at)[[0, -1]]:
        values = spec.law(theta, at)
        for part in (values.log, values.first, values.second):
            assert np.isfinite(part).all()


def test_an_origin_that_a_law_gives_nobody_keeps_its_zeros():
    law = LawValues(np.array([-np.inf, -np.inf, 0.0, 0.0]), np.zeros(4), np.zeros(4))
    found = conditional(law, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(np.exp(found.log), [0, 0, 0.5, 0.5])


def test_the_farthest_origin_sends_nobody_by_population_weights(flows, masses):
    at = inputs(flows)
    law = PopulationWeighted(**masses).law(np.nan, at)
    nobody = np.isneginf(law.log)
    assert nobody.any()
    np.testing.assert_allclose(at.circle[nobody], at.total, rtol=1e-12)


def test_nearer_of_a_single_row():
    assert nearer(np.array([0]), np.array([1.0]), np.array([4.0])) == 0


def refused(table, match, **columns):
    data = FlowData(
        table.assign(flow=1.0, **columns), origin="origin", destination="destination", flow="flow"
    )
    with pytest.raises(DataError, match=match):
        inputs(data)


def test_a_pair_without_a_row(places):
    gap = places[places["origin"] != places["destination"]].iloc[1:]
    refused(gap, r"1 pairs of places have no row \(such as P\d\d → P\d\d\)")


def test_masses_and_costs_that_cannot_be(places):
    first = places["origin"].iloc[0]
    is_first = places["origin"] == first
    refused(
        places, f"'origin_mass' is not a number above zero in 12 rows.*{first} has -3",
        origin_mass=places["origin_mass"].where(~is_first, -3.0),
    )  # fmt: skip
    other = places["origin_mass"].copy()
    other.iloc[0] += 1
    refused(places, rf"differs between the rows of 1 places.*{first}", origin_mass=other)
    missing = places["distance"].copy()
    missing.iloc[3] = np.nan
    refused(places, r"cost 'distance' is missing, not finite or negative in 1 rows \(rows 3",
            distance=missing)  # fmt: skip


def test_only_flows_within_places(places):
    refused(places[places["origin"] == places["destination"]].iloc[:1], "within one place")


def test_several_periods(places):
    table = pd.concat([places.assign(year=y, flow=1.0) for y in (1, 2)])
    data = FlowData(table, "origin", "destination", "flow", time="year")
    with pytest.raises(DataError, match="several periods"):
        inputs(data)


def test_accessibility_needs_costs_between_destinations(places):
    table = places[places["origin"] != "P03"].assign(flow=1.0)
    data = FlowData(table, "origin", "destination", "flow")
    with pytest.raises(DataError, match="P03 send nobody"):
        accessibility(data, "distance", "destination_mass", 1.0)
    two = places[places["origin"].isin(["P01", "P02"]) & places["destination"].isin(["P01", "P02"])]
    data = FlowData(two.assign(flow=1.0), "origin", "destination", "flow")
    with pytest.raises(DataError, match="has no rival"):
        accessibility(data, "distance", "destination_mass", 1.0)
    near = places["distance"].where(places["origin"] == places["destination"], 0.0)
    data = FlowData(places.assign(flow=1.0, distance=near), "origin", "destination", "flow")
    with pytest.raises(DataError, match="between two places is zero"):
        accessibility(data, "distance", "destination_mass", 1.0)
