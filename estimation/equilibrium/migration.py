"""Migration in spatial equilibrium: moves change wages and rents, and these change moves."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import EstimationError, SpecificationError
from estimation.choice.result import ChoiceResult
from estimation.equilibrium.flow_mobility import FlowMobility
from estimation.equilibrium.mobility import ChoiceMobility, Choices, Mobility
from estimation.equilibrium.population_map import (
    Horizon,
    crowding,
    population_map,
    populations_of,
    repulsion,
)
from estimation.equilibrium.residence import Settlement, dominant_feedback, settle, settle_from
from estimation.equilibrium.spatial_economy import PlaceChange, Shock, SpatialEconomy
from estimation.estimates import Estimates
from estimation.gravity.result import GravityResult
from estimation.summary import Summary, format_table

__all__ = ["MigrationEquilibrium", "Shock", "SpatialEconomy", "equilibrium"]

Array = NDArray[np.float64]

_MOST_ROWS = 40
# Half the difference of log wages over which the worth of wages is taken.
_STEP = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class MigrationEquilibrium:
    """Where people live after a change, with the wages and rents that their numbers make.

    Attributes
    ----------
    economy : SpatialEconomy
    source : ChoiceResult or GravityResult
        Whose coefficients say who moves for what.
    mobility : Mobility
        The fitted model, laid over the residents.
    shocks : PlaceChange
    horizon : {"period", "stationary"}
    settlement : Settlement
        Populations relative to the baseline, and how nearly they reproduce themselves.
    others : tuple of Settlement
        Other equilibria that were found from scattered starts.
    failed_starts : int
    starts : int
        How many scattered starts were tried.
    """

    economy: SpatialEconomy
    source: ChoiceResult | GravityResult
    mobility: Mobility
    shocks: PlaceChange
    horizon: Horizon
    settlement: Settlement
    others: tuple[Settlement, ...]
    failed_starts: int
    starts: int

    def __repr__(self) -> str:
        return (
            f"<MigrationEquilibrium: {len(self.mobility.places)} places, "
            f"residual {self.settlement.residual:.1g}>"
        )

    @property
    def estimates(self) -> Estimates:
        """The coefficients behind it, with the covariance of the fit."""
        return self.source

    @cached_property
    def before(self) -> Choices:
        """Choices at the baseline."""
        return self.mobility.choose(PlaceChange.none(len(self.mobility.places)))

    @cached_property
    def direct(self) -> Choices:
        """Choices if wages and rents did not answer to population."""
        return self.mobility.choose(self.shocks)

    @cached_property
    def change(self) -> PlaceChange:
        """Wages, rents, amenities and grants in equilibrium, relative to the baseline."""
        responses = self.economy.responses(self.mobility.places)
        return self.shocks.crowded(self.settlement.log_population, responses)

    @cached_property
    def after(self) -> Choices:
        """Choices in equilibrium."""
        return self.mobility.choose(self.change)

    @cached_property
    def places(self) -> pd.DataFrame:
        """One row a place.

        ``population`` at the end of the period (or in the stationary state) and ``arrivals`` and
        ``departures`` are counts, at the baseline (``_before``) and in equilibrium. Changes are
        in percent; ``direct_change`` is that of the population if wages and rents stayed as the
        shocks left them. ``welfare`` is the change of the residents' mean logsum, in utils.
        """
        before, after = self._population(self.before), self._population(self.after)
        direct = self._population(self.direct)
        return pd.DataFrame(
            {
                "population_before": before,
                "population": after,
                "population_change": 100 * (after / before - 1),
                "direct_change": 100 * (direct / before - 1),
                "wage_change": 100 * np.expm1(self.change.log_wage),
                "rent_change": 100 * np.expm1(self.change.log_rent),
                "arrivals_before": _moved(self._flows(self.before), 0),
                "arrivals": _moved(self._flows(self.after), 0),
                "departures_before": _moved(self._flows(self.before), 1),
                "departures": _moved(self._flows(self.after), 1),
                "welfare": self.after.logsum - self.before.logsum,
            },
            index=self._index,
        )

    @property
    def outcomes(self) -> pd.DataFrame:
        """What :func:`~estimation.equilibrium.parametric.bootstrap` gives standard errors of."""
        return self.places

    @property
    def flows(self) -> pd.DataFrame:
        """One row a pair of places, staying included: flow before, direct and in equilibrium."""
        names = list(self.mobility.places)
        index = pd.MultiIndex.from_product([names, names], names=["origin", "destination"])
        columns = {"baseline": self.before, "direct": self.direct, "equilibrium": self.after}
        return pd.DataFrame(
            {name: self._flows(choices).ravel() for name, choices in columns.items()}, index=index
        )

    @property
    def welfare(self) -> pd.DataFrame:
        """Gains of the residents of each place, before they move.

        ``logsum`` is the change of expected maximum utility [SmallRosen1981]_, and
        ``wage_equivalent`` the percentage by which all wages would have to rise at the baseline
        for the same gain, by the mean marginal utility of log wages there.

        Raises
        ------
        EstimationError
            If utility does not rise with wages.
        """
        J = len(self.mobility.places)
        rise = np.full(J, _STEP)
        ahead, behind = (
            self.mobility.choose(replace(PlaceChange.none(J), log_wage=side * rise)).logsum
            for side in (1, -1)
        )
        worth = (ahead - behind) / (2 * _STEP)
        if not (worth > 0).all():
            raise EstimationError(
                f"the utility of residents of {self.mobility.places[int(np.argmin(worth))]} does "
                "not rise with wages, so that gains have no equivalent in wages; see the column "
                "'welfare' of places for gains in utils."
            )
        gain = self.after.logsum - self.before.logsum
        return pd.DataFrame(
            {"logsum": gain, "wage_equivalent": 100 * np.expm1(gain / worth)}, index=self._index
        )

    @cached_property
    def feedback(self) -> tuple[complex, complex]:
        """Eigenvalues of the map from populations to those that follow, in equilibrium.

        The one of the largest real part, and the one of the largest modulus; see
        :func:`estimation.equilibrium.residence.dominant_feedback`.
        """
        follow = population_map(self.mobility, self.economy, self.shocks, self.horizon)
        return dominant_feedback(follow, self.settlement.log_population)

    @cached_property
    def crowding(self) -> float:
        """Upper bound of the slope of anybody's utility of a place in its log population there."""
        return crowding(self.mobility, self.economy, self.change)

    @property
    def uniqueness(self) -> str:
        """Say what is known about the uniqueness and stability of the equilibrium.

        Where crowding repels and places are substitutes, the excess of residents who would come
        over those who are there has a Jacobian that is dominated by its negative diagonal, column
        by column, and so at most one zero [GaleNikaido1965]_.
        """
        largest, modulus = self.feedback
        text = f"Feedback of population on itself: largest real part {largest.real:z.4f}, "
        text += f"largest modulus {abs(modulus):.4f}; "
        text += "stable" if largest.real < 1 else "UNSTABLE"
        text += " under slow adjustment. "
        if self.others:
            return (
                text + f"There are at least {len(self.others)} other equilibria: other(0) is one."
            )
        if self.horizon == "period" and self.crowding <= 0 and self.mobility.substitutes:
            return text + (
                "Nobody gains from more people in a place, and places are substitutes: the "
                "equilibrium exists and is the only one."
            )
        tried = f"{self.starts} other starts led to no other equilibrium"
        if self.failed_starts:
            tried += f" ({self.failed_starts} to none at all)"
        return text + f"Uniqueness is not certain; {tried}."

    def other(self, number: int = 0) -> Self:
        """Return another of the equilibria found, with this one among its others.

        Raises
        ------
        SpecificationError
            If there are not so many.
        """
        if not 0 <= number < len(self.others):
            raise SpecificationError(
                f"number is {number}, but {len(self.others)} other equilibria were found."
            )
        rest = self.others[:number] + self.others[number + 1 :]
        return replace(self, settlement=self.others[number], others=(self.settlement, *rest))

    def at(self, estimate: Array) -> Self:
        """Solve for the same shocks at other coefficients, from this equilibrium.

        Parameters
        ----------
        estimate
            Shape (K,).
        """
        mobility = self.mobility.at(estimate)
        follow = population_map(mobility, self.economy, self.shocks, self.horizon)
        steep = repulsion(mobility, self.economy, self.shocks)
        settlement = settle(follow, self.settlement.log_population, steep)
        # The copy computes its choices anew: caches do not travel with replace().
        return replace(self, mobility=mobility, settlement=settlement)

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        counts = ["arrivals_before", "arrivals", "departures_before", "departures"]
        table = self.places.drop(columns=counts)
        notes = [self.uniqueness]
        if len(table) > _MOST_ROWS:
            most = table["population_change"].abs().nlargest(_MOST_ROWS).index
            table = table.loc[table.index.isin(most)]
            notes.insert(0, f"The {_MOST_ROWS} places whose population changes most.")
        facts = (
            ("Places", f"{len(self.mobility.places)}"),
            ("Residents", f"{self.before.flows.sum():,.0f}"),
            ("Horizon", self.horizon),
            ("Moves by", type(self.source.model).__name__)
            if isinstance(self.source, ChoiceResult)
            else ("Moves by", "Gravity"),
            ("Residual", f"{self.settlement.residual:.1e}"),
            ("Evaluations", f"{self.settlement.evaluations}"),
            ("Utility by log population, at most", f"{self.crowding:z.4f}"),
        )
        return Summary("Migration in spatial equilibrium", facts, table, tuple(notes))

    def __str__(self) -> str:
        return f"{format_table(self.places).to_string(max_rows=60)}\n{self.uniqueness}"

    def _population(self, choices: Choices) -> Array:
        return populations_of(choices, self.horizon)

    def _flows(self, choices: Choices) -> Array:
        """Return flows between the populations of the horizon."""
        if self.horizon == "period":
            return choices.flows
        moves = choices.flows / choices.flows.sum(axis=1, keepdims=True)
        return np.asarray(self._population(choices)[:, None] * moves)

    @property
    def _index(self) -> "pd.Index[str]":
        return pd.Index(self.mobility.places, name="place")


