"""Equilibria of trade in changes, by Newton's method and by estimations in a loop.

The model is that of :mod:`estimation.equilibrium.armington`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError
from estimation.balancing import newton_balance
from estimation.equilibrium.armington import Armington, Economy, TradeChange
from estimation.fixed_point import anderson

__all__ = ["clear_markets", "geppml", "rebalance"]

Array = NDArray[np.float64]

# Market clearing, relative to output: some digits above rounding in sums over hundreds of places.
_TOLERANCE = 1e-12
_MOST_STEPS = 500
# Newton's steps in logarithms of prices are cut to this length.
_LONGEST = 1.0


def rebalance(economy: Economy, model: Armington, log_partial: Array) -> TradeChange:
    """Let multilateral resistances adjust, at given outputs and expenditures.

    The conditional general equilibrium of [AndersonLarchYotov2018]_: new costs, old margins. Only
    products of inward and outward resistances are identified; the level is such that the mean of
    the notional prices ``1 / outward resistance``, weighted with output, does not change.

    Parameters
    ----------
    economy
    model
    log_partial
        Logarithm of the partial effects, shape (N, N).
    """
    Y, E = economy.output, economy.expenditure
    found = newton_balance(economy.flows * np.exp(log_partial), Y, E)
    log_price = found.log_rows / (1 - model.sigma)
    level = np.log((Y * np.exp(log_price)).sum() / Y.sum())
    return TradeChange(
        log_price - level,
        found.log_columns / (model.sigma - 1) - level,
        level - log_price,
        Y,
        E,
        found.matrix,
        found.residual,
        found.iterations,
        None,
    )


def clear_markets(economy: Economy, model: Armington, log_partial: Array) -> TradeChange:
    """Let prices adjust until all markets clear: full general equilibrium by exact hat algebra.

    Newton's method on the excess demands in logarithms of prices, with the price adjustment of
    [AlvarezLucas2007]_ where a step of it would not help.

    Parameters
    ----------
    economy
    model
    log_partial
        Logarithm of the partial effects, shape (N, N).

    Raises
    ------
    EstimationError
        If markets do not clear, or a place would have to spend less than nothing.
    """
    system = _System(economy, model, log_partial)
    point = system.at(np.zeros(len(economy.places)))
    steps = 0
    while point.residual > _TOLERANCE and steps < _MOST_STEPS:
        steps += 1
        following = _newton(system, point)
        if following is None:
            following = system.at(point.log_price + point.pressure / (model.sigma + model.supply))
        if not np.isfinite(following.residual) or _stuck(point, following):
            break
        point = following
    if point.residual > 1e3 * _TOLERANCE:
        place = economy.places[int(np.argmin(point.expenditure / economy.expenditure))]
        poor = " Spending above output must stay possible: try deficits='multiplicative'."
        raise EstimationError(
            f"markets do not clear: after {steps} steps the largest excess demand is "
            f"{point.residual:.2g} of output, and {place} spends "
            f"{point.expenditure.min():.3g}."
            + (poor if model.deficits == "additive" else " Look for extreme partial effects.")
        )
    return system.change(point, steps)


def _stuck(point: "_Point", following: "_Point") -> bool:
    """Whether only rounding is left."""
    return point.residual < 1e3 * _TOLERANCE and following.residual >= point.residual


def _newton(system: "_System", point: "_Point") -> "_Point | None":
    """Take a Newton step, cut until it helps; None if it does not."""
    J = system.jacobian(point)
    # Excess demands sum to zero and only relative prices matter: one equation stands for both.
    J -= np.abs(np.diag(J)).mean() * point.output / point.output.sum()
    step = np.linalg.solve(J, -point.excess)
    length = min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
    for _ in range(6):
        following = system.at(point.log_price + length * step)
        if following.residual < point.residual:
            return following
        length /= 2
    return None


@dataclass(frozen=True, eq=False)
class _Point:
    """The system at some prices; ``shares`` (N, N) are those of each column's spending."""

    log_price: Array
    log_index: Array
    output: Array
    expenditure: Array
    shares: Array
    excess: Array
    residual: float

    @property
    def pressure(self) -> Array:
        """Logarithm of demand over supply, shape (N,)."""
        return np.asarray(np.log1p(self.excess / self.output))


