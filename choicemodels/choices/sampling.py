"""Samples of large choice sets, and what corrects for them.

The choice set of a case is replaced by a sample D of it that holds the chosen alternative. With
``pr(D | j)`` the probability of having drawn D had j been chosen, the logit estimated on

    P(i | D) = exp(V_i + ln pr(D | i)) / sum_{j in D} exp(V_j + ln pr(D | j))

is consistent [McFadden1978]_. Up to a constant, ``ln pr(D | j)`` is minus the log of the
probability that j is included: what is drawn more often must count for less.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, require_columns
from choicemodels.utility import evaluate

__all__ = ["Sample", "sample_alternatives"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Size: TypeAlias = int | Mapping[Any, int]
Scheme: TypeAlias = Literal["uniform", "stratified", "importance"]

# The smallest weight relative to the largest.
_LEAST = 1e-100


@dataclass(frozen=True, eq=False)
class Sample:
    """How choice sets were drawn from larger ones: the field ``sample`` of sampled choice data.

    Attributes
    ----------
    note : str
        The scheme in words.
    correction : ndarray, shape (R,)
        ``ln pr(D | j)`` up to a constant, which is added to the utilities.
    stratum : ndarray of int64, shape (R,)
        The stratum of each row.
    beside : ndarray, shape (R,) or (0,)
        How many alternatives of its stratum each stands for, if another of the stratum was the
        chosen one; if it was one of another stratum, it stands for ``exp(correction)``, and for
        itself alone if it was chosen. Infinite if it could not have been drawn. Empty if the
        sample was drawn without regard to the choices.
    logsums : ChoiceData or None
        A second sample, drawn without regard to the choices, for the sums over nests.
    expansion : ndarray, shape (R,), or None
        How many alternatives each stands for, on average over which one was chosen, once an
        estimation has found it.
    """

    note: str
    correction: Array
    stratum: Ints
    beside: Array
    logsums: ChoiceData | None = None
    expansion: Array | None = None

    def of_rows(self, rows: Ints) -> Self:
        """Return the same for some rows, whole cases, but for a second sample."""
        return dataclasses.replace(
            self,
            correction=self.correction[rows],
            stratum=self.stratum[rows],
            beside=self.beside[rows] if len(self.beside) else self.beside,
            logsums=None,
            expansion=None if self.expansion is None else self.expansion[rows],
        )


@dataclass(frozen=True, eq=False)
class _Offer:
    """What the cases are offered: cells, which they may share.

    Attributes
    ----------
    columns : DataFrame, C rows
    alternative : ndarray of int64, shape (C,)
    first, last : ndarray of int64, shape (N,)
        Case n is offered the cells ``first[n]:last[n]``.
    chosen : ndarray of int64, shape (N,)
        Cell of the chosen alternative.
    """

    columns: pd.DataFrame
    alternative: Ints
    first: Ints
    last: Ints
    chosen: Ints


def sample_alternatives(
    data: ChoiceData | FactoredChoiceData,
    size: Size,
    *,
    scheme: Scheme = "uniform",
    strata: str | Mapping[str, Sequence[str]] | None = None,
    weights: str | Mapping[str, float] | None = None,
    replace: bool = False,
    always: Sequence[str] = (),
    logsums: Size | None = None,
    seed: int,
) -> ChoiceData:
    """Draw a choice set for every case, the chosen alternative in it.

    Models fitted to the sampled data are corrected: the multinomial logit by adding
    ``ln pr(D | j)`` to the utilities, the nested logit by expanding the sums over its nests as
    well, see :class:`~choicemodels.logit.sampled_nested_likelihood.SampledNestedLikelihood`.

    Parameters
    ----------
    data
        Choices among the full sets. Choices among many places are never expanded.
    size
        Alternatives in a set, the chosen one among them; smaller sets are kept whole. With
        strata, the number drawn from each, or a mapping of strata to numbers.
    scheme
        ``"uniform"``; ``"stratified"``, uniform within strata; or ``"importance"``, in
        proportion to weights (and within strata, if there are any).
    strata
        A column, or a mapping of strata to alternatives.
    weights
        For importance sampling: an expression in the columns (for choices among many places,
        those of alternatives and pairs), or a mapping of alternatives to numbers, all positive.
        Without replacement, the odds of being drawn are proportional to them.
    replace
        Draw ``size - 1`` times with replacement, and add the chosen alternative.
    always
        Alternatives that every set holds in which they are available, such as ``["stay"]``; they
        do not count for ``size``.
    logsums
        Draw a second sample of this size, independent of the choices, for the logsums of
        nested logits.
    seed
        A non-negative integer. What a case draws depends on it, on the case's identity (7 is
        another one than ``"7"``) and on the order of the alternatives, not on other cases or
        their order.

    Returns
    -------
    ChoiceData
        With the field ``sample``; ``dataclasses.replace(sampled, sample=None)`` takes the
        corrections away.

    Raises
    ------
    SpecificationError
        If the arguments do not fit together or name what the data do not have.
    DataError
        If a case has no known choice, a weight is not positive, or a stratum is empty or
        missing.
    """
    from choicemodels.choices.sampling_kernels import draw
    from choicemodels.keyed_random import stream_key

    _check_arguments(scheme, strata, weights)
    offer = _offer(data)
    strata_of = _stratify(offer, data.alternatives, strata, always)
    weight = _weights(offer, data.alternatives, weights)
    keys = pd.util.hash_array(np.asarray(data.case_ids))

    def sample(size: Size, forced: Ints, stream: str) -> ChoiceData:
        drawn = draw(
            offer.first,
            offer.last,
            offer.alternative,
            strata_of.code,
            weight,
            forced,
            keys,
            strata_of.sizes(size, at_most_once=not replace),
            replace,
            bool((forced >= 0).all()),
            stream_key(seed, 0, stream),
        )
        laid_out = _laid_out(data, drawn.offsets, drawn.cell)
        note = _note(size, scheme, replace, always, seed)
        how = Sample(note, drawn.correction, strata_of.code[drawn.cell], drawn.beside)
        return dataclasses.replace(laid_out, sample=how)

    sampled = sample(size, offer.chosen, "choice set")
    if logsums is None:
        return sampled
    second = sample(logsums, np.full_like(offer.chosen, -1), "logsums")
    assert sampled.sample is not None
    return dataclasses.replace(sampled, sample=dataclasses.replace(sampled.sample, logsums=second))


def _check_arguments(scheme: str, strata: Any, weights: Any) -> None:
    if scheme not in ("uniform", "stratified", "importance"):
        raise SpecificationError(
            f"scheme is '{scheme}'; it is 'uniform', 'stratified' or 'importance'."
        )
    if (strata is None) == (scheme == "stratified") and scheme != "importance":
        raise SpecificationError(
            "give strata= with scheme='stratified' (or 'importance'), and only then."
        )
    if (weights is None) == (scheme == "importance"):
        raise SpecificationError("give weights= with scheme='importance', and only then.")


def _note(size: Size, scheme: str, replace: bool, always: Sequence[str], seed: int) -> str:
    number = str(size)
    if isinstance(size, Mapping):
        number = ", ".join(f"{m} {name}" for name, m in size.items())
    return (
        f"Choice sets are samples of alternatives ({number}; {scheme}, "
        f"{'with' if replace else 'without'} replacement, seed {seed}"
        f"{'; always ' + ', '.join(always) if always else ''}), and the likelihood is corrected "
        "for it; standard errors from the Hessian alone take the sampled sums as exact."
    )


def _offer(data: ChoiceData | FactoredChoiceData) -> _Offer:
    """Return what the cases are offered.

    Raises
    ------
    SpecificationError
        If there is nothing that could be sampled.
    DataError
        If a case has no known choice, or the choice sets are samples already.
    """
    if not isinstance(data, ChoiceData | FactoredChoiceData):
        raise SpecificationError(
            f"sample_alternatives() takes long or factored choice data, and was given a "
            f"{type(data).__name__}; of data in files, sample each of data.partitions()."
        )
    if isinstance(data, ChoiceData) and data.sample is not None:
        raise DataError("the choice sets are samples already; sample the full choice sets.")
    if not data.has_choices:
        cases = data.case_ids[data.chosen_alternative < 0]
        raise DataError(
            f"{len(cases):,} cases have no known choice (first: {enumerate_some(cases.tolist())}), "
            "which a sampled choice set must hold; drop them."
        )
    if isinstance(data, ChoiceData):
        first, last = data.offsets[:-1], data.offsets[1:]
        return _Offer(data.table, data.alternative, first, last, data.chosen)
    places, J = data.places, len(data.alternatives)
    wanted = data.origin * J + data.chosen_alternative
    chosen = np.searchsorted(places.origin * J + places.alternative, wanted)
    first, last = places.offsets[data.origin], places.offsets[data.origin + 1]
    return _Offer(places.table, places.alternative, first, last, chosen.astype(np.int64))


def _laid_out(data: ChoiceData | FactoredChoiceData, offsets: Ints, cells: Ints) -> ChoiceData:
    """Make choice data of the cells that were drawn."""
    if isinstance(data, FactoredChoiceData):
        return data.lay_out(offsets, cells)
    case = np.repeat(np.arange(data.n_cases), np.diff(offsets))
    chosen = np.full(data.n_cases, -1, dtype=np.int64)
    kept = np.flatnonzero(cells == data.chosen[case])
    chosen[case[kept]] = kept
    return dataclasses.replace(
        data,
        table=data.table.iloc[cells].reset_index(drop=True),
        offsets=offsets,
        alternative=data.alternative[cells],
        chosen=chosen,
    )


def _known(names: Sequence[str], alternatives: Sequence[str], where: str) -> None:
    for name in names:
        if name not in alternatives:
            raise SpecificationError(
                f"{where} names the alternative '{name}'{closest(name, alternatives)}, which the "
                f"data do not have; they have: {enumerate_some(alternatives, 12)}."
            )


@dataclass(frozen=True, eq=False)
class _Strata:
    """Strata of the cells, the alternatives that are always drawn in strata of their own.

    Attributes
    ----------
    names : tuple, length T
    code : ndarray of int64, shape (C,)
    largest : ndarray of int64, shape (T + A,)
        The most cells of each that a case is offered.
    """

    names: tuple[Any, ...]
    code: Ints
    largest: Ints

    def sizes(self, size: Size, *, at_most_once: bool) -> Ints:
        """Return the number of draws from each stratum, shape (T + A,).

        Raises
        ------
        SpecificationError
            If a number is missing, too small or too large.
        """
        T, single = len(self.names), self.names == ("",)
        given: Mapping[Any, Any] = dict.fromkeys(self.names, size)
        offered = dict.fromkeys(self.names, int(self.largest[:T].max()))
        if isinstance(size, Mapping) and not single:
            unknown = [name for name in size if name not in given]
            if unknown:
                raise SpecificationError(
                    f"size names the stratum '{unknown[0]}'; the strata are "
                    f"{enumerate_some(self.names, 12)}."
                )
            given = {name: size.get(name) for name in self.names}
            offered = dict(zip(self.names, self.largest.tolist(), strict=False))
        for name, m in given.items():
            where = "" if single else f" of the stratum '{name}'"
            if not isinstance(m, int | np.integer) or isinstance(m, bool) or m < 1 + single:
                raise SpecificationError(
                    f"the size{where} is {m!r}; give a whole number of at least {1 + single}."
                )
            if at_most_once and m > offered[name]:
                raise SpecificationError(
                    f"the size{where} is {m}, but no case is offered more than {offered[name]}."
                )
        return np.array([*given.values(), *np.ones(len(self.largest) - T)], dtype=np.int64)


def _stratify(
    offer: _Offer,
    alternatives: tuple[str, ...],
    strata: str | Mapping[str, Sequence[str]] | None,
    always: Sequence[str],
) -> _Strata:
    """Put every cell into a stratum.

    Raises
    ------
    SpecificationError, DataError
        If a stratum is empty or names what the data do not have, or a cell has none.
    """
    _known(always, alternatives, "always=")
    names: tuple[Any, ...] = ("",)
    code = np.zeros(len(offer.alternative), dtype=np.int64)
    if isinstance(strata, Mapping):
        names, code = _by_alternative(offer, alternatives, strata)
    elif strata is not None:
        require_columns(offer.columns, [strata])
        found, levels = pd.factorize(offer.columns[strata], sort=True)
        names, code = tuple(levels.tolist()), found.astype(np.int64)
    for extra, name in enumerate(always):
        code = np.where(offer.alternative == alternatives.index(name), len(names) + extra, code)
    lost = np.flatnonzero(code < 0)
    if len(lost):
        raise DataError(
            f"'{alternatives[offer.alternative[lost[0]]]}' stands in no stratum ({len(lost):,} "
            "rows have none), so it could be drawn only where it was chosen; give each a stratum."
        )
    T = len(names) + len(always)
    offset = np.zeros(len(code) + 1, dtype=np.int64)
    largest = np.zeros(T, dtype=np.int64)
    for t in range(T):
        np.cumsum(code == t, out=offset[1:])
        largest[t] = (offset[offer.last] - offset[offer.first]).max()
    empty = [name for name, count in zip(names, largest, strict=False) if count == 0]
    if empty:
        raise SpecificationError(
            f"the stratum '{empty[0]}' is empty: no case is offered any of it."
        )
    return _Strata(names, code, largest)


def _by_alternative(
    offer: _Offer, alternatives: tuple[str, ...], strata: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], Ints]:
    stratum = np.full(len(alternatives), -1, dtype=np.int64)
    for t, (name, members) in enumerate(strata.items()):
        _known(members, alternatives, f"the stratum '{name}'")
        for member in members:
            j = alternatives.index(member)
            if stratum[j] >= 0:
                raise SpecificationError(f"'{member}' stands in two strata; put it into one.")
            stratum[j] = t
    return tuple(strata), stratum[offer.alternative]


def _weights(
    offer: _Offer, alternatives: tuple[str, ...], weights: str | Mapping[str, float] | None
) -> Array:
    """Return the weight of every cell, or none."""
    if weights is None:
        return np.empty(0)
    if isinstance(weights, Mapping):
        _known(list(weights), alternatives, "weights=")
        missing = [name for name in alternatives if name not in weights]
        if missing:
            raise SpecificationError(
                f"weights gives none for {enumerate_some([repr(name) for name in missing])}; every "
                "alternative needs one."
            )
        values = np.array([float(weights[name]) for name in alternatives])[offer.alternative]
    else:
        values = np.array(np.broadcast_to(evaluate(weights, offer.columns), len(offer.alternative)))
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise DataError(
            f"the weight of '{alternatives[offer.alternative[bad[0]]]}' is {values[bad[0]]:g} "
            f"({len(bad):,} rows are not positive and finite); what can never be drawn could not "
            "be corrected for where it is chosen: give it a small weight, or leave it out of the "
            "choice sets."
        )
    if values.min() < _LEAST * values.max():
        raise DataError(
            f"the weights span more than {1 / _LEAST:.0e} (from {values.min():g} to "
            f"{values.max():g}); what is hardly ever drawn cannot be corrected for."
        )
    return np.ascontiguousarray(values / values.max())
