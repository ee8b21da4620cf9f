"""The score wild cluster bootstrap of linear hypotheses about gravity coefficients.

With s_g the scores summed over the rows of group g, H the Hessian and ``R b = q`` the hypothesis,
each group moves the tested combinations by ``a_g = R (-H)^-1 s_g``. A draw multiplies the groups
by random v_g of mean zero and variance one and studentizes what comes out [KlineSantos2012]_,

    T(v) = c' V^-1 c,   c = sum_g v_g a_g,   V = sum_g (v_g a_g - c / G)(v_g a_g - c / G)'.

No draw fits the model again. With the null imposed, scores and Hessian are those at the estimate
under the hypothesis, and the statistic is the score test ``T(1)``; without, they are those at the
estimate itself, and the statistic is Wald's. The absorbed effects are concentrated out of the
scores, so that they count as estimated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.frames import closest
from choicemodels.restrictions import Restrictions, equation_lines, single_equations
from estimation.covariance import inverse_information
from estimation.gravity.multipliers import Weights, enumerable, multipliers
from estimation.gravity.ppml import ppml, ppml_dense
from estimation.gravity.problem import arranged, problem_of, refuse_moved
from estimation.gravity.result import GravityResult
from estimation.gravity.sample import GroupsArgument
from estimation.gravity.search import Search
from estimation.gravity.working import working_regression
from estimation.meat import Part

__all__ = ["ScoreBootstrap", "ScoreInterval", "score_bootstrap", "score_interval"]

Array = NDArray[np.float64]
# Enumerated draws repeat the statistic up to rounding.
_TIE = 1e-9
# The limits of an interval are found to this share of a standard error, and no farther than so
# many from the estimate.
_PRECISE = 1e-3
_FARTHEST = 50.0


@dataclass(frozen=True, eq=False)
class ScoreBootstrap:
    """The outcome of a score bootstrap.

    Attributes
    ----------
    hypothesis : str
    statistic : float
    pvalue : float
        Share of draws with at least this statistic; of random draws, the sample itself counts as
        one more.
    df : int
        Number of restrictions.
    statistics : ndarray, shape (draws,)
        Of the draws.
    enumerated : bool
        Whether the draws are all that there are.
    null : bool
        Whether the null hypothesis was imposed.
    weights : {"rademacher", "webb", "mammen"}
    groups : str
        Name of the clustering; ``"rows"`` if there is none.
    group_count : int
    seed : int
    """

    hypothesis: str
    statistic: float
    pvalue: float
    df: int
    statistics: Array
    enumerated: bool
    null: bool
    weights: Weights
    groups: str
    group_count: int
    seed: int

    def __str__(self) -> str:
        draws = f"{len(self.statistics):,} {self.weights} draws"
        how = f"all {draws}" if self.enumerated else f"{draws}, seed {self.seed}"
        imposed = "imposed" if self.null else "not imposed"
        return (
            f"Score bootstrap of {self.hypothesis}: T = {self.statistic:.4f}, p = "
            f"{self.pvalue:.4f} ({how}; {self.group_count:,} groups by {self.groups}; null "
            f"{imposed})."
        )


@dataclass(frozen=True)
class ScoreInterval:
    """The values of a coefficient that a score bootstrap does not reject.

    Attributes
    ----------
    name : str
    lower, upper : float
        Infinite if no value on that side is rejected; ``note`` then says so.
    alpha : float
    note : str
    """

    name: str
    lower: float
    upper: float
    alpha: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class _Test:
    """What the draws of one test need, whatever the hypothesized values."""

    problem: Search
    part: Part
    name: str
    weights: Weights
    draws: int
    seed: int

    @property
    def groups(self) -> int:
        return self.part.groups or len(self.problem.y)

    @property
    def enumerated(self) -> bool:
        return enumerable(self.weights, self.groups, self.draws)


def score_bootstrap(
    result: GravityResult,
    hypothesis: str | Sequence[str],
    *,
    groups: GroupsArgument = None,
    draws: int = 9999,
    weights: Weights = "rademacher",
    null: bool = True,
    seed: int = 0,
) -> ScoreBootstrap:
    """Test linear restrictions by the score wild cluster bootstrap.

    Where groups are few, it errs less than tests against the normal distribution. Rademacher
    draws (1 or -1) that are no more than ``draws`` are all enumerated, those that mirror each
    other once; below some ten groups ``"webb"`` has more different draws to offer.

    Parameters
    ----------
    result
        Fitted by PPML; its covariance does not matter.
    hypothesis
        One restriction or several, such as ``"log(distance) = -1"``.
    groups
        One clustering, as of :meth:`GravityResult.with_cov`; by default each row is a group.
    draws
        How many.
    weights
        ``"rademacher"``, ``"webb"`` (six points) or ``"mammen"`` (two points, skewed).
    null
        Whether to impose the hypothesis, which costs one more fit and is the better test.
    seed
        Of the draws; the same seed gives the same answer.

    Raises
    ------
    SpecificationError
        If a restriction cannot be read, an option is unknown, or there are several clusterings.
    EstimationError
        If the result was read from a file or is not the pseudo-likelihood's maximum, or there
        are no more groups than restrictions.
    """
    test = _prepare(result, groups, draws, weights, seed)
    single = single_equations(equation_lines(hypothesis, "the hypothesis"), result.names)
    restrictions = Restrictions.build(result.names, single, {})
    Q = len(result.names) - len(restrictions.free)
    if Q == 0:
        raise SpecificationError("no restriction was given; write for example 'cost = 0'.")
    if test.groups <= Q:
        raise EstimationError(
            f"{Q} restrictions cannot be tested with {test.groups} groups; use a finer grouping."
        )
    moved, statistic = _moves(test, result, restrictions, null)
    statistics = _draw(test, moved)
    return ScoreBootstrap(
        ", ".join(single),
        statistic,
        _pvalue(statistic, statistics, test.enumerated),
        Q,
        statistics,
        test.enumerated,
        null,
        weights,
        test.name,
        test.groups,
        seed,
    )


def score_interval(
    result: GravityResult,
    name: str,
    *,
    groups: GroupsArgument = None,
    alpha: float = 0.05,
    draws: int = 9999,
    weights: Weights = "rademacher",
    seed: int = 0,
) -> ScoreInterval:
    """Find the values of a coefficient that the score bootstrap does not reject.

    The test of each value imposes it and fits the model again, from the same draws; limits are
    found by bisection, to a thousandth of the standard error that the result shows.

    Parameters
    ----------
    result
        Fitted by PPML.
    name
        Of the coefficient.
    groups, draws, weights, seed
        As of :func:`score_bootstrap`.
    alpha
        One less the level.

    Raises
    ------
    SpecificationError
        If there is no such coefficient, or an option is unknown.
    EstimationError
        If the result was read from a file or is not the pseudo-likelihood's maximum.
    """
    if name not in result.names:
        raise SpecificationError(
            f"there is no coefficient '{name}'{closest(name, result.names)}; the result has: "
            f"{', '.join(result.names)}."
        )
    if not 0 < alpha < 1:
        raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
    test = _prepare(result, groups, draws, weights, seed)
    estimate, scale = float(result.params[name]), float(result.bse[name])

    def accepted(value: float) -> bool:
        at = Restrictions.build(result.names, [f"`{name}` = {value!r}"], {})
        moved, statistic = _moves(test, result, at, null=True)
        return _pvalue(statistic, _draw(test, moved), test.enumerated) > alpha

    if test.enumerated and 2.0 ** (1 - test.groups) > alpha:
        limits = [-np.inf, np.inf]
    else:
        limits = [_limit(accepted, estimate, side * scale) for side in (-1.0, 1.0)]
    open_sides = [s for s, x in zip(("below", "above"), limits, strict=True) if np.isinf(x)]
    note = ""
    if open_sides:
        note = (
            f"no value {' or '.join(open_sides)} the estimate is rejected at {alpha:g}: "
            f"{test.groups} groups offer too few draws, or the data say too little."
        )
    return ScoreInterval(name, limits[0], limits[1], alpha, note)


def _limit(accepted: Callable[[float], bool], estimate: float, step: float) -> float:
    """Walk from the estimate until a value is rejected, then bisect."""
    inside, reach = estimate, 2 * step
    while accepted(estimate + reach):
        inside, reach = estimate + reach, 2 * reach
        if abs(reach) > _FARTHEST * abs(step):
            return float(np.copysign(np.inf, step))
    outside = estimate + reach
    while abs(outside - inside) > _PRECISE * abs(step):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
    return 0.5 * (inside + outside)


def _prepare(
    result: GravityResult, groups: GroupsArgument, draws: int, weights: Weights, seed: int
) -> _Test:
    if weights not in get_args(Weights):
        raise SpecificationError(
            f"the weights '{weights}' are unknown{closest(weights, get_args(Weights))}; choose "
            f"one of {', '.join(get_args(Weights))}."
        )
    if draws < 1:
        raise SpecificationError(f"draws is {draws}; at least one is needed.")
    if result.sample is None:
        raise EstimationError(
            "this result was read from a file, without its data; fit again for a bootstrap."
        )
    problem = problem_of(result.sample, result.terms, result.model)
    refuse_moved(problem, result.estimate, result.bse.to_numpy())
    if groups is None:
        return _Test(problem, Part(1), "rows", weights, draws, seed)
    groupings = result.sample.groupings(groups, result.effects)
    if len(groupings) > 1:
        raise SpecificationError(
            "the score bootstrap draws for the groups of one clustering; name the coarsest."
        )
    size = groupings[0].size
    if size < 2:
        raise DataError(f"'{groupings[0].name}' has a single group; choose a finer grouping.")
    return _Test(
        problem, Part(1, (groupings[0].codes,), size), groupings[0].name, weights, draws, seed
    )


def _moves(
    test: _Test, result: GravityResult, restrictions: Restrictions, null: bool
) -> tuple[Array, float]:
    """Return what each group moves, ``a`` of shape (G, Q), and the statistic."""
    fixed = np.setdiff1d(np.arange(len(result.names)), restrictions.free)
    # Restrictions solve for some coefficients: R b - q is these less what the others imply.
    R = -restrictions.basis[fixed] @ np.eye(len(result.names))[restrictions.free]
    R[np.arange(len(fixed)), fixed] += 1.0
    gap = R @ result.estimate - restrictions.origin[fixed]
    if null:
        inverse, scores = _under_the_null(test.problem, restrictions)
    else:
        assert result.sample is not None
        inverse, scores = inverse_information(result.hessian, result.names), result.sample.scores
    moved = test.part.sums(scores) @ inverse @ R.T
    if np.linalg.matrix_rank(moved / np.abs(moved).max(axis=0)) < len(fixed):
        raise EstimationError(
            f"the scores of the {test.groups} groups do not tell the {len(fixed)} restrictions "
            "apart; test fewer at once, or use a finer grouping."
        )
    if null:
        return moved, float(_statistics(np.ones((1, len(moved))), moved)[0])
    spread = np.einsum("gq,gr->qr", moved, moved)
    return moved, float(gap @ np.linalg.solve(spread, gap))


def _under_the_null(problem: Search, restrictions: Restrictions) -> tuple[Array, Array]:
    """Fit under the restrictions; return the inverse information and scores of all coefficients."""
    X = np.ascontiguousarray(restrictions.basis.T @ problem.X)
    offset = restrictions.origin @ problem.X
    if problem.offset is not None:
        offset = offset + problem.offset
    names = tuple(problem.names[k] for k in restrictions.free)
    effects = arranged(problem)
    if effects is not None:
        fit = ppml(effects, problem.y, X, names, problem.stopping, offset, problem.start)
    elif names:
        fit = ppml_dense(problem.y, X, names, problem.stopping, offset, problem.start)
    if effects is None and not names:
        mu = np.exp(offset)
    else:
        mu = fit.mu
        if not fit.converged:
            raise EstimationError(
                "the fit under the null hypothesis did not converge; use null=False, or rescale "
                "the regressors."
            )
    regression = working_regression(problem.X, mu, effects, problem.names)
    scores = regression.unsort(regression.within) * (problem.y - mu)
    return regression.inverse, np.ascontiguousarray(scores.T)


def _statistics(v: Array, moved: Array) -> Array:
    """Return ``T`` of each draw; v of shape (B, G), moved of shape (G, Q)."""
    G, Q = moved.shape
    c = v @ moved
    products = (moved[:, :, None] * moved[:, None, :]).reshape(G, Q * Q)
    M = (v**2 @ products).reshape(-1, Q, Q)
    # V = M - c c' / G, so that T follows from c' M^-1 c by Sherman and Morrison's formula.
    plain = np.einsum("bq,bq->b", c, np.linalg.solve(M, c[:, :, None])[:, :, 0])
    with np.errstate(divide="ignore"):
        return np.asarray(plain / np.maximum(1 - plain / G, 0.0))


def _draw(test: _Test, moved: Array) -> Array:
    """Return the statistics of all draws."""
    every = multipliers(test.weights, test.groups, test.draws, test.seed)
    return np.concatenate([_statistics(v, moved) for v in every])


def _pvalue(statistic: float, statistics: Array, enumerated: bool) -> float:
    above = int((statistics >= statistic * (1 - _TIE)).sum())
    if enumerated:
        return above / len(statistics)
    return (above + 1) / (len(statistics) + 1)
