"""Scenarios that build on others."""

from pathlib import Path

import pytest

from choicemodels.errors import SpecificationError
from microsim import Scenario

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/scenarios").glob("*.yaml"))
SHOCK = """
name: shock
description: A shock.
shocks:
  - {kind: ai_displacement, hazard: [{month: 0, rate: 0.01}]}
parameters:
  labour: {separation_rate: 0.02, stage_multipliers: [1, 1, 1, 1]}
"""
GRANT = "policies:\n  - {kind: relocation_grant, amount: 100}\n"


@pytest.fixture
def write(tmp_path):
    def put(name, text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return put


def test_lists_are_appended_and_keys_overridden(write):
    write("bases/shock.yaml", SHOCK)
    write("grant.toml", '[[policies]]\nkind = "relocation_grant"\namount = 100\n')
    both = Scenario.load(
        write(
            "both.yaml",
            "extends: [bases/shock.yaml, grant.toml]\n"
            "policies:\n  - {kind: relocation_grant, name: more, amount: 7}\n"
            "shocks:\n  - {kind: ai_displacement, hazard: [{month: 0, rate: 0.5}]}\n"
            "parameters:\n  labour: {stage_multipliers: [2, 2, 2, 2]}\n",
        )
    )
    assert both.name == "both"
    assert both.description == "A shock."
    assert [policy.amount for policy in both.policies] == [100, 7]
    assert [shock.hazard[0].rate for shock in both.shocks] == [0.01, 0.5]
    assert both.parameters.labour.separation_rate == 0.02
    assert both.parameters.labour.stage_multipliers == (2, 2, 2, 2)


def test_a_file_that_only_extends_is_the_other_under_its_own_name(write):
    base = Scenario.load(write("shock.yaml", SHOCK))
    same = Scenario.load(write("same.yaml", "extends: shock.yaml\n"))
    assert same.name == "same"
    assert same.model_dump(exclude={"name"}) == base.model_dump(exclude={"name"})


def test_a_file_that_two_others_extend_is_taken_once(write):
    write("bases/shock.yaml", SHOCK)
    write("left.yaml", "extends: bases/shock.yaml\nparameters: {labour: {separation_rate: 0.03}}\n")
    write("right.yaml", f"extends: [bases/../bases/shock.yaml]\n{GRANT}")
    two = Scenario.load(write("two.yaml", "extends: [left.yaml, right.yaml]\n"))
    assert len(two.shocks) == len(two.policies) == 1
    # What one of them changed, the other does not change back.
    assert two.parameters.labour.separation_rate == 0.03
    after = Scenario.load(write("after.yaml", "extends: [left.yaml, bases/shock.yaml]\n"))
    assert len(after.shocks) == 1
    assert after.parameters.labour.separation_rate == 0.03


@pytest.mark.parametrize("path", [None, 3, ["a.yaml"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(SpecificationError, match="is loaded from a file, not from a"):
        Scenario.load(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"top": "extends: top.yaml\n"}, "in a circle .'top.yaml' extends 'top.yaml'"),
        (
            {"top": "extends: other.yaml\n", "other": "extends: top.yaml\n"},
            "'top.yaml' extends 'other.yaml' extends 'top.yaml'.; take one 'extends' out",
        ),
        ({"top": "extends: none.yaml\n"}, "none.yaml: there is no such file"),
        ({"top": "extends: 5\n"}, "top.yaml: 'extends' is 5; give the path of a scenario"),
        ({"top": "extends: [a.yaml, 5]\n"}, "'extends' is .*; give the path of a scenario"),
        (
            {"top": "extends: other.yaml\n" + GRANT, "other": "polices: []\n"},
            "other.yaml: unknown key 'polices'",
        ),
        (
            {"top": "extends: other.yaml\n" + GRANT, "other": GRANT},
            "top.yaml: two policies are named 'relocation_grant'",
        ),
        (
            {"top": "extends: other.yaml\nshocks: 3\n", "other": SHOCK},
            "top.yaml: 'shocks' is 3; give a list",
        ),
    ],
)
def test_what_cannot_be_composed_is_refused(write, files, message):
    for name, text in files.items():
        top = write(f"{name}.yaml", text)
    top = top.with_name("top.yaml")
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.load(top)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_scenarios_are_scenarios(file):
    scenario = Scenario.load(file)
    assert scenario.name == file.stem
    assert scenario.shocks or scenario.policies


@pytest.mark.parametrize("content", [None, [1], "name: a"])
def test_what_is_no_mapping_is_refused(content):
    with pytest.raises(SpecificationError, match="not keys and values; give a mapping"):
        Scenario.from_mapping(content)