@dataclass(frozen=True, eq=False)
class _System:
    """Excess demands as functions of the logarithms of relative prices."""

    economy: Economy
    model: Armington
    log_partial: Array

    def at(self, log_price: Array) -> _Point:
        X, Y, m = self.economy.flows, self.economy.output, self.model
        exponent = self.log_partial + (1 - m.sigma) * log_price[:, None]
        top = exponent.max(axis=0)
        weights = X / self.economy.expenditure * np.exp(exponent - top)
        total = weights.sum(axis=0)
        log_index = (np.log(total) + top) / (1 - m.sigma)
        output = Y * np.exp(log_price + m.supply * (log_price - log_index))
        level = output.sum() / Y.sum()
        output = output / level
        spending = self.spending(output)
        shares = weights / total
        excess = shares @ spending - output
        residual = float(np.abs(excess / output).max()) if (spending > 0).all() else np.inf
        return _Point(
            log_price - np.log(level),
            log_index - np.log(level),
            output,
            spending,
            shares,
            excess,
            residual,
        )

    def spending(self, output: Array) -> Array:
        """Return expenditures at given outputs, shape (N,)."""
        Y, E = self.economy.output, self.economy.expenditure
        match self.model.deficits:
            case "additive":
                return np.asarray(output + E - Y)
            case "none":
                return output
        raw = output * E / Y
        return np.asarray(raw * (output.sum() / raw.sum()))

    def jacobian(self, point: _Point) -> Array:
        """Return the derivatives of excess demands by log prices, shape (N, N)."""
        m, S, Y = self.model, point.shares, point.output
        G = (1 + m.supply) * np.eye(len(Y)) - m.supply * S.T
        dY = Y[:, None] * (G - (Y @ G) / Y.sum())
        dE = dY
        if m.deficits == "multiplicative":
            ratio = point.expenditure / Y
            dE = ratio[:, None] * dY - np.outer(point.expenditure, ratio @ dY) / Y.sum()
        X = S * point.expenditure
        substitution = (1 - m.sigma) * (np.diag(X.sum(axis=1)) - X @ S.T)
        return np.asarray(substitution + S @ dE - dY)

    def change(self, point: _Point, steps: int) -> TradeChange:
        """Lay out the equilibrium."""
        J = self.jacobian(point)
        off = J[~np.eye(len(J), dtype=bool)]
        log_output = np.log(point.output / self.economy.output)
        return TradeChange(
            point.log_price,
            point.log_index,
            -point.log_price - log_output / (self.model.sigma - 1),
            point.output,
            point.expenditure,
            point.shares * point.expenditure,
            point.residual,
            steps,
            bool((off >= -1e-12 * np.abs(J).max()).all()),
        )


def geppml(economy: Economy, model: Armington, log_partial: Array) -> TradeChange:
    """Find the full equilibrium as [AndersonLarchYotov2018]_ do, by estimations in a loop.

    Poisson with exporter and importer effects meets both margins, so that an estimation with the
    coefficients held is a balancing [Fally2015]_. The exporters' effects give new prices, these
    new outputs and expenditures, and the flows are balanced to them, until nothing moves.
    :func:`clear_markets` finds the same equilibrium from its equations.

    Parameters
    ----------
    economy
    model
    log_partial
        Logarithm of the partial effects, shape (N, N).

    Raises
    ------
    EstimationError
        If the loop does not settle.
    """
    system = _System(economy, model, log_partial)
    Y, E = economy.output, economy.expenditure
    seed = economy.flows * np.exp(log_partial)
    rounds = 0

    def effects(log_output: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return prices, indices, outputs, expenditures and flows implied by outputs."""
        output = Y * np.exp(log_output)
        output *= Y.sum() / output.sum()
        spending = system.spending(output)
        if not (spending > 0).all():
            place = economy.places[int(np.argmin(spending))]
            raise EstimationError(
                f"{place} would have to spend less than nothing; try deficits='multiplicative'."
            )
        found = newton_balance(seed, output, spending)
        log_price = found.log_rows / (1 - model.sigma)
        log_index = (found.log_columns - np.log(spending / E)) / (model.sigma - 1)
        implied = Y * np.exp(log_price + model.supply * (log_price - log_index))
        level = np.log(implied.sum() / Y.sum())
        return log_price - level, log_index - level, output, spending, found.matrix

    def gap(log_output: Array) -> Array:
        nonlocal rounds
        rounds += 1
        log_price, log_index, output, _, _ = effects(log_output)
        return np.asarray(log_price + model.supply * (log_price - log_index) - np.log(output / Y))

    settled = anderson(gap, np.zeros(len(Y)), lambda r: float(np.abs(r).max()), _TOLERANCE)
    log_price, log_index, output, spending, flows = effects(settled)
    shares = flows / flows.sum(axis=0)
    excess = shares @ spending - Y * np.exp(log_price + model.supply * (log_price - log_index))
    point = _Point(
        log_price, log_index, output, spending, shares, excess, float(np.abs(excess / output).max())
    )
    return system.change(point, rounds)
