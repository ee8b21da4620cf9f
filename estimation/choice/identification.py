"""What the data tell apart, and what not.

The condition number is that of the information matrix scaled to a unit diagonal, as a root, so
that it compares with the condition number of a design: above 30 some coefficients rest on little
variation of their own [BelsleyKuhWelsch1980]_. The directions behind it say which.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import SpecificationError
from choicemodels.logit.models import LogitUtility
from choicemodels.specify import specify
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.result import ChoiceResult
from estimation.choice.starting import plain_logit
from estimation.covariance import InformationSpectrum, information_spectrum

__all__ = [
    "Direction",
    "IdentificationReport",
    "collinearity_report",
    "examine",
    "identification_report",
    "without_rounding",
]

Array = NDArray[np.float64]

# Belsley, Kuh and Welsch's rule of thumb for a condition index that does harm.
_WEAK = 30.0
# A second derivative below this share of a column's square may be rounding alone.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Direction:
    """A combination of parameters along which the log-likelihood is nearly flat.

    Attributes
    ----------
    index : float
        Condition index: the largest root of an eigenvalue of the scaled information over this
        one; infinite if the direction is flat to rounding.
    combination : Series
        How the parameters move along it, in their own units, the first of the heaviest by 1; as
        weights of the columns it gives what hardly varies within choice sets.
    loadings : Series
        Entries of the eigenvector, whose squares sum to one, largest first.
    shares : Series
        Part of each parameter's variance that comes from this direction, 0 to 1.
    """

    index: float
    combination: pd.Series
    loadings: pd.Series
    shares: pd.Series

    def __str__(self) -> str:
        sizes = [f"{abs(value):.4g}" for value in self.combination]
        terms = [
            f"{'-' if value < 0 else '+'} {'' if size == '1' else f'{size} * '}{name}"
            for size, (name, value) in zip(sizes, self.combination.items(), strict=True)
        ]
        return " ".join(terms).removeprefix("+ ")


@dataclass(frozen=True, eq=False)
class IdentificationReport:
    """How well the data identify the parameters.

    Attributes
    ----------
    names : tuple of str, length K
    condition_number : float
        Root of the ratio of the largest to the smallest eigenvalue of the scaled information;
        infinite if some combination is not identified.
    directions : tuple of Direction
        Those with a condition index above 30, the worst first.
    silent : tuple of str
        Parameters about which the data say nothing.
    saddle : bool
        Whether the log-likelihood is convex along the first direction: no maximum.
    """

    names: tuple[str, ...]
    condition_number: float
    directions: tuple[Direction, ...]
    silent: tuple[str, ...] = ()
    saddle: bool = False

    @property
    def identified(self) -> bool:
        """Whether every parameter and every combination is identified."""
        return bool(np.isfinite(self.condition_number)) and not self.saddle

    @property
    def table(self) -> pd.DataFrame:
        """One row for each direction and parameter in it: index, loading, share, combination."""
        rows = [
            (number, d.index, *row)
            for number, d in enumerate(self.directions, 1)
            for row in zip(d.loadings.index, d.loadings, d.shares, d.combination, strict=True)
        ]
        heads = ("direction", "condition index", "parameter", "loading", "variance share")
        columns = [*heads, "combination"]
        return pd.DataFrame(rows, columns=columns).set_index(["direction", "parameter"])

    def __str__(self) -> str:
        lines = [f"Condition number {self.condition_number:.4g} of {len(self.names)} parameters."]
        if self.silent:
            lines.append(f"The data say nothing about {', '.join(self.silent)}.")
        if self.saddle:
            lines.append(f"No maximum: the log-likelihood rises along {self.directions[0]}.")
        for direction in self.directions[self.saddle :]:
            flat = not np.isfinite(direction.index)
            how = "Not identified" if flat else f"Weak (condition index {direction.index:.4g})"
            lines.append(f"{how}: {direction}.")
        if not (self.directions or self.silent):
            lines.append("Every parameter has variation of its own.")
        return "\n".join(lines)


def identification_report(result: ChoiceResult | OrderedResult) -> IdentificationReport:
    """Examine what a fitted model's free parameters rest on.

    Parameters
    ----------
    result
        Its Hessian is looked at, whatever covariance it shows.
    """
    if isinstance(result, ChoiceResult):
        B = result.basis
        return examine(B.T @ result.hessian @ B, result.free_names)
    return examine(result.hessian, result.names)


def examine(hessian: Array, names: Sequence[str]) -> IdentificationReport:
    """Examine the Hessian of a log-likelihood.

    Parameters
    ----------
    hessian
        Second derivatives, shape (K, K).
    names
        The K parameters.
    """
    informed = np.diag(hessian) < 0
    silent = tuple(names[int(k)] for k in np.flatnonzero(~informed))
    kept = [names[int(k)] for k in np.flatnonzero(informed)]
    if not kept:
        return IdentificationReport(tuple(names), np.inf, (), silent)
    spectrum = information_spectrum(hessian[np.ix_(informed, informed)], kept)
    indices = _indices(spectrum)
    directions = tuple(
        _direction(spectrum, int(j), float(indices[j]), kept)
        for j in np.flatnonzero(indices > _WEAK)
    )
    worst = np.inf if silent else float(indices[0])
    return IdentificationReport(tuple(names), worst, directions, silent, spectrum.indefinite)


def collinearity_report(model: LogitUtility, data: ChoiceData) -> IdentificationReport:
    """Examine a choice model's columns before it is fitted.

    The information is that of the multinomial logit at zero: it is singular, at any point,
    exactly if some combination of columns is constant within all choice sets.

    Parameters
    ----------
    model
        The specification; of its utilities the terms that have a coefficient are looked at.
    data
        Cases with known choices.

    Raises
    ------
    DataError, SpecificationError
        If the formula does not fit the data.
    """
    if not data.has_choices:
        raise SpecificationError(
            "collinearity_report() needs the choices; name their column with chosen=."
        )
    plain = plain_logit(specify(model, data))
    K = len(plain.parameters.utility.linear)
    start = np.array(plain.parameters.utility.start)
    _, _, hessian = plain.evaluate(start)
    squares = plain.column_squares(start)[:K]
    return examine(without_rounding(hessian[:K, :K], squares), plain.parameters.names[:K])


def without_rounding(hessian: Array, squares: Array) -> Array:
    """Set to zero what a Hessian says of columns that do not vary within the choice sets.

    The second derivative of a column that is constant within each set is a difference of equal
    numbers, which rounding leaves at some 1e-16 of the column's square, of either sign.

    Parameters
    ----------
    hessian
        Shape (K, K).
    squares
        Mean squares of the columns, shape (K,).
    """
    silent = -np.diag(hessian) <= _ROUNDING * squares
    return np.where(silent[:, None] | silent, 0.0, hessian)


def _indices(spectrum: InformationSpectrum) -> Array:
    """Return the condition index of every direction, the worst first, shape (K,)."""
    values = spectrum.values
    flat = spectrum.flat | (values <= 0)
    return np.where(flat, np.inf, np.sqrt(values[-1] / np.where(flat, 1.0, values)))


def _direction(
    spectrum: InformationSpectrum, j: int, index: float, names: Sequence[str]
) -> Direction:
    vector = spectrum.vectors[:, j]
    order = np.argsort(-np.abs(vector), kind="stable")
    heavy = order[np.abs(vector[order]) > 0.1 * np.abs(vector).max()]
    labels = [names[int(k)] for k in heavy]
    own = (vector * spectrum.scale)[heavy]
    return Direction(
        index,
        pd.Series(own / own[0], index=labels, name="combination"),
        pd.Series(vector[heavy] * np.sign(vector[heavy[0]]), index=labels, name="loading"),
        pd.Series(_shares(spectrum, j)[heavy], index=labels, name="variance share"),
    )


def _shares(spectrum: InformationSpectrum, j: int) -> Array:
    """Return the part of each variance that direction j makes, shape (K,).

    Directions without information stand for an infinite variance, which they share.
    """
    values = spectrum.values
    flat = spectrum.flat | (values <= 0)
    parts = spectrum.vectors**2 / np.where(flat, 1.0, values)
    open_ended = spectrum.vectors**2 * flat
    lost = open_ended.sum(axis=1) > 1e-16
    parts = np.where(lost[:, None], open_ended, parts)
    return np.asarray(parts[:, j] / parts.sum(axis=1))
