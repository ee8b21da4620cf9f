"""The demonstration's first half: a year of moves is observed, and models of it estimated."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from choicemodels import ChoiceData, FlowData, Gravity, MultinomialLogit, NestedLogit
from estimation import ChoiceResult, GravityResult, fit
from microsim.mobility.moves import MoveTruth, choice_table, flow_table, sample_cases, year_of_moves
from microsim.people.population import Population

__all__ = ["Estimates", "Settings", "Step", "estimate"]

Advance = Callable[[int, int], None]
Step = Callable[[str], Advance]

_MOBILITY = (
    "log(distance) + moving_cost + log(population) + log(wage) + log(home_value)"
    " + same_division | 0"
)
_STAY = "1 + age + homeowner + unemployed + college"


@dataclass(frozen=True)
class Settings:
    """Size of the demonstration.

    Attributes
    ----------
    workers, firms, metros, months, seed, replicates : int
    cases : int
        Workers whose choices the mobility model is estimated on, at most.
    out : Path
    """

    workers: int = 60_000
    firms: int = 6_000
    metros: int = 384
    months: int = 84
    seed: int = 1
    replicates: int = 3
    cases: int = 6_000
    out: Path = Path("runs/demo")


@dataclass(frozen=True)
class Estimates:
    """What the demonstration estimated.

    Attributes
    ----------
    mobility : ChoiceResult
        The nested logit that the simulation runs on.
    flat : ChoiceResult
        The same utilities without the nest.
    gravity : GravityResult
        With effects of origin and destination.
    gravity_plain : GravityResult
        With the sizes of origin and destination instead.
    truth : Series
        The parameters that the moves were drawn with.
    flows : DataFrame
        Moves of all pairs of metros.
    """

    mobility: ChoiceResult
    flat: ChoiceResult
    gravity: GravityResult
    gravity_plain: GravityResult
    truth: "pd.Series[float]"
    flows: pd.DataFrame


def estimate(population: Population, settings: Settings, step: Step) -> Estimates:
    """Draw a year of moves, and estimate who moves where and how many go.

    Parameters
    ----------
    population
    settings
    step
        As of `microsim.demo.run_demo`.
    """
    step("Observe a year of moves")
    metros = tuple(population.metros.cbsa)
    truth = MoveTruth(metros)
    moves = year_of_moves(population, truth, seed=settings.seed)
    flows = flow_table(population, moves)
    advance = step("Estimate the nested logit of staying and moving")
    sample = sample_cases(moves, settings.cases, seed=settings.seed)
    data = ChoiceData.from_long(
        choice_table(population, sample, moves),
        case="worker",
        alternative="alternative",
        chosen="chosen",
        weights="weight",
        alternatives=["stay", *metros],
    )
    flat = fit(MultinomialLogit(_MOBILITY, specific={"stay": _STAY}), data)
    model = NestedLogit(_MOBILITY, nests={"move": metros}, specific={"stay": _STAY})
    mobility = fit(
        model,
        data,
        start=pd.concat([flat.params, pd.Series({"lambda:move": 1.0})]),
        progress=lambda number, _: advance(number, number + 1),
    )
    step("Estimate the gravity model by PPML")
    od = FlowData(flows, origin="origin", destination="destination", flow="migrants")
    ways = {"cov": "cluster", "groups": ["origin", "destination"]}
    pair = "log(distance) + same_division"
    sizes = " + ".join(
        f"log({end}_{name})"
        for name in ("population", "wage", "home_value")
        for end in ("origin", "destination")
    )
    return Estimates(
        mobility=mobility,
        flat=flat,
        gravity=fit(Gravity(f"{pair} | origin + destination"), od, **ways),
        gravity_plain=fit(Gravity(f"{pair} + {sizes}"), od, **ways),
        truth=truth.params,
        flows=flows,
    )
