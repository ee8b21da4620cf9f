"""Reading saved results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from choicemodels.errors import DataError
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.result import ChoiceResult
from estimation.gravity.count_result import CountResult
from estimation.gravity.linear_result import LinearResult
from estimation.gravity.result import GravityResult
from estimation.interaction.result import InteractionResult
from estimation.jsonfile import FORMAT

__all__ = ["load_result"]

AnyResult: TypeAlias = (
    ChoiceResult | CountResult | GravityResult | InteractionResult | LinearResult | OrderedResult
)


def load_result(path: str | Path) -> AnyResult:
    """Read a result that ``result.save()`` wrote.

    The data and the contributions of the cases are not in the file: covariances that need
    them must have been chosen before saving.

    Raises
    ------
    DataError
        If the file is missing, is not JSON, or is not a result of this version.
    """
    path = Path(path)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no file '{path}'.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"'{path}' is not a saved result: {problem}.") from None
    if not isinstance(saved, dict) or saved.get("nestflow") != FORMAT:
        raise DataError(f"'{path}' is not a result saved by this version of nestflow.")
    readers: dict[str, Callable[[dict[str, Any]], AnyResult]] = {
        "choice": ChoiceResult.from_dict,
        "counts": CountResult.from_dict,
        "gravity": GravityResult.from_dict,
        "interaction": InteractionResult.from_dict,
        "linear": LinearResult.from_dict,
        "ordered": OrderedResult.from_dict,
    }
    read = readers.get(saved.get("kind", ""))
    if read is None:
        raise DataError(f"'{path}' holds a result of the unknown kind '{saved.get('kind')}'.")
    try:
        return read(saved)
    except (KeyError, TypeError, ValueError) as problem:
        raise DataError(f"'{path}' is incomplete or was changed: {problem!r}.") from None
