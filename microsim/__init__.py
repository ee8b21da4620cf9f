"""What people would do: synthesis, scenarios, the monthly engine and what a policy changes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microsim.behaviour import Behaviour
    from microsim.comparison import Contrast, contrast
    from microsim.engine import simulate
    from microsim.exposure import load_exposure
    from microsim.moves import MoveTruth, choice_table, flow_table, year_of_moves
    from microsim.population import Population, load_population
    from microsim.run import Run, load_run
    from microsim.scenario import Scenario
    from microsim.synthesis import synthesize

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
    "Behaviour": "behaviour",
    "Contrast": "comparison",
    "MoveTruth": "moves",
    "Population": "population",
    "Run": "run",
    "Scenario": "scenario",
    "choice_table": "moves",
    "contrast": "comparison",
    "flow_table": "moves",
    "load_exposure": "exposure",
    "load_population": "population",
    "load_run": "run",
    "simulate": "engine",
    "synthesize": "synthesis",
    "year_of_moves": "moves",
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
