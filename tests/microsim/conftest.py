"""A small population, its true mobility model, and scenarios to put on it."""

from dataclasses import replace

import numpy as np
import pytest

from microsim import Behaviour, MoveTruth, Scenario, synthesize


@pytest.fixture(scope="session")
def population():
    return synthesize(workers=4_000, firms=300, metros=16, seed=3)


@pytest.fixture(scope="session")
def behaviour(population):
    # Twice as mobile as the default, so that small runs have enough moves.
    truth = MoveTruth(tuple(population.metros.cbsa))
    return Behaviour(mobility=replace(truth, staying={**truth.staying, "(Intercept)": 7.8}))


QUIET = {
    "labour": {"minimum_wage": 0.0, "job_change_rate": 0.0},
    "remote": {"active": False},
    "ties": {"active": False},
    "local_moves": {"active": False},
    "credit": {"active": False},
    "insurance": {"active": False},
    "taxes": {"active": False},
    "housing": {"active": False},
    "local_economy": {"active": False, "local_multiplier": 0.0},
    "skills": {"active": False},
    "retraining": {"active": False},
}
"""Parameters under which no mechanism of a month acts that can be turned off."""


@pytest.fixture(scope="session")
def make():
    """Build a scenario from shocks and policies given as dictionaries.

    With ``quiet`` every mechanism is off but those that the parameters given turn on again.
    """

    def build(*policies, shocks=(), name="scenario", quiet=False, **parameters):
        if quiet:
            groups = [*QUIET, *(name for name in parameters if name not in QUIET)]
            parameters = {key: {**QUIET.get(key, {}), **parameters.get(key, {})} for key in groups}
        content = {"name": name, "shocks": list(shocks), "policies": list(policies)}
        return Scenario.from_mapping({**content, "parameters": parameters})

    return build


@pytest.fixture(scope="session")
def shuffled(population):
    """The same population, its workers' rows in another order."""
    order = np.random.default_rng(0).permutation(len(population.workers))
    workers = population.workers
    columns = {name: values[order] for name, values in workers.columns().items()}
    return replace(population, workers=type(workers)(**columns)), order
