"""Balancing margins changes nothing that the margins do not ask for."""

import numpy as np
import pytest

from choicemodels.nation.generator import generate_nation
from estimation.harmonization.steps import Flows, Margins
from estimation.harmonize import harmonize


@pytest.fixture(scope="module")
def nation():
    return generate_nation("village", seed=3)


def test_balancing_is_a_projection_nearest_in_divergence(nation):
    tables = nation.tables
    found = harmonize(nation.raw, [Margins(tables.before, tables.after)]).matrix
    # Another matrix with the same margins: the same step from another start.
    bent = harmonize(nation.raw, [Flows(tables.flows), Margins(tables.before, tables.after)]).matrix

    def divergence(p, q):
        return float((p * np.log(p / q) - p + q)[p > 0].sum())

    some = nation.raw.values > 0
    p, r, q = (m.values[some] for m in (found, bent, nation.raw))
    # Pythagoras: what any matrix with the margins is away from the raw one, it is away from the
    # projection first.
    assert divergence(r, q) == pytest.approx(divergence(r, p) + divergence(p, q), rel=1e-9)
    assert divergence(p, q) < divergence(r, q)
