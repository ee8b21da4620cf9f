"""Firms take AI up, and their neighbours follow."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["adopter_shares", "adoption", "adoption_hazards"]

Floats = NDArray[np.float64]


def adoption(state: State, world: World) -> State:
    """Move firms from none to pilot, scaling and mature, at most one stage a month.

    The chance is that of `adoption_hazards`. Without a shock of adoption that has begun, every
    firm stays at its stage.

    Stream: "adoption", keyed by firm.
    """
    pace = _pace(state.month, world)
    if pace == 0.0:
        return state
    u = world.streams.uniform("adoption", world.population.firms.id, state.month)
    forward = (u < adoption_hazards(pace, state, world)) & ~state.closed
    return replace(state, stage=(state.stage + forward).astype(np.int8))


def adoption_hazards(pace: float, state: State, world: World) -> Floats:
    """Return each firm's chance of the next stage in a month, (F,).

    ``1 - exp(-pace * large * intensity * (1 + a * A_industry + b * A_region))``: the intensity of
    the step out of the firm's stage, ``large_factor`` for large firms, and the shares of adopters
    in the firm's industry and around its metro, with the contagion of each. The term in the shares
    is the imitation of [Bass1969]_, split into who is near in kind and who is near in space.

    Parameters
    ----------
    pace
        Factor of the trajectory on all intensities.
    state, world
    """
    assumed, firms = world.parameters.adoption, world.population.firms
    steps = (assumed.pilot_intensity, assumed.scaling_intensity, assumed.mature_intensity, 0.0)
    from_size = world.population.parameters.large_firm
    large = np.where(state.headcount >= from_size, assumed.large_factor, 1.0)
    by_industry, by_region = adopter_shares(state, world)
    imitation = (
        assumed.industry_contagion * by_industry[firms.industry]
        + assumed.regional_contagion * by_region[firms.metro]
    )
    intensity = pace * large * np.array(steps)[state.stage] * (1.0 + imitation)
    hazard: Floats = -np.expm1(-intensity)
    return hazard


def adopter_shares(state: State, world: World) -> tuple[Floats, Floats]:
    """Return the share of firms beyond stage none, by industry (I,) and around each metro (M,).

    Closed firms do not count. Around a metro, firms count with weight
    ``exp(-distance / regional_scale)``, its own with 1.
    """
    firms = world.population.firms
    open_ = ~state.closed
    begun = (state.stage > 0) & open_
    near = np.exp(-world.places.pair["distance"] / world.parameters.adoption.regional_scale)
    # The diagonal of the pairs' distances is that of staying, not zero.
    np.fill_diagonal(near, 1.0)

    industries = int(firms.industry.max(initial=0)) + 1
    shares = []
    for group, size, weight in (
        (firms.industry, industries, np.eye(industries)),
        (firms.metro, world.metros, near),
    ):
        adopters = weight @ np.bincount(group[begun], minlength=size)
        everybody = weight @ np.bincount(group[open_], minlength=size)
        # Groups without a firm have no adopter either.
        shares.append(adopters / np.maximum(everybody, np.finfo(float).tiny))
    return shares[0], shares[1]


def _pace(month: int, world: World) -> float:
    """Return the trajectories' factors, those of the shocks that have begun added up."""
    assumed = world.parameters.adoption
    factors = {"slow": assumed.slow_factor, "base": 1.0, "fast": assumed.fast_factor}
    return sum(factors[shock.trajectory] for shock in world.adoptions if shock.start_month <= month)
