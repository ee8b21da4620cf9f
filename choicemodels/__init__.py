"""What is observed and what is assumed: data containers and model specifications."""

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.sampling import sample_alternatives
from choicemodels.cross_nested.specification import CrossNestedLogit
from choicemodels.datasets import load_data
from choicemodels.errors import NestflowError, NestflowWarning
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.latent_class.specification import LatentClassLogit
from choicemodels.logit.models import MultinomialLogit, NestedLogit
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.mixed.specification import MixedLogit
from choicemodels.ordered.specification import OrderedChoice

__all__ = [
    "Areas",
    "ChoiceData",
    "CrossNestedLogit",
    "FlowData",
    "Gravity",
    "LatentClassLogit",
    "MigrationMatrix",
    "MixedLogit",
    "MultinomialLogit",
    "NestedLogit",
    "NestflowError",
    "NestflowWarning",
    "OrderedChoice",
    "load_data",
    "sample_alternatives",
]
