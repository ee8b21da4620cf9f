"""Displacement is drawn toward targets from outside, by factors that are reported."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.assumptions.synthesis import INDUSTRIES
from microsim.processes.intensity import displacement_intensity
from microsim.state import Aligned, State
from microsim.world import World

__all__ = ["alignment", "firm_factors", "tallied", "target_paths"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MANUFACTURING = INDUSTRIES.index("manufacturing")


def alignment(state: State, world: World) -> State:
    """Set the month's factors on the intensity of displacement.

    For each target the factor that would meet its linear path at the end of this month is what
    the path still asks for over what is expected without alignment; the factor goes the share
    ``damping`` of the way there in logarithms, within its bounds. [LiODonoghue2014]_ compare ways
    of aligning; a factor on the intensity is multiplicative scaling of the hazard, which keeps
    the order of the workers' risks within a group. Where nothing can be displaced, or a path has
    ended, the factor is 1. Nothing is drawn.
    """
    rules = world.parameters.alignment
    if not rules.active:
        return state
    done = np.array([state.aligned.manufacturing, float(state.aligned.cut.sum())])
    wanted = np.maximum(target_paths(state.month, world) - done, 0.0)
    expected = _expected(state, world)
    previous, most = state.aligned.factors, rules.largest_factor
    meeting = np.clip(wanted / np.where(expected > 0, expected, 1.0), 1 / most, most)
    factors = previous ** (1.0 - rules.damping) * meeting**rules.damping
    factors = np.where((expected > 0) & np.isfinite(wanted), factors, 1.0)
    return replace(state, aligned=replace(state.aligned, factors=factors))


def target_paths(month: int, world: World) -> Floats:
    """Return what both targets ask for by the end of ``month``, (2,); nan where they ask nothing.

    Weighted workers displaced from manufacturing, scaled to the jobs that the population has
    there, and firms that have cut: each linear from 0 before the first month to the target.
    """
    rules, w, firms = world.parameters.alignment, world.population.workers, world.population.firms
    at_work = w.firm >= 0
    makers = at_work & (firms.industry[w.firm] == MANUFACTURING)
    scale = float(w.weight[makers].sum(dtype=np.float64)) / rules.manufacturing_jobs
    goals = (rules.manufacturing_displaced * scale, rules.employers_cutting * len(firms))
    ends = (rules.manufacturing_month, rules.employers_month)
    path = [
        goal * (month + 1) / (end + 1) if goal > 0 and month <= end else np.nan
        for goal, end in zip(goals, ends, strict=True)
    ]
    return np.array(path)


def firm_factors(state: State, world: World) -> Floats:
    """Return what alignment multiplies the intensities in each firm by, (F,)."""
    by_industry = np.where(
        world.population.firms.industry == MANUFACTURING, state.aligned.factors[0], 1.0
    )
    factors: Floats = by_industry * np.where(state.aligned.cut, 1.0, state.aligned.factors[1])
    return factors


def tallied(displaced: Ints, state: State, world: World) -> Aligned:
    """Return the tallies when the workers ``displaced`` (D,) are about to lose their jobs."""
    employer = state.firm[displaced]
    cut = state.aligned.cut.copy()
    cut[employer] = True
    makers = displaced[world.population.firms.industry[employer] == MANUFACTURING]
    weight = float(world.population.workers.weight[makers].sum(dtype=np.float64))
    return replace(state.aligned, cut=cut, manufacturing=state.aligned.manufacturing + weight)


def _expected(state: State, world: World) -> Floats:
    """Return what the month is expected to add to both tallies without alignment, (2,).

    A firm cuts when it displaces anybody, ``1 - exp(-sum of its workers' intensities)``.
    """
    intensity = displacement_intensity(state, world)
    at_work = np.flatnonzero(state.employed)
    employer, own = state.firm[at_work], intensity[at_work]
    weight = world.population.workers.weight[at_work].astype(np.float64)
    makers = world.population.firms.industry[employer] == MANUFACTURING
    by_firm = np.bincount(employer, own, minlength=len(state.stage))
    cutting = -np.expm1(-by_firm[~state.aligned.cut])
    return np.array([-(weight * np.expm1(-own))[makers].sum(), cutting.sum()])
