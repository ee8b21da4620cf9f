"""Incidental-parameter bias of two- and three-way gravity models, and its correction.

The effects of origin and period, and of destination and period, converge slowly: there are as
many of them as there are flows of one place. In three-way models this biases the coefficients by
an order of 1/N, N the number of places, as much as their standard errors; in two-way models it
does not; in both it biases the clustered standard errors downwards [WeidnerZylkin2021]_.

Let ``lambda_ij`` be the fitted flows of a pair over the T periods, ``theta_ij`` their shares in
the pair's total (zero in a two-way model), ``S_ij = y_ij - lambda_ij``, and ``x_ij`` the
regressors, shape (T, K), less their weighted projection on all effects. With the effects of pairs
concentrated out, the information on the other effects and on the coefficients is

    H_ij = diag(lambda_ij) - lambda_ij theta_ij',    W = sum_ij x_ij' diag(lambda_ij) x_ij.

The bias of the estimate is ``W^-1 (I / (I - 1) sum_i b_i + J / (J - 1) sum_j d_j)``, over I
origins and J destinations. With ``H_i = sum_j H_ij`` and ``G_ij,k = lambda x_k theta' + theta
(lambda x_k)'``, the third derivatives along ``x_k`` (up to a diagonal that sums to zero),

    b_i,k = -tr[H_i^- sum_j (lambda x_k)_ij S_ij']
            + 1/2 tr[H_i^- (sum_j G_ij,k) H_i^- sum_j S_ij S_ij'],

and ``d_j`` is the same by destination. Collected, ``b_i,k`` is a cross-product with x:

    b_i,k = sum_j (lambda x_k)_ij' (U_i theta_ij - u_ij),   u_ij = H_i^- S_ij,
    U_i = sum_j u_ij u_ij'.

Fitted residuals are too small by the leverage of the pair. With ``d_ij`` the dummies of the
effects of origin and of destination, and V a generalized inverse of ``sum_ij d_ij' H_ij d_ij``,

    Cov = n / (n - 1) W^-1 [sum_ij x_ij' (1 - H_ij L_ij)^-1 S_ij S_ij' x_ij] W^-1,
    L_ij = x_ij W^-1 x_ij' + d_ij V d_ij',

over n pairs, the middle made symmetric. The factors are those of Zylkin's ppml_fe_bias for Stata.

Nothing but the sums over pairs enters, so pairs may be missing, or lack periods, and a flow
within a place is one more pair of its origin and its destination.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from estimation.covariance import inverse_information
from estimation.gravity.covariance import nested_in
from estimation.gravity.effects import label_effects
from estimation.gravity.inverse import generalized_inverse
from estimation.gravity.ppml import ppml
from estimation.gravity.problem import arranged, problem_of
from estimation.gravity.result import Convergence, GravityResult
from estimation.gravity.sample import Sample
from estimation.gravity.search import Search
from estimation.results import Covariance

__all__ = ["bias_corrected"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Dense matrices over this many effects of each side, half a gigabyte each, are the largest made.
_MOST_EFFECTS = 8_000
# Eigenvalues of information scaled to a unit diagonal, below which a direction is flat.
_FLAT = 1e-10
# Pairs are fitted perfectly along a direction whose leverage is one but for this much.
_PERFECT = 1e-8
_SUBTRACTED = "Coefficients less their incidental-parameter bias"


@dataclass(frozen=True, eq=False)
class _Panel:
    """Fitted flows on the grid of places and periods, all zero where there is no row.

    Attributes
    ----------
    mean : ndarray, shape (I, J, T)
        ``lambda``, weights included.
    share : ndarray, shape (I, J, T)
        ``theta``; zero in a two-way model.
    residual : ndarray, shape (I, J, T)
        ``S``.
    X : ndarray, shape (I, J, T, K)
    """

    mean: Array
    share: Array
    residual: Array
    X: Array

    @property
    def information(self) -> Array:
        """``H_ij``, shape (I, J, T, T)."""
        H = -self.mean[..., :, None] * self.share[..., None, :]
        step = np.arange(H.shape[-1])
        H[..., step, step] += self.mean
        return H

    @property
    def pairs(self) -> int:
        """Number of pairs with a row."""
        return int((self.mean > 0).any(axis=-1).sum())


def bias_corrected(
    result: GravityResult, *, ssc: Literal["stata", "none"] = "stata"
) -> GravityResult:
    """Correct the incidental-parameter bias of coefficients and standard errors.

    Parameters
    ----------
    result
        A fit with effects of origin and period and of destination and period, and with or
        without effects of (directed) pairs; over a single period, of origin and of destination.
    ssc
        ``"stata"`` multiplies the covariance by ``n / (n - 1)``, n the number of pairs.

    Returns
    -------
    GravityResult
        With corrected coefficients (of two-way models they are as before), the fixed effects
        and expected flows that belong to them, and the corrected covariance, clustered by pair;
        the notes say what was subtracted. ``with_cov`` goes back to uncorrected covariances.
        Errors are taken for independent between pairs, also between a pair and its reverse.

    Raises
    ------
    EstimationError
        If the result was read from a file, is corrected already, did not converge, or has too
        many effects for a dense system, or a corrected variance is not positive.
    SpecificationError
        If its effects are not those of a two- or three-way model.
    """
    sample = _usable(result)
    if ssc not in ("stata", "none"):
        raise SpecificationError(
            f"the small-sample convention '{ssc}' is unknown here; choose stata or none."
        )
    problem = problem_of(sample, result.terms, result.model)
    three_way = _is_three_way(result, sample, problem)
    panel = _lay_out(sample, problem, three_way)
    bread = inverse_information(result.hessian, result.names)
    x, leverage = _absorb(panel)
    covariance = _covariance(
        sample, result.names, ssc, panel.pairs, *_sandwich(panel, x, leverage, bread)
    )
    if not three_way:
        note = "Coefficients as before: those of a two-way model have no incidental bias."
        return replace(result, covariance=covariance, middle=None, convergence=_noted(result, note))
    shift = bread @ _score_bias(panel, x)
    listed = [f"{name} {value:.3g}" for name, value in zip(result.names, shift, strict=True)]
    corrected = _concentrated(result, problem, result.estimate - shift)
    note = f"{_SUBTRACTED}: {', '.join(listed)}."
    convergence = _noted(result, note)
    return replace(corrected, covariance=covariance, middle=None, convergence=convergence)


def _covariance(
    sample: Sample,
    names: tuple[str, ...],
    ssc: Literal["stata", "none"],
    n: int,
    matrix: Array,
    perfect: int,
) -> Covariance:
    """Say what the corrected covariance is, or refuse it."""
    negative = [f"'{k}'" for k, v in zip(names, np.diag(matrix), strict=True) if v <= 0]
    if negative:
        raise EstimationError(
            f"the corrected variance of {enumerate_some(negative)} is not positive: there are too "
            "few pairs for it; choose with_cov('CRV3', groups=...) instead."
        )
    notes: tuple[str, ...] = (
        "Standard errors corrected for the noise of the fixed effects.",
        f"Pairs: {n:,}, {_within_a_place(sample):,} of them of a place with itself.",
    )
    if perfect:
        notes += (
            f"Pairs fitted perfectly in some period or contrast, and left out there: {perfect:,}.",
        )
    factor = n / (n - 1) if ssc == "stata" else 1.0
    pair = f"{sample.data.origin}^{sample.data.destination}"
    return Covariance(factor * matrix, "corrected", (pair,), (n,), ssc, notes)


def _noted(result: GravityResult, note: str) -> Convergence:
    return replace(result.convergence, notes=(*result.convergence.notes, note))


def _usable(result: GravityResult) -> Sample:
    """Return the data behind a result, or say why it cannot be corrected."""
    if result.sample is None:
        raise EstimationError(
            "this result was read from a file, without its data; fit again to correct its bias."
        )
    if not result.converged:
        raise EstimationError("the fit did not converge, so its bias is not that of the estimate.")
    if result.covariance.kind == "corrected" or any(
        note.startswith(_SUBTRACTED) for note in result.convergence.notes
    ):
        raise EstimationError("the bias of this result is corrected already.")
    if not result.names:
        raise EstimationError("the model has no coefficient whose bias could be corrected.")
    return result.sample


def _is_three_way(result: GravityResult, sample: Sample, problem: Search) -> bool:
    """Say whether there are effects of pairs, and refuse all but two- and three-way models."""
    data = sample.data
    o, d = f"`{data.origin}`", f"`{data.destination}`"
    over = f"^`{data.time}`" if data.time and _levels(sample, f"`{data.time}`") > 1 else ""
    sides, pair = {o + over, d + over}, f"{o}^{d}"
    known = {name: data.factor(name).codes[sample.rows] for name in (*sides, pair)}
    found = [_match(factor.codes, known) for factor in problem.factors]
    if problem.varying or len(found) != len(set(found)) or set(found) - {pair} != sides:
        named = " + ".join(effect.name for effect in result.effects) or "none"
        raise SpecificationError(
            f"the bias correction is for the effects '{o + over} + {d + over}', with or without "
            f"'{pair}', and this model has: {named}."
        )
    return pair in found


def _levels(sample: Sample, name: str) -> int:
    return len(np.unique(sample.data.factor(name).codes[sample.rows]))


def _within_a_place(sample: Sample) -> int:
    """Count the pairs of a place with itself."""
    inner = sample.rows[sample.data.intrazonal[sample.rows]]
    return len(np.unique(sample.data.factor(f"`{sample.data.origin}`").codes[inner]))


def _match(codes: Codes, known: dict[str, Codes]) -> str | None:
    """Name the effect that groups the rows as these codes do."""
    for name, other in known.items():
        if nested_in(codes, other) and nested_in(other, codes):
            return name
    return None


def _lay_out(sample: Sample, problem: Search, three_way: bool) -> _Panel:
    """Spread the rows over the grid, the side with fewer places first."""
    data, rows = sample.data, sample.rows
    names = [data.origin, data.destination, *([data.time] if data.time else [])]
    places = [
        np.unique(data.factor(f"`{name}`").codes[rows], return_inverse=True) for name in names
    ]
    if not data.time:
        places.append((np.zeros(1, np.int64), np.zeros(len(rows), np.int64)))
    if len(places[0][0]) > len(places[1][0]):
        places = [places[1], places[0], places[2]]
    shape = tuple(len(levels) for levels, _ in places)
    if shape[0] * shape[2] > _MOST_EFFECTS:
        raise EstimationError(
            f"the correction solves a dense system over {shape[0] * shape[2]:,} effects of places "
            f"and periods, and {_MOST_EFFECTS:,} are the most; use fewer periods or places."
        )
    at = tuple(codes for _, codes in places)
    mean, residual, X = np.zeros(shape), np.zeros(shape), np.zeros((*shape, len(problem.X)))
    mean[at], residual[at], X[at] = sample.working_weights, sample.residuals, problem.X.T
    share = np.zeros(shape)
    if three_way:
        total = mean.sum(axis=-1, keepdims=True)
        share = mean / np.where(total > 0, total, 1.0)
    return _Panel(mean, share, residual, X)


def _absorb(panel: _Panel) -> tuple[Array, Array]:
    """Take the effects out of the regressors, exactly, and find the leverage of the effects.

    Returns
    -------
    x : ndarray, shape (I, J, T, K)
        ``x_ij``.
    leverage : ndarray, shape (I, J, T, T)
        ``d_ij V d_ij'``.
    """
    H = panel.information
    (N, J, T), K = panel.mean.shape, panel.X.shape[-1]
    # The effects of the second side, whose blocks stand alone, are eliminated first.
    inverse, own = _block_inverse(H.sum(axis=0)), H.sum(axis=1)
    cross = H.transpose(0, 2, 1, 3).reshape(N * T, J * T)
    E = (H @ inverse).transpose(0, 2, 1, 3).reshape(N * T, J * T)
    left = linalg.block_diag(*own) - E @ cross.T
    V = generalized_inverse(left, np.einsum("itt->it", own).ravel())
    VE = V @ E
    others = inverse + (
        E.reshape(N * T, J, T).transpose(1, 2, 0) @ VE.reshape(N * T, J, T).transpose(1, 0, 2)
    )
    mixed = VE.reshape(N, T, J, T).transpose(0, 2, 1, 3)
    leverage = np.einsum("itis->its", V.reshape(N, T, N, T))[:, None] + others
    leverage -= mixed + mixed.swapaxes(-1, -2)

    x = _less_pair_means(panel, panel.X)
    moments = panel.mean[..., None] * x
    p, q = moments.sum(axis=1).reshape(N * T, K), moments.sum(axis=0)
    a = V @ (p - E @ q.reshape(J * T, K))
    c = inverse @ (q - (cross.T @ a).reshape(J, T, K))
    return x - _less_pair_means(panel, a.reshape(N, 1, T, K) + c), leverage


def _less_pair_means(panel: _Panel, values: Array) -> Array:
    return np.asarray(values - (panel.share[..., None] * values).sum(axis=2, keepdims=True))


def _block_inverse(blocks: Array) -> Array:
    """Return generalized inverses of singular information matrices, shape (n, T, T)."""
    diagonal = np.einsum("ntt->nt", blocks)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, np.inf))
    outer = scale[:, :, None] * scale[:, None, :]
    return np.asarray(np.linalg.pinv(blocks * outer, rcond=_FLAT, hermitian=True) * outer)


def _score_bias(panel: _Panel, x: Array) -> Array:
    """Return the bias of the score, shape (K,)."""
    H, moments = panel.information, panel.mean[..., None] * x
    total = np.zeros(x.shape[-1])
    for axis in (0, 1):
        inverse = np.expand_dims(_block_inverse(H.sum(axis=1 - axis)), 1 - axis)
        u = np.einsum("ijts,ijs->ijt", np.broadcast_to(inverse, H.shape), panel.residual)
        U = np.expand_dims((u[..., :, None] * u[..., None, :]).sum(axis=1 - axis), 1 - axis)
        c = np.einsum("ijts,ijs->ijt", np.broadcast_to(U, H.shape), panel.share) - u
        places = H.shape[axis]
        total += places / (places - 1) * np.einsum("ijtk,ijt->k", moments, c)
    return total


def _sandwich(panel: _Panel, x: Array, leverage: Array, bread: Array) -> tuple[Array, int]:
    """Return the covariance, and the number of pairs that are fitted perfectly in a direction.

    ``(1 - H L)^-1 S`` is computed as ``R (1 - P)^-1 R^-1 S``, with ``R = diag(sqrt(lambda))`` and
    the symmetric ``P = M R L R M``, ``M = 1 - sqrt(theta) sqrt(theta)'``, whose eigenvalues lie
    between zero and one.
    """
    root, share = np.sqrt(panel.mean), np.sqrt(panel.share)
    L = leverage + x @ bread @ x.swapaxes(-1, -2)
    L *= root[..., :, None] * root[..., None, :]
    M = np.eye(L.shape[-1]) - share[..., :, None] * share[..., None, :]
    values, vectors = np.linalg.eigh(M @ L @ M)
    left = 1.0 - values
    gain = np.where(left > _PERFECT, 1.0 / np.maximum(left, _PERFECT), 0.0)
    scaled = panel.residual / np.where(root > 0, root, 1.0)
    within = np.einsum("ijst,ijs->ijt", vectors, scaled)
    inflated = root * np.einsum("ijts,ijs->ijt", vectors, gain * within)
    one = np.einsum("ijtk,ijt->ijk", x, inflated).reshape(-1, x.shape[-1])
    two = np.einsum("ijtk,ijt->ijk", x, panel.residual).reshape(-1, x.shape[-1])
    middle = one.T @ two
    matrix = bread @ (0.5 * (middle + middle.T)) @ bread
    return 0.5 * (matrix + matrix.T), int((left <= _PERFECT).any(axis=-1).sum())


def _concentrated(result: GravityResult, problem: Search, beta: Array) -> GravityResult:
    """Return the model at other coefficients, the fixed effects fitted to them."""
    sample, effects = result.sample, arranged(problem)
    assert sample is not None
    assert effects is not None
    offset = beta @ problem.X + (0.0 if problem.offset is None else problem.offset)
    fit = ppml(effects, problem.y, problem.X[:0], (), problem.stopping, offset)
    mu = fit.mu if sample.weights is None else fit.mu / sample.weights
    return replace(
        result,
        estimate=beta,
        effects=label_effects(fit.effects, effects, problem.factors),
        llf=result.llf - 0.5 * (fit.deviance - result.deviance),
        deviance=fit.deviance,
        sample=replace(sample, mu=mu),
    )
