"""One door to estimation: ``fit(model, data)``."""

from typing import Any, overload

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import SpecificationError
from choicemodels.flowdata import FlowData
from choicemodels.gravity import Gravity
from choicemodels.models import LogitUtility
from estimation.choice_fit import fit_choice
from estimation.choice_result import ChoiceResult
from estimation.gravity_fit import fit_gravity
from estimation.gravity_result import GravityResult

__all__ = ["fit"]


@overload
def fit(model: LogitUtility, data: ChoiceData, **options: Any) -> ChoiceResult: ...


@overload
def fit(model: Gravity, data: FlowData, **options: Any) -> GravityResult: ...


def fit(model: Any, data: Any, **options: Any) -> ChoiceResult | GravityResult:
    """Estimate a model from data.

    Parameters
    ----------
    model
        :class:`~choicemodels.MultinomialLogit`, :class:`~choicemodels.NestedLogit` or
        :class:`~choicemodels.Gravity`.
    data
        :class:`~choicemodels.ChoiceData` or :class:`~choicemodels.FlowData`.
    **options
        Those of :func:`estimation.choice_fit.fit_choice` or
        :func:`estimation.gravity_fit.fit_gravity`; both take ``cov``, ``groups`` and ``ssc``.

    Raises
    ------
    SpecificationError
        If the model and the data do not belong together.
    """
    if isinstance(model, LogitUtility) and isinstance(data, ChoiceData):
        return fit_choice(model, data, **options)
    if isinstance(model, Gravity) and isinstance(data, FlowData):
        return fit_gravity(model, data, **options)
    raise SpecificationError(
        f"fit() was given a {type(model).__name__} and a {type(data).__name__}; choice models take "
        "ChoiceData, and Gravity takes FlowData."
    )
