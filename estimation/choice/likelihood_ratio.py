"""The likelihood-ratio test, and when two fits may be compared at all."""

import numpy as np
import pandas as pd

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import enumerate_some
from choicemodels.latent_class.likelihood import LatentClassParameters
from choicemodels.logit.likelihood import Layout, Likelihood, LogitParameters
from choicemodels.specify import specify
from estimation.choice.nesting import Embedding, embed
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.result import ChoiceResult
from estimation.hypothesis import HypothesisTest
from estimation.results import Result

__all__ = ["ABSORBED", "describe", "lr_test", "not_nested", "same_sample"]

# What the notes of weighted fits say, which saved results keep; parameters may have any name.
_WEIGHTED = ("Cases are weighted;", "Rows are weighted;", "is weighted to the population's shares")

ABSORBED = "one model absorbs its constants and the other does not; fit both in the same way"


def lr_test(restricted: Result, unrestricted: Result) -> HypothesisTest:
    """Test a model against a larger one, both fitted to the same data.

    ``2 (llf_unrestricted - llf_restricted)`` follows the chi-squared distribution with as many
    degrees of freedom as there are restrictions.

    Parameters
    ----------
    restricted
        The special case.
    unrestricted
        The larger model.

    Returns
    -------
    HypothesisTest
        It does not apply if the samples differ, the cases are weighted, a search did not converge,
        or the first model is not a special case of the second.
    """
    name = "Likelihood-ratio test"
    null = f"{describe(restricted)} within {describe(unrestricted)}"
    df = unrestricted.df_model - restricted.df_model
    reason = same_sample(restricted, unrestricted)
    if not reason and df <= 0:
        reason = (
            "the first model has as many parameters as the second or more; the restricted model "
            "comes first"
        )
    if not reason:
        reason = _outside(restricted, unrestricted)
    if reason:
        return HypothesisTest.refused(name, null, reason)
    statistic = 2 * (unrestricted.llf - restricted.llf)
    if statistic < -1e-6 * abs(restricted.llf):
        reason = (
            f"the second model has the lower log-likelihood ({unrestricted.llf:.4f} against "
            f"{restricted.llf:.4f}), so its search stopped short of the maximum; start it at the "
            "first model's estimates"
        )
        return HypothesisTest.refused(name, null, reason, statistic, df)
    return HypothesisTest.chi2(name, null, max(statistic, 0.0), df, _note(restricted, unrestricted))


def _note(restricted: Result, unrestricted: Result) -> str:
    notes = []
    if unrestricted.covariance.groups:
        notes.append("it takes the cases for independent; for clusters use wald_test")
    models = (restricted, unrestricted)
    kinds = {type(getattr(result, "parameters", None)) for result in models}
    if len(kinds) > 1:
        notes.append(
            "where the hypothesis lies at the edge of the parameters, or leaves some of them "
            "undetermined, the distribution is only a guide"
        )
    return "; ".join(notes)


def same_sample(first: Result, second: Result) -> str:
    """Say why the log-likelihoods of two results cannot be compared; nothing if they can."""
    if type(first) is not type(second):
        return f"a {type(first).__name__} and a {type(second).__name__} are not comparable"
    if not isinstance(first, ChoiceResult | OrderedResult):
        return (
            f"a {type(first).__name__} maximizes a quasi-likelihood, whose ratio has no known "
            "distribution; use wald_test"
        )
    assert isinstance(second, ChoiceResult | OrderedResult)
    for order, result in (("first", first), ("second", second)):
        if not result.converged:
            return f"the search of the {order} model did not converge"
        if any(word in note for note in result.notes for word in _WEIGHTED):
            return (
                "the observations are weighted, so the ratio has no chi-squared distribution; use "
                "wald_test with a robust covariance"
            )
        if isinstance(result, ChoiceResult) and _expanded(result):
            return (
                "the logsums of the nests are expanded from samples of the choice sets, so the "
                "ratio has no chi-squared distribution; use wald_test with a robust covariance"
            )
    if first.nobs != second.nobs:
        return f"the samples differ: {first.nobs:,} and {second.nobs:,} observations"
    if not np.isclose(first.llnull, second.llnull, rtol=1e-9) or _other_choices(first, second):
        return "the samples differ: the choices or the choice sets are not the same"
    return ""


