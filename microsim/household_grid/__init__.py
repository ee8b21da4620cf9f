"""The household grid model: remote work and suburban flight on a periodic grid of cities.

Specify it by `GridParameters`, run it once by `simulate_grid` or for many seeds by `grid_ensemble`,
and ask by `claims_ensemble` what holds of what was published.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microsim.household_grid.animation import animate_grid
    from microsim.household_grid.claims import verdicts
    from microsim.household_grid.ensemble import (
        GridEnsemble,
        claims_ensemble,
        grid_ensemble,
        load_grid_ensemble,
    )
    from microsim.household_grid.experiments import open_questions
    from microsim.household_grid.outcomes import grid_outcomes, grid_segregation
    from microsim.household_grid.parameters import GridParameters
    from microsim.household_grid.run import GridRun, load_grid_run, simulate_grid

__all__ = [
    "GridEnsemble",
    "GridParameters",
    "GridRun",
    "animate_grid",
    "claims_ensemble",
    "grid_ensemble",
    "grid_outcomes",
    "grid_segregation",
    "load_grid_ensemble",
    "load_grid_run",
    "open_questions",
    "simulate_grid",
    "verdicts",
]

_HOMES = {
    "GridEnsemble": "ensemble",
    "GridParameters": "parameters",
    "GridRun": "run",
    "animate_grid": "animation",
    "claims_ensemble": "ensemble",
    "grid_ensemble": "ensemble",
    "grid_outcomes": "outcomes",
    "grid_segregation": "outcomes",
    "load_grid_ensemble": "ensemble",
    "load_grid_run": "run",
    "open_questions": "experiments",
    "simulate_grid": "run",
    "verdicts": "claims",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, as `microsim` does."""
    if name not in _HOMES:
        raise AttributeError(f"module 'microsim.household_grid' has no attribute '{name}'")
    value = getattr(import_module(f"microsim.household_grid.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
