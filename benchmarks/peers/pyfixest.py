"""pyfixest: its compiled alternating projections, with the options that save copies."""

import numpy as np
import pyfixest as pf

VERSIONS = ("pyfixest", "numpy", "pandas", "scipy")


def prepare(problem):
    """Join the columns of each effect as integers; a formula would join them as text."""
    table = problem.table.copy(deep=False)
    for effect in problem.effects:
        first, second = (table[name].to_numpy() for name in effect.split("^"))
        table[effect.replace("^", "_")] = first * (np.int64(second.max()) + 1) + second
    return table


def estimate(problem, table):
    effects = " + ".join(problem.effects).replace("^", "_")
    return pf.fepois(
        f"flow ~ {' + '.join(problem.regressors)} | {effects}",
        table,
        vcov={"CRV1": "pair"},
        copy_data=False,
        store_data=False,
    )


def report(problem, fit):
    return {
        "nobs": int(fit._N),
        "llf": float(fit._loglik),
        "params": fit.coef().to_dict(),
        "bse": {"cluster": fit.se().to_dict()},
    }
