"""Constants that make predicted shares meet given ones.

A share rises with its alternative's constant, so that moving the constants by
``log(target) - log(predicted)`` brings the shares to their targets
[BerryLevinsohnPakes1995]_: at once for equal choosers of a multinomial logit, step by step
otherwise. Within a nest shares respond 1 / lambda times as strongly, so the steps are damped by
the smallest lambda.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import keep_cases
from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.logit.likelihood import LogitLikelihood, LogitParameters
from choicemodels.utility import Term
from estimation.choice.adjusted import logit_layout, with_terms
from estimation.choice.predicted import case_groups, fitted_over, weighted_shares
from estimation.choice.result import ChoiceResult
from estimation.fixed_point import anderson

__all__ = ["calibrate"]

Array = NDArray[np.float64]

_TOLERANCE = 1e-11


def calibrate(
    result: ChoiceResult,
    shares: Mapping[Any, Any],
    data: ChoiceData | None = None,
    *,
    by: str | None = None,
) -> ChoiceResult:
    """Shift the constants until predicted shares are those given, to 1e-10.

    Parameters
    ----------
    result
        Of any model. A multinomial or nested logit keeps its estimates, and has the shifts
        beside them, in ``constants``; other families have their estimated constants moved.
    shares
        Alternative to its share of the cases, by weight; the others keep their constants, and
        what is left of the shares falls to them as the model has it. With ``by``, group to such a
        mapping; groups left out stay as they are.
    data
        Whose shares they are; by default those of the estimation.
    by
        Column whose values are the groups.

    Returns
    -------
    ChoiceResult
        Its notes tell the shifts. Standard errors, the log-likelihood and the tests are those of
        the estimate; the shifts are taken as given.

    Raises
    ------
    SpecificationError
        If the shares do not add up or name an unknown alternative or group, or the model has no
        constants that could be moved.
    EstimationError
        If no constants give these shares.
    """
    rows, _ = fitted_over(result, data, "calibrate()")
    if by is not None:
        return _by_groups(result, shares, rows, by)
    targets = _targets(shares, rows, "")
    if not isinstance(result.parameters, LogitParameters):
        return _moved(result, targets, rows)
    shift = _solve(result, targets, rows, _shifted(result, rows))
    layout = result.parameters
    given = layout.constants if len(layout.constants) else np.zeros(len(shift))
    return replace(
        result,
        parameters=replace(layout, constants=given + shift),
        notes=(*result.notes, _note(result, targets, shift, "")),
    )


def _by_groups(
    result: ChoiceResult, shares: Mapping[Any, Any], data: ChoiceData, by: str
) -> ChoiceResult:
    """Give each group of cases constants of its own."""
    logit_layout(result, "calibrate(by=)")
    groups = case_groups(data, by)
    known = {str(label): g for g, label in enumerate(groups.labels)}
    terms, values, notes = [], [], []
    for label, wanted in shares.items():
        if str(label) not in known:
            raise SpecificationError(
                f"'{label}' is no group of '{by}'{closest(str(label), known)}; the groups are "
                f"{enumerate_some(list(known), 12)}."
            )
        if not isinstance(wanted, Mapping):
            raise SpecificationError(
                f"the shares of the group '{label}' are {wanted!r}; by groups, write "
                "{group: {alternative: share}}."
            )
        g = known[str(label)]
        some = keep_cases(data, groups.codes == g)
        targets = _targets(wanted, some, f" of {label}")
        shift = _solve(result, targets, some, _shifted(result, some))
        factors = _is(by, data, some)
        for j in np.flatnonzero(shift):
            name = result.alternatives[int(j)]
            terms.append(Term(f"shift:{name}:{by}={label}", factors, (name,)))
            values.append(shift[j])
        notes.append(_note(result, targets, shift, f" where {by} is {label}"))
    return with_terms(result, terms, np.array(values), " ".join(notes))


def _is(by: str, data: ChoiceData, some: ChoiceData) -> tuple[str, ...]:
    """Return expressions that are true for the cases of a group alone."""
    first = some.table.iloc[0]
    columns = [part.strip() for part in by.split("^")]
    values = [first[column] for column in columns]
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    return tuple(f"`{column}` == {value!r}" for column, value in zip(columns, plain, strict=True))


def _moved(result: ChoiceResult, targets: Mapping[str, float], data: ChoiceData) -> ChoiceResult:
    """Move the estimated constants of a model that takes no others."""
    names = result.parameters.names
    places = {a: names.index(f"(Intercept):{a}") for a in targets if f"(Intercept):{a}" in names}
    fixed = [name for name in targets if name not in places]
    everything = len(targets) == len(np.unique(data.alternative))
    if len(fixed) > everything:
        raise SpecificationError(
            f"this {result.parameters.title.lower()} has no constant of {enumerate_some(fixed)} to "
            "move; estimate it with constants."
        )
    _, at = fitted_over(result, data, "calibrate()")
    alternatives = result.alternatives

    def theta(shift: Array) -> Array:
        moved = result.theta.copy()
        for name, k in places.items():
            moved[k] += shift[alternatives.index(name)]
        return moved

    base = fixed[0] if fixed else None
    shift = _solve(result, targets, data, lambda shift: at(theta(shift))[0], base)
    moved = theta(shift)
    return replace(
        result,
        theta=moved,
        estimate=moved[result.estimated],
        notes=(*result.notes, _note(result, targets, shift, "")),
    )


def _shifted(result: ChoiceResult, data: ChoiceData) -> Callable[[Array], Array]:
    """Return probabilities of the rows as a function of shifts of the constants, shape (J,)."""
    likelihood = result.parameters.over(data)
    if not isinstance(likelihood, LogitLikelihood):
        raise SpecificationError(
            "calibrate() needs whole choice sets: of sampled ones the shares say nothing."
        )
    return lambda shift: likelihood.shifted(shift).probabilities(result.theta)[0]


def _solve(
    result: ChoiceResult,
    targets: Mapping[str, float],
    data: ChoiceData,
    probabilities: Callable[[Array], Array],
    base: str | None = None,
) -> Array:
    """Return the shifts of the constants, shape (J,)."""
    J, everyone = len(result.alternatives), case_groups(data, None)
    places = np.array([result.alternatives.index(name) for name in data.alternatives])
    wanted = np.array([result.alternatives.index(name) for name in targets])
    share = np.array(list(targets.values()))
    base = base or result.model.base or result.alternatives[0]
    fixed = -1
    if len(targets) == len(np.unique(data.alternative)):
        fixed = list(targets).index(base) if base in targets else 0
    free = np.delete(np.arange(len(wanted)), fixed) if fixed >= 0 else np.arange(len(wanted))
    layout = result.parameters
    damping = layout.lambdas(result.theta).min() if isinstance(layout, LogitParameters) else 1.0

    def shift(x: Array) -> Array:
        moved = np.zeros(J)
        moved[wanted[free]] = x
        return moved

    def gap(x: Array) -> Array:
        P = probabilities(shift(x))
        predicted = weighted_shares(P, data, everyone, places, J)[0, wanted]
        with np.errstate(divide="ignore"):
            logs = np.log(share) - np.log(predicted)
        return np.asarray(damping * (logs[free] - (logs[fixed] if fixed >= 0 else 0.0)))

    def size(r: Array) -> float:
        return float((share[free] * np.abs(r)).max(initial=0.0)) / damping

    try:
        found = anderson(gap, np.zeros(len(free)), size, _TOLERANCE / len(wanted))
    except EstimationError as problem:
        raise EstimationError(
            f"no constants that give these shares were found: {problem}"
        ) from None
    return shift(found)


def _targets(shares: Mapping[Any, Any], data: ChoiceData, where: str) -> dict[str, float]:
    """Check the shares that are asked for, and make them sum to one if they are all there are."""
    offering = np.bincount(
        data.alternative,
        weights=np.repeat(data.weights, data.set_sizes),
        minlength=len(data.alternatives),
    )
    most = dict(zip(data.alternatives, offering / data.weights.sum(), strict=True))
    targets = {str(name): float(share) for name, share in dict(shares).items()}
    if not targets:
        raise SpecificationError(f"no share{where} is given; write for example {{'train': 0.2}}.")
    for name, share in targets.items():
        if most.get(name, 0.0) == 0:
            raise SpecificationError(
                f"shares{where} name the alternative '{name}'{closest(name, most)}, which the data "
                f"do not offer; they offer: {enumerate_some([a for a in most if most[a] > 0], 12)}."
            )
        if not 0 < share < most[name] + (len(most) == 1):
            raise SpecificationError(
                f"the share of '{name}'{where} is {share:g}; it must lie above 0 (take an "
                "alternative out with choicemodels.choices.scenario_data.drop_alternatives) and "
                f"below {most[name]:g}, the share of the cases that are offered it."
            )
    total, everything = sum(targets.values()), len(targets) == sum(v > 0 for v in most.values())
    if everything and abs(total - 1) > 1e-6:
        raise SpecificationError(f"the shares of all alternatives{where} sum to {total:g}, not 1.")
    if not everything and total >= 1:
        raise SpecificationError(
            f"the shares{where} sum to {total:g}, which leaves nothing to the other alternatives."
        )
    return {name: share / total for name, share in targets.items()} if everything else targets


def _note(result: ChoiceResult, targets: Mapping[str, float], shift: Array, where: str) -> str:
    listed = [
        f"{name} {share:.6g} ({shift[result.alternatives.index(name)]:+.4f})"
        for name, share in targets.items()
    ]
    return (
        f"Constants were shifted after the estimation{where} to give the shares (shifts in "
        f"brackets): {', '.join(listed)}; log-likelihood and standard errors are the estimate's."
    )
