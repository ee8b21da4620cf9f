"""What people would do: synthesis, scenarios, the monthly engine and what a policy changes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microsim.engine import simulate
    from microsim.mobility.behaviour import Behaviour
    from microsim.mobility.moves import MoveTruth, choice_table, flow_table, year_of_moves
    from microsim.people.exposure import load_exposure
    from microsim.people.population import Population, load_population
    from microsim.people.synthesis import synthesize
    from microsim.results.comparison import Contrast, contrast
    from microsim.results.run import Run, load_run
    from microsim.scenario import Scenario

__all__ = [
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
]

_HOMES = {
    "Behaviour": "mobility.behaviour",
    "Contrast": "results.comparison",
    "MoveTruth": "mobility.moves",
    "Population": "people.population",
    "Run": "results.run",
    "Scenario": "scenario",
    "choice_table": "mobility.moves",
    "contrast": "results.comparison",
    "flow_table": "mobility.moves",
    "load_exposure": "people.exposure",
    "load_population": "people.population",
    "load_run": "results.run",
    "simulate": "engine",
    "synthesize": "people.synthesis",
    "year_of_moves": "mobility.moves",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: numba and pandas take their time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'microsim' has no attribute '{name}'")
    value = getattr(import_module(f"microsim.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
