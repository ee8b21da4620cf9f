"""What occupations ask for and how workers change them: numbers, each with its source."""

from microsim.assumptions.fields import Group, parameter

__all__ = ["RetrainingParameters", "SkillParameters"]


class SkillParameters(Group):
    """How far skills carry from one occupation to another."""

    active: bool = parameter(
        True,
        "yes or no",
        "assumption",
        "Whether jobs are for occupations; without it a metro is one labour market, and nobody "
        "changes occupation.",
    )
    transfer_scale: float = parameter(
        0.35,
        "standard deviations",
        "assumption: with `climb`, near the 44 % of spells of unemployment that end in another "
        "major occupation group [CarrilloTudelaVisschers2023]",
        "Skill distance at which transferability has fallen to 37 %; at 0 nobody changes "
        "occupation.",
        ge=0,
    )
    climb: float = parameter(
        1.0,
        "per log point of the median wage",
        "assumption: pay measures what an occupation asks for",
        "How transferability falls with what the other occupation pays more.",
        ge=0,
    )
    distance_wage_loss: float = parameter(
        0.05,
        "log points per standard deviation",
        "assumption: losses grow with the distance of the tasks [GathmannSchoenberg2010]",
        "Wage lost with the skills that a job in another occupation does not use.",
        ge=0,
    )


class RetrainingParameters(Group):
    """Who learns another occupation, what it takes, and what becomes of it."""

    active: bool = parameter(
        True, "yes or no", "assumption", "Whether anybody retrains for another occupation."
    )
    months: int = parameter(
        12,
        "months",
        "assumption: an academic year of courses, as in [JacobsonLaLondeSullivan2005]",
        "Length of a course.",
        ge=1,
        le=120,
    )
    tuition: float = parameter(
        4_000.0,
        "dollars a course",
        "assumption: near a year's tuition and fees at public two-year colleges, 2023",
        "Paid when the course begins.",
        ge=0,
    )
    completion: float = parameter(
        0.6, "probability", "assumption", "Chance that a course ends in the new occupation.",
        ge=0, le=1,
    )  # fmt: skip
    study_effort: float = parameter(
        0.3,
        "factor",
        "assumption: courses lock participants in while they last [CardKluveWeber2018]",
        "On the effort of search during a course.",
        ge=0,
        le=1,
    )
    attention_unemployed: float = parameter(
        0.25,
        "probability per month",
        "assumption",
        "Chance that an unemployed worker considers to retrain.",
        ge=0,
        le=1,
    )
    attention_employed: float = parameter(
        0.02,
        "probability per month",
        "assumption",
        "Chance that an employed worker considers it, while their job is at risk of displacement.",
        ge=0,
        le=1,
    )
    constant: float = parameter(
        -3.0,
        "utility",
        "assumption: about 1 in 150 of the unemployed begin in a month",
        "Of retraining, against leaving it.",
    )
    value_of_money: float = parameter(
        0.05,
        "utility per thousand dollars",
        "assumption",
        "Weight of what retraining is worth in money.",
        ge=0,
    )
    horizon: float = parameter(
        10.0, "years", "assumption", "How far ahead workers reckon, at most.", gt=0
    )
    retirement_age: float = parameter(
        65.0,
        "years",
        "assumption: older workers have fewer years to gain [JacobsonLaLondeSullivan2005]",
        "Until when they reckon to work.",
        ge=0,
    )
    discount: float = parameter(
        0.05, "per year", "assumption", "Rate at which later gains are discounted.", gt=0
    )
    entry_wage_loss: float = parameter(
        0.10,
        "share of the wage",
        "assumption",
        "How far those who retrained stay below the wage of their rank in the new occupation.",
        ge=0,
        lt=1,
    )
