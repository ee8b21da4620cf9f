"""The structural gravity model of trade, solved in changes.

Places o make goods of their own, and buyers everywhere spend with a constant elasticity of
substitution sigma between them [AndersonVanWincoop2003]_. Flows, outputs and spending are

    X_od = (c_o p_o t_od / P_d)^(1 - sigma) E_d,   Y_o = sum_d X_od = p_o q_o (p_o / P_o)^psi,
    P_d^(1 - sigma) = sum_o (c_o p_o t_od)^(1 - sigma),   E_d = Y_d plus the deficit,

with trade costs t, prices at the factory gate p, price indices P and the supply elasticity psi
[AllenArkolakisTakahashi2020]_. Preferences, endowments and the levels of costs drop out when the
system is written in ratios x' / x between two equilibria [DekleEatonKortum2008]_: what is needed
are the flows at the baseline and the partial effect ``(t' / t)^(1 - sigma)`` of each pair.
"""

from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some

__all__ = ["Armington", "Deficits", "Economy", "TradeChange"]

Array = NDArray[np.float64]
Deficits: TypeAlias = Literal["multiplicative", "additive", "none"]


@dataclass(frozen=True)
class Armington:
    """One-sector structural gravity with a constant elasticity of substitution.

    Parameters
    ----------
    sigma : float
        Elasticity of substitution between the goods of different places, above 1; trade responds
        to trade costs with the elasticity ``1 - sigma``.
    supply : float
        Elasticity psi of a place's output in its terms of trade p / P, zero or more; 0 is an
        endowment economy.
    deficits : {"multiplicative", "additive", "none"}
        What becomes of a place's deficit: its spending stays the same multiple of its output
        (times a factor common to all places that keeps the world's spending at the world's
        output); or it spends the same amount above its output, in units of the world's output;
        or all deficits are closed, which is part of the change.

    Raises
    ------
    SpecificationError
        If an elasticity is outside of its range or the treatment of deficits is unknown.
    """

    sigma: float
    supply: float = 0.0
    deficits: Deficits = "multiplicative"

    def __post_init__(self) -> None:
        if not (_is_finite(self.sigma) and self.sigma > 1):
            raise SpecificationError(
                f"sigma is {self.sigma!r}; the elasticity of substitution must be finite and above "
                "1, or dearer goods would be spent more on."
            )
        if not (_is_finite(self.supply) and self.supply >= 0):
            raise SpecificationError(
                f"supply is {self.supply!r}; the elasticity of supply must be finite and zero or "
                "more."
            )
        if self.deficits not in get_args(Deficits):
            raise SpecificationError(
                f"deficits is '{self.deficits}'; it is one of {', '.join(get_args(Deficits))}."
            )


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and isfinite(value)


@dataclass(frozen=True, eq=False)
class Economy:
    """What is observed of N places at the baseline.

    Parameters
    ----------
    places : tuple of str, length N
    flows : ndarray, shape (N, N)
        Sales of the row's place to the column's; sales at home on the diagonal.

    Raises
    ------
    DataError
        If flows are negative or not finite, a place buys or sells nothing, or nothing at home, or
        the places fall into groups between which trade flows one way or not at all.
    """

    places: tuple[str, ...]
    flows: Array

    def __post_init__(self) -> None:
        N = len(self.places)
        if self.flows.shape != (N, N):
            raise DataError(f"flows between {N} places are {N} x {N}; got {self.flows.shape}.")
        if N < 2:
            raise DataError("one place has nobody to trade with; give flows between at least two.")
        if not (np.isfinite(self.flows).all() and (self.flows >= 0).all()):
            o, d = np.argwhere(~(np.isfinite(self.flows) & (self.flows >= 0)))[0]
            raise DataError(
                f"the flow from {self.places[o]} to {self.places[d]} is {self.flows[o, d]}; flows "
                "are finite and zero or more."
            )
        for sums, verb in ((self.output, "sell"), (self.expenditure, "buy")):
            self._refuse(sums == 0, f"{verb} nothing, not even at home; leave them out")
        self._refuse(
            np.diag(self.flows) == 0,
            "have no flow within the place; structural gravity needs what each place sells at "
            "home: its output less its exports",
        )
        self._refuse_separate()

    def _refuse(self, bad: NDArray[np.bool_], what: str) -> None:
        if bad.any():
            names = [self.places[i] for i in np.flatnonzero(bad)]
            raise DataError(f"{len(names)} places ({enumerate_some(names)}) {what}.")

    def _refuse_separate(self) -> None:
        # The sparse graphs of scipy take a while to load.
        from scipy.sparse.csgraph import connected_components

        count, label = connected_components(self.flows > 0, directed=True, connection="strong")
        if count > 1:
            smallest = int(np.argmin(np.bincount(label)))
            names = [self.places[i] for i in np.flatnonzero(label == smallest)]
            raise DataError(
                f"the places fall into {count} groups with trade in one direction or none between "
                f"them, so that nothing ties their prices together; one of the groups is "
                f"{enumerate_some(names)}. Study the groups apart."
            )

    @property
    def output(self) -> Array:
        """Sales of each place, shape (N,)."""
        return np.asarray(self.flows.sum(axis=1))

    @property
    def expenditure(self) -> Array:
        """Purchases of each place, shape (N,)."""
        return np.asarray(self.flows.sum(axis=0))


@dataclass(frozen=True, eq=False)
class TradeChange:
    """An equilibrium after a change, relative to the baseline; the world's output is numeraire.

    Attributes
    ----------
    log_price : ndarray, shape (N,)
        Logarithm of the ratio of factory-gate prices.
    log_index : ndarray, shape (N,)
        Of price indices, the inward multilateral resistances.
    log_outward : ndarray, shape (N,)
        Of the outward multilateral resistances.
    output, expenditure : ndarray, shape (N,)
        New levels.
    flows : ndarray, shape (N, N)
        New levels.
    residual : float
        Largest excess demand, relative to output.
    iterations : int
    substitutes : bool or None
        Whether excess demand for every place's goods rises in every other place's price, there;
        None if prices are not what clears markets.
    """

    log_price: Array
    log_index: Array
    log_outward: Array
    output: Array
    expenditure: Array
    flows: Array
    residual: float
    iterations: int
    substitutes: bool | None
