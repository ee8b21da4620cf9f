"""Every number that the months assume: its name, unit, default, bounds and source.

A scenario may override any of them under its key ``parameters``; `parameter_table` shows them all,
those of the synthesis (`microsim.assumptions.synthesis`) among them. A source of "assumption" means
that nobody measured it: vary it before you believe a result.
"""

import pandas as pd
from pydantic import BaseModel

from microsim.assumptions.adoption import AdoptionParameters
from microsim.assumptions.alignment import AlignmentParameters
from microsim.assumptions.credit import CreditParameters
from microsim.assumptions.fields import FourFactors, Group, parameter
from microsim.assumptions.governments import InsuranceParameters, TaxParameters
from microsim.assumptions.mobility import LocalMoveParameters, RemoteParameters, TieParameters
from microsim.assumptions.places import HousingParameters, LocalEconomyParameters
from microsim.assumptions.skills import RetrainingParameters, SkillParameters
from microsim.assumptions.synthesis import SynthesisParameters

__all__ = [
    "DemographyParameters",
    "LabourParameters",
    "MacroParameters",
    "MoneyParameters",
    "MovingParameters",
    "Parameters",
    "parameter_table",
]


class LabourParameters(Group):
    """Jobs lost, posted and found."""

    separation_rate: float = parameter(
        0.0101,
        "share of the employed per month",
        "assumption: calibrated to layoffs and discharges of 1.0 % [BLSJOLTS2024], as "
        "docs/calibration.md shows",
        "Ordinary loss of a job, which stays open.",
        ge=0,
        le=1,
    )
    job_finding_rate: float = parameter(
        0.365,
        "share of the unemployed per month",
        "assumption: calibrated to an unemployment rate of 3.7 % [BLSSituation2024], as "
        "docs/calibration.md shows; some 29 % then find a job in a month",
        "Chance of finding a job where tightness equals its reference.",
        ge=0,
        le=1,
    )
    reference_tightness: float = parameter(
        1.45,
        "vacancies per unemployed worker",
        "[BLSJOLTS2024]: 8.86 million openings, over 6.1 million unemployed [BLSSituation2024]",
        "Tightness at which the job-finding rate holds.",
        gt=0,
    )
    matching_elasticity: float = parameter(
        0.5,
        "elasticity",
        "[PetrongoloPissarides2001]: surveys find 0.3 to 0.5",
        "Response of job finding, and of job changes, to how many positions are open.",
        ge=0,
        le=1,
    )
    job_change_rate: float = parameter(
        0.022,
        "share of the employed per month",
        "assumption: calibrated to quits of 2.1 % [BLSJOLTS2024], movers' among them, as "
        "docs/calibration.md shows",
        "Chance of finding another job in the metro where openings per job equal their reference.",
        ge=0,
        le=1,
    )
    reference_openings: float = parameter(
        0.056,
        "openings per employed worker",
        "[BLSJOLTS2024]: 5.3 % of positions open, January 2024",
        "Openings at which the job-change rate holds.",
        gt=0,
    )
    job_change_gain: float = parameter(
        0.01,
        "share of the wage",
        "assumption: small, as nobody's career ends; young men gain 10 % [TopelWard1992]",
        "What a worker who goes from job to job earns more.",
        ge=0,
    )
    initial_vacancy_rate: float = parameter(
        0.053,
        "share of positions",
        "[BLSJOLTS2024]: job-openings rate, January 2024",
        "Positions open at the start.",
        ge=0,
        lt=1,
    )
    demand_speed: float = parameter(
        0.03,
        "share of the gap per month",
        "assumption",
        "How fast a metro's positions follow its workers.",
        ge=0,
        le=1,
    )
    position_loss: float = parameter(
        0.5,
        "probability",
        "assumption",
        "Chance that the position of a displaced worker is closed with them.",
        ge=0,
        le=1,
    )
    lost_for_good: float = parameter(
        1.0,
        "share of the positions",
        "assumption: employment that a place has lost does not come back [BlanchardKatz1992]",
        "Positions of a plant that closes which the metro's other employers do not replace.",
        ge=0,
        le=1,
    )
    stage_multipliers: FourFactors = parameter(
        (0.5, 1.0, 2.0, 3.0),
        "factor on the displacement hazard",
        "assumption",
        "By the employer's stage of adoption: none, pilot, scaling, mature.",
    )
    minimum_wage: float | None = parameter(
        None,
        "dollars per hour",
        "data/labour_laws.csv: the states' law, January 2024",
        "Least that a new job pays; without a number, what the metro's state says; 0 for none.",
        ge=0,
        le=1_000,
    )
    full_time_hours: float = parameter(
        2_080.0,
        "hours per year",
        "the hours of which [BLSOEWS2026] makes annual wages",
        "Hours of a year's wage.",
        gt=0,
        le=8_760,
    )
    displacement_wage_loss: float = parameter(
        0.10,
        "share of the wage",
        "assumption: at the low end of the literature [JacobsonLaLondeSullivan1993]",
        "Wage lost in the next job by a worker who was displaced.",
        ge=0,
        lt=1,
    )


