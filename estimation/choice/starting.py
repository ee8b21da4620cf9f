"""Where the search for a choice model begins."""

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import EstimationError
from choicemodels.frames import closest
from choicemodels.latent_class.likelihood import LatentClassLikelihood, LatentClassParameters
from choicemodels.logit.absorbed import AbsorbedLikelihood
from choicemodels.logit.factored_likelihood import FactoredLikelihood
from choicemodels.logit.joined import JoinedLikelihood
from choicemodels.logit.likelihood import (
    Likelihood,
    LogitLikelihood,
    LogitParameters,
    RowLikelihood,
)
from choicemodels.logit.summed import SummedLikelihood, over_data
from choicemodels.mixed.likelihood import MixedLikelihood
from choicemodels.mixed.parameters import MixedParameters
from choicemodels.restrictions import Restrictions, restrict
from estimation.choice.latent_class_fit import RandomStarts, start_classes
from estimation.newton import maximize

__all__ = ["plain_logit", "starting_values"]

Array = NDArray[np.float64]
_PlainLogit: TypeAlias = LogitLikelihood | FactoredLikelihood | SummedLikelihood | JoinedLikelihood

# Above this many cases the starting values come from a sample of them.
_CASES = 2_000
# Above this many choosers among many places the search itself begins on half this many.
_MANY = 40_000


def plain_logit(likelihood: Likelihood) -> _PlainLogit:
    """Return the multinomial logit with the same utilities over the same data."""
    if isinstance(likelihood, FactoredLikelihood | SummedLikelihood | JoinedLikelihood):
        return likelihood.plain()
    layout = likelihood.parameters
    parameters = LogitParameters.of_utility(layout.utility, layout.alternatives)
    return LogitLikelihood(parameters, cast(RowLikelihood, likelihood).observations)


def starting_values(
    likelihood: Likelihood, start: Any = None, restrictions: Restrictions | None = None
) -> Array:
    """Return a point to start from, shape (P,).

    The multinomial logit with the same utilities, on a sample of the cases if there are many:
    it is cheap, close enough, and has a single maximum. A simulated likelihood goes on from there
    with few draws, and a very large factored one with few choosers. Latent classes spread out,
    see :func:`estimation.choice.latent_class_fit.start_classes`.

    Parameters
    ----------
    likelihood
        What to start.
    start
        The user's values: an array of all P, or some by name; or, of latent classes,
        :class:`~estimation.choice.latent_class_fit.RandomStarts`.
    restrictions
        On the parameters, if there are any.

    Raises
    ------
    EstimationError
        If the user's values have the wrong shape, name no parameter, or are not finite, or
        random starts are asked for a model without classes.
    """
    layout = likelihood.parameters
    names = layout.names
    given = {}
    if isinstance(start, RandomStarts) and not isinstance(layout, LatentClassParameters):
        raise EstimationError("RandomStarts are for latent class models; this one has no classes.")
    if isinstance(start, pd.Series | Mapping):
        given = {str(name): _number(value, name) for name, value in start.items()}
        for name in given:
            if name not in names:
                raise EstimationError(
                    f"start gives a value for '{name}'{closest(name, names)}, which the model does "
                    f"not have; it has: {', '.join(names)}."
                )
        if len(given) == len(names):
            start = [given[name] for name in names]
    if start is not None and not isinstance(start, pd.Series | Mapping | RandomStarts):
        try:
            theta = np.array(start, dtype=np.float64)
        except (TypeError, ValueError):
            raise EstimationError(
                f"start is {start!r}, which is no list of numbers; give one for each parameter, or "
                f"some by name: {', '.join(names)}."
            ) from None
        if theta.shape != (len(names),) or not np.isfinite(theta).all():
            raise EstimationError(
                f"start must give a finite value for each of the {len(names)} parameters: "
                f"{', '.join(names)}."
            )
        return theta
    theta = _from_plain_logit(likelihood)
    if isinstance(likelihood, MixedLikelihood):
        found = _search_coarse(likelihood.coarse(), theta, restrictions)
        # Negative spreads cost likelihood by chance alone.
        theta = likelihood.parameters.canonical(found)
    elif isinstance(likelihood, FactoredLikelihood) and likelihood.n_cases > _MANY:
        sample = np.arange(0, likelihood.n_cases, likelihood.n_cases // (_MANY // 2))
        theta = _search_coarse(likelihood.subset(sample), theta, restrictions)
    elif isinstance(layout, LatentClassParameters):
        theta = _from_classes(likelihood, theta, start, restrictions)
    for name, value in given.items():
        theta[names.index(name)] = value
    return theta


def _number(value: Any, name: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise EstimationError(f"start gives '{name}' the value {value!r}; give a number.") from None


def _from_plain_logit(likelihood: Likelihood) -> Array:
    if isinstance(likelihood, AbsorbedLikelihood):
        return _from_shares(likelihood)
    layout = likelihood.parameters
    utility = np.array(layout.utility.start)
    flat = plain_logit(likelihood)
    step = flat.n_cases // _CASES
    if isinstance(layout, LogitParameters) and not layout.tree.nests and step < 2:
        return layout.start_from(utility)
    if step >= 2:
        flat = flat.subset(np.arange(0, flat.n_cases, step))
    found = maximize(flat.evaluate, utility, max_iterations=20)
    if found.converged and isinstance(layout, MixedParameters):
        _, _, hessian = flat.evaluate(found.theta)
        layout.refuse_signs(found.theta, np.sqrt(np.diag(linalg.pinvh(-hessian))))
    return layout.start_from(found.theta if found.converged else utility)


def _search_coarse(
    coarse: MixedLikelihood | FactoredLikelihood, theta: Array, restrictions: Restrictions | None
) -> Array:
    """Search with few draws or few cases, where a step is cheap."""
    rules = restrictions or Restrictions.build(coarse.parameters.names, (), {})
    found = maximize(
        restrict(coarse.evaluate, rules),
        rules.reduce(theta),
        lower=rules.lower,
        upper=rules.upper,
        max_iterations=20,
    )
    return rules.full(found.theta)


def _from_classes(
    likelihood: Likelihood, theta: Array, start: Any, restrictions: Restrictions | None
) -> Array:
    """Spread the classes out; over data that are not laid out in rows, judge by a part of them."""
    if isinstance(likelihood, JoinedLikelihood):
        likelihood = over_data(likelihood.parameters, likelihood.data.part(0))
    if isinstance(likelihood, SummedLikelihood):
        likelihood = likelihood.part(likelihood.parts[0])
    rows = cast(LatentClassLikelihood, likelihood)
    p = rows.parameters
    if p.n_classes == 1:
        return theta
    rules = restrictions or Restrictions.build(p.names, (), {})
    starts = start if isinstance(start, RandomStarts) else RandomStarts()
    return start_classes(rows, rules, theta[p.position[0]], starts)


def _from_shares(likelihood: AbsorbedLikelihood) -> Array:
    """Start from constants that reproduce the shares, and slopes that fit a sample given these."""
    layout, N = likelihood.parameters, likelihood.n_cases
    utility = np.array(layout.utility.start)
    flat = likelihood.multinomial()
    constants = flat.contracted(utility, np.zeros(len(layout.alternatives)))
    sample = flat.sample(np.arange(0, N, max(N // _CASES, 1)), constants)
    found = maximize(sample.evaluate, utility, max_iterations=20)
    if found.converged:
        utility = found.theta
        constants = flat.contracted(utility, constants)
    return layout.join(layout.inner.start_from(utility), constants)
