"""Each mechanism with every other off: which way its parameter turns the months."""

from typing import Any, NamedTuple

import pytest

from microsim import simulate
from microsim.parameters import Parameters


class Row(NamedTuple):
    """A parameter at two values, low and high, and what of the national table must follow."""

    group: str
    name: str
    values: tuple[Any, Any]
    series: str
    sign: int
    others: dict[str, Any] | None = None
    shock: str | None = None


REFILLED = {"demand_speed": 0.5}
# Who has no benefit searches no harder for it.
NO_GAIN = {"reference_replacement": 0.0, "replacement_rate": 0.8, "duration": 12}
TABLE = [
    Row("labour", "separation_rate", (0.005, 0.05), "separations", 1),
    Row("labour", "job_finding_rate", (0.1, 0.6), "hires", 1),
    Row("labour", "reference_tightness", (0.7, 3.0), "hires", -1),
    Row("labour", "initial_vacancy_rate", (0.01, 0.1), "vacancies", 1),
    Row("labour", "position_loss", (0.0, 1.0), "vacancies", -1, shock="ai"),
    Row("labour", "stage_multipliers", ((0.1,) * 4, (3.0,) * 4), "displaced", 1, None, "ai"),
    Row("labour", "minimum_wage", (0.0, 60.0), "wages", 1),
    Row("labour", "lost_for_good", (0.0, 1.0), "vacancies", -1, REFILLED, "plant_closing"),
    Row("macro", "separation_factor", (1.0, 5.0), "separations", 1, None, "recession"),
    Row("macro", "vacancy_factor", (1.0, 0.5), "vacancies", -1, None, "recession"),
    Row("adoption", "pilot_intensity", (0.0, 0.2), "adopting_firms", 1, None, "ai_adoption"),
    Row("moving", "staying_shift", (-1.0, 1.0), "moves", -1),
    Row("moving", "cost_base", (1.0, 20.0), "moves", -1),
    Row("moving", "job_in_hand", (0.0, 1.0), "unemployed", -1),
    Row("money", "saving_rate", (0.02, 0.2), "saved", 1),
    Row("money", "drawdown_rate", (0.2, 0.9), "drawn", 1),
    Row("credit", "interest_rate", (0.05, 0.3), "interest", 1),
    Row("credit", "repayment_rate", (0.01, 0.2), "debt", -1),
    Row("insurance", "replacement_rate", (0.2, 0.8), "benefits", 1, None, "ai"),
    Row("insurance", "search_response", (0.0, 3.0), "hires", -1, NO_GAIN, "ai"),
    Row("taxes", "federal_income_rate", (0.05, 0.4), "federal_taxes", 1),
    Row("taxes", "payroll_rate", (0.0, 0.2), "saved", -1),
    Row("housing", "loss_rate", (0.0, 0.5), "mean_price_index", 1),
    Row("housing", "lease_turnover", (0.0, 1.0), "mean_rent_index", 1, {"loss_rate": 0.5}),
    Row("local_economy", "wage_trend", (0.0, 0.1), "mean_wage_index", 1),
    Row("skills", "transfer_scale", (0.0, 1.0), "switches", 1),
    Row("retraining", "attention_unemployed", (0.05, 1.0), "retraining", 1, {"constant": 0.0}),
    Row("retraining", "tuition", (0.0, 40_000.0), "retraining", -1, {"constant": 0.0}),
    Row("local_moves", "renter_rate", (0.05, 0.5), "local_moves", 1),
]
# Groups whose effects the national table does not show; where they are tested instead.
ELSEWHERE = {
    "alignment": "test_alignment",
    "remote": "test_local_life",
    "ties": "test_local_life",
    "demography": "test_engine",
}
SHOCKS = {
    "ai": {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.2}]},
    "ai_adoption": {"kind": "ai_adoption"},
    "recession": {"kind": "recession", "timing": "fixed", "start_month": 0, "end_month": 9},
    "plant_closing": {"kind": "plant_closing", "share": 0.5},
}


def test_every_group_of_parameters_is_in_the_table():
    assert set(Parameters.model_fields) == {row.group for row in TABLE} | set(ELSEWHERE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.group}.{row.name}")
def test_the_sign_of_a_mechanism_alone(row, population, behaviour, make):
    metro = {"plant_closing": {"metro": str(population.metros.cbsa[0])}}
    shock = [{**SHOCKS[row.shock], **metro.get(row.shock, {})}] if row.shock else []

    def total(value):
        own = {**(row.others or {}), row.name: value}
        if "active" in type(getattr(Parameters(), row.group)).model_fields:
            own["active"] = True
        groups = {row.group: own}
        scenario = make(shocks=shock, quiet=True, **groups)
        run = simulate(population, behaviour, scenario, months=3)
        return run.national[row.series].sum()

    low, high = (total(value) for value in row.values)
    assert row.sign * (high - low) > 0
