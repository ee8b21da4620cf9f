"""Plants close, and their workers lose their jobs."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.people.population import Population
from microsim.processes.displacement import take_jobs
from microsim.scenario import Scenario
from microsim.shocks import PlantClosing
from microsim.state import State
from microsim.world import World

__all__ = ["check_closings", "closing", "firms_that_close", "lost_jobs"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def closing(state: State, world: World) -> State:
    """Close the firms that the scenario's plant closings name, in their month.

    Their workers count as displaced. All their positions, filled or open, are gone: a closed firm
    hires and adopts nothing any more, and of its positions the metro's other employers do not
    replace the share ``lost_for_good`` (see `lost_jobs`). Nothing is drawn.
    """
    due = [
        shock
        for shock in world.scenario.shocks_of(PlantClosing)
        if shock.start_month == state.month
    ]
    if not due:
        return state
    closed = state.closed.copy()
    for shock in due:
        closed[firms_that_close(shock, replace(state, closed=closed), world)] = True
    gone = np.where(closed, state.positions, 0)
    lost = np.flatnonzero(state.employed & closed[state.firm])
    everyone = np.ones(len(lost), dtype=np.bool_)
    state = take_jobs(lost, everyone, everyone, state, world)
    state = replace(state, closed=closed, positions=np.where(closed, 0, state.positions))
    return _without(gone, state, world)


def lost_jobs(state: State, world: World) -> Floats:
    """Return the positions of closed firms that their metros still lack, (M,).

    Those lost, less ``jobs_per_worker`` for each worker by whom the metro has shrunk since: a place
    recovers from lost jobs by those who leave ([BlanchardKatz1992]_).
    """
    stock = np.bincount(state.workplace(world), minlength=world.metros)
    shrunk = np.maximum(state.closing_stock - stock, 0)
    still: Floats = np.maximum(state.lost_positions - world.jobs_per_worker * shrunk, 0.0)
    return still


def _without(gone: Ints, state: State, world: World) -> State:
    """Add what is lost for good of the positions ``gone``, (F,), where firms have just closed."""
    by_metro = np.bincount(world.population.firms.metro, gone, minlength=world.metros)
    share = world.parameters.labour.lost_for_good
    stock = np.bincount(state.workplace(world), minlength=world.metros)
    total = np.rint(lost_jobs(state, world) + share * by_metro).astype(np.int64)
    return replace(
        state,
        lost_positions=np.where(by_metro > 0, total, state.lost_positions),
        closing_stock=np.where(by_metro > 0, stock, state.closing_stock),
    )


def firms_that_close(shock: PlantClosing, state: State, world: World) -> Ints:
    """Return the rows of the firms that ``shock`` closes as things stand.

    From the largest down, of equals the first row: the first one, or as many as together employ
    ``share`` of the metro at most.
    """
    firms = world.population.firms
    may = (firms.metro == world.utility.cbsa.index(shock.metro)) & ~state.closed
    if shock.industry is not None:
        may &= firms.industry == INDUSTRIES.index(shock.industry)
    here: Ints = np.flatnonzero(may)
    if shock.industry is not None:
        return here
    here = here[np.argsort(-state.headcount[here], kind="stable")]
    if shock.share is None:
        return here[:1]
    staff = state.headcount[here]
    # Half a worker's slack: a share that was meant to be exact is not lost to rounding.
    left = shock.share * staff.sum() + 0.5 * (shock.share > 0)
    chosen = np.zeros(len(here), dtype=np.bool_)
    for i, size in enumerate(staff):
        if 0 < size <= left:
            chosen[i] = True
            left -= size
    return here[chosen]


def check_closings(scenario: Scenario, population: Population) -> None:
    """Refuse the closing of firms that there are not.

    Raises
    ------
    SpecificationError
        If the metro of a plant closing has no firm, or none of the industry.
    """
    firms, cbsa = population.firms, list(population.metros.cbsa)
    for shock in scenario.shocks_of(PlantClosing):
        kind = firms.industry[firms.metro == cbsa.index(shock.metro)]
        if shock.industry is not None:
            kind = kind[kind == INDUSTRIES.index(shock.industry)]
        if not kind.size:
            what = f"firm in the industry '{shock.industry}'" if shock.industry else "firm"
            raise SpecificationError(
                f"the scenario '{scenario.name}' has a plant closing in the metro {shock.metro}, "
                f"which has no {what}; name another metro or industry, or synthesize more firms."
            )
