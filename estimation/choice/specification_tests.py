"""Tests of one specification against another.

Every function returns a :class:`~estimation.hypothesis.HypothesisTest`. A test that does not apply
returns one as well, with the reason; only arguments that make no sense raise. Wald tests are
methods of the results: ``result.wald_test("cost = time")``.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import ndtr

from choicemodels.errors import IdentificationError, SpecificationError
from choicemodels.logit.absorbed import AbsorbedParameters
from choicemodels.logit.models import LogitUtility
from choicemodels.specify import specify
from estimation.choice.covariance import make_covariance
from estimation.choice.fit import restrictions_of
from estimation.choice.iia_tests import hausman_mcfadden_test, lambda_one_test, small_hsiao_test
from estimation.choice.likelihood_ratio import ABSORBED, describe, lr_test, not_nested, same_sample
from estimation.choice.nesting import embed
from estimation.choice.result import ChoiceResult
from estimation.hypothesis import HypothesisTest

__all__ = [
    "HypothesisTest",
    "ben_akiva_swait_test",
    "hausman_mcfadden_test",
    "lambda_one_test",
    "lr_test",
    "score_test",
    "small_hsiao_test",
]

Array = NDArray[np.float64]


def score_test(
    restricted: ChoiceResult,
    model: LogitUtility,
    *,
    kind: Literal["hessian", "bhhh", "robust", "cluster"] = "hessian",
    groups: Any = None,
) -> HypothesisTest:
    """Test a fitted model against a larger one that is not fitted.

    With score s and Hessian H of the larger log-likelihood at the restricted estimate and
    ``C'`` the restrictions,

        LM = a'C (C'VC)^-1 C'a,   a = (-H)^-1 s,

    which for ``V = (-H)^-1`` is Rao's ``s'(-H)^-1 s`` [Rao1948]_. ``"bhhh"`` takes the outer
    product of the scores for -H; ``"robust"`` and ``"cluster"`` take the sandwich for V, and hold
    where the information equality does not [Boos1992]_.

    Parameters
    ----------
    restricted
        The fitted model, with its data.
    model
        The larger specification.
    kind, groups
        Which covariance of the score to rely on.

    Returns
    -------
    HypothesisTest
        It does not apply if the models are not nested, the information is not positive definite
        at the restricted estimate, or the cases are weighted and the covariance is not robust.

    Raises
    ------
    DataError, SpecificationError
        If the larger model does not fit the data, or the groups are wrong.
    """
    if not (isinstance(restricted, ChoiceResult) and isinstance(model, LogitUtility)):
        raise SpecificationError(
            "score_test() takes the smaller model's result and the specification of the larger "
            f"one, not a {type(restricted).__name__} and a {type(model).__name__}; of a result the "
            "specification is result.model."
        )
    name = f"Score test ({kind})"
    null = f"{describe(restricted)} within {type(model).__name__}"
    if restricted.data is None:
        return HypothesisTest.refused(name, null, "a saved result does not keep the data")
    if kind in ("hessian", "bhhh") and (restricted.data.weights != 1.0).any():
        reason = "the cases are weighted, so only kind='robust' or 'cluster' holds"
        return HypothesisTest.refused(name, null, reason)
    if model.absorbs_constants != restricted.model.absorbs_constants:
        return HypothesisTest.refused(name, null, ABSORBED)
    if kind == "bhhh" and model.absorbs_constants:
        reason = "the scores of absorbed constants are partialled out; take 'hessian' or 'robust'"
        return HypothesisTest.refused(name, null, reason)
    likelihood = specify(model, restricted.data)
    layout = likelihood.parameters
    larger = layout.inner if isinstance(layout, AbsorbedParameters) else layout
    null = f"{null} with {len(layout.names)} parameters"
    embedding = embed(restricted, layout)
    reason = not_nested(embedding, likelihood, restricted.llf)
    if reason:
        return HypothesisTest.refused(name, null, reason)
    at = likelihood.contributions(embedding.point)
    limits = restrictions_of(model, larger)
    B, free = limits.basis, [larger.names[k] for k in limits.free]
    directions = linalg.null_space(embedding.tangent[limits.free].T)
    df = directions.shape[1]
    if df == 0:
        return HypothesisTest.refused(name, null, "the larger model has no further parameter")
    ways = tuple(restricted.groupings(groups)) if groups is not None else ()
    try:
        V, bread = _spread(B.T @ at.hessian @ B, at.score_obs @ B, free, kind, ways)
    except IdentificationError as problem:
        return HypothesisTest.refused(name, null, str(problem).removesuffix("."), df=df)
    along = directions.T @ (bread @ (B.T @ at.score))
    statistic = along @ linalg.solve(directions.T @ V @ directions, along, assume_a="pos")
    return HypothesisTest.chi2(name, null, float(statistic), df)


def _spread(
    hessian: Array, scores: Array, names: list[str], kind: str, ways: Any
) -> tuple[Array, Array]:
    """Return the covariance of the larger model's estimate and what turns a score into it."""
    V = make_covariance(hessian, scores, names, kind, groups=ways).matrix
    if kind in ("hessian", "bhhh"):
        return V, V
    return V, make_covariance(hessian, None, names, "hessian").matrix


def ben_akiva_swait_test(first: ChoiceResult, second: ChoiceResult) -> HypothesisTest:
    """Test two models that need not be nested by their adjusted likelihood ratio indices.

    With ``rho2 = 1 - (llf - K) / llnull``, if the model with the lower index were the true one, the
    other's would exceed it by z with a probability of at most
    ``Phi(-sqrt(-2 z llnull + (K_high - K_low)))`` [BenAkivaSwait1986]_.

    Parameters
    ----------
    first, second
        Models of the same choices; their order does not matter.

    Returns
    -------
    HypothesisTest
        Its p-value is that bound. It does not apply if the samples differ, the cases are
        weighted, or the indices are too close for the bound to say anything.
    """
    name = "Ben-Akiva and Swait's test"
    if any(not isinstance(result, ChoiceResult) for result in (first, second)):
        raise SpecificationError("ben_akiva_swait_test() compares two fitted choice models.")
    low, high = sorted((first, second), key=_adjusted_index)
    gap = _adjusted_index(high) - _adjusted_index(low)
    null = f"{describe(low)} against {describe(high)}, adjusted indices "
    null += f"{_adjusted_index(low):.4f} and {_adjusted_index(high):.4f}"
    reason = same_sample(first, second)
    if reason:
        return HypothesisTest.refused(name, null, reason)
    radicand = -2 * gap * low.llnull + (high.df_model - low.df_model)
    if radicand <= 0:
        reason = "the indices are too close, and the larger one belongs to the smaller model"
        return HypothesisTest.refused(name, null, reason)
    z = -float(np.sqrt(radicand))
    return HypothesisTest(name, null, z, None, float(ndtr(z)), "normal bound")


def _adjusted_index(result: ChoiceResult) -> float:
    return 1 - (result.llf - result.df_model) / result.llnull
