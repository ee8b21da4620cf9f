"""What a population's margins came out as, to stand beside what was aimed at."""

from typing import Any

import numpy as np
import pandas as pd

from microsim.population import Population

__all__ = ["realized_margins"]


def realized_margins(population: Population) -> pd.DataFrame:
    """Count the margins that the synthesis controls.

    Returns
    -------
    DataFrame
        Columns margin, where, realized: workers, bachelor share and owner share by metro,
        occupation share and unemployment rate of the nation.
    """
    w, metros = population.workers, population.metros
    n = np.bincount(w.metro, minlength=len(metros)).astype(float)
    bachelors = np.bincount(w.metro, w.education >= 3, minlength=len(metros))
    owners = np.bincount(w.metro, w.homeowner, minlength=len(metros))
    jobs = np.bincount(w.occupation, minlength=len(population.occupations))
    blocks: list[tuple[str, Any, Any]] = [
        ("workers", metros.cbsa, n),
        ("bachelor share", metros.cbsa, bachelors / np.maximum(n, 1)),
        ("owner share", metros.cbsa, owners / np.maximum(n, 1)),
        ("occupation share", population.occupations["soc"], jobs / jobs.sum()),
        ("unemployment rate", ["nation"], [np.mean(w.firm < 0)]),
    ]
    return pd.concat(
        [
            pd.DataFrame({"margin": margin, "where": list(where), "realized": np.asarray(realized)})
            for margin, where, realized in blocks
        ],
        ignore_index=True,
    )
