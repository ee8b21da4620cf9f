"""pylogit's front door, with nestflow behind it.

The arguments, names and parametrizations are those of pylogit 1.0.1, so that a script written for
it needs another import and no more; docs/pylogit.md says what differs.
"""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import NestflowWarning, SpecificationError
from choicemodels.frames import closest
from choicemodels.logit.models import MultinomialLogit, NestedLogit
from choicemodels.logit.tree import build_tree
from choicemodels.mixed.specification import MixedLogit
from estimation.pylogit.model import CovarianceKind, Model, PylogitModel
from estimation.pylogit.specification import Columns, Labels, Specification, read_specification

__all__ = ["PylogitModel", "create_choice_model"]

# By model type: what pylogit calls the model, and its standard errors.
_TYPES: Mapping[str, tuple[str, CovarianceKind]] = {
    "MNL": ("Multinomial Logit Model", "hessian"),
    "Nested Logit": ("Nested Logit Model", "bhhh"),
    "Mixed Logit": ("Mixed Logit Model", "bhhh"),
}
_ASYMMETRIC = ("Asym", "Cloglog", "Scobit", "Uneven")


def create_choice_model(
    data: Any,
    alt_id_col: str,
    obs_id_col: str,
    choice_col: str,
    specification: Mapping[str, Any],
    model_type: str,
    intercept_ref_pos: int | None = None,
    shape_ref_pos: int | None = None,
    names: Mapping[str, Any] | None = None,
    intercept_names: Sequence[str] | None = None,
    shape_names: Sequence[str] | None = None,
    nest_spec: Mapping[str, Sequence[Hashable]] | None = None,
    mixing_id_col: str | None = None,
    mixing_vars: Sequence[str] | None = None,
) -> PylogitModel:
    """Specify a choice model in pylogit's words.

    Parameters
    ----------
    data
        Long table, one row for each available alternative of each observation (pandas, polars,
        Arrow, DuckDB), or the path of a CSV file.
    alt_id_col, obs_id_col, choice_col
        Columns of the alternative, the choice situation, and the 1 of the alternative chosen.
    specification
        Column to ``"all_same"`` (one coefficient), ``"all_diff"`` (one for each alternative) or a
        list of alternatives and lists of them (one for each item). The column ``"intercept"``
        need not be there.
    model_type
        ``"MNL"``, ``"Nested Logit"`` or ``"Mixed Logit"``.
    intercept_ref_pos, shape_ref_pos, intercept_names, shape_names
        For the asymmetric models only, which are not offered.
    names
        Names of the coefficients, in the shape of ``specification``; pylogit's own by default.
    nest_spec
        For a nested logit: nest to the list of its alternatives.
    mixing_id_col, mixing_vars
        For a mixed logit: the column of the decision maker, and the names of the coefficients
        that are normally distributed over them.

    Returns
    -------
    PylogitModel
        To estimate by ``fit_mle(init_vals)``.

    Raises
    ------
    SpecificationError
        If the model type is unknown, or the arguments do not fit it or the data.
    DataError
        If a column is missing or unusable, or a case has no choice.

    Warns
    -----
    NestflowWarning
        If an argument has no meaning for the model type.
    """
    _refuse_type(model_type)
    _refuse_intercepts(intercept_ref_pos)
    nested, mixed = model_type == "Nested Logit", model_type == "Mixed Logit"
    _warn_ignored(
        model_type,
        shape_ref_pos=shape_ref_pos,
        intercept_names=intercept_names,
        shape_names=shape_names,
        nest_spec=None if nested else nest_spec,
        mixing_id_col=None if mixed else mixing_id_col,
        mixing_vars=None if mixed else mixing_vars,
    )
    columns = Columns(alt_id_col, obs_id_col, choice_col, mixing_id_col if mixed else None)
    frame, rows = columns.read(data, choice_col)
    choices = columns.data(frame, choice_col)
    labels = _labels(choices)
    spec = read_specification(specification, names, choices.table, labels)
    choices = replace(choices, table=spec.columns(choices.table, alt_id_col))
    model: Model
    if nested:
        nests = _nests(nest_spec, labels, spec)
        build_tree(nests, choices.alternatives)
        model = NestedLogit(spec.formula, nests, specific=spec.specific)
    elif mixed:
        random = _random(mixing_vars, mixing_id_col, spec)
        model = MixedLogit(spec.formula, random, specific=spec.specific)
    else:
        model = MultinomialLogit(spec.formula, specific=spec.specific)
    return PylogitModel(columns, choices, rows, spec, model, *_TYPES[model_type])


def _refuse_type(model_type: str) -> None:
    if model_type in _ASYMMETRIC:
        raise SpecificationError(
            f"model_type '{model_type}' is one of pylogit's asymmetric models, which nestflow does "
            "not offer; it offers 'MNL', 'Nested Logit' and 'Mixed Logit' here, and cross-nested "
            "logits, other mixtures and scales of groups (scale=) in choicemodels."
        )
    if model_type not in _TYPES:
        raise SpecificationError(
            f"model_type is '{model_type}'{closest(str(model_type), _TYPES)}; it is one of "
            f"{', '.join(repr(name) for name in _TYPES)}."
        )


def _refuse_intercepts(position: int | None) -> None:
    if position is not None:
        raise SpecificationError(
            "intercept_ref_pos is for pylogit's asymmetric models; put the intercepts into "
            "specification, as in {'intercept': [1, 2]}, and leave out the reference."
        )


def _warn_ignored(model_type: str, **given: Any) -> None:
    named = [f"{name}=" for name, value in given.items() if value is not None]
    if named:
        warnings.warn(
            f"{', '.join(named)} ignored: a '{model_type}' has no use for it.",
            NestflowWarning,
            stacklevel=3,
        )


def _labels(data: ChoiceData) -> Labels:
    """Return the names of the alternatives by their identifiers, in sorted order."""
    codes, first = np.unique(data.alternative, return_index=True)
    identifiers = data.table[data.alternative_name].iloc[first]
    labels = {i: data.alternatives[int(j)] for i, j in zip(identifiers, codes, strict=True)}
    return {i: labels[i] for i in sorted(labels)}


def _nests(nest_spec: Any, labels: Labels, spec: Specification) -> dict[str, list[str]]:
    if not isinstance(nest_spec, Mapping) or not nest_spec:
        raise SpecificationError(
            "a nested logit needs nest_spec=, a mapping of nests to lists of alternatives, as in "
            "{'ground': [2, 3, 4], 'air': [1]}."
        )
    nests = {
        str(nest): [labels.get(member, str(member)) for member in members]
        for nest, members in nest_spec.items()
    }
    shared = set(nests) & {c.name for c in spec.coefficients}
    if shared:
        raise SpecificationError(
            f"'{min(shared)}' is the name of a nest and of a coefficient; rename one of them."
        )
    return nests


def _random(mixing_vars: Any, mixing_id_col: str | None, spec: Specification) -> dict[str, str]:
    """Return the normal distributions of a mixed logit, by the fit's names."""
    if mixing_id_col is None or not mixing_vars or isinstance(mixing_vars, str):
        raise SpecificationError(
            "a mixed logit needs mixing_id_col=, the column of the decision maker, and "
            "mixing_vars=, the list of the coefficients that vary over them."
        )
    parameters = {c.name: c.parameter for c in spec.coefficients}
    for name in mixing_vars:
        if name not in parameters:
            raise SpecificationError(
                f"mixing_vars names '{name}'{closest(str(name), parameters)}, which is no "
                f"coefficient; these are: {', '.join(parameters)}."
            )
    return {parameters[name]: "normal" for name in mixing_vars}