class MacroParameters(Group):
    """What a recession is; it takes a shock of that kind to bring one."""

    recession_probability: float = parameter(
        0.40,
        "probability per year",
        "assumption: as commissioned, for 2025",
        "That a recession starts within twelve months at risk.",
        ge=0,
        lt=1,
    )
    recession_months: float = parameter(
        10.3,
        "months",
        "[NBER2023]: mean contraction, 1945-2020",
        "Mean duration of a recession that is drawn.",
        ge=1,
    )
    separation_factor: float = parameter(
        1.35,
        "factor",
        "assumption: near the rise of JOLTS layoffs, 2008-2009",
        "On the ordinary separation rate in a recession.",
        gt=0,
    )
    vacancy_factor: float = parameter(
        0.90,
        "factor per month",
        "assumption: halves open positions within a year, near JOLTS, 2008-2009",
        "On the open positions that firms keep in a month of recession.",
        gt=0,
        le=1,
    )
    displacement_factor: float = parameter(
        1.5,
        "factor",
        "assumption: automation clusters in recessions [JaimovichSiu2020]",
        "On the intensity of displacement in a recession.",
        gt=0,
    )


class MovingParameters(Group):
    """What a change of metro costs and brings.

    The costs enter the variable ``moving_cost``: estimate the mobility model with the same ones.
    """

    cost_base: float = parameter(
        5.0,
        "thousand dollars",
        "assumption: of $5,000 to $25,000",
        "Cost of the nearest move.",
        ge=0,
    )
    cost_distance: float = parameter(
        6.0,
        "thousand dollars",
        "assumption: reaches $25,000 for an owner's family",
        "What distance adds at most, before the household's factor.",
        ge=0,
    )
    cost_distance_scale: float = parameter(
        1200.0, "km", "assumption", "Distance that adds 63 % of what distance can add.", gt=0
    )
    household_factors: FourFactors = parameter(
        (1.0, 1.3, 1.55, 1.8),
        "factor on the cost",
        "assumption",
        "By the size of the household: 1, 2, 3, 4 or more.",
    )
    owner_factor: float = parameter(
        1.25, "factor on the cost", "assumption", "What owning a home multiplies the cost by.", ge=0
    )
    staying_shift: float = parameter(
        0.0,
        "utility",
        "assumption: the model as fitted; `nestflow calibrate` finds another [Train2009]",
        "Added to the constant of staying: odds of moving in a year are multiplied by exp(-shift).",
    )
    cluster_smoothing: float = parameter(
        50.0,
        "workers",
        "assumption",
        "Of the nation's occupations, added to every metro before location quotients are taken.",
        gt=0,
    )
    job_in_hand: float = parameter(
        0.6,
        "probability",
        "assumption: near the CPS share of long moves made for a job",
        "Chance that an employed mover has arranged a job at the destination, if one is open.",
        ge=0,
        le=1,
    )


class MoneyParameters(Group):
    """Households' accounts."""

    saving_rate: float = parameter(
        0.068,
        "share of take-home pay",
        "assumption: calibrated to households' net saving of 3.7 % [BEASaving2024], as "
        "docs/calibration.md shows; what the unemployed draw, moves and interest come off it",
        "What the employed put by of the wage that taxes leave.",
        ge=0,
        le=1,
    )
    drawdown_rate: float = parameter(
        0.60,
        "share of the last wage",
        "assumption: spending before, after taxes, less its fall at job loss [GanongNoel2019]",
        "What the unemployed live on: benefits first, then savings, then credit.",
        ge=0,
        le=1,
    )


class DemographyParameters(Group):
    """How the workers change."""

    ageing: bool = parameter(
        False,
        "yes or no",
        "assumption: who retires is replaced by an entrant, so that the ages stay as they are",
        "Whether workers grow a year older every January.",
    )


class Parameters(Group):
    """What a scenario may override."""

    labour: LabourParameters = LabourParameters()
    skills: SkillParameters = SkillParameters()
    retraining: RetrainingParameters = RetrainingParameters()
    macro: MacroParameters = MacroParameters()
    adoption: AdoptionParameters = AdoptionParameters()
    alignment: AlignmentParameters = AlignmentParameters()
    moving: MovingParameters = MovingParameters()
    remote: RemoteParameters = RemoteParameters()
    ties: TieParameters = TieParameters()
    local_moves: LocalMoveParameters = LocalMoveParameters()
    housing: HousingParameters = HousingParameters()
    local_economy: LocalEconomyParameters = LocalEconomyParameters()
    money: MoneyParameters = MoneyParameters()
    credit: CreditParameters = CreditParameters()
    insurance: InsuranceParameters = InsuranceParameters()
    taxes: TaxParameters = TaxParameters()
    demography: DemographyParameters = DemographyParameters()


def parameter_table(*groups: BaseModel) -> pd.DataFrame:
    """Return every parameter as one row.

    Parameters
    ----------
    groups
        `Parameters` or `SynthesisParameters`; both, at their defaults, if none is given.

    Returns
    -------
    DataFrame
        Columns parameter (its key path in a scenario file), value, default, unit, source and
        description.
    """
    rows: list[dict[str, object]] = []
    for group in groups or (Parameters(), SynthesisParameters()):
        _collect(group, "", rows)
    return pd.DataFrame(rows)


def _collect(group: BaseModel, path: str, rows: list[dict[str, object]]) -> None:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            _collect(value, f"{path}{name}.", rows)
            continue
        extra = field.json_schema_extra
        notes = extra if isinstance(extra, dict) else {}
        rows.append(
            {
                "parameter": f"{path}{name}",
                "value": value,
                "default": field.default,
                "unit": notes.get("unit"),
                "source": notes.get("source"),
                "description": field.description,
            }
        )
