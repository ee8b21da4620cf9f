"""Counterfactual trade: what a change of costs does to all flows, prices and welfare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from estimation.equilibrium.armington import Armington, Economy, TradeChange
from estimation.equilibrium.flow_scenario import FlowScenario, flow_scenario
from estimation.equilibrium.markets import clear_markets, geppml, rebalance
from estimation.estimates import Estimates
from estimation.gravity.result import GravityResult
from estimation.summary import Summary, format_table

__all__ = ["Armington", "Counterfactual", "counterfactual"]

Array = NDArray[np.float64]
Baseline: TypeAlias = Literal["observed", "fitted"]
Method: TypeAlias = Literal["hat", "geppml"]
_SOLVERS: Mapping[str, Callable[[Economy, Armington, Array], TradeChange]] = {
    "hat": clear_markets,
    "geppml": geppml,
}
# Places that a summary lists.
_MOST_ROWS = 40


@dataclass(frozen=True, eq=False, repr=False)
class Counterfactual:
    """Trade after a change, in three stages.

    ``partial``: the change of costs alone, all else held. ``conditional``: multilateral
    resistances adjust, outputs and expenditures are held. ``full``: prices, outputs and
    expenditures adjust too [AndersonLarchYotov2018]_.

    Attributes
    ----------
    model : Armington
    source : GravityResult
        Whose coefficients say what the change does.
    economy : Economy
        The baseline.
    scenario : FlowScenario
    estimate : ndarray, shape (K,)
        The coefficients it was solved at.
    conditional, full : TradeChange
    method : {"hat", "geppml"}
    baseline : {"observed", "fitted"}
    notes : tuple of str
    """

    model: Armington
    source: GravityResult
    economy: Economy
    scenario: FlowScenario
    estimate: Array
    conditional: TradeChange
    full: TradeChange
    method: Method
    baseline: Baseline
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return (
            f"<Counterfactual: {len(self.economy.places)} places, sigma {self.model.sigma:g}, "
            f"excess demand {self.full.residual:.1g}>"
        )

    @property
    def estimates(self) -> Estimates:
        """The coefficients behind it, with the covariance of the fit."""
        return self.source

    @cached_property
    def partial(self) -> Array:
        """Flows if nothing but costs changed, shape (N, N)."""
        partial: Array = self.economy.flows * np.exp(self.scenario.log_partial(self.estimate))
        return partial

    @cached_property
    def places(self) -> pd.DataFrame:
        """Changes in percent in full equilibrium, one row a place.

        ``output``, ``expenditure`` and ``price`` (at the factory gate) are relative to the
        world's output; ``inward_resistance`` is the price index. ``real_output`` is output over
        the price index, ``welfare`` expenditure over the price index. With no deficits, welfare
        is ``home_share`` to the power ``(1 + psi) / (1 - sigma)``, whatever the change
        [ArkolakisCostinotRodriguezClare2012]_.
        """
        economy, full = self.economy, self.full
        home = np.diag(full.flows) / full.expenditure
        home_before = np.diag(economy.flows) / economy.expenditure
        output, expenditure = full.output / economy.output, full.expenditure / economy.expenditure
        index = np.exp(full.log_index)
        ratios = {
            "output": output,
            "expenditure": expenditure,
            "price": np.exp(full.log_price),
            "inward_resistance": index,
            "outward_resistance": np.exp(full.log_outward),
            "exports": _abroad(full.flows, 1) / _abroad(economy.flows, 1),
            "imports": _abroad(full.flows, 0) / _abroad(economy.flows, 0),
            "home_share": home / home_before,
            "real_output": output / index,
            "welfare": expenditure / index,
        }
        return self._percent(ratios)

    @property
    def outcomes(self) -> pd.DataFrame:
        """What :func:`~estimation.equilibrium.parametric.bootstrap` gives standard errors of."""
        return self.places

    @property
    def resistances(self) -> pd.DataFrame:
        """Changes of multilateral resistances in percent at given outputs, one row a place.

        Only products of an inward and an outward one are identified; the level is stated in
        :func:`estimation.equilibrium.markets.rebalance`.
        """
        return self._percent(
            {
                "inward_resistance": np.exp(self.conditional.log_index),
                "outward_resistance": np.exp(self.conditional.log_outward),
            }
        )

    @property
    def flows(self) -> pd.DataFrame:
        """One row a pair: the flow at the baseline and in each stage."""
        places = list(self.economy.places)
        index = pd.MultiIndex.from_product([places, places], names=["origin", "destination"])
        return pd.DataFrame(
            {
                "baseline": self.economy.flows.ravel(),
                "partial": self.partial.ravel(),
                "conditional": self.conditional.flows.ravel(),
                "full": self.full.flows.ravel(),
            },
            index=index,
        )

    def decompose(self, side: Literal["exports", "imports"] = "exports") -> pd.DataFrame:
        """Split the change of each place's trade with others into direct and indirect effects.

        Parameters
        ----------
        side
            Sales to other places or purchases from them.

        Returns
        -------
        DataFrame
            In percent of the baseline: ``direct`` (costs alone), ``resistances`` (what the
            adjustment of multilateral resistances adds), ``prices`` (what prices, outputs and
            expenditures add), and their sum ``total``; one row a place.

        Raises
        ------
        SpecificationError
            If the side is unknown.
        """
        if side not in ("exports", "imports"):
            raise SpecificationError(f"side is '{side}'; it is 'exports' or 'imports'.")
        axis = 1 if side == "exports" else 0
        stages = (self.economy.flows, self.partial, self.conditional.flows, self.full.flows)
        sums = np.array([_abroad(flows, axis) for flows in stages])
        steps = 100 * np.diff(sums, axis=0) / sums[0]
        columns = ["direct", "resistances", "prices"]
        table = pd.DataFrame(steps.T, index=self._index, columns=columns)
        return table.assign(total=table.sum(axis=1))

    def at(self, estimate: Array) -> Self:
        """Solve the same change at other coefficients; the baseline is held.

        Parameters
        ----------
        estimate
            Shape (K,).
        """
        log_partial = self.scenario.log_partial(estimate)
        return replace(
            self,
            estimate=estimate,
            conditional=rebalance(self.economy, self.model, log_partial),
            full=_SOLVERS[self.method](self.economy, self.model, log_partial),
        )

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        model, full = self.model, self.full
        facts = (
            ("Places", f"{len(self.economy.places)}"),
            ("Scenario", self.scenario.text),
            ("Elasticity of substitution", f"{model.sigma:g}"),
            ("Elasticity of supply", f"{model.supply:g}"),
            ("Deficits", model.deficits),
            ("Baseline", f"{self.baseline} flows"),
            ("Method", self.method),
            ("Largest excess demand", f"{full.residual:.1e}"),
            ("Iterations", f"{full.iterations}"),
        )
        table, notes = self.places, [self.uniqueness, *self.notes]
        if len(table) > _MOST_ROWS:
            most = table["welfare"].abs().nlargest(_MOST_ROWS).index
            table = table.loc[table.index.isin(most)]
            notes.insert(0, f"The {_MOST_ROWS} places whose welfare changes most.")
        return Summary("Trade in general equilibrium, changes in percent", facts, table, (*notes,))

    def __str__(self) -> str:
        return f"{format_table(self.places).to_string(max_rows=60)}\n{self.uniqueness}"

    @property
    def uniqueness(self) -> str:
        """Say what is known about the existence and uniqueness of the equilibrium.

        The theorem is that of [AllenArkolakisTakahashi2020]_; with additive deficits, gross
        substitution at the equilibrium is what is looked at.
        """
        if self.model.deficits != "additive":
            return (
                "The equilibrium exists and is the only one: sigma is above 1, supply does not "
                "fall with prices, and trade connects all places."
            )
        if self.full.substitutes:
            return (
                "An equilibrium was found at which every place's goods are substitutes for every "
                "other's, so that it is locally the only one; with additive deficits no theorem "
                "rules out others."
            )
        return (
            "An equilibrium was found, but with these additive deficits not all goods are "
            "substitutes there, and there may be others."
        )

    def _percent(self, ratios: Mapping[str, Array]) -> pd.DataFrame:
        changes = {name: 100 * (ratio - 1) for name, ratio in ratios.items()}
        return pd.DataFrame(changes, index=self._index)

    @property
    def _index(self) -> "pd.Index[str]":
        return pd.Index(self.economy.places, name="place")


def counterfactual(
    model: Armington,
    result: GravityResult,
    scenario: Mapping[str, str | float] | Any,
    *,
    where: str = "",
    period: Any = None,
    baseline: Baseline = "observed",
    method: Method = "hat",
) -> Counterfactual:
    """Solve for trade after a change of costs.

    Parameters
    ----------
    model
        The elasticities and the treatment of deficits.
    result
        A gravity model with effects of exporters and importers (by period), whose coefficients
        turn changes of regressors into partial effects.
    scenario
        Columns and their new values, numbers or expressions over the old columns, as in
        ``{"agreement": 0}`` or ``{"distance": "distance * 0.9"}``; or a table with a row for
        every pair.
    where
        Change the rows alone for which this expression is true, such as ``"origin == 'AT11'"``.
    period
        Which period is the baseline; needed if the flows have several.
    baseline
        Shares of spending are those observed, or those that the model fits.
    method
        ``"hat"`` solves the system of prices by Newton's method; ``"geppml"`` is the loop of
        estimations, which finds the same.

    Raises
    ------
    DataError
        If a pair has no row, a place has no flow within itself, or other flows do not allow an
        equilibrium; the message names the places.
    SpecificationError
        If the scenario names an unknown column or moves no regressor, or an option is unknown.
    EstimationError
        If the result was read from a file, or there is no equilibrium.
    """
    if baseline not in get_args(Baseline):
        raise SpecificationError(f"baseline is '{baseline}'; it is 'observed' or 'fitted'.")
    if method not in _SOLVERS:
        raise SpecificationError(f"method is '{method}'; it is 'hat' or 'geppml'.")
    change, flows = flow_scenario(result, scenario, where, period, fitted=baseline == "fitted")
    economy = Economy(change.places, flows)
    log_partial = change.log_partial(result.estimate)
    return Counterfactual(
        model,
        result,
        economy,
        change,
        result.estimate,
        rebalance(economy, model, log_partial),
        _SOLVERS[method](economy, model, log_partial),
        method,
        baseline,
        _notes(result),
    )


def _notes(result: GravityResult) -> tuple[str, ...]:
    """Say what of structural gravity the estimation lacks."""
    assert result.sample is not None
    data = result.sample.data
    columns = [set(effect.columns) for effect in result.effects if not effect.variable]
    lacking = [
        name for name in (data.origin, data.destination) if not any(name in c for c in columns)
    ]
    if not lacking:
        return ()
    names = " and ".join(f"'{name}'" for name in lacking)
    return (
        f"The model has no fixed effects of {names}, which stand for multilateral resistances in "
        "structural gravity: its coefficients may be biased.",
    )


def _abroad(flows: Array, axis: int) -> Array:
    """Return the sums of flows with other places, shape (N,)."""
    return np.asarray(flows.sum(axis=axis) - np.diag(flows))
