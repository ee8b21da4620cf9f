"""Estimates of moves against tables and the truth: the published validation as one call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.result import Harmonized
from estimation.migration.agreement import (
    Agreement,
    Pairs,
    agreement,
    flow_agreement,
    refuse_other_areas,
    rmse_reduction,
)
from estimation.migration.validation_references import (
    Reference,
    at_level,
    census_references,
    matrix_of,
    quantity_of,
    truth_references,
)

if TYPE_CHECKING:
    from estimation.table import Table

__all__ = ["Validation", "agreement_with", "validate"]

One: TypeAlias = MigrationMatrix | Harmonized
Estimate: TypeAlias = One | Mapping[int, One]

_RAW = "raw"


@dataclass(frozen=True, eq=False)
class Validation:
    """How far estimates agree with references.

    Attributes
    ----------
    releases : DataFrame
        A row for each estimate and reference: ``quantity``, ``level``, ``source``, ``year``,
        ``estimate``, ``cells``, ``correlation`` (NaN where ``reason`` says why there is none),
        ``rmse``, ``reduction`` (share of the raw matrix's error that is gone) and ``held out``
        (True, False, or None where that is not known).
    """

    releases: pd.DataFrame

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Average the measures over releases, and give the spread of the reductions.

        Reductions are averaged, not errors, as the published figures are
        [AgostiniYoungFitzpatrickGargPierson2025]_.
        """
        keys = ["quantity", "level", "source", "estimate"]
        groups = self.releases.groupby(keys, sort=False, dropna=False)
        return groups.agg(
            releases=("cells", "size"),
            cells=("cells", "mean"),
            correlation=("correlation", "mean"),
            rmse=("rmse", "mean"),
            reduction=("reduction", "mean"),
            reduction_sd=("reduction", "std"),
        ).reset_index()

    def table(self, digits: int = 3) -> "Table":
        """Lay the measures out as published: a row for each reference, columns by estimate.

        Without the raw matrix errors stand as they are, in people or shares.

        Parameters
        ----------
        digits
            Decimals of the correlations; reductions take one, in per cent.
        """
        from estimation.table import frame_table

        held_out = self.releases[self.releases["held out"].map(lambda value: value is True)]
        keys = ["quantity", "level", "source", "estimate"]
        marked = set(held_out[keys].itertuples(index=False, name=None))
        reduced = bool(self.releases["reduction"].notna().any())
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for quantity, level, source, name, values in self._by_reference():
            row = f"{quantity}, {level} ({source})"
            mark = "†" if (quantity, level, source, name) in marked else ""
            shown = _shown(values["correlation"], f".{digits}f", mark)
            columns.setdefault((name, "ρ"), {})[row] = shown
            if name != _RAW and reduced:
                shown = _shown(100 * values["reduction"], ".1f", mark)
                columns.setdefault((name, "RMSE −%"), {})[row] = shown
            elif not reduced:
                columns.setdefault((name, "RMSE"), {})[row] = f"{values['rmse']:,.4g}{mark}"
        order = list(dict.fromkeys(row for column in columns.values() for row in column))
        frame = pd.DataFrame(columns).reindex(order).fillna("")
        return frame_table(frame, note=self._note(bool(marked)))

    def _by_reference(self) -> Iterator[tuple[str, str, str, str, dict[str, float]]]:
        for m in self.measures.to_dict("records"):
            values = {key: float(m[key]) for key in ("correlation", "rmse", "reduction")}
            yield str(m["quantity"]), str(m["level"]), str(m["source"]), str(m["estimate"]), values

    def _note(self, marked: bool) -> str:
        parts = [
            "ρ: Pearson correlation; RMSE: root mean square error; −%: by how much it is smaller "
            "than that of the raw matrix scaled to the number of people. Rates are weighted by "
            "people."
        ]
        if marked:
            parts.append("† held out: no step of the estimate used this table.")
        ours = self.releases[self.releases["estimate"] != _RAW]
        if ours["reduction"].isna().any() and ours["reduction"].notna().any():
            parts.append("— of an error: the raw matrix makes none, or is not of these years.")
        lost = self.releases[self.releases["reason"] != ""]
        for r in lost.drop_duplicates(["quantity", "level", "source"]).to_dict("records"):
            parts.append(
                f"— {r['quantity']}, {r['level']} ({r['source']}): no correlation, {r['reason']}."
            )
        return " ".join(parts)


def _shown(value: float, form: str, mark: str) -> str:
    return format(value, form) + mark if np.isfinite(value) else "—"


def validate(
    estimates: One | Mapping[str, Estimate] | Mapping[int, One],
    tables: CensusTables | Mapping[int, CensusTables] | None = None,
    *,
    county_flows: Any | None = None,
    truth: MigrationMatrix | Mapping[int, MigrationMatrix] | None = None,
    levels: Sequence[str] | None = None,
    references: Iterable[Reference] = (),
    raw: MigrationMatrix | Mapping[int, MigrationMatrix] | None = None,
) -> Validation:
    """Compare estimates with census tables, held-out tables and the truth.

    Parameters
    ----------
    estimates
        By name: a matrix, a result of harmonization (which knows what it used), or one for each
        year, under its year. A single one, or one a year, needs no name.
    tables
        Of the same year, or years; so are ``truth`` and ``raw``.
    county_flows
        A held-out table, as of
        :func:`~estimation.migration.validation_references.census_references`; with the tables of
        one year only.
    truth
        Where it is known, as of a generated nation: compared at all ``levels``, pairs of finest
        areas where either matrix stores one.
    levels
        Of the truth; None takes all.
    references
        Further ones, such as averages over five years.
    raw
        The matrix before harmonization, whose error counts as 100 %. It is scaled to the people
        of the tables (or of the truth), and shown under the name ``"raw"``.

    Raises
    ------
    DataError
        If labels or areas do not match, no estimate covers the years of any reference, or
        nothing says how many people the raw matrix should have.
    SpecificationError
        If there are no estimates or nothing to hold them against.
    """
    named = {name: _listed(estimate, name) for name, estimate in _by_name(estimates).items()}
    if not named:
        raise SpecificationError("there is no estimate to validate; give one at least by name.")
    first = matrix_of(next(iter(named.values()))[0])
    years = _several(tables, CensusTables, "tables")
    if county_flows is not None and len(years) != 1:
        raise SpecificationError(
            "county_flows belong to the tables of one year; give one CensusTables, or build the "
            "references of each year with census_references."
        )
    truths = _several(truth, MigrationMatrix, "the truth")
    against = [r for t in years for r in census_references(t, first.areas, county_flows)]
    for matrix in truths:
        refuse_other_areas(first, matrix)
        against += truth_references(matrix, levels)
    against += references
    if not against:
        raise SpecificationError("give tables, the truth or references to validate against.")
    if raw is not None and _RAW in named:
        raise SpecificationError(
            f"the name '{_RAW}' is taken by raw=, which is shown beside the estimates; leave that "
            "estimate out, or name it otherwise."
        )
    base = _scaled_raw(_several(raw, MigrationMatrix, "the raw matrix"), years, truths)
    return _validate(named, against, base)


def _validate(
    named: Mapping[str, Sequence[One]],
    references: Sequence[Reference],
    raw: Sequence[MigrationMatrix],
) -> Validation:
    errors: dict[int, float] = {}
    rows: list[dict[str, Any]] = []
    everything: dict[str, Sequence[One]] = {_RAW: raw, **named} if raw else {**named}
    for name, estimate in everything.items():
        matrices = [matrix_of(one) for one in estimate]
        refuse_other_areas(matrices[0], matrix_of(next(iter(named.values()))[0]))
        seen = 0
        coarse: dict[tuple[int, str], MigrationMatrix] = {}
        for number, reference in enumerate(references):
            covering = _covering(matrices, reference)
            if not covering:
                continue
            seen += 1
            found = _compare(covering, reference, coarse)
            if name == _RAW and raw:
                errors[number] = found.rmse
            held_out = _held_out(estimate, reference)
            rows.append(_row(name, reference, found, errors.get(number), held_out))
        if not seen:
            there = ", ".join(str(matrix.year) for matrix in matrices)
            asked = ", ".join(str(r.year) for r in references[:5])
            raise DataError(
                f"'{name}' has matrices of the year {there}, but the references are of {asked}; "
                "give the matrices of all years that a reference averages."
            )
    return Validation(pd.DataFrame(rows))


def _row(
    name: str, reference: Reference, found: Agreement, raw: float | None, held_out: bool | None
) -> dict[str, Any]:
    reduction = None if raw is None else rmse_reduction(found.rmse, raw)
    return {
        "quantity": reference.quantity,
        "level": reference.level,
        "source": reference.source,
        "year": reference.year,
        "estimate": name,
        "cells": found.cells,
        "correlation": np.nan if found.correlation is None else found.correlation,
        "rmse": found.rmse,
        "reduction": np.nan if reduction is None else reduction,
        "held out": held_out,
        "reason": found.reason,
    }


def agreement_with(
    matrices: MigrationMatrix | Sequence[MigrationMatrix], r: Reference
) -> Agreement:
    """Compare one estimate, or its average over several years, with one reference."""
    several = [matrices] if isinstance(matrices, MigrationMatrix) else list(matrices)
    return _compare(several, r, {})


def _compare(
    matrices: Sequence[MigrationMatrix],
    r: Reference,
    coarse: dict[tuple[int, str], MigrationMatrix],
) -> Agreement:
    if r.quantity == "populations":
        # Adding up populations spares a matrix of the pairs of a fine level.
        level = matrices[0].areas.level(r.level)
        people = np.mean([level.totals(matrix.before) for matrix in matrices], axis=0)
        return agreement(people, r.values)  # type: ignore[arg-type]
    for matrix in matrices:
        if (id(matrix), r.level) not in coarse:
            coarse[id(matrix), r.level] = at_level(matrix, r.level)
    average = _average([coarse[id(matrix), r.level] for matrix in matrices])
    if isinstance(r.values, MigrationMatrix):
        finest = r.level == matrices[0].areas.name
        pairs: Pairs = "stored" if finest else "all"
        return flow_agreement(average, r.values, stayers=r.quantity == "flows", pairs=pairs)
    weights = average.after if r.quantity == "in-migration rate" else None
    return agreement(quantity_of(average, r.quantity), r.values, weights)  # type: ignore[arg-type]


def _average(matrices: Sequence[MigrationMatrix]) -> MigrationMatrix:
    if len(matrices) == 1:
        return matrices[0]
    total: Any = sum(matrix.flows for matrix in matrices)
    return MigrationMatrix.from_scipy(total / len(matrices), matrices[0].areas)


def _covering(
    matrices: Sequence[MigrationMatrix], reference: Reference
) -> Sequence[MigrationMatrix]:
    """Return the matrices of all years of a reference; none unless all are there."""
    if reference.years == 1 and len(matrices) == 1 and None in (reference.year, matrices[0].year):
        return matrices
    if reference.year is None:
        return []
    by_year = {matrix.year: matrix for matrix in matrices}
    wanted = range(reference.year - reference.years + 1, reference.year + 1)
    return [by_year[y] for y in wanted] if all(y in by_year for y in wanted) else []


def _held_out(estimate: Sequence[One], reference: Reference) -> bool | None:
    """Tell whether no step saw the reference; None where that is not known."""
    harmonized = [one for one in estimate if isinstance(one, Harmonized)]
    if reference.source == "truth" or len(harmonized) < len(estimate):
        return None
    return reference.used_by not in {step.name for one in harmonized for step in one.steps}


def _scaled_raw(
    raw: Sequence[MigrationMatrix],
    tables: Sequence[CensusTables],
    truths: Sequence[MigrationMatrix],
) -> list[MigrationMatrix]:
    """Scale raw matrices to the people of their year, so that a lack of people is no error."""
    people = {truth.year: truth.total for truth in truths}
    people |= {t.year: float(t.before.sum()) for t in tables}
    scaled = []
    for matrix in raw:
        total = people.get(matrix.year)
        if total is None and len(people) == 1 and (matrix.year is None or None in people):
            (total,) = people.values()
        if total is None:
            raise DataError(
                f"nothing says how many people the raw matrix of the year {matrix.year} should "
                "have; give census tables or the truth of that year."
            )
        if not matrix.total > 0:
            raise DataError("the raw matrix holds nobody; there is nothing to scale.")
        scaled.append(matrix.with_values(matrix.values * (total / matrix.total)))
    return scaled


def _by_name(estimates: Any) -> dict[str, Estimate]:
    single = not isinstance(estimates, Mapping)
    if single or (estimates and all(isinstance(key, int) for key in estimates)):
        return {"estimate": estimates}
    return dict(estimates)


def _listed(estimate: Estimate, name: str) -> list[One]:
    if isinstance(estimate, MigrationMatrix | Harmonized):
        return [estimate]
    if not isinstance(estimate, Mapping) or not estimate:
        raise SpecificationError(
            f"'{name}' is a {type(estimate).__name__}; give a MigrationMatrix, a result of "
            "harmonization, or a mapping of years to them."
        )
    for year, one in estimate.items():
        _refuse_year(year, matrix_of(one).year, f"the matrix '{name}'")
    return list(estimate.values())


def _several(given: Any, kind: type, what: str) -> list[Any]:
    """Return what was given for one year or, under their years, for several, as a list."""
    if given is None:
        return []
    if isinstance(given, kind):
        return [given]
    if not isinstance(given, Mapping) or not all(isinstance(v, kind) for v in given.values()):
        raise SpecificationError(
            f"{what}: a {type(given).__name__} was given; give a {kind.__name__}, or a mapping "
            "of years to them."
        )
    for year, one in given.items():
        _refuse_year(year, one.year, what)
    return list(given.values())


def _refuse_year(key: int, year: int | None, what: str) -> None:
    if key != year:
        raise DataError(
            f"{what} given for {key} is of the year {year}; key each by its own year, the one in "
            "which people are asked."
        )
