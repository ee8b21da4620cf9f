"""The house rules: whose names these are, which way imports point, what is public."""

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("choicemodels", "estimation", "microsim")

PUBLIC = {
    "microsim": {
        "Behaviour",
        "Contrast",
        "MoveTruth",
        "Population",
        "Run",
        "Scenario",
        "choice_table",
        "contrast",
        "flow_table",
        "load_exposure",
        "load_population",
        "load_run",
        "simulate",
        "synthesize",
        "year_of_moves",
    },
    "choicemodels": {
        "Areas",
        "ChoiceData",
        "CrossNestedLogit",
        "FlowData",
        "Gravity",
        "LatentClassLogit",
        "MigrationMatrix",
        "MixedLogit",
        "MultinomialLogit",
        "NestedLogit",
        "NestflowError",
        "NestflowWarning",
        "OrderedChoice",
        "load_data",
        "sample_alternatives",
    },
    "estimation": {
        "ChoiceResult",
        "GravityResult",
        "Table",
        "bootstrap",
        "compare",
        "delta_method",
        "elasticities",
        "fit",
        "frame_table",
        "harmonize",
        "load_result",
        "surplus",
        "table",
        "willingness_to_pay",
    },
}


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_those_listed(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert len(module.__all__) <= 15
    assert all(hasattr(module, name) for name in module.__all__)


def test_no_other_distribution_brings_our_names():
    owners = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, ["nestflow"])) == {"nestflow"}
        found = Path(importlib.import_module(package).__file__).resolve()
        assert found.parent == ROOT / package


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path):
    return tuple(names_imported(path))


def names_imported(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("choicemodels", {"estimation", "microsim", "data", "tests"}),
        ("estimation", {"microsim", "data", "tests"}),
        ("microsim", {"data", "tests"}),
    ],
)
def test_imports_point_one_way(package, forbidden):
    for path in (ROOT / package).rglob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & forbidden, f"{path} imports {roots & forbidden}"
        assert not roots & {"pickle", "random"}, f"{path} imports {roots}"


# Estimators that others keep well, by the modules that call them. They load slowly.
BOUGHT = {
    "statsmodels": {"estimation/gravity/counts.py"},
    "linearmodels": {"estimation/gravity/regression.py"},
}


@pytest.mark.parametrize("package", PACKAGES)
def test_bought_estimators_are_loaded_where_they_are_used(package):
    for path in (ROOT / package).rglob("*.py"):
        used = {name.split(".")[0] for name in imported(path)} & set(BOUGHT)
        for name in used:
            assert path.relative_to(ROOT).as_posix() in BOUGHT[name], f"{path} imports {name}"
        head = parsed(path).body
        loaded = [n for n in head if isinstance(n, ast.Import | ast.ImportFrom)]
        for node in loaded:
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            roots = {name.split(".")[0] for name in names}
            assert not roots & set(BOUGHT), f"{path} imports {roots & set(BOUGHT)} when loaded"


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_draws_from_a_global_generator(package):
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in ("np.random.seed", "np.random.rand", "np.random.normal", "np.random.uniform"):
            assert call not in text, f"{path} calls {call}"


def test_importing_choicemodels_compiles_nothing():
    code = (
        "import sys, choicemodels; "
        "heavy = {'numba', 'formulaic', 'maketables', 'matplotlib', 'scipy.optimize'}; "
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_citation_is_in_the_references():
    import re

    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "docs/references.bib").read_text("utf-8")))
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            cited = set(re.findall(r"\[([A-Z][A-Za-z]+\d{4}[a-z]?)\]", path.read_text("utf-8")))
            assert cited <= known, f"{path} cites {cited - known}"
    for folder in (ROOT / "tests/published").iterdir():
        if folder.is_dir():
            assert folder.name in known, f"{folder.name} is not in docs/references.bib"
