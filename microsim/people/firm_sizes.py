"""Make the firms: heavy-tailed sizes that employ exactly the employed, by industry and stage."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import apportion
from choicemodels.keyed_random import Streams
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.people.agents import Firms
from microsim.people.firms import make_traits, wage_structure
from microsim.people.first_adopters import first_stages

__all__ = ["make_firms"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def make_firms(
    firms: int,
    metro: Ints,
    occupation: Ints,
    wage: Floats,
    employed: NDArray[np.bool_],
    industries: Floats,
    ai_use: Floats,
    streams: Streams,
    assumed: SynthesisParameters,
) -> tuple[Firms, Ints, Ints]:
    """Make firms and give every employed worker one in their metro.

    Parameters
    ----------
    firms
        How many; fewer are made where a metro has fewer employed workers than its share of firms.
    metro, occupation, wage, employed : (N,)
        Of the workers, sorted by metro.
    industries : (O, I)
        Shares of the industries by occupation.
    ai_use : (M,)
        Log odds that a firm uses AI, as of `first_adopters.log_odds_by_metro`.
    streams, assumed
        Draws and assumptions.

    Returns
    -------
    Firms
        Sorted by metro; sizes add up to the employed of each metro.
    employer, industry : (N,) int64
        Row of the firm, -1 for the unemployed; its industry, or the last employer's.

    Notes
    -----
    Sizes are Pareto draws scaled to the metro's total ([Axtell2001]_). The employed of a metro are
    lined up by the industry they draw given their occupation, firms are laid along the line, and a
    firm's industry is that of the worker at its middle: joint, with nobody left over.
    """
    metros = int(metro.max()) + 1
    staff = np.bincount(metro, employed, minlength=metros).astype(np.int64)
    count = np.minimum(apportion(staff.astype(float), firms, least=1), staff)
    home = np.repeat(np.arange(metros), count)
    ids = np.arange(len(home), dtype=np.int64)
    size = _sizes(ids, home, staff, streams, assumed)

    workers = np.arange(len(metro), dtype=np.int64)
    desired = _desired_industry(workers, occupation, industries, streams)
    place = np.where(employed, metro, metros)  # the unemployed go behind the last metro
    tie = streams.uniform("synthesis: employer", workers)
    line = np.lexsort((tie, desired, place))[: int(staff.sum())]
    employer = np.full(len(metro), -1, dtype=np.int64)
    employer[line] = np.repeat(ids, size)
    middle = np.cumsum(size) - size + size // 2
    industry = np.where(size > 0, desired[line[np.minimum(middle, len(line) - 1)]], 0)
    stage = first_stages(size, industry, home, ai_use, streams, assumed)
    large = size >= assumed.large_firm
    made = Firms(
        id=ids,
        metro=home.astype(np.int16),
        size=size.astype(np.int32),
        industry=industry.astype(np.int8),
        stage=stage.astype(np.int8),
        **make_traits(size, industry, stage, large, metros, streams, assumed.firm),
        **wage_structure(employer, wage, len(ids)),
    )
    return made, employer, np.where(employer >= 0, industry[employer], desired)


def _sizes(
    ids: Ints, home: Ints, staff: Ints, streams: Streams, assumed: SynthesisParameters
) -> Ints:
    """Return sizes of at least 1, adding up to ``staff`` in every metro."""
    weight = streams.uniform("synthesis: firm size", ids) ** (-1.0 / assumed.firm_tail) - 1.0
    ends = np.searchsorted(home, np.arange(len(staff)), side="right")
    starts = np.searchsorted(home, np.arange(len(staff)), side="left")
    size = np.zeros(len(ids), dtype=np.int64)
    for total, start, end in zip(staff, starts, ends, strict=True):
        if end > start:
            # One apiece, and nobody larger than a tenth of a metro that has many firms.
            w = np.minimum(weight[start:end], max(weight[start:end].sum() / 10, 1e-9))
            size[start:end] = 1 + apportion(w, int(total) - len(w))
    return size


def _desired_industry(
    workers: Ints,
    occupation: Ints,
    industries: Floats,
    streams: Streams,
) -> Ints:
    edges = np.cumsum(industries, axis=1)[:, :-1]
    u = streams.uniform("synthesis: industry", workers)
    return np.asarray((u[:, None] > edges[occupation]).sum(axis=1), dtype=np.int64)
