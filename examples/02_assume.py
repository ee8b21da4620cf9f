"""Step 2: say what is assumed. A specification is valid once built, and holds no data."""

from dataclasses import replace

from choicemodels import Gravity, MultinomialLogit, NestedLogit
from choicemodels.errors import SpecificationError

# Parts as in R's mlogit: one coefficient | of the case | one for each alternative.
flat = MultinomialLogit("gc + ttme | hinc", base="car")

# The same with a nest; and household income in the utility of flying alone.
nested = NestedLogit(
    "gc + ttme",
    nests={"ground": ["train", "bus", "car"]},
    specific={"air": "0 + hinc"},
    base="car",
)
unnormalized = replace(nested, normalization="nonnormalized")

# Fixed effects stand behind the bar; `^` joins two, as in fixest.
gravity = Gravity("log(distance) | origin + destination")

try:
    replace(nested, lambdas={"grond": 0.5})
except SpecificationError as problem:
    print(problem)
print(flat, nested, unnormalized, gravity, sep="\n")
