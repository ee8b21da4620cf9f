"""Every page of the documentation runs as it is printed, from top to bottom."""

import re
import warnings
from pathlib import Path

import pytest

from choicemodels import NestflowWarning

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
# Pages whose examples take several seconds each; what they show has tests of its own.
LONG = {
    "address_histories.md",
    "after_the_estimate.md",
    "census_tables.md",
    "destination_choice.md",
    "ensembles.md",
    "equilibrium.md",
    "families.md",
    "generated_nation.md",
    "household_grid.md",
    "inference.md",
    "migration_patterns.md",
}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page in LONG else ()) for page in PAGES],
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    with warnings.catch_warnings():
        # A page may show what a warning is about.
        warnings.simplefilter("ignore", NestflowWarning)
        exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page}" for page in PAGES)])
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{page} links to {target}"
