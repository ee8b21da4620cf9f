"""From a model and data to a likelihood: which layout belongs to which model."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.choices.partitioned import PartitionedChoiceData
from choicemodels.cross_nested.likelihood import CrossNestedParameters
from choicemodels.cross_nested.specification import CrossNestedLogit
from choicemodels.errors import SpecificationError
from choicemodels.latent_class.likelihood import LatentClassParameters
from choicemodels.latent_class.specification import LatentClassLogit
from choicemodels.logit.absorbed import AbsorbedLikelihood
from choicemodels.logit.joined import Engine, JoinedLikelihood
from choicemodels.logit.likelihood import Layout, Likelihood, LogitParameters
from choicemodels.logit.models import LogitUtility, MultinomialLogit, NestedLogit
from choicemodels.logit.summed import over_data
from choicemodels.mixed.parameters import MixedParameters
from choicemodels.mixed.specification import MixedLogit

__all__ = ["layout_from_dict", "model_from_dict", "model_to_dict", "specify"]

# One row for each family: the specification, and the class that lays out its parameters, with
# the class methods lay_out(model, data) and from_dict(saved).
_FAMILIES: Mapping[type[LogitUtility], Any] = {
    MultinomialLogit: LogitParameters,
    NestedLogit: LogitParameters,
    CrossNestedLogit: CrossNestedParameters,
    MixedLogit: MixedParameters,
    LatentClassLogit: LatentClassParameters,
}


def specify(
    model: LogitUtility,
    data: ChoiceData | FactoredChoiceData | PartitionedChoiceData,
    parameters: Layout | None = None,
    engine: Engine | None = None,
) -> Likelihood:
    """Put a model over data.

    Parameters
    ----------
    model
        The specification.
    data
        The choices; without them only probabilities can be asked for.
    parameters
        The layout from an earlier estimation, to predict with; its alternatives rule.
    engine
        Where the parts of partitioned data are kept and computed.

    Raises
    ------
    DataError, SpecificationError
        If the formula does not fit the data.
    """
    layout: Layout = parameters or _FAMILIES[type(model)].lay_out(model, data)
    if parameters is None and model.absorbs_constants and isinstance(layout, LogitParameters):
        if isinstance(data, PartitionedChoiceData):
            raise SpecificationError(
                "absorbed constants need the data in memory; read the files into one ChoiceData, "
                "or estimate the constants as parameters."
            )
        return AbsorbedLikelihood.build(layout, model.base, data)
    if isinstance(data, PartitionedChoiceData):
        return JoinedLikelihood.build(layout, data, engine)
    return over_data(layout, data)


def layout_from_dict(model: LogitUtility, saved: Mapping[str, Any]) -> Layout:
    """Rebuild the layout of a model from what its ``to_dict`` returned."""
    layout: Layout = _FAMILIES[type(model)].from_dict(saved)
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
    models = {model.__name__: model for model in _FAMILIES}
    return models[fields.pop("type")](**fields)
