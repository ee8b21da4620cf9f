"""What flow data hold, in one table."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from choicemodels.flows.flowdata import FlowData

__all__ = ["describe"]


def describe(flows: "FlowData") -> pd.DataFrame:
    """Tabulate sizes, zeros, intrazonal rows, gaps, total, and what was done on the way.

    Parameters
    ----------
    flows

    Returns
    -------
    DataFrame
        One row for each fact, in the column ``value``.
    """
    names = (flows.origin, flows.destination)
    o, d = (flows.factor(f"`{name}`") for name in names)
    rows: dict[str, object] = {
        "rows": flows.nobs,
        "origins": o.size,
        "destinations": d.size,
        "periods": flows.factor(f"`{flows.time}`").size if flows.time else 1,
        "zero flows": int((flows.y == 0).sum()),
        "share of zero flows": float((flows.y == 0).mean()),
        "intrazonal rows": int(flows.intrazonal.sum()),
        "missing pairs": flows.missing_pairs.count,
        "missing intrazonal pairs": flows.missing_pairs.intrazonal,
        "total flow": float(flows.y.sum()),
    }
    if flows.time:
        rows |= _panel(flows, flows.time)
    rows |= flows.record
    return pd.Series(rows, dtype=object).to_frame("value")


def _panel(flows: "FlowData", name: str) -> dict[str, object]:
    """Say whether the same pairs are there in every period."""
    time = flows.factor(f"`{name}`")
    pair = flows.factor(f"`{flows.origin}`^`{flows.destination}`").codes
    times = np.bincount(pd.factorize(pair)[0])
    rows = np.bincount(time.codes, minlength=time.size)
    fewest = int(rows.argmin())
    return {
        "pairs": len(times),
        "pairs in every period": int((times == time.size).sum()),
        "balanced": bool((times == time.size).all()),
        "fewest rows in a period": f"{rows[fewest]:,} ({time.levels[0][fewest]})",
    }
