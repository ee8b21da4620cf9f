"""Tables of a month, from the states around it, and of all months of a replicate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.assumptions.governments import LEVELS
from microsim.mobility.distances import move_counts
from microsim.results.groups import Tallies
from microsim.results.panel import COUNTS, metro_rows
from microsim.state import State
from microsim.world import World

__all__ = ["Record", "Tables", "flow_totals", "national_row", "policy_rows"]

Ints = NDArray[np.int64]

_POLICY_COLUMNS = ["replicate", "month", "policy", "grants", "inframarginal", "dollars"]


@dataclass(frozen=True)
class Tables:
    """The tables of a replicate; see `microsim.results.run.Run`.

    Attributes
    ----------
    metros, national, flows, policies, groups, occupations, destinations : DataFrame
    """

    metros: pd.DataFrame
    national: pd.DataFrame
    flows: pd.DataFrame
    policies: pd.DataFrame
    groups: pd.DataFrame
    occupations: pd.DataFrame
    destinations: pd.DataFrame


@dataclass
class Record:
    """What a replicate has come to so far; it grows by a month at a time.

    Attributes
    ----------
    panels : list of DataFrame
        The metro panel by month.
    national, policies : list of dict
        Rows, without the date.
    moves : ndarray (M, M) int64
        From metro to metro.
    tallies : Tallies
        Events by kind of worker.
    """

    panels: list[pd.DataFrame]
    national: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    moves: Ints
    tallies: Tallies

    @classmethod
    def empty(cls, world: World) -> "Record":
        """Return the record of no month."""
        moves = np.zeros((world.metros, world.metros), dtype=np.int64)
        return cls([], [], [], moves, Tallies.empty(world))

    def add(self, before: State, state: State, world: World, start: str) -> pd.DataFrame:
        """Add the month from ``before`` to ``state``, and return its metro panel."""
        panel = metro_rows(before, state, world, start)
        self.panels.append(panel)
        self.national.append(national_row(panel, state, world))
        self.policies.extend(policy_rows(state, world))
        np.add.at(self.moves, (state.flows.origin, state.flows.destination), 1)
        self.tallies.add(before, state, world)
        return panel

    def tables(self, world: World) -> Tables:
        """Return the tables of the months so far, at least one."""
        national = pd.DataFrame(self.national)
        dates = pd.concat([panel["date"].iloc[:1] for panel in self.panels], ignore_index=True)
        national.insert(list(national.columns).index("month") + 1, "date", dates)
        replicate, first_year = world.streams.replicate, dates.iloc[0].year
        return Tables(
            metros=pd.concat(self.panels, ignore_index=True),
            national=national,
            flows=flow_totals(self.moves, self.tallies.remote_moves, world),
            policies=pd.DataFrame(self.policies, columns=_POLICY_COLUMNS),
            groups=self.tallies.group_table(replicate, first_year),
            occupations=self.tallies.occupation_table(replicate, world),
            destinations=self.tallies.destination_table(replicate, first_year),
        )


def national_row(panel: pd.DataFrame, state: State, world: World) -> dict[str, object]:
    """Return the month's row of the national series; see `microsim.results.run.Run.national`."""
    flows = state.flows
    sums = {
        name: int(panel[name].sum())
        for name in (
            "population",
            "employed",
            "unemployed",
            *COUNTS[2:],
            "vacancies",
            "adopting_firms",
        )
    }
    return {
        "replicate": world.streams.replicate,
        "month": state.month,
        **sums,
        "moves": len(flows.origin),
        **move_counts(state, world),
        "remote_workers": int(state.remote_workers(world).sum()),
        "unemployment_rate": sums["unemployed"] / sums["population"],
        **{
            f"mean_{name}": float(np.average(panel[name], weights=panel["population"]))
            for name in ("price_index", "rent_index", "wage_index")
        },
        "permits": int(panel["permits"].sum()),
        "policy_dollars": int(flows.outlays.sum()) / 100.0,
        "benefits": int(flows.benefit_cents.sum()) / 100.0,
        "saved": flows.saved / 100.0,
        "drawn": flows.drawn / 100.0,
        "moving_cost": flows.moving_cost / 100.0,
        "credit": flows.credit / 100.0,
        "tuition": flows.tuition / 100.0,
        "savings": int(state.savings.sum()) / 100.0,
        **_debts(state),
        "wages": flows.wages / 100.0,
        **_government(state),
        "recession": bool(state.recession.any()),
        "manufacturing_displaced": state.aligned.manufacturing,
        "employers_cutting": float(state.aligned.cut.mean()),
        "manufacturing_factor": float(state.aligned.factors[0]),
        "employers_factor": float(state.aligned.factors[1]),
    }


def _debts(state: State) -> dict[str, float]:
    """Return what households borrowed, were charged, repaid and owe, in dollars."""
    names = ("borrowed", "interest", "repaid")
    flows = {name: getattr(state.flows, name) / 100.0 for name in names}
    return {**flows, "debt": int(state.debt.sum()) / 100.0}


def _government(state: State) -> dict[str, float]:
    """Return the month's taxes, and the balance, of each level of government, in dollars."""
    return {
        f"{level}_{what}": int(cents[i].sum()) / 100.0
        for what, cents in (("taxes", state.flows.tax_cents), ("balance", state.treasury))
        for i, level in enumerate(LEVELS)
    }


def policy_rows(state: State, world: World) -> list[dict[str, object]]:
    """Return what each policy paid this month."""
    return [
        {
            "replicate": world.streams.replicate,
            "month": state.month,
            "policy": policy.name,
            "grants": int(state.flows.payments[g]),
            "inframarginal": int(state.flows.inframarginal[g]) if policy.is_choice else None,
            "dollars": int(state.flows.outlays[g].sum()) / 100.0,
        }
        for g, policy in enumerate(world.scenario.policies)
    ]


def flow_totals(counts: Ints, remote: Ints, world: World) -> pd.DataFrame:
    """Return the pairs of metros with moves between them.

    Parameters
    ----------
    counts, remote : (M, M)
        Moves of all, and of those who work from anywhere.
    world
    """
    cbsa = world.population.metros.cbsa
    o, d = np.nonzero(counts)
    return pd.DataFrame(
        {
            "replicate": np.full(len(o), world.streams.replicate),
            "origin": cbsa[o],
            "destination": cbsa[d],
            "moves": counts[o, d],
            "remote_moves": remote[o, d],
        }
    )
