"""Estimate nested logits over sampled choice sets, whose logsums are expanded."""

from dataclasses import replace
from typing import Any

from choicemodels.logit.sampled_nested_likelihood import SampledNestedLikelihood
from choicemodels.restrictions import Restrictions, restrict
from estimation.newton import Optimum, maximize

__all__ = ["settle"]

# Estimates and expansions that do not agree by then are not going to.
_ROUNDS = 100


def settle(
    likelihood: SampledNestedLikelihood,
    restrictions: Restrictions,
    optimum: Optimum,
    **options: Any,
) -> tuple[SampledNestedLikelihood, Optimum]:
    """Bring what the drawn alternatives stand for up to date with the estimates, until both agree.

    Parameters
    ----------
    likelihood
        The expanded likelihood.
    restrictions
        On its parameters.
    optimum
        Where its search ended.
    **options
        Those of :func:`estimation.newton.maximize`.

    Returns
    -------
    tuple
        The likelihood with the last expansion, and its optimum with all iterations.
    """
    iterations = optimum.iterations
    for _ in range(_ROUNDS):
        theta = restrictions.full(optimum.theta)
        updated = likelihood.updated(theta)
        if updated is likelihood or not optimum.converged:
            return likelihood, replace(optimum, iterations=iterations)
        likelihood = updated
        optimum = maximize(
            restrict(likelihood.evaluate, restrictions),
            optimum.theta,
            lower=restrictions.lower,
            upper=restrictions.upper,
            **options,
        )
        iterations = (*iterations, *optimum.iterations)
        if optimum.converged and len(optimum.iterations) < 2:
            return likelihood, replace(optimum, iterations=iterations)
    message = f"estimates and expansions of the logsums do not agree after {_ROUNDS} rounds"
    return likelihood, Optimum(optimum.theta, False, message, iterations)
