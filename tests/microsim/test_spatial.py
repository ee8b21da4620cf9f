"""Moran's I of displacement."""

from dataclasses import replace

import numpy as np
import pytest

from choicemodels.errors import SpecificationError
from microsim import Behaviour, MoveTruth, simulate, synthesize
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.mobility.variables import great_circle
from microsim.results.outcomes import national_outcomes
from microsim.results.spatial import clustering


@pytest.fixture(scope="module")
def run(population, behaviour, make):
    ai = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.05}]}
    return simulate(population, behaviour, make(shocks=[ai]), months=4, replicates=2)


def with_displaced(run, values):
    """The run in which each metro loses so many of a thousand workers in every month."""
    panel = run.metros.assign(population=1_000)
    return replace(run, metros=panel.assign(displaced=panel["cbsa"].map(values)))


def test_the_statistic_is_the_definition(run, population):
    metros = population.metros
    table = clustering(run, population, permutations=0)
    assert list(table.index) == [0, 1]
    assert table["pvalue_permutations"].isna().all()
    w = np.exp(-great_circle(metros.latitude, metros.longitude) / 150.0)
    np.fill_diagonal(w, 0.0)
    w /= w.sum(axis=1, keepdims=True)
    for r in (0, 1):
        mine = run.metros[run.metros["replicate"] == r].groupby("cbsa").sum(numeric_only=True)
        rate = (mine["displaced"] / mine["population"])[list(metros.cbsa)].to_numpy()
        z = rate - rate.mean()
        cross = sum(w[i, j] * z[i] * z[j] for i in range(16) for j in range(16))
        assert table["statistic"][r] == pytest.approx(16 / w.sum() * cross / (z @ z), rel=1e-10)


def test_a_gradient_over_the_country_is_found_and_a_shuffle_is_not(run, population):
    metros = population.metros
    east = (metros.longitude - metros.longitude.min()) ** 2
    clustered = clustering(
        with_displaced(run, dict(zip(metros.cbsa, east, strict=True))), population
    )
    assert (clustered["z"] > 2).all()
    assert (clustered["pvalue_permutations"] < 0.05).all()
    anywhere = np.random.default_rng(5).permutation(east)
    shuffled = clustering(
        with_displaced(run, dict(zip(metros.cbsa, anywhere, strict=True))), population
    )
    assert (shuffled["statistic"] < clustered["statistic"]).all()
    assert (shuffled["pvalue_permutations"] > 0.05).all()


def test_nothing_to_tell_apart_has_its_reason(population, behaviour):
    table = clustering(simulate(population, behaviour, months=1), population)
    assert table["statistic"].isna().all()
    assert table["reason"][0] == "the values do not vary"


def test_what_cannot_be_tested_ends_in_a_sentence(run, population):
    with pytest.raises(SpecificationError, match=r"'displacd' does not count.*did you mean 'displ"):
        clustering(run, population, "displacd")
    with pytest.raises(SpecificationError, match="scale is 0; give kilometres"):
        clustering(run, population, scale=0)
    other = replace(run, population_fingerprint="another")
    with pytest.raises(SpecificationError, match="the run is of another population"):
        clustering(other, population)


@pytest.mark.slow
def test_regional_contagion_makes_displacement_cluster(make):
    """From hazards to the outcome: about as many adopt, but next to each other or anywhere."""
    few = SynthesisParameters(adoption_shares=(0.9997, 0.0001, 0.0001, 0.0001))
    people = synthesize(workers=12_000, firms=2_400, metros=120, seed=2, parameters=few)
    behaviour = Behaviour(mobility=MoveTruth(tuple(people.metros.cbsa)))
    ai = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.3}]}
    clustered = {}
    for contagion, intensity in ((0.0, 0.03), (1_500.0, 0.0005)):
        scenario = make(
            shocks=[{"kind": "ai_adoption"}, ai],
            labour={"stage_multipliers": [0, 1, 1, 1]},
            adoption={
                "industry_contagion": 0,
                "regional_contagion": contagion,
                "pilot_intensity": intensity,
            },
        )
        run = simulate(people, behaviour, scenario, months=12, replicates=2)
        clustered[contagion] = national_outcomes(run)["displacement clustering"]
    assert (clustered[1_500.0] > 0.25).all()
    assert (clustered[0.0].abs() < 0.1).all()
