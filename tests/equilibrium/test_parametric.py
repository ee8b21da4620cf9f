"""The parametric bootstrap of any equilibrium, on one whose distribution is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import EstimationError, SpecificationError
from estimation.equilibrium.parametric import bootstrap
from estimation.estimates import Covariance, Estimates

V = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Linear:
    """Outcomes that are the coefficients themselves, and none where the first is too large."""

    point: np.ndarray
    most: float = np.inf

    @property
    def estimates(self):
        return Estimates(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), Covariance(V, "robust"))

    @property
    def outcomes(self):
        return pd.DataFrame({"x": self.point}, index=["p", "q", "r"])

    def at(self, estimate):
        if estimate[0] > self.most:
            raise EstimationError("prices run away.")
        return Linear(estimate, self.most)


START = np.array([1.0, 2.0, 3.0])


def test_draws_have_the_distribution_of_the_coefficients():
    found = bootstrap(Linear(START), replications=4000, seed=1)
    drawn = found.draws.to_numpy()
    assert drawn.mean(axis=0) == pytest.approx(START, abs=4 / np.sqrt(4000))
    assert np.cov(drawn, rowvar=False) == pytest.approx(V, abs=0.1)
    assert found.std_err.loc["r", "x"] == pytest.approx(0.0, abs=1e-12)
    lower, upper = found.conf_int(0.1)
    assert (upper - lower).loc["p", "x"] == pytest.approx(2 * 1.645, abs=0.15)
    assert "x" in str(found)


def test_draws_without_an_equilibrium_are_counted():
    done = []
    found = bootstrap(
        Linear(START, most=2.0), replications=200, seed=2, progress=lambda n, of: done.append(n)
    )
    assert done == list(range(1, 201))
    assert len(found.draws) + len(found.failures) == 200
    assert 0 < len(found.failures) < 70
    assert f"{len(found.failures)} failed and are left out" in found.note
    assert "prices run away" in repr(found)
    assert found.draws.index.intersection(found.failures.index).empty
    with pytest.raises(EstimationError, match="have no equilibrium; the first since prices"):
        bootstrap(Linear(START, most=0.0), replications=50, seed=2)


def test_two_draws_at_least():
    with pytest.raises(SpecificationError, match="needs two"):
        bootstrap(Linear(START), replications=1)
