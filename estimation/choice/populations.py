"""Who chooses by what: the models that a fitted one is a mixture of.

Welfare in money divides by the marginal utility of income, which belongs to people: where classes
of them have coefficients of their own, it is found for each class and averaged afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.latent_class.likelihood import LatentClassParameters
from choicemodels.logit.likelihood import Layout, LogitParameters
from estimation.choice.result import ChoiceResult

__all__ = ["Component", "components"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Component:
    """A model by which all cases choose, or those of one class.

    Attributes
    ----------
    layout : Layout
    parameters : callable
        From the parameters of the whole to those of the layout.
    share : callable
        From the parameters of the whole to the probability that a case belongs here, shape (N,).
    """

    layout: Layout
    parameters: Callable[[Array], Array]
    share: Callable[[Array], Array]

    def over(self, data: ChoiceData) -> Callable[[Array], tuple[Array, Array]]:
        """Return the function from the parameters of the whole to probabilities and logsums."""
        at = self.layout.over(data).probabilities
        return lambda theta: at(self.parameters(theta))


def components(result: ChoiceResult, data: ChoiceData) -> tuple[Component, ...]:
    """Return the classes of a latent class model over data, or the model itself."""
    layout = result.parameters
    if not isinstance(layout, LatentClassParameters):
        return (Component(layout, lambda theta: theta, lambda theta: np.ones(data.n_cases)),)
    flat = LogitParameters.of_utility(layout.utility, layout.alternatives)
    likelihood = layout.over(data)

    def member(theta: Array, c: int) -> Array:
        return np.asarray(np.exp(likelihood.memberships(theta)[likelihood.observations.maker, c]))

    return tuple(
        Component(
            flat,
            lambda theta, at=at: theta[at],  # type: ignore[misc]
            lambda theta, c=c: member(theta, c),  # type: ignore[misc]
        )
        for c, at in enumerate(layout.position)
    )
