"""Four questions that a run answers: who is displaced, who moves, where to, and what it adds up to.

Each is a function from a run to a table of numbers, means over replicates; a column's Monte-Carlo
standard error stands beside it under its name and " s.e.". The fifth, what policies achieve per
dollar, needs several runs: `microsim.results.per_dollar`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from choicemodels import FlowData, Gravity
from choicemodels.datasets import load_data
from choicemodels.errors import SpecificationError
from estimation import GravityResult, fit
from microsim.assumptions.synthesis import EDUCATION_LEVELS
from microsim.mobility.variables import great_circle
from microsim.results.groups import EVENTS, RENT_BANDS
from microsim.results.run import Run

__all__ = [
    "destination_models",
    "who_goes_where",
    "who_is_displaced",
    "who_moves",
    "who_sends_and_receives",
]

Place = Literal["nation", "region_class", "division", "cbsa"]
Group = Literal["occupation", "exposure"]

SE = " s.e."
"""What a column's Monte-Carlo standard error is called, after the column's name."""

_THIRDS = ("low", "middle", "high")
_PLACES = ("nation", "region_class", "division", "cbsa")
_GROUPS = ("occupation", "exposure")


def who_is_displaced(
    run: Run, place: Place = "region_class", by: Group | None = None
) -> pd.DataFrame:
    """Return who is displaced where, in all months.

    Parameters
    ----------
    run
    place
        "nation", "region_class", "division" or "cbsa": where they lived.
    by
        "occupation", or "exposure": the thirds of all worker-months by the exposure of their
        occupation. Without it the places as they are.

    Returns
    -------
    DataFrame
        Index place, and ``by``; columns workers (mean over months), displaced, and displaced as a
        share of these workers (% in all months) and of their jobs (% a year), with errors. A
        worker who is displaced twice counts twice.

    Raises
    ------
    SpecificationError
        If ``place`` or ``by`` is none of those.
    """
    _require(place, _PLACES, "place")
    table = run.occupations.assign(place=_placed(run.occupations["cbsa"], place, run))
    keys = ["place"]
    if by is not None:
        _require(by, _GROUPS, "by")
        keys.append(by)
        if by == "exposure":
            table["exposure"] = _exposure_thirds(table)
    counts = ["worker_months", "employed_months", "displaced"]
    total = table.groupby(["replicate", *keys], observed=True, sort=False)[counts].sum()
    workers = total["worker_months"] / run.months
    share = 100.0 * total["displaced"] / workers
    job_years = total["employed_months"].where(total["employed_months"] > 0) / 12.0
    shown = pd.DataFrame(
        {
            "workers": workers,
            "displaced": total["displaced"].astype(float),
            "% of workers": share,
            "% of jobs a year": 100.0 * total["displaced"] / job_years,
        }
    )
    uncertain = ["displaced", "% of workers", "% of jobs a year"]
    found = _means(shown, keys, uncertain, ["workers", "displaced"], run.replicates)
    return found.sort_index(key=_ordered) if by == "exposure" else found


def who_moves(
    run: Run, by: Sequence[str] = ("age", "education"), *, displaced_recently: bool | None = None
) -> pd.DataFrame:
    """Return who moves, retrains or stays, as shares of a group in a year.

    A monthly share p becomes ``1 - (1 - p)**12`` a year, and a share s that stays ``s**12``, as if
    the members of a group were alike.

    Parameters
    ----------
    run
    by
        Of "age", "education", "year" and "displaced_recently".
    displaced_recently
        True for those who were displaced in the last 12 months, False for the others.

    Returns
    -------
    DataFrame
        Index ``by``; columns workers (mean over months), and in % a year: move (to another metro),
        move within (a metro), retrain (begin a course), stay (neither move to another metro nor
        begin a course), and displaced (but of those who have been already, and as a share of who
        could be in a month: those who were in the group before it), each with its error.

    Raises
    ------
    SpecificationError
        If ``by`` names something else, nothing, or one twice, or nobody is left.
    """
    keys = [by] if isinstance(by, str) else list(by)
    known = ("age", "education", "year", "displaced_recently")
    for key in keys:
        _require(key, known, "by")
    if not keys or len(set(keys)) < len(keys):
        raise SpecificationError(
            f"by is {keys}; give at least one of {', '.join(known)}, and each once."
        )
    table = run.groups.assign(at_risk=_at_risk(run.groups))
    if displaced_recently is not None:
        table = table[table["displaced_recently"] == displaced_recently]
    if table.empty:
        raise SpecificationError(
            f"nobody in the run '{run.scenario.name}' was displaced in the 12 months before; ask "
            "without displaced_recently, or simulate a shock."
        )
    total = table.groupby(["replicate", *keys], sort=False)[[*EVENTS, "at_risk"]].sum()
    total = total[total["worker_months"] > 0]
    months = total["worker_months"]
    events = {
        "move": "moves",
        "move within": "local_moves",
        "retrain": "retraining",
    }
    yearly = {
        name: 100.0 * (1.0 - (1.0 - total[event] / months) ** 12) for name, event in events.items()
    }
    at_risk = total["at_risk"].where(total["at_risk"] > 0)
    yearly["displaced"] = 100.0 * (1.0 - (1.0 - total["displaced"] / at_risk) ** 12)
    yearly["stay"] = 100.0 * (total["stayed_months"] / months) ** 12
    shares = ["move", "move within", "retrain", "stay"]
    if not displaced_recently:
        shares.append("displaced")
    shown = pd.DataFrame({"workers": months / run.months, **yearly})
    found = _means(shown[["workers", *shares]], keys, shares, ["workers"], run.replicates)
    return found.sort_index(key=_ordered)


def who_goes_where(run: Run) -> pd.DataFrame:
    """Return what cost of living and remote work do to destinations.

    Returns
    -------
    DataFrame
        Index workers ("on site", "remote"); columns moves (between metros, a year), the movers'
        mean rents at origin and destination (dollars a month) and the change between them (%),
        and the shares of the moves by the class of rent there over rent here (%), with errors.
    """
    table = run.destinations
    kind = np.where(table["remote"], "remote", "on site")
    weighted = table.assign(
        workers=kind,
        origin=table["moves"] * table["origin_rent"],
        destination=table["moves"] * table["destination_rent"],
    )
    sums = weighted.groupby(["replicate", "workers"])[["moves", "origin", "destination"]].sum()
    moves = sums["moves"]
    shown = pd.DataFrame(
        {
            "moves a year": moves / (run.months / 12.0),
            "rent at origin": sums["origin"] / moves,
            "rent at destination": sums["destination"] / moves,
            "change, %": 100.0 * (sums["destination"] / sums["origin"] - 1.0),
        }
    )
    bands = weighted.pivot_table(
        "moves", ["replicate", "workers"], "rent_ratio", aggfunc="sum", fill_value=0
    ).reindex(columns=list(RENT_BANDS), fill_value=0)
    shares = 100.0 * bands.div(moves, axis=0)
    shown = shown.join(shares.add_prefix("rent ratio "))
    return _means(shown, ["workers"], list(shown.columns), ["moves a year"], run.replicates)


def destination_models(run: Run) -> tuple[GravityResult, GravityResult]:
    """Fit gravity models of the moves, in which rents may matter more to remote workers.

    Moves of all months and replicates from o to d, apart for remote workers and the others, by
    Poisson pseudo-maximum likelihood with effects of every origin and kind of worker,

        log mu = b1 log distance + b2 log population_d + b3 log wage_d + b4 log rent_d
                 + b5 remote log rent_d + a_o,remote

    and with effects of every destination, which leave b1 and b5 alone. Errors are clustered by
    origin and by destination.

    Returns
    -------
    tuple of GravityResult
        Without and with effects of the destinations.

    Raises
    ------
    SpecificationError
        If nobody who works from anywhere moved.
    """
    if run.flows["remote_moves"].sum() == 0:
        raise SpecificationError(
            f"nobody who works from anywhere moved in the run '{run.scenario.name}', so that "
            "their destinations cannot be told apart; simulate more workers or months, or a "
            "remote_work shock."
        )
    data = _pairs(run)
    ways = {"cov": "cluster", "groups": ["origin", "destination"]}
    sizes = "log(population) + log(wage) + log(rent)"
    return (
        fit(Gravity(f"log(distance) + {sizes} + remote:log(rent) | origin^kind"), data, **ways),
        fit(Gravity("log(distance) + remote:log(rent) | origin^kind + destination"), data, **ways),
    )


def who_sends_and_receives(run: Run, top: int = 10) -> pd.DataFrame:
    """Return net migration in all months: by class, by division, and the metros at either end.

    Parameters
    ----------
    run
    top
        How many metros each way.

    Returns
    -------
    DataFrame
        Index kind and place; columns arrivals and departures (within a class or a division too),
        net (arrivals less departures) and net as % of the workers at the start, with errors. The
        metros are those with the largest and the smallest net; "receiving" come first.
    """
    panel = run.metros
    by = ["replicate", "cbsa"]
    total = panel.groupby(by, sort=False)[["arrivals", "departures"]].sum()
    first = panel[panel["month"] == 0].set_index(by)
    start = first["population"] - first["arrivals"] + first["departures"]
    counts = total.astype(float).assign(start=start).reset_index()
    parts = {}
    for kind, place in (("region class", "region_class"), ("division", "division")):
        parts[kind] = _net(counts.assign(place=_placed(counts["cbsa"], place, run)))
    metros = _net(counts.assign(place=_metro_names(counts["cbsa"])))
    ranked = metros.sort_values("net", ascending=False, kind="stable")
    parts["receiving metro"] = ranked[ranked["net"] > 0].head(top)
    parts["sending metro"] = ranked[ranked["net"] < 0].tail(top)[::-1]
    return pd.concat(parts, names=["kind", "place"])


def _net(counts: pd.DataFrame) -> pd.DataFrame:
    """Return arrivals, departures, net and its rate by place, means over replicates."""
    total = counts.groupby(["replicate", "place"], sort=False)[
        ["arrivals", "departures", "start"]
    ].sum()
    net = total["arrivals"] - total["departures"]
    shown = pd.DataFrame(
        {
            "arrivals": total["arrivals"],
            "departures": total["departures"],
            "net": net,
            "net, %": 100.0 * net / total["start"].clip(lower=1),
        }
    )
    return _means(shown, ["place"], ["net", "net, %"])


def _means(
    table: pd.DataFrame,
    keys: list[str],
    uncertain: Sequence[str],
    counts: Sequence[str] = (),
    replicates: int = 1,
) -> pd.DataFrame:
    """Return means over replicates by ``keys``, with errors of the ``uncertain`` columns.

    In replicates without a group its ``counts`` are zero, and the other columns are not defined:
    they are those of the others alone.
    """
    groups = table.groupby(level=keys, sort=False, observed=True)
    mean, error = groups.mean(), groups.sem(ddof=1)
    for name in counts:
        every = table[name].unstack("replicate").reindex(columns=range(replicates)).fillna(0.0)
        every = every.reindex(mean.index)
        mean[name], error[name] = every.mean(axis=1), every.sem(axis=1, ddof=1)
    columns = {}
    for name in table.columns:
        columns[name] = mean[name]
        if name in uncertain:
            columns[name + SE] = error[name]
    return pd.DataFrame(columns)


def _at_risk(groups: pd.DataFrame) -> "pd.Series[int]":
    """Return the months that workers began in each row's group.

    Months are counted by whether a worker was displaced recently when they end, and displacements
    by whether so when they begin: the newly displaced went over from one row to the other.
    """
    recent = groups["displaced_recently"]
    lost = groups["displaced"].where(~recent, 0)
    keys = [groups[name] for name in ("replicate", "year", "age", "education")]
    came = lost.groupby(keys).transform("sum")
    return groups["worker_months"] + lost.where(~recent, -came)


def _pairs(run: Run) -> FlowData:
    """Return the moves of all ordered pairs of metros by kind of worker, with their covariates."""
    columns = ["latitude", "longitude", "population", "mean_wage", "rent"]
    metros = run.metros.groupby("cbsa", sort=False)[columns].mean()
    o, d = np.nonzero(~np.eye(len(metros), dtype=bool))
    there = metros.iloc[d]
    pairs = pd.DataFrame(
        {
            "origin": metros.index[o],
            "destination": metros.index[d],
            "distance": great_circle(metros["latitude"].to_numpy(), metros["longitude"].to_numpy())[
                o, d
            ],
            "population": there["population"].to_numpy(),
            "wage": there["mean_wage"].to_numpy(),
            "rent": there["rent"].to_numpy(),
        }
    )
    moves = run.flows.groupby(["origin", "destination"])[["moves", "remote_moves"]].sum()
    found = pairs.join(moves, on=["origin", "destination"]).fillna({"moves": 0, "remote_moves": 0})
    remote = found.assign(kind="remote", remote=1.0, moves=found["remote_moves"])
    onsite = found.assign(kind="on site", remote=0.0, moves=found["moves"] - found["remote_moves"])
    table = pd.concat([onsite, remote], ignore_index=True).drop(columns="remote_moves")
    return FlowData(table, origin="origin", destination="destination", flow="moves", time="kind")


def _placed(cbsa: "pd.Series[str]", place: str, run: Run) -> "pd.Series[str]":
    """Return the place that each metro counts to."""
    if place == "nation":
        return pd.Series("nation", index=cbsa.index)
    if place == "cbsa":
        return cbsa
    if place == "region_class":
        metros = run.metros.drop_duplicates("cbsa").set_index("cbsa")
        return cbsa.map(metros["region_class"])
    return cbsa.map(load_data("metros").set_index("cbsa")["division"]).fillna("elsewhere")


def _metro_names(cbsa: "pd.Series[str]") -> "pd.Series[str]":
    names = load_data("metros").set_index("cbsa")["name"]
    return cbsa.map(names).fillna(cbsa)


def _exposure_thirds(table: pd.DataFrame) -> "pd.Series[str]":
    """Return the third of all worker-months by exposure that each row belongs to."""
    months = table.groupby("exposure")["worker_months"].sum().sort_index()
    middle = (months.cumsum() - months / 2) / months.sum()
    third = {
        exposure: _THIRDS[min(int(3 * share), 2)] for exposure, share in middle.to_dict().items()
    }
    return table["exposure"].map(third)


def _ordered(level: pd.Index) -> pd.Index:
    """Return what to sort a level by: education and exposure by their order, not the alphabet."""
    order = {"education": EDUCATION_LEVELS, "exposure": _THIRDS}.get(str(level.name))
    return level if order is None else pd.Index([order.index(str(name)) for name in level])


def _require(value: str, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise SpecificationError(f"{name} is {value!r}; use one of {', '.join(known)}.")
