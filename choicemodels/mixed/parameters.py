"""The parameters of a mixed logit: which coefficients vary, and how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.logit.design import UtilityTerms, design_terms
from choicemodels.mixed.coefficients import Coefficient, coefficients_of
from choicemodels.mixed.draws import standard_draws
from choicemodels.mixed.specification import MixedLogit

if TYPE_CHECKING:
    from choicemodels.mixed.likelihood import MixedLikelihood

__all__ = ["Entries", "MixedParameters"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# A spread that moves utilities by less than this, in standard deviations, is next to nothing.
_NOTHING = 0.01
# The same for a lognormal coefficient on its way to zero.
_VANISHED = 1e-3
# So many standard errors on the wrong side of zero are no chance.
_SURE = 4.0
# Simulation error is felt below this number of draws.
_FEW = 100
# Standard deviation of what the starting spreads add to utilities.
_START = 0.5
# Standard deviations of the standard draws on (-1, 1).
_SD = {"uniform": 3.0**-0.5, "triangular": 6.0**-0.5}


@dataclass(frozen=True, eq=False)
class Entries:
    """The A parameters of the Q coefficients, those of one coefficient together.

    Attributes
    ----------
    slot : ndarray of int64, shape (A,)
        Position in ``theta``.
    first : ndarray of int64, shape (Q + 1,)
        Coefficient q has the entries ``first[q]:first[q + 1]``.
    draw : ndarray of int64, shape (A,)
        Dimension of the standard draws that multiply the parameter; -1 for a location.
    """

    slot: Ints
    first: Ints
    draw: Ints


@dataclass(frozen=True, eq=False)
class MixedParameters:
    """How ``theta = (utility, spreads, Cholesky factor, spreads of error components)`` is laid out.

    Attributes
    ----------
    utility : UtilityTerms
    alternatives : tuple of str
    coefficients : tuple of Coefficient, length Q
    correlated : tuple of str
        Names of the coefficients that correlate.
    draws : int
    sequence : str
    seed : int
    price : int
        Which coefficient is that of the price in the space of willingness to pay, else -1.
    notes : tuple of str
        What the reader must know.
    warnings : tuple of str
        What the reader must be warned of, whatever the estimate.
    """

    utility: UtilityTerms
    alternatives: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    correlated: tuple[str, ...]
    draws: int
    sequence: Literal["halton", "sobol", "mlhs"]
    seed: int
    price: int = -1
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def lay_out(cls, model: MixedLogit, data: ChoiceData | FactoredChoiceData) -> Self:
        """Name the parameters of a model over data.

        Raises
        ------
        SpecificationError, DataError
            If the formula, a coefficient or an error component does not fit the data.
        """
        if not isinstance(data, ChoiceData):
            raise SpecificationError(
                "the draws of a mixed logit need a row for each case and alternative, all in "
                "memory; give it data.to_long(), or read the files into one ChoiceData."
            )
        utility = design_terms(model, data)
        coefficients = coefficients_of(model, utility, data)
        price = [c.name for c in coefficients].index(model.price) if model.price else -1
        notes, warnings = _makers(model, data)
        return cls(
            utility,
            data.alternatives,
            coefficients,
            model.correlates,
            model.draws,
            model.sequence,
            model.seed,
            price,
            notes,
            warnings,
        )

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        return "Mixed logit" if self.price < 0 else "Mixed logit in the space of willingness to pay"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the P parameters."""
        own = [c for c in self.coefficients if c.law.free_spread and c.name not in self.correlated]
        group = self.correlated
        return (
            *self.utility.names,
            *(f"sd:{c.name}" for c in own if c.term >= 0),
            *(f"chol:{b}:{a}" for i, a in enumerate(group) for b in group[: i + 1]),
            *(f"sd:{c.name}" for c in own if c.term < 0),
        )

    @cached_property
    def entries(self) -> Entries:
        """Where the parameters of the coefficients are."""
        place = {name: k for k, name in enumerate(self.names)}
        dimension = {c.name: d for d, c in enumerate(c for c in self.coefficients if c.varies)}
        slot, draw, first = [], [], [0]
        for c in self.coefficients:
            own = dimension.get(c.name, -1)
            if c.term >= 0:
                slot.append(c.term)
                draw.append(-1 if c.law.free_spread else own)
            if c.name in self.correlated:
                for other in self.correlated[: self.correlated.index(c.name) + 1]:
                    slot.append(place[f"chol:{other}:{c.name}"])
                    draw.append(dimension[other])
            elif c.law.free_spread:
                slot.append(place[f"sd:{c.name}"])
                draw.append(own)
            first.append(len(slot))
        return Entries(*(np.array(x, dtype=np.int64) for x in (slot, first, draw)))

    @cached_property
    def fixed(self) -> Ints:
        """Positions of the utilities' parameters that belong to no coefficient here, shape (F,)."""
        own = [c.term for c in self.coefficients if c.term >= 0]
        return np.setdiff1d(np.arange(len(self.utility.names)), own).astype(np.int64)

    @cached_property
    def scaled(self) -> NDArray[np.bool_]:
        """Which coefficients are a willingness to pay, shape (Q,)."""
        return np.array(
            [
                self.price >= 0 and q != self.price and c.term >= 0
                for q, c in enumerate(self.coefficients)
            ]
        )

    def spreads(self, theta: Array) -> Array:
        """Return the spread of every coefficient, zero where it has none, shape (Q,).

        With a Cholesky factor it is the root of the sum of squares of the coefficient's row.
        """
        entries = self.entries
        values = theta[entries.slot] * (entries.draw >= 0)
        spread = np.sqrt(np.add.reduceat(values**2, entries.first[:-1]))
        return np.where([c.law.free_spread for c in self.coefficients], spread, 0.0)

    def start_from(self, utility: Array) -> Array:
        """Return the multinomial logit's coefficients with some spread around them, shape (P,)."""
        theta = np.zeros(len(self.names))
        theta[: len(utility)] = utility
        money = 1.0
        if self.price >= 0:
            price = self.coefficients[self.price]
            money, least = float(utility[price.term]), 0.1 / price.size
            # A price entered with its sign turned has a positive coefficient; at zero there is
            # no willingness to pay, and the search would not get across it.
            if price.varies or money < least:
                money = min(money, -least)
            theta[price.term] = money
        for q, c in enumerate(self.coefficients):
            begin, end = self.entries.first[q : q + 2]
            own = self.entries.slot[begin:end]
            # In the space of willingness to pay b = -price * w.
            worth = -money if self.scaled[q] else 1.0
            if c.term >= 0:
                theta[c.term] = _start_location(c, float(theta[c.term]) / worth, 0.1 / c.size)
            if c.law.free_spread:
                width = _START / (c.size * abs(worth) * _SD.get(c.law.base, 1.0))
                theta[own[-1]] = _START if c.law.transform == "exponential" else width
        return theta

    def refuse_signs(self, utility: Array, spread: Array) -> None:
        """Refuse coefficients that have the opposite sign for sure.

        Parameters
        ----------
        utility, spread
            Estimates of a multinomial logit and their standard errors, shape (U,).

        Raises
        ------
        EstimationError
            If a coefficient that must be positive (negative) is far below (above) zero there.
        """
        for c in self.coefficients:
            beta, error = float(utility[c.term]), float(spread[c.term])
            if c.law.transform != "identity" and c.law.sign * beta < -_SURE * error:
                sign, other = ("negative", "") if c.law.sign < 0 else ("positive", "-")
                raise EstimationError(
                    f"'{c.name}' is {c.distribution}, hence {sign} for everybody, but the "
                    f"multinomial logit puts it at {beta:.4g} (standard error {error:.2g}): its "
                    "location would run to minus infinity; write "
                    f"'{other}{c.distribution.removeprefix('-')}', or turn the sign of the "
                    "variable. A start= of your own leaves this out."
                )

    def canonical(self, theta: Array) -> Array:
        """Turn spreads positive where their sign does not matter but for the draws."""
        theta = theta.copy()
        entries, place = self.entries, {name: k for k, name in enumerate(self.names)}
        for q, c in enumerate(self.coefficients):
            if c.law.free_spread and c.name not in self.correlated:
                last = entries.slot[entries.first[q + 1] - 1]
                theta[last] = abs(theta[last])
        group = self.correlated
        for i, a in enumerate(group):
            if theta[place[f"chol:{a}:{a}"]] < 0:
                for b in group[i:]:
                    theta[place[f"chol:{a}:{b}"]] *= -1.0
        return theta

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Say which coefficients run away or hardly vary, and what else is weak."""
        money = abs(self._money(theta))
        found = list(self.warnings)
        for q, (c, spread) in enumerate(zip(self.coefficients, self.spreads(theta), strict=True)):
            effect = c.size * (money if self.scaled[q] else 1.0)
            location = float(theta[c.term])
            if c.law.transform == "exponential":
                if np.exp(min(location + spread**2, 100.0)) * effect < _VANISHED:
                    found.append(_vanished(c))
                    continue
                effect = 1.0
            elif c.law.transform == "truncated" and location < -5.0 * spread:
                found.append(
                    f"nearly all of the normal of '{c.name}' lies on the wrong side of zero, where "
                    "it is cut off: location and spread run away together; use a lognormal."
                )
            if c.law.free_spread and spread * effect < _NOTHING:
                found.append(
                    f"the coefficient '{c.name}' hardly varies: its spread is next to zero "
                    f"({spread:.2g}), where its standard error means little; leave it fixed."
                )
        return tuple(found)

    def _money(self, theta: Array) -> float:
        """Return the coefficient of the price, its median if it varies; one in preference space."""
        if self.price < 0:
            return 1.0
        price = self.coefficients[self.price]
        location = float(theta[price.term])
        return -float(np.exp(min(location, 100.0))) if price.varies else location

    def over(self, data: ChoiceData) -> "MixedLikelihood":
        """Put the model over data, whose alternatives it must know."""
        from choicemodels.mixed.likelihood import MixedLikelihood

        return MixedLikelihood.build(self, data)

    def draws_for(self, makers: int) -> Array:
        """Return the standard draws of so many decision makers, shape (makers, D, draws)."""
        laws = [c.law for c in self.coefficients if c.varies]
        return standard_draws(laws, self.sequence, makers, self.draws, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout, ready for JSON."""
        return {
            "utility": self.utility.to_dict(),
            "alternatives": list(self.alternatives),
            "coefficients": [asdict(c) for c in self.coefficients],
            "correlated": list(self.correlated),
            "draws": self.draws,
            "sequence": self.sequence,
            "seed": self.seed,
            "price": self.price,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the layout from :meth:`to_dict`."""
        fields = dict(saved)
        fields["utility"] = UtilityTerms.from_dict(saved["utility"])
        fields["coefficients"] = tuple(
            Coefficient(**{**c, "alternatives": tuple(c["alternatives"])})
            for c in saved["coefficients"]
        )
        for key in ("alternatives", "correlated", "notes", "warnings"):
            fields[key] = tuple(saved[key])
        return cls(**fields)


def _start_location(c: Coefficient, beta: float, least: float) -> float:
    """Return a location near a multinomial logit's coefficient, on the right side of zero."""
    if c.law.transform == "identity":
        return beta
    value = max(c.law.sign * beta, least)
    return float(np.log(value)) if c.law.transform == "exponential" else value


def _vanished(c: Coefficient) -> str:
    sign, other = ("negative", "lognormal") if c.law.sign < 0 else ("positive", "-lognormal")
    return (
        f"'{c.name}' is {c.distribution}, hence {sign}, but the data want it on the other side of "
        "zero: the coefficient has shrunk to nothing and its location runs to minus infinity; "
        f"use '{other}' or 'normal', or turn the sign of the variable."
    )


def _makers(model: MixedLogit, data: ChoiceData) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what the draws are, and warn where they or the choices of a maker are few."""
    warnings = []
    makers = data.n_cases
    if data.panel_name is not None:
        makers = data.table[data.panel_name].nunique()
        if makers == data.n_cases:
            varying = enumerate_some([*model.random, *model.error_components])
            warnings.append(
                f"every decision maker ('{data.panel_name}') makes one choice, so that the spreads "
                f"of {varying} rest on the functional form alone; a panel needs some who choose "
                "repeatedly."
            )
    if model.draws < _FEW:
        warnings.append(
            f"{model.draws} draws for each decision maker are few: estimates and standard errors "
            "carry simulation error; raise draws= until they stay as they are."
        )
    note = (
        f"{model.draws:,} draws ({model.sequence}, seed {model.seed}) for each of {makers:,} "
        "decision makers."
    )
    return (note,), tuple(warnings)
