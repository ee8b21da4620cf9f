"""Tests of the independence of irrelevant alternatives.

Under IIA the choices among some of the alternatives obey the same multinomial logit as all, so
that the estimates from a smaller choice set agree with those from the whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import drop_alternatives, keep_cases
from choicemodels.errors import (
    DataError,
    EstimationError,
    SpecificationError,
    enumerate_some,
)
from choicemodels.frames import closest
from choicemodels.logit.models import MultinomialLogit, NestedLogit
from choicemodels.specify import specify
from estimation.choice.fit import fit_choice
from estimation.choice.likelihood_ratio import lr_test
from estimation.choice.result import ChoiceResult
from estimation.hypothesis import HypothesisTest

__all__ = ["hausman_mcfadden_test", "lambda_one_test", "small_hsiao_test"]

Array = NDArray[np.float64]


def hausman_mcfadden_test(
    result: ChoiceResult,
    omit: Sequence[str] | str,
    *,
    model: MultinomialLogit | None = None,
    cov: Literal["hessian", "robust"] = "hessian",
) -> HypothesisTest:
    """Test IIA by leaving alternatives out [HausmanMcFadden1984]_.

    With estimates ``b_s`` from the cases that chose one of the other alternatives, among these,
    and ``b_f`` from all, ``(b_s - b_f)'(V_s - V_f)^-1 (b_s - b_f)`` is chi-squared under IIA. The
    difference of the covariances may fail to be positive definite; ``cov="robust"`` takes the
    covariance of the difference from both estimates' influence functions instead, which always
    is, and which weights do not invalidate.

    Parameters
    ----------
    result
        A fitted multinomial logit, with its data.
    omit
        The alternatives to leave out.
    model
        The specification for the rest. By default the same; leave out of it what is not
        identified there, such as a variable that is zero for all but the omitted alternatives.
    cov
        ``"hessian"`` or ``"robust"``.

    Returns
    -------
    HypothesisTest

    Raises
    ------
    SpecificationError
        If an alternative is unknown, fewer than two are left, or ``cov`` is not one.
    """
    name = f"Hausman-McFadden test ({cov})"
    omitted = (omit,) if isinstance(omit, str) else tuple(map(str, omit))
    null = f"IIA without {', '.join(omitted)}"
    if cov not in ("hessian", "robust"):
        raise SpecificationError(f"cov is '{cov}'; it is 'hessian' or 'robust'.")
    data, reason = _testable(result, omitted, weighted=cov == "robust")
    if data is None:
        return HypothesisTest.refused(name, null, reason)
    smaller, cases = _among_others(data, omitted)
    try:
        full, some = _both(result, data, smaller, omitted, model, cov)
    except (DataError, EstimationError) as problem:
        return HypothesisTest.refused(name, null, _not_estimated(problem))
    common = [k for k in some.names if k in full.names]
    gap = (some.params[common] - full.params[common]).to_numpy()
    if cov == "hessian":
        V = (some.cov_params() - full.cov_params()).loc[common, common].to_numpy()
    else:
        V = _joint_covariance(full, some, cases, common)
    df = len(common)
    scale = np.sqrt(np.abs(np.diag(V)))
    values = linalg.eigvalsh(V / np.outer(scale, scale)) if (scale > 0).all() else np.zeros(df)
    if values[0] <= 1e-10 * values[-1]:
        statistic = float(gap @ linalg.lstsq(V, gap)[0])
        reason = (
            f"the difference of the covariances is not positive definite, so {statistic:.4f} is no "
            "chi-squared statistic; take cov='robust', or small_hsiao_test"
        )
        return HypothesisTest.refused(name, null, reason, statistic, df)
    return HypothesisTest.chi2(name, null, float(gap @ linalg.solve(V, gap)), df)


def small_hsiao_test(
    result: ChoiceResult,
    omit: Sequence[str] | str,
    *,
    seed: int = 0,
    model: MultinomialLogit | None = None,
) -> HypothesisTest:
    """Test IIA by leaving alternatives out, on two random halves of the cases [SmallHsiao1985]_.

    The model is estimated on all alternatives in both halves, and the estimates are combined as
    ``b = b_1 / sqrt(2) + (1 - 1 / sqrt(2)) b_2``. In the second half, among the other alternatives,
    ``2 (max llf - llf(b))`` is chi-squared under IIA.

    Parameters
    ----------
    result
        A fitted multinomial logit, with its data.
    omit
        The alternatives to leave out.
    seed
        Of the division in halves; the answer depends on it.
    model
        As in :func:`hausman_mcfadden_test`.

    Returns
    -------
    HypothesisTest

    Raises
    ------
    SpecificationError
        If an alternative is unknown, or fewer than two are left.
    """
    name = "Small-Hsiao test"
    omitted = (omit,) if isinstance(omit, str) else tuple(map(str, omit))
    null = f"IIA without {', '.join(omitted)}"
    data, reason = _testable(result, omitted, weighted=False)
    if data is None:
        return HypothesisTest.refused(name, null, reason)
    order = np.random.default_rng(seed).permutation(data.n_cases)
    first, second = (np.sort(half) for half in np.array_split(order, 2))
    one, two = keep_cases(data, first), keep_cases(data, second)
    try:
        smaller, _ = _among_others(two, omitted)
        b2, some = _both(result, two, smaller, omitted, model, "hessian")
        b1 = fit_choice(b2.model, one, cov="hessian")
    except (DataError, EstimationError) as problem:
        return HypothesisTest.refused(name, null, _not_estimated(problem))
    lost = [k for k in some.names if k not in b2.names]
    if lost:
        reason = f"the model for the rest has parameters of its own: {enumerate_some(lost)}"
        return HypothesisTest.refused(name, null, reason)
    root = np.sqrt(0.5)
    combined = root * b1.params + (1 - root) * b2.params
    theta = combined[list(some.names)].to_numpy()
    likelihood = specify(some.model, smaller, some.parameters)
    statistic = 2 * (some.llf - likelihood.evaluate(theta)[0])
    note = f"halves drawn with seed {seed}"
    return HypothesisTest.chi2(name, null, statistic, some.df_model, note)


def lambda_one_test(result: ChoiceResult) -> HypothesisTest:
    """Test that all estimated dissimilarities are one, by the likelihood ratio.

    With every lambda at one a nested logit is the multinomial logit, so this is a test of IIA
    against the nests of the model.

    Parameters
    ----------
    result
        A fitted nested logit, with its data.

    Returns
    -------
    HypothesisTest
        It does not apply if there is no lambda to test, or for the reasons of
        :func:`~estimation.choice.likelihood_ratio.lr_test`.
    """
    name, null = "Likelihood-ratio test", "all lambdas = 1"
    if not isinstance(result.model, NestedLogit):
        reason = f"the model is a {result.parameters.title.lower()}, not a nested logit"
        return HypothesisTest.refused(name, null, reason)
    free = [k for k in result.names if k == "lambda" or k.startswith("lambda:")]
    if not free:
        return HypothesisTest.refused(name, null, "no lambda was estimated")
    if result.data is None:
        return HypothesisTest.refused(name, null, "a saved result does not keep the data")
    model = result.model
    given = {} if isinstance(model.lambdas, str) else dict(model.lambdas)
    fixed = {nest: given.get(nest, 1.0) for nest in result.tree.nests}
    if any("lambda" in line for line in (*model.constraints, *model.bounds)):
        reason = "constraints or bounds name a lambda; fit the restricted model and use lr_test"
        return HypothesisTest.refused(name, null, reason)
    restricted = fit_choice(replace(model, lambdas=fixed), result.data)
    test = lr_test(restricted, result)
    return replace(test, hypothesis=f"{', '.join(free)} = 1")


def _testable(
    result: ChoiceResult, omitted: tuple[str, ...], *, weighted: bool
) -> tuple[ChoiceData | None, str]:
    """Return the data, or the reason why IIA cannot be tested by leaving alternatives out."""
    for alternative in omitted:
        if alternative not in result.alternatives:
            raise SpecificationError(
                f"omit= names the alternative '{alternative}'"
                f"{closest(alternative, result.alternatives)}, which the model does not have."
            )
    if len(set(result.alternatives) - set(omitted)) < 2 or not omitted:
        raise SpecificationError("omit= must name alternatives and leave at least two.")
    data = result.data
    if not isinstance(result.model, MultinomialLogit):
        return None, "IIA is tested on a multinomial logit"
    if data is None:
        return None, "a saved result does not keep the data"
    if not isinstance(data, ChoiceData):
        return None, "data without rows cannot lose alternatives; take some choosers with to_long()"
    if not weighted and (data.weights != 1.0).any():
        return None, "the cases are weighted; take hausman_mcfadden_test with cov='robust'"
    return data, ""


def _among_others(
    data: ChoiceData, omitted: tuple[str, ...]
) -> tuple[ChoiceData, NDArray[np.int64]]:
    """Return the choices among the other alternatives, and which cases made them."""
    names = np.array(data.alternatives)[data.chosen_alternative]
    cases = np.flatnonzero(~np.isin(names, omitted))
    return drop_alternatives(keep_cases(data, cases), omitted), cases


def _both(
    result: ChoiceResult,
    data: ChoiceData,
    smaller: ChoiceData,
    omitted: tuple[str, ...],
    model: MultinomialLogit | None,
    cov: str,
) -> tuple[ChoiceResult, ChoiceResult]:
    """Fit the whole and the smaller choice set, with constants against the same alternative."""
    base = result.model.base
    if base is None or base in omitted:
        base = next(name for name in result.alternatives if name not in omitted)
    whole = replace(result.model, base=base)
    kept = {name: rhs for name, rhs in whole.specific.items() if name not in omitted}
    rest = replace(model, base=base) if model is not None else replace(whole, specific=kept)
    return fit_choice(whole, data, cov=cov), fit_choice(rest, smaller, cov=cov)


def _joint_covariance(
    full: ChoiceResult, some: ChoiceResult, cases: NDArray[np.int64], common: list[str]
) -> Array:
    """Return the covariance of the difference of the estimates, from what each case moves."""
    moves = _influence(full, common)
    moves[cases] -= _influence(some, common)
    return np.asarray(moves.T @ moves)


def _influence(result: ChoiceResult, common: list[str]) -> Array:
    """Return each case's contribution to the estimates, shape (N, K)."""
    assert result.score_obs is not None
    rows = [result.names.index(name) for name in common]
    B = result.basis
    bread = B @ np.linalg.solve(B.T @ -result.hessian @ B, B.T)
    return np.asarray(result.score_obs @ bread[result.estimated][rows].T)


def _not_estimated(problem: Exception) -> str:
    return f"without these alternatives the model cannot be estimated: {str(problem).rstrip('.')}"
