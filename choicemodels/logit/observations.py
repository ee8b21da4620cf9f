"""Choice data as arrays for the kernels: who was offered which rows, and took which."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError
from choicemodels.logit.design import UtilityTerms
from choicemodels.logit.systematic import Design

__all__ = ["Observations", "decision_makers"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def decision_makers(labels: "pd.Series[Any]") -> Ints:
    """Return the number of the decision maker of each case, shape (N,).

    Raises
    ------
    DataError
        If a label is missing: all such cases would become one decision maker.
    """
    codes = pd.factorize(labels)[0].astype(np.int64)
    if (codes < 0).any():
        raise DataError(
            f"the column '{labels.name}' names no decision maker in {int((codes < 0).sum()):,} "
            f"cases (first: position {int(np.flatnonzero(codes < 0)[0])}); fill it or drop them."
        )
    return codes


@dataclass(frozen=True, eq=False)
class Observations:
    """N cases over R rows.

    Attributes
    ----------
    design : Design
        The variables of the rows.
    offsets : ndarray of int64, shape (N + 1,)
        Case n has the rows ``offsets[n]:offsets[n + 1]``.
    alternative : ndarray of int64, shape (R,)
        Position of each row's alternative in the model's order.
    chosen : ndarray of int64, shape (N,)
        Row of the chosen alternative; -1 where none is known.
    weights : ndarray of float64, shape (N,)
    maker : ndarray of int64, shape (N,)
        Number of the decision maker of each case; without a panel, of the case.
    """

    design: Design
    offsets: Ints
    alternative: Ints
    chosen: Ints
    weights: Array
    maker: Ints

    @classmethod
    def build(
        cls,
        terms: UtilityTerms,
        data: ChoiceData,
        alternatives: tuple[str, ...],
        *,
        corrects: bool = False,
    ) -> Self:
        """Evaluate the terms over data, whose alternatives the model must know.

        Parameters
        ----------
        terms
            What the utilities are made of.
        data
            The choices.
        alternatives
            The model's, in its order.
        corrects
            Whether sampled choice sets are corrected for by adding ``ln pr(D | j)`` to the
            utilities, as in the multinomial logit.

        Raises
        ------
        DataError
            If the data hold an alternative that is not among ``alternatives``, a term cannot
            be evaluated, or the choice sets are samples for which there is no correction.
        """
        if data.sample is not None and not corrects:
            raise DataError(
                "the choice sets are samples, for which multinomial and nested logits alone are "
                "corrected; give this model the full choice sets."
            )
        alternative = data.alternative
        if data.alternatives != alternatives:
            position = {name: j for j, name in enumerate(alternatives)}
            unknown = [name for name in data.alternatives if name not in position]
            if unknown:
                raise DataError(
                    f"the data hold the alternative '{unknown[0]}', which the model was not "
                    "estimated with; leave it out."
                )
            alternative = np.array([position[name] for name in data.alternatives])[alternative]
        maker = np.arange(data.n_cases)
        if data.panel_name is not None:
            maker = decision_makers(data.table[data.panel_name].iloc[data.offsets[:-1]])
        design = Design.build(terms, data.table, alternative, alternatives)
        if data.sample is not None:
            design = design.corrected(data.sample.correction)
        return cls(
            design,
            data.offsets,
            alternative,
            data.chosen,
            np.asarray(data.weights, dtype=np.float64),
            maker.astype(np.int64),
        )

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return len(self.chosen)

    def shifted(self, constants: Array) -> Self:
        """Add a constant to the utilities of each alternative, shape (J,)."""
        return replace(self, design=self.design.shifted(constants[self.alternative]))

    def subset(self, cases: Ints) -> Self:
        """Keep some cases, in the order given."""
        sizes = np.diff(self.offsets)[cases]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        shift = self.offsets[cases] - offsets[:-1]
        rows = np.arange(offsets[-1]) + np.repeat(shift, sizes)
        return replace(
            self,
            design=self.design.rows(rows),
            offsets=offsets,
            alternative=self.alternative[rows],
            chosen=self.chosen[cases] - shift,
            weights=self.weights[cases],
            maker=self.maker[cases],
        )