def _expanded(result: ChoiceResult) -> bool:
    """Whether a nested logit was estimated on sampled choice sets."""
    data, layout = result.data, result.parameters
    sampled = isinstance(data, ChoiceData) and data.sample is not None
    return sampled and isinstance(layout, LogitParameters) and bool(layout.tree.nests)


def not_nested(embedding: Embedding, likelihood: Likelihood, llf: float) -> str:
    """Say why a model is not a special case of another; nothing if it is one.

    Parameters
    ----------
    embedding
        The smaller model's estimate in the larger one.
    likelihood
        The larger model over the data.
    llf
        Log-likelihood of the smaller model, which the larger one must have there.
    """
    if embedding.lost:
        return _no_place(embedding.lost)
    there = likelihood.evaluate(embedding.point)[0]
    if abs(there - llf) <= 1e-7 * abs(llf):
        return ""
    return (
        f"the second model could not be made to give the first: at the same coefficients it has "
        f"the log-likelihood {there:.4f} and not {llf:.4f}; write both with the same terms, or "
        "compare them with ben_akiva_swait_test"
    )


def describe(result: Result) -> str:
    """Name a fitted model by its class and size."""
    model = getattr(result, "model", result)
    return f"{type(model).__name__} with {result.df_model} parameters"


def _no_place(lost: tuple[str, ...]) -> str:
    some = enumerate_some([f"'{name}'" for name in lost])
    return (
        f"{some} of the first model has no place in the second, so they are not nested; compare "
        "them with ben_akiva_swait_test"
    )


def _other_choices(first: ChoiceResult | OrderedResult, second: Result) -> bool:
    if not (isinstance(first, ChoiceResult) and isinstance(second, ChoiceResult)):
        return False
    one, two = first.data, second.data
    if one is None or two is None or one is two:
        return False
    taken = [np.array(data.alternatives)[data.chosen_alternative] for data in (one, two)]
    weights = [one.weights, two.weights]
    ids = [pd.Index(one.case_ids), pd.Index(two.case_ids)]
    place = ids[1].get_indexer(ids[0]) if ids[1].is_unique else np.array([-1])
    if ids[0].is_unique and (place >= 0).all():
        taken[1], weights[1] = taken[1][place], weights[1][place]
    return bool((taken[0] != taken[1]).any() or (weights[0] != weights[1]).any())


def _classes(layout: Layout) -> int:
    return layout.n_classes if isinstance(layout, LatentClassParameters) else 0


def _outside(restricted: Result, unrestricted: Result) -> str:
    """Say why the first model is not a special case of the second; nothing if it may be one."""
    if isinstance(restricted, ChoiceResult) and isinstance(unrestricted, ChoiceResult):
        if set(restricted.alternatives) != set(unrestricted.alternatives):
            return "the models know different alternatives"
        if restricted.model.absorbs_constants != unrestricted.model.absorbs_constants:
            return ABSORBED
        larger = unrestricted.parameters
        if _classes(larger) > max(_classes(restricted.parameters), 1):
            return (
                "with fewer classes the shares and coefficients of the others are undetermined, so "
                "the ratio does not follow the chi-squared distribution; compare bic, as "
                "choose_classes does"
            )
        if restricted.data is None or not isinstance(larger, LogitParameters):
            lost = embed(restricted, larger).lost
            return _no_place(lost) if lost else ""
        likelihood = specify(unrestricted.model, restricted.data)
        embedding = embed(restricted, likelihood.parameters)
        return not_nested(embedding, likelihood, restricted.llf)
    lost = tuple(name for name in restricted.names if name not in unrestricted.names)
    return _no_place(lost) if lost else ""
