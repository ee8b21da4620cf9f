"""Pages whose snippets run, in order, and print what stands below them."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["inference.md", "sampling.md"])
def test_every_snippet_prints_what_stands_below_it(page):
    text = (DOCS / page).read_text("utf-8")
    names, printed = {}, ""
    for kind, block in re.findall(r"```(python|text)\n(.*?)```", text, flags=re.DOTALL):
        if kind == "text":
            assert printed == block
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block, page, "exec"), names)
        printed = out.getvalue()
