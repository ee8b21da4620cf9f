"""Files of settings, YAML or TOML: read safely, and what is wrong with them said in a sentence."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest

__all__ = ["explain", "read_settings"]

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"),
    "less_than": ("lt", "less than"),
}
_TYPES = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}


# An error of pydantic, and where it is as the user wrote it.
_Located: TypeAlias = tuple[ErrorDetails, tuple[int | str, ...]]


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that stands twice."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                "keys and values, or a list, stand where a key should",
                key_node.start_mark,
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' stands twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_settings(file: Path, what: str, example: str) -> dict[str, Any]:
    """Read a file of settings into nested dictionaries.

    Parameters
    ----------
    file
        .yaml, .yml or .toml.
    what
        What the message calls its content, such as ``"scenario"``.
    example
        A first line to write, for the message.

    Raises
    ------
    SpecificationError
        If the file is missing, of another kind, malformed, empty or no keys and values.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise SpecificationError(
            f"{file}: there is no such file; check the path, or write a {what} there."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SpecificationError(
            f"{file}: the file cannot be read ({problem}); give a text file in UTF-8."
        ) from None
    if file.suffix.lower() not in (".yaml", ".yml", ".toml"):
        raise SpecificationError(
            f"{file}: the suffix '{file.suffix}' is not one of a {what}; use .yaml or .toml."
        )
    content = _parse_toml(file, text) if file.suffix.lower() == ".toml" else _parse(file, text)
    if not content:
        raise SpecificationError(
            f"{file}: the file is empty; write a {what}, beginning like '{example}'."
        )
    if not isinstance(content, dict):
        raise SpecificationError(
            f"{file}: the file holds a {type(content).__name__}, not keys and values; begin it "
            f"like '{example}'."
        )
    return content


def _parse(file: Path, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(problem, "problem", None) or str(problem).splitlines()[0]
        raise SpecificationError(
            f"{file}{where}: this is not well-formed YAML ({what}); mend the line or the one above."
        ) from None


def _parse_toml(file: Path, text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise SpecificationError(f"{file}: this is not well-formed TOML ({problem}).") from None


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Return one sentence for a validation error: file, key path, value and remedy.

    Parameters
    ----------
    error
        From pydantic; its first error is explained, the others are counted.
    model
        What was validated.
    source
        The file.
    """
    found = _causes([(d, _walk(model, d["loc"])[0]) for d in error.errors(include_url=False)])
    # A mistyped key is also missing under its right name: tell of the typing error.
    first, loc = min(found, key=lambda pair: pair[0]["type"] != "extra_forbidden")
    # Where one of several types may stand, pydantic tells of each that the value is not it.
    types = [d["type"] for d, place in found if place == loc and d["type"] in _TYPES]
    kinds = dict.fromkeys([first["type"], *types] if types else [])
    others = "".join(f" or {_TYPES[kind]}" for kind in list(kinds)[1:])
    more = len(found) - max(len(types), 1)
    rest = f" ({more} more to mend after this one)" if more else ""
    return f"{source}: {_sentence(first, _path(loc), model)}{others}{rest}."


def _causes(found: list[_Located]) -> list[_Located]:
    """Leave out errors that only follow from others inside of the same value.

    A list is too short because its entries are wrong; and where text or keys and values may
    stand, pydantic also complains of keys and values, which are wrong inside, that they are no
    text.
    """
    return [
        (detail, loc)
        for detail, loc in found
        if not (detail["type"] == "too_short" or detail["type"] in _TYPES)
        or not any(len(other) > len(loc) and other[: len(loc)] == loc for _, other in found)
    ]


def _sentence(detail: ErrorDetails, path: str, model: type[BaseModel]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(_walk(model, detail["loc"][:-1])[1].model_fields)
        return (
            f"unknown key '{path}'{closest(str(detail['loc'][-1]), known)}; "
            f"use one of {', '.join(known)}"
        )
    if kind == "missing":
        return f"'{path}' is missing; add it"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"'{path}' is {value!r}; give a value of {words} {context[key]:g}"
    if kind in _TYPES:
        return f"'{path}' is {value!r}; give {_TYPES[kind]}"
    if kind == "union_tag_not_found":
        return f"'{path}.kind' is missing; add it"
    if kind == "union_tag_invalid":
        tag, known = context["tag"], context["expected_tags"]
        hint = closest(tag, known.replace("'", "").split(", "))
        return f"'{path}.kind' is {tag!r}{hint}; use one of {known}"
    if kind == "literal_error":
        return f"'{path}' is {value!r}; use one of {context['expected']}"
    if kind == "too_short":
        return f"'{path}' has {context['actual_length']} entries; give at least one"
    if kind == "value_error":
        where = f"in '{path}', " if path else ""
        return f"{where}{str(context['error']).rstrip('.')}"
    return f"'{path}' is {value!r}: {detail['msg']}"


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if part == "[key]":  # pydantic's mark of a key that is itself wrong
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _walk(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[tuple[int | str, ...], type[BaseModel]]:
    """Return ``loc`` as a user wrote it, and the model at its end.

    Where several models may stand, pydantic adds the ``kind`` to the location, and where one of
    several types may, the type; no key of the file has that name.
    """
    current, written = model, []
    candidates: list[type[BaseModel]] = []
    typed = False
    for part in loc:
        if typed:
            typed = False
            continue
        if candidates[1:] and isinstance(part, str):
            current = next(m for m in candidates if part in _kinds(m))
            candidates = []
            continue
        written.append(part)
        if isinstance(part, str) and part in current.model_fields:
            annotation = current.model_fields[part].annotation
            candidates = _models(annotation)
            typed = len(candidates) < 2 and _is_union(annotation)
            current = candidates[0] if len(candidates) == 1 else current
    return tuple(written), current


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation)


def _is_union(annotation: Any) -> bool:
    """Say whether values of several types may stand, None not counted."""
    types = [kind for kind in get_args(annotation) if kind is not NoneType]
    return get_origin(annotation) in (Union, UnionType) and len(types) > 1


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models inside an annotation such as ``tuple[Model | Other, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
