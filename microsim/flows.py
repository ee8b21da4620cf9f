"""What happened in a month, counted."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from microsim.assumptions.governments import LEVELS

__all__ = ["Flows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Flows:
    """What happened in a month.

    Attributes
    ----------
    separations, displaced, quits, hires, departures, arrivals, eligible, eligible_moves, grants, \
    switches, job_changes, retraining, retrained, dropouts \
    : ndarray (M,) int64
        Counts by metro. ``switches`` are hires in another occupation, ``retraining`` courses begun,
        which end as ``retrained`` or ``dropouts``. ``quits`` are the jobs that movers leave
        and those left for another in the metro, the ``job_changes``, which are hires as well;
        ``eligible`` (for a grant) are counted where they live, ``eligible_moves`` and ``grants`` at
        the origin of the move.
    permits, completions, lost_dwellings : ndarray (M,) int64
        Dwellings permitted, completed and lost.
    payments : ndarray (G,) int64
        How many payments each policy made.
    outlays : ndarray (G, M) int64
        Cents that each policy paid, by metro; to movers, by the metro they left, or came to if the
        policy names its destinations.
    inframarginal : ndarray (G,) int64
        How many of ``payments`` went to households that would have done the same without.
    constrained : ndarray (M,) int64
        Workers who would have moved, but could not pay for it, by metro.
    services : ndarray (G, M) int64
        The part of ``outlays`` that bought a service and went into no household's savings.
    benefit_cents : ndarray (M,) int64
        Unemployment insurance, its extensions left out.
    tax_cents : ndarray (L, M) int64
        Taxes by level of government and metro.
    wages, take_home : int
        Cents earned in the month, before and after taxes.
    saved, drawn, moving_cost, credit : int
        Cents put by, taken out for living and debts, paid to movers from savings and grants, and
        the part of moving costs that neither covered.
    borrowed, interest, repaid : int
        Cents lent for living, charged on debts, and paid by the debtors.
    tuition : int
        Cents that households paid for courses.
    carried : ndarray (M,) int64
        Remote workers who came with their job, less those who left with it.
    local_moves : ndarray (3,) int64
        Moves within metros, by `microsim.mobility.distances.DISTANCE_CLASSES`.
    movers, origin, destination : ndarray (moves,) int64
        Row of the worker, and the metros, of every move between metros.
    remote : ndarray (moves,) bool
        Which of these movers work from anywhere, and kept their job.
    local_movers : ndarray (local moves,) int64
        Rows of those who moved within their metro.
    graduates : ndarray (retrained,) int64
        Rows of those who completed a course.
    """

    separations: Ints
    displaced: Ints
    quits: Ints
    hires: Ints
    departures: Ints
    arrivals: Ints
    eligible: Ints
    eligible_moves: Ints
    grants: Ints
    switches: Ints
    job_changes: Ints
    retraining: Ints
    retrained: Ints
    dropouts: Ints
    permits: Ints
    completions: Ints
    lost_dwellings: Ints
    payments: Ints
    inframarginal: Ints
    constrained: Ints
    outlays: Ints
    services: Ints
    benefit_cents: Ints
    tax_cents: Ints
    wages: int
    take_home: int
    saved: int
    drawn: int
    moving_cost: int
    credit: int
    tuition: int
    borrowed: int
    interest: int
    repaid: int
    carried: Ints
    local_moves: Ints
    movers: Ints
    origin: Ints
    destination: Ints
    remote: NDArray[np.bool_]
    local_movers: Ints
    graduates: Ints

    @classmethod
    def none(cls, metros: int, policies: int) -> "Flows":
        """Return the flows of a month in which nothing has happened yet."""
        zero, nobody = np.zeros(metros, dtype=np.int64), np.empty(0, dtype=np.int64)
        by_metro = {f.name: zero for f in fields(cls)[:17]}
        return cls(
            **by_metro,
            payments=np.zeros(policies, dtype=np.int64),
            inframarginal=np.zeros(policies, dtype=np.int64),
            constrained=zero,
            outlays=np.zeros((policies, metros), dtype=np.int64),
            services=np.zeros((policies, metros), dtype=np.int64),
            benefit_cents=zero,
            tax_cents=np.zeros((len(LEVELS), metros), dtype=np.int64),
            wages=0,
            take_home=0,
            saved=0,
            drawn=0,
            moving_cost=0,
            credit=0,
            borrowed=0,
            interest=0,
            repaid=0,
            tuition=0,
            carried=zero,
            local_moves=np.zeros(3, dtype=np.int64),
            movers=nobody,
            origin=nobody,
            destination=nobody,
            remote=np.empty(0, dtype=np.bool_),
            local_movers=nobody,
            graduates=nobody,
        )
