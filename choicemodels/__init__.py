"""What is observed and what is assumed: data containers and model specifications."""

from choicemodels.choicedata import ChoiceData
from choicemodels.datasets import load_data
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowError,
    NestflowWarning,
    SpecificationError,
)
from choicemodels.flowdata import FlowData
from choicemodels.gravity import Gravity
from choicemodels.models import MultinomialLogit, NestedLogit

__all__ = [
    "ChoiceData",
    "DataError",
    "EstimationError",
    "FlowData",
    "Gravity",
    "IdentificationError",
    "MultinomialLogit",
    "NestedLogit",
    "NestflowError",
    "NestflowWarning",
    "SpecificationError",
    "load_data",
]
