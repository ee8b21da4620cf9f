"""Every kind of shock and policy: nothing done changes nothing, and all go together."""

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from microsim import simulate
from microsim.policies import Policy
from microsim.shocks import Shock

ACTING = {
    "relocation_grant": {"amount": 9_000, "take_up": 0.5},
    "moving_tax_credit": {"maximum": 4_000},
    "extended_insurance": {"months": 3},
    "retraining": {"stipend": 500, "outreach": 4},
    "job_matching": {"factor": 1.5, "cost": 100},
    "broadband": {"amount": 900, "pace": 0.3},
    "innovation_district": {"amount": 50_000, "positions": 9},
    "place_based_hiring": {"amount": 2_000},
    "university_partnership": {"amount": 1_000, "pace": 0.3},
}
NOTHING = {
    "relocation_grant": {"amount": 0},
    "moving_tax_credit": {"maximum": 0},
    "extended_insurance": {"months": 0},
    "retraining": {"covers": 0, "stipend": 0, "outreach": 1},
    "job_matching": {"factor": 1, "cost": 0},
    **{
        kind: {"amount": 0}
        for kind in (
            "broadband",
            "innovation_district",
            "place_based_hiring",
            "university_partnership",
        )
    },
}
SHOCKS = {
    "ai_displacement": {"hazard": [{"month": 0, "rate": 0.1}]},
    "ai_adoption": {"trajectory": "fast"},
    "recession": {"timing": "fixed", "start_month": 0, "end_month": 1},
    "plant_closing": {"share": 0.2},
    "exposure": {"values": {"43-0000": 0.9}},
    "remote_work": {"share": 0.5, "months": 2},
}
STILL = {
    "ai_displacement": {"hazard": [{"month": 0, "rate": 0.0}]},
    "recession": {"severity": 0},
    "plant_closing": {"share": 0},
    "remote_work": {"share": 0},
}
COUNTED = ["eligible", "eligible_moves"]
EXPIRING = {"insurance": {"duration": 1}}


def kinds(union):
    return {get_args(part.model_fields["kind"].annotation)[0] for part in get_args(union)}


def policies(population, *, of=ACTING, **keys):
    metros = [str(code) for code in population.metros.cbsa[:3]]
    own = {kind: {"kind": kind, **ACTING[kind], **of[kind], **keys} for kind in of}
    for policy in own.values():
        if "metros" in policy or policy["kind"] in list(ACTING)[5:]:
            policy["metros"] = metros
    return list(own.values())


def shocks(population, of=SHOCKS):
    metro = {"plant_closing": {"metro": str(population.metros.cbsa[1])}}
    return [{"kind": k, **SHOCKS[k], **metro.get(k, {}), **of[k]} for k in of]


@pytest.fixture(scope="module")
def calm(population, behaviour, make):
    return simulate(population, behaviour, make(**EXPIRING), months=3)


def test_the_tables_know_every_kind():
    assert set(ACTING) == set(NOTHING) == kinds(get_args(Policy)[0])
    assert set(SHOCKS) == kinds(get_args(Shock)[0])
    # A trajectory of adoption has no zero, and that of exposures is the population's own.
    assert set(STILL) == set(SHOCKS) - {"ai_adoption", "exposure"}


@pytest.mark.parametrize("zero", ["nothing", "nobody", "no money", "never"])
def test_policies_of_nothing_change_no_bit(population, behaviour, make, calm, zero):
    keys = {"nobody": {"take_up": 0}, "no money": {"budget": 0}, "never": {"start_month": 2}}
    of = NOTHING if zero == "nothing" else ACTING
    scenario = make(*policies(population, of=of, **keys.get(zero, {})), **EXPIRING)
    months = 2 if zero == "never" else 3
    run = simulate(population, behaviour, scenario, months=3)
    for name in ("metros", "national"):
        # Who is eligible is counted, whatever the programme does.
        tables = (getattr(r, name).drop(columns=COUNTED, errors="ignore") for r in (run, calm))
        found, expected = (table[table["month"] < months] for table in tables)
        assert_frame_equal(found, expected, check_exact=True, obj=name)


def test_the_same_policies_act_when_they_are_not_nothing(population, behaviour, make):
    run = simulate(population, behaviour, make(*policies(population), **EXPIRING), months=3)
    paid = run.policies.groupby("policy")["dollars"].sum()
    assert set(paid.index) == set(ACTING)
    assert (paid > 0).all()


def test_shocks_of_nothing_change_no_bit(population, behaviour, make, calm):
    own = population.occupations.set_index("soc")["exposure"].to_dict()
    still = shocks(population, {**STILL, "exposure": {"values": own}})
    run = simulate(population, behaviour, make(shocks=still, **EXPIRING), months=3)
    assert_frame_equal(run.metros, calm.metros, check_exact=True)
    assert_frame_equal(run.flows, calm.flows, check_exact=True)


SWITCHES = (
    "skills",
    "remote",
    "ties",
    "local_moves",
    "housing",
    "local_economy",
    "credit",
    "taxes",
)


@st.composite
def scenarios(draw):
    """Any shocks and policies together, some mechanisms off: (policies, shocks, parameters)."""
    chosen = {}
    for kind in draw(st.lists(st.sampled_from(sorted(ACTING)), unique=True)):
        keys = {
            "take_up": draw(st.sampled_from([0.3, 1.0])),
            "budget": draw(st.sampled_from([None, 0, 50_000])),
            "start_month": draw(st.integers(0, 2)),
            "paid_by": draw(st.sampled_from(["federal", "state", "local"])),
            "eligibility": draw(
                st.sampled_from(
                    [{}, {"status": "displaced"}, {"remote": False}, {"income_ceiling": 50_000}]
                )
            ),
        }
        if kind == "innovation_district":  # which buys positions, and is nobody's to claim
            del keys["eligibility"]
        chosen[kind] = keys
    happens = draw(st.lists(st.sampled_from(sorted(SHOCKS)), unique=True))
    off = draw(st.lists(st.sampled_from(SWITCHES), unique=True))
    start = draw(st.integers(0, 1))
    return chosen, {kind: {"start_month": start} for kind in happens}, off


def runs_with_every_check(population, behaviour, make, drawn):
    chosen, happens, off = drawn
    scenario = make(
        *policies(population, of=chosen),
        shocks=shocks(population, happens),
        **{name: {"active": False} for name in off},
    )
    run = simulate(population, behaviour, scenario, months=3)
    assert run.national["population"].eq(len(population.workers)).all()
    paid = run.policies.groupby("policy")["dollars"].sum()
    for policy in scenario.policies:
        assert policy.budget is None or paid[policy.name] <= policy.budget


FEW = settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@FEW
@given(drawn=scenarios())
def test_any_scenario_keeps_every_law(population, behaviour, make, drawn):
    runs_with_every_check(population, behaviour, make, drawn)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ACTING)
@pytest.mark.parametrize("shock", SHOCKS)
def test_every_shock_goes_with_every_policy(population, behaviour, make, policy, shock):
    runs_with_every_check(population, behaviour, make, ({policy: {}}, {shock: {}}, []))
