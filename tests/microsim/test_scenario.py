from pathlib import Path

import pytest

from choicemodels.errors import SpecificationError
from microsim import Scenario, simulate

EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_examples_load(name):
    scenario = Scenario.load(EXAMPLES / f"{name}.yaml")
    assert scenario.name == name
    assert scenario.shocks


# As many months as it takes for the last of the shocks to begin.
SHORTEST = {
    "adoption_base": 1,
    "adoption_fast": 1,
    "adoption_slow": 1,
    "full_ai": 25,
    "plant_closing": 25,
    "recession_2025": 16,
}


@pytest.mark.parametrize(("name", "months"), SHORTEST.items())
def test_dated_examples_run(name, months, population, behaviour):
    scenario = Scenario.load(EXAMPLES / f"{name}.yaml")
    run = simulate(population, behaviour, scenario, months=months)
    assert run.national["recession"].iloc[-1] == (name in ("full_ai", "recession_2025"))
    assert (run.national["displaced"].iloc[-1] > 0) == (name in ("full_ai", "plant_closing"))


@pytest.mark.filterwarnings(
    "ignore:.*would begin after the run:choicemodels.errors.NestflowWarning"
)
@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_examples_keep_every_law(name, population, behaviour):
    scenario = Scenario.load(EXAMPLES / f"{name}.yaml")
    run = simulate(population, behaviour, scenario, months=3)
    assert list(run.national["population"]) == 3 * [len(population.workers)]


def test_toml_and_yaml_say_the_same(tmp_path):
    toml = tmp_path / "a.toml"
    toml.write_text('name = "a"\n[[policies]]\nkind = "relocation_grant"\namount = 500\n')
    yaml = tmp_path / "a.yaml"
    yaml.write_text("name: a\npolicies:\n  - {kind: relocation_grant, amount: 500}\n")
    assert Scenario.load(toml) == Scenario.load(yaml)


def test_a_scenario_without_a_name_takes_its_files(tmp_path):
    (tmp_path / "mild.yaml").write_text("parameters: {labour: {separation_rate: 0.005}}")
    scenario = Scenario.load(tmp_path / "mild.yaml")
    assert scenario.name == "mild"
    assert scenario.parameters.labour.separation_rate == 0.005


