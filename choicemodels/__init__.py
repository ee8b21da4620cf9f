"""What is observed and what is assumed: data containers and model specifications."""

from choicemodels.choicedata import ChoiceData
from choicemodels.cross_nested import CrossNestedLogit
from choicemodels.datasets import load_data
from choicemodels.errors import NestflowError, NestflowWarning
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.latent_class import LatentClassLogit
from choicemodels.mixed import MixedLogit
from choicemodels.models import MultinomialLogit, NestedLogit
from choicemodels.ordered import OrderedChoice
from choicemodels.sampling import sample_alternatives

__all__ = [
    "ChoiceData",
    "CrossNestedLogit",
    "FlowData",
    "Gravity",
    "LatentClassLogit",
    "MixedLogit",
    "MultinomialLogit",
    "NestedLogit",
    "NestflowError",
    "NestflowWarning",
    "OrderedChoice",
    "load_data",
    "sample_alternatives",
]
