"""One door to estimation: ``fit(model, data)``."""

from typing import Any, overload

from choicemodels.choices.partitioned import AnyChoiceData
from choicemodels.errors import SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.interaction.models import InteractionModel
from choicemodels.logit.models import LogitUtility
from choicemodels.ordered.specification import OrderedChoice
from estimation.choice.fit import fit_choice
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.result import ChoiceResult
from estimation.gravity.result import GravityResult
from estimation.interaction.result import InteractionResult

__all__ = ["fit"]


@overload
def fit(model: LogitUtility, data: AnyChoiceData, **options: Any) -> ChoiceResult: ...


@overload
def fit(model: Gravity, data: FlowData, **options: Any) -> GravityResult: ...


@overload
def fit(model: InteractionModel, data: FlowData, **options: Any) -> InteractionResult: ...


@overload
def fit(model: OrderedChoice, data: Any, **options: Any) -> OrderedResult: ...


def fit(
    model: Any, data: Any, **options: Any
) -> ChoiceResult | GravityResult | InteractionResult | OrderedResult:
    """Estimate a model from data.

    Parameters
    ----------
    model
        :class:`~choicemodels.MultinomialLogit`, :class:`~choicemodels.NestedLogit`,
        :class:`~choicemodels.OrderedChoice`, :class:`~choicemodels.Gravity`, or one of
        :mod:`choicemodels.interaction.models`.
    data
        ChoiceData, long or factored; a table, one row an observation, for an ordered
        outcome; or :class:`~choicemodels.FlowData`.
    **options
        Those of :func:`estimation.choice.fit.fit_choice`,
        :func:`estimation.choice.ordered_fit.fit_ordered`,
        :func:`estimation.gravity.fit.fit_gravity` or
        :func:`estimation.interaction.fit.fit_interaction`; all take ``cov``, ``groups`` and
        ``ssc``.

    Raises
    ------
    SpecificationError
        If the model and the data do not belong together.
    """
    if isinstance(model, LogitUtility) and isinstance(data, AnyChoiceData):
        return fit_choice(model, data, **options)
    # The other families are loaded when they are first asked for.
    if isinstance(model, Gravity) and isinstance(data, FlowData):
        from estimation.gravity.fit import fit_gravity

        return fit_gravity(model, data, **options)
    if isinstance(model, InteractionModel) and isinstance(data, FlowData):
        from estimation.interaction.fit import fit_interaction

        return fit_interaction(model, data, **options)
    if isinstance(model, OrderedChoice) and not isinstance(data, AnyChoiceData | FlowData):
        from estimation.choice.ordered_fit import fit_ordered

        return fit_ordered(model, data, **options)
    raise SpecificationError(
        f"fit() was given a {type(model).__name__} and a {type(data).__name__}; choice models take "
        "ChoiceData, OrderedChoice a table, and models of flows FlowData."
    )
