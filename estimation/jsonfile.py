"""Results as JSON files. Never pickle: a file is data, not code."""

import json
from pathlib import Path
from typing import Any

from choicemodels.errors import DataError

__all__ = ["FORMAT", "result_path", "write_json"]

# Raised when the layout of the file changes.
FORMAT = 1


def result_path(path: str | Path) -> Path:
    """Return where a result can be saved.

    Raises
    ------
    DataError
        If the path is a folder, its folder does not exist, or its suffix is not .json.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; name a file in it, such as '{path / 'r.json'}'.")
    if path.suffix not in ("", ".json"):
        raise DataError(
            f"a result is saved as JSON, and '{path}' is called otherwise; end it in .json."
        )
    if not path.parent.is_dir():
        raise DataError(f"the folder '{path.parent}' does not exist; make it first.")
    return path


def write_json(content: dict[str, Any], path: str | Path) -> Path:
    """Write a result's dictionary, whole or not at all.

    Raises
    ------
    DataError
        If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"the folder '{path.parent}' does not exist; make it first.")
    text = json.dumps({"nestflow": FORMAT, **content}, allow_nan=False, indent=1)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path