GRANT = "policies:\n  - kind: relocation_grant\n"
BAD = {
    "negative grant": (GRANT + "    amount: -5\n", r"'policies\[0\].amount' is -5.*at least 0"),
    "mistyped key": (GRANT + "    amonut: 5\n", r"'policies\[0\].amonut' \(did you mean 'amount'"),
    "missing amount": (GRANT + "    take_up: 1\n", r"'policies\[0\].amount' is missing"),
    "probability": (GRANT + "    amount: 5\n    take_up: 1.5\n", r"take_up' is 1.5.*at most 1"),
    "text for number": (GRANT + "    amount: lots\n", r"amount' is 'lots'; give a number"),
    "infinite": (GRANT + "    amount: .inf\n", r"amount' is inf; give a finite number"),
    "unknown kind": ("policies:\n  - {kind: tax, amount: 5}\n", "use one of 'relocation_grant'"),
    "unknown root key": ("polices: []\n", r"unknown key 'polices' \(did you mean 'policies'"),
    "unknown parameter": (
        "parameters: {labour: {seperation_rate: 0.1}}",
        "unknown key 'parameters.labour.seperation_rate' .did you mean 'separation_rate'",
    ),
    "impossible parameter": (
        "parameters: {moving: {job_in_hand: 2}}",
        "'parameters.moving.job_in_hand' is 2; give a value of at most 1",
    ),
    "negative cost": ("parameters: {moving: {cost_base: -1}}", "cost_base' is -1.*at least 0"),
    "twice": (
        GRANT + "    amount: 1\n  - {kind: relocation_grant, amount: 2}",
        "two policies are named 'relocation_grant'",
    ),
    "unordered path": (
        "shocks:\n  - {kind: ai_displacement, hazard: [{month: 5, rate: 0}, {month: 1, rate: 0}]}",
        r"the hazard path are \[5, 1\]; put them in order",
    ),
    "months without status": (
        GRANT + "    amount: 5\n    eligibility: {within_months: 3}\n",
        "within_months needs a status",
    ),
    "malformed": ("name: [a, b\nshocks: x", "line 2, column.*not well-formed YAML"),
    "braces for a key": ("name: a\nparameters: {{a: 1}}", "line 2, .*stand where a key should"),
    "key twice": ("name: a\nname: b", "line 2, .*the key 'name' stands twice"),
    "empty": ("", "the file is empty"),
    "comment only": ("# nothing\n", "the file is empty"),
    "list": ("- a\n- b\n", "holds a list"),
    "no policy": ("policies: [null]", r"'policies\[0\]' is None; give keys and values"),
    "too much money": (GRANT + "    amount: 1.0e+300\n", r"amount' is 1e\+300.*at most 1e\+09"),
    "no end of money": (
        GRANT + "    amount: 1\n    budget: 1.0e+99\n",
        "budget' is 1e.99.*at most",
    ),
    "a state that YAML reads as no": (
        "parameters: {taxes: {states: {NO: {state_rate: 0.1}}}}",
        "'False' is no state; .* in quotes where YAML would read it as yes or no",
    ),
    "unknown state": (
        "parameters: {insurance: {states: {XX: {duration: 3}}}}",
        r"in 'parameters.insurance.states.XX', 'XX' is no state",
    ),
    "telework": (
        "parameters: {remote: {telework_by_occupation: {'11': -1}}}",
        "telework_by_occupation.11' is -1; give a value of at least 0",
    ),
    "severity": ("shocks: [{kind: recession, severity: 1000}]", "severity' is 1000.*at most 10"),
    "yes for dollars": (
        GRANT + "    amount: yes\n",
        r"in 'policies\[0\]', amount has yes or no .true or false. for a number; give a number\.$",
    ),
    "no for a month": (GRANT + "    amount: 1\n    end_month: no\n", "end_month has yes or no"),
    "yes for a share": (
        "parameters: {labour: {job_finding_rate: yes}}",
        "finding_rate has yes or no",
    ),
    "yes among factors": (
        "parameters: {labour: {stage_multipliers: [yes, 1, 2, 3]}}",
        "in 'parameters.labour', stage_multipliers has yes or no",
    ),
    "yes for an exposure": (
        "shocks: [{kind: exposure, values: {43-0000: yes}}]",
        r"in 'shocks\[0\]', values has yes or no",
    ),
    "no for a state's tax": (
        "parameters: {taxes: {states: {TX: {state_rate: no}}}}",
        "in 'parameters.taxes.states.TX', state_rate has yes or no",
    ),
    "yes for a hazard": (
        "shocks: [{kind: ai_displacement, hazard: [{month: 0, rate: yes}]}]",
        r"in 'shocks\[0\].hazard\[0\]', rate has yes or no",
    ),
    "rigid demand": ("parameters: {housing: {demand_elasticity: 1.0e-9}}", "at least 0.05"),
    "remote workers of whom there are none": (
        GRANT + "    amount: 1\n    eligibility: {remote: true}\n"
        "parameters: {remote: {active: false}}",
        "is for remote workers, but nobody is remote; set parameters.remote.active to true",
    ),
    "missing table": (
        "shocks: [{kind: exposure, file: none.csv}]",
        r"none.csv: there is no such file; check the path\.$",
    ),
    "code": ("!!python/object/apply:os.getcwd []", "not well-formed YAML"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_scenarios_get_one_sentence(tmp_path, text, message):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.load(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_other_formats_are_refused(tmp_path):
    with pytest.raises(SpecificationError, match=r"none.yaml: there is no such file"):
        Scenario.load(tmp_path / "none.yaml")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SpecificationError, match=r"the suffix '.json'"):
        Scenario.load(tmp_path / "a.json")
    (tmp_path / "a.toml").write_text("name = ")
    with pytest.raises(SpecificationError, match="not well-formed TOML"):
        Scenario.load(tmp_path / "a.toml")
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecificationError, match="cannot be read"):
        Scenario.load(tmp_path / "a.yaml")


def test_metros_that_the_population_lacks_are_named(population):
    scenario = Scenario.from_mapping(
        {"policies": [{"kind": "relocation_grant", "amount": 1, "destinations": [35620, "99999"]}]},
        source="grant.yaml",
    )
    with pytest.raises(SpecificationError, match=r"grant.yaml: policies\[0\].destinations.*99999"):
        scenario.check_metros(list(population.metros.cbsa))
