"""From a model and data to a likelihood: which layout belongs to which model."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import SpecificationError
from choicemodels.likelihood import Layout, Likelihood, LogitParameters
from choicemodels.models import LogitUtility, MultinomialLogit, NestedLogit

__all__ = ["layout_from_dict", "layout_of", "model_from_dict", "model_to_dict", "specify"]

_MODELS: Mapping[str, type[LogitUtility]] = {
    model.__name__: model for model in (MultinomialLogit, NestedLogit)
}


def layout_of(model: LogitUtility) -> Any:
    """Return the class that lays out the parameters of a model.

    Raises
    ------
    SpecificationError
        If the model is of an unknown kind.
    """
    match model:
        case MultinomialLogit() | NestedLogit():
            return LogitParameters
    raise SpecificationError(f"{type(model).__name__} is not a choice model.")


def specify(model: LogitUtility, data: ChoiceData, parameters: Layout | None = None) -> Likelihood:
    """Put a model over data.

    Parameters
    ----------
    model
        The specification.
    data
        The choices; without them only probabilities can be asked for.
    parameters
        The layout from an earlier estimation, to predict with; its alternatives rule.

    Raises
    ------
    DataError, SpecificationError
        If the formula does not fit the data.
    """
    layout: Layout = layout_of(model).lay_out(model, data) if parameters is None else parameters
    return layout.over(data)


def layout_from_dict(model: LogitUtility, saved: dict[str, Any]) -> Layout:
    """Rebuild the layout of a model from what its ``to_dict`` returned."""
    layout: Layout = layout_of(model).from_dict(saved)
    return layout


def model_to_dict(model: LogitUtility) -> dict[str, Any]:
    """Return a specification ready for JSON, which knows no infinity."""
    fields = asdict(model)
    fields["bounds"] = {
        name: [value if isfinite(value) else None for value in pair]
        for name, pair in fields["bounds"].items()
    }
    return {"type": type(model).__name__, **fields}


def model_from_dict(saved: Mapping[str, Any]) -> LogitUtility:
    """Rebuild a specification from :func:`model_to_dict`."""
    fields = dict(saved)
    return _MODELS[fields.pop("type")](**fields)
