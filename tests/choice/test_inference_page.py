"""The page on inference prints what it says."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "inference.md"


def test_every_snippet_prints_what_stands_below_it():
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    names, printed = {}, ""
    for kind, text in blocks:
        if kind == "text":
            assert printed == text
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, PAGE.name, "exec"), names)
        printed = out.getvalue()
