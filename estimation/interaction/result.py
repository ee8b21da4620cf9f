"""What a calibrated spatial-interaction model answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.interaction.balancing import totals
from choicemodels.interaction.generator import draw_trips
from choicemodels.interaction.models import (
    InteractionModel,
    SpatialInteraction,
    model_from_dict,
    model_to_dict,
)
from estimation.covariance import SmallSample
from estimation.gravity.result import GravityResult, GroupsArgument
from estimation.results import Covariance, Result
from estimation.summary import Summary, coefficient_table

__all__ = ["InteractionResult", "InteractionSample"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InteractionSample:
    """The flows behind a result, observed and expected.

    Attributes
    ----------
    data : FlowData
    rows : ndarray of int64, shape (N,)
        Positions of the rows to which the model speaks.
    mu : ndarray, shape (N,)
        Their expected flows; zero where an origin or destination that is constrained has none.
    """

    data: FlowData
    rows: NDArray[np.int64]
    mu: Array


@dataclass(frozen=True, eq=False, repr=False)
class InteractionResult(Result):
    """A spatial-interaction model calibrated by maximum likelihood.

    Besides what every result has:

    Attributes
    ----------
    model : InteractionModel
    depvar : str
        Name of the flow column.
    row_factors, column_factors : Series
        What multiplies the masses or the law in each origin and destination so that the totals
        are met; empty where the constraint leaves them out.
    deviance : float
        Infinite if a flow was observed where the model gives none.
    gravity : GravityResult or None
        The Poisson model whose covariance this is: the model itself, or the log-linear one that
        touches it at the estimate; None if nothing was estimated.
    notes : tuple of str
        What the reader must know.
    sample : InteractionSample or None
        A result read from a file has none.
    """

    model: InteractionModel
    depvar: str
    row_factors: "pd.Series[float]"
    column_factors: "pd.Series[float]"
    deviance: float
    gravity: GravityResult | None
    notes: tuple[str, ...] = ()
    sample: InteractionSample | None = field(default=None, repr=False)

    @property
    def data(self) -> FlowData:
        """The flows of the calibration."""
        return self._behind.data

    @property
    def rows(self) -> NDArray[np.int64]:
        """Positions of the rows to which the model speaks, shape (N,)."""
        return self._behind.rows

    @property
    def mu(self) -> Array:
        """Their expected flows, shape (N,)."""
        return self._behind.mu

    @property
    def _behind(self) -> InteractionSample:
        if self.sample is None:
            raise EstimationError(
                "this result was read from a file, which keeps no flows: fit again for what "
                "needs them."
            )
        return self.sample

    def with_cov(
        self, kind: str, *, groups: GroupsArgument = None, ssc: SmallSample | None = None
    ) -> Self:
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind, groups, ssc
            As of :meth:`GravityResult.with_cov <estimation.GravityResult.with_cov>`. The
            jackknife ``"CRV3"`` is for Wilson's family alone. Groups that are given as labels
            need one for each of ``rows``.

        Raises
        ------
        SpecificationError
            If an option is unknown, groups are missing, or nothing was estimated.
        """
        if self.gravity is None:
            raise SpecificationError(
                f"{type(self.model).__name__} estimates nothing, so there is no covariance to "
                "choose."
            )
        if kind == "CRV3" and not isinstance(self.model, SpatialInteraction):
            raise SpecificationError(
                f"the jackknife fits again, and {type(self.model).__name__} is not log-linear; "
                "choose 'cluster'."
            )
        gravity = self.gravity.with_cov(kind, groups=groups, ssc=ssc)
        return replace(self, gravity=gravity, covariance=gravity.covariance)

    @property
    def df_model(self) -> int:
        """Coefficients and balancing factors, less one where both sides have them."""
        factors = len(self.row_factors) + len(self.column_factors)
        return len(self.names) + factors - (self.model.constraint == "doubly")

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.gravity is None or self.gravity.converged

    @property
    def observed(self) -> Array:
        """The flows of the rows to which the model speaks, shape (N,)."""
        return self.data.y[self.rows]

    @property
    def cost(self) -> Array:
        """The costs of these rows, shape (N,)."""
        return self.data.table[self.model.cost].to_numpy(dtype=np.float64)[self.rows]

    def predict(self) -> "pd.Series[float]":
        """Return the expected flows by position of the row in the table that was given."""
        return pd.Series(self.mu.copy(), index=self.rows, name="mu")

    def to_matrix(self) -> pd.DataFrame:
        """Return the expected flows as a matrix; pairs that the model leaves out are NaN."""
        mu = np.full(self.data.nobs, np.nan)
        mu[self.rows] = self.mu
        ends = [self.data.table[name] for name in (self.data.origin, self.data.destination)]
        return pd.Series(mu, index=pd.MultiIndex.from_arrays(ends)).unstack()

    def balancing_factors(self) -> "dict[str, pd.Series[float]]":
        """Return Wilson's A by origin and B by destination, as far as the constraint has them.

        ``A_o = row_factors_o / O_o`` and ``B_d = column_factors_d / D_d``, O and D being the
        flows out of and into a place. Only their product is determined in a doubly constrained
        model; the geometric mean of ``B_d D_d`` is one. A place whose total is zero has none.

        Raises
        ------
        SpecificationError
            If the model is not constrained.
        """
        if self.model.constraint == "none":
            raise SpecificationError(
                "an unconstrained model has no balancing factors; choose constraint='production', "
                "'attraction' or 'doubly'."
            )
        y = pd.Series(self.observed)
        factors = {}
        for name, side, level in (
            ("A", self.data.origin, self.row_factors),
            ("B", self.data.destination, self.column_factors),
        ):
            if len(level):
                labels = self.data.table[side].to_numpy()[self.rows]
                factors[name] = (level / y.groupby(labels).sum().reindex(level.index)).rename(name)
        return factors

    def draw(self, seed: int, replicate: int = 0) -> "pd.Series[float]":
        """Draw whole trips from the expected flows, as many as were observed.

        The generator of [LenormandBassolasRamasco2016]_: the trips of each origin go to its
        destinations by chance (with ``"production"`` and ``"doubly"``), those into each
        destination come from its origins (``"attraction"``), or all trips fall on all pairs
        (``"none"``). Under ``"doubly"`` the totals of origins are met exactly, those of
        destinations on average.

        Parameters
        ----------
        seed, replicate
            Non-negative integers; see :func:`choicemodels.interaction.generator.draw_trips`.

        Raises
        ------
        DataError
            If the observed totals are not whole numbers.
        """
        o, d = (self.data.factor(f"`{s}`") for s in (self.data.origin, self.data.destination))
        pairs = (o.codes * d.size + d.codes)[self.rows]
        if self.model.constraint == "none":
            group, labels = np.zeros(len(pairs), dtype=np.int64), ["all flows"]
        else:
            side = o if self.model.constrains_origins else d
            group, labels = side.codes[self.rows], side.levels[0].tolist()
        held = totals(group, self.observed, len(labels))
        drawn = draw_trips(self.mu, group, pairs, held, labels, seed=seed, replicate=replicate)
        return pd.Series(drawn, index=self.rows, name="trips")

    def residuals(self, kind: str = "pearson") -> "pd.Series[float]":
        """Return the residuals by position of the row.

        Parameters
        ----------
        kind
            ``"response"`` for ``y - mu``, ``"pearson"`` for that over the root of mu, or
            ``"deviance"``.

        Raises
        ------
        SpecificationError
            If the kind is unknown.
        EstimationError
            If a flow was observed where the model gives none, and the kind divides by it.
        """
        y, mu = self.observed, self.mu
        if kind == "response":
            return pd.Series(y - mu, index=self.rows, name=kind)
        if kind not in ("pearson", "deviance"):
            raise SpecificationError(
                f"the residual '{kind}' is unknown; choose 'response', 'pearson' or 'deviance'."
            )
        impossible = int(((mu == 0) & (y > 0)).sum())
        if impossible:
            raise EstimationError(
                f"{impossible:,} flows were observed where the model gives none, so their {kind} "
                "residuals are infinite; use kind='response'."
            )
        safe = np.where(mu > 0, mu, 1.0)
        if kind == "pearson":
            return pd.Series((y - mu) / np.sqrt(safe), index=self.rows, name=kind)
        unit = 2 * (xlogy(y, y / safe) - (y - mu))
        value = np.sign(y - mu) * np.sqrt(np.maximum(unit, 0.0))
        return pd.Series(value, index=self.rows, name=kind)

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        facts = (
            ("Flows", self.depvar),
            ("Constraint", self.model.constraint),
            ("Observations", f"{self.nobs:,}"),
            ("Standard errors", self.covariance.short if self.names else "nothing estimated"),
            ("Log-likelihood", f"{self.llf:,.4f}"),
            ("Deviance", f"{self.deviance:,.4f}"),
            ("Balancing factors", f"{len(self.row_factors) + len(self.column_factors):,}"),
        )
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        notes = (*self.notes, *self.covariance.footnotes)
        title = f"Spatial interaction: {type(self.model).__name__}"
        return Summary(title, facts, table, notes)

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        return {**super().statistics, "deviance": self.deviance}

    @property
    def __maketables_depvar__(self) -> str:
        return self.depvar

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "deviance"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "interaction",
            **super().to_dict(),
            "llf": self.llf if np.isfinite(self.llf) else None,
            "model": model_to_dict(self.model),
            "depvar": self.depvar,
            "row_factors": _series_to_dict(self.row_factors),
            "column_factors": _series_to_dict(self.column_factors),
            "deviance": self.deviance if np.isfinite(self.deviance) else None,
            "gravity": None if self.gravity is None else self.gravity.to_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild a result from :meth:`to_dict`; it has no flows."""
        gravity = saved["gravity"]
        return cls(
            names=tuple(saved["names"]),
            estimate=np.array(saved["estimate"], dtype=np.float64),
            covariance=Covariance.from_dict(
                {**saved["covariance"], "matrix": _square(saved["covariance"]["matrix"])}
            ),
            llf=-np.inf if saved["llf"] is None else saved["llf"],
            nobs=saved["nobs"],
            model=model_from_dict(saved["model"]),
            depvar=saved["depvar"],
            row_factors=_series_from_dict(saved["row_factors"]),
            column_factors=_series_from_dict(saved["column_factors"]),
            deviance=np.inf if saved["deviance"] is None else saved["deviance"],
            gravity=None if gravity is None else GravityResult.from_dict(gravity),
            notes=tuple(saved["notes"]),
        )


def _square(matrix: list[list[float]]) -> Array:
    return np.array(matrix, dtype=np.float64).reshape(len(matrix), len(matrix))


def _series_to_dict(series: "pd.Series[float]") -> dict[str, Any]:
    name = None if series.index.name is None else str(series.index.name)
    return {"index": series.index.tolist(), "values": series.tolist(), "name": name}


def _series_from_dict(saved: Mapping[str, Any]) -> "pd.Series[float]":
    index = pd.Index(saved["index"], name=saved["name"])
    return pd.Series(saved["values"], index=index, dtype=np.float64)