def equilibrium(
    economy: SpatialEconomy,
    result: ChoiceResult | GravityResult,
    shocks: Mapping[str, Shock],
    *,
    residents: "FactoredChoiceData | pd.Series[float] | None" = None,
    period: Any = None,
    horizon: Horizon = "period",
    starts: int = 8,
    seed: int = 0,
) -> MigrationEquilibrium:
    """Solve for where people live after shocks, with wages and rents that answer.

    The population L of each place solves

        L_d = sum_o n_o P_od(wages(L), rents(L), amenities, grants),

    with n_o residents at the beginning and the fitted probabilities P. Wages and rents are
    relative to a baseline that solves it without shocks, so that no shock means no change.

    Parameters
    ----------
    economy
        The markets' elasticities, and the columns of the model with wages and rents.
    result
        A multinomial or nested logit of the place to live in, fitted to factored data, such as
        :meth:`~choicemodels.NestedLogit.move_stay`; or a gravity model with effects of origins
        and the destinations' wages and rents among its regressors.
    shocks
        What happens, by place.
    residents
        Who chooses. Factored data with choosers in every place, weighted to the population
        (choices are not looked at); by default the data of the estimation. For a gravity model
        without flows within places, the population of each place by name.
    period
        For a gravity model of several periods, which is the baseline.
    horizon
        ``"period"``: one round of moves, from today's residents. ``"stationary"``: the
        populations that such moves, repeated for ever, leave as they are; residents of a place
        keep its mix of characteristics.
    starts, seed
        Where somebody's utility of a place may rise with its population, and in the stationary
        state, how many scattered starts look for other equilibria, and their seed.

    Raises
    ------
    SpecificationError
        If the model does not know the wage or the rent, a place is unknown, or an option is.
    DataError
        If a place has no residents.
    EstimationError
        If no equilibrium is found; the message says whether crowding repels or attracts.
    """
    if horizon not in ("period", "stationary"):
        raise SpecificationError(f"horizon is '{horizon}'; it is 'period' or 'stationary'.")
    mobility = _mobility(economy, result, residents, period)
    hit = PlaceChange.of_shocks(shocks, mobility.places)
    follow = population_map(mobility, economy, hit, horizon)
    steep = repulsion(mobility, economy, hit)
    try:
        found = settle(follow, np.zeros(len(mobility.places)), steep)
    except EstimationError as problem:
        slope = crowding(mobility, economy, hit)
        why = "attracts" if slope > 0 else "repels"
        raise EstimationError(
            f"no equilibrium was found: one more log point of population in a place {why} people "
            f"(its utility changes by up to {slope:.3g}), too strongly for populations to settle. "
            f"Look at agglomeration, labour_demand and housing_supply. {problem}"
        ) from None
    there = hit.crowded(found.log_population, economy.responses(mobility.places))
    uncertain = (
        horizon == "stationary"
        or not mobility.substitutes
        or crowding(mobility, economy, there) > 0
    )
    tried = starts if uncertain else 0
    others, failures = settle_from(follow, tried, seed, found, steep)
    return MigrationEquilibrium(
        economy, result, mobility, hit, horizon, found, others, failures, tried
    )


def _mobility(
    economy: SpatialEconomy, result: ChoiceResult | GravityResult, residents: Any, period: Any
) -> Mobility:
    if isinstance(result, GravityResult):
        return FlowMobility.build(result, economy, residents, period)
    if not isinstance(result, ChoiceResult):
        raise SpecificationError(
            f"equilibrium() takes the result of a fitted logit or gravity model, not a "
            f"{type(result).__name__}."
        )
    if period is not None:
        raise SpecificationError("period= goes with a gravity model.")
    return ChoiceMobility.build(result, economy, residents)


def _moved(flows: Array, axis: int) -> Array:
    """Return the sums of moves between places, shape (J,)."""
    return np.asarray(flows.sum(axis=axis) - np.diag(flows))
