"""xlogit on the processor: its own BFGS, and the covariance that it gets for nothing (BHHH)."""

from xlogit import MultinomialLogit

VERSIONS = ("xlogit", "numpy", "pandas", "scipy")


def prepare(problem):
    table = problem.table
    return {
        "X": table[list(problem.regressors)].to_numpy(),
        "y": table["chosen"].to_numpy(),
        "alts": table["alt"].to_numpy(),
        "ids": table["case"].to_numpy(),
    }


def estimate(problem, arrays):
    model = MultinomialLogit()
    # num_hess=True, the default, would take K (K + 1) gradients more.
    model.fit(**arrays, varnames=list(problem.regressors), num_hess=False, verbose=0)
    return model


def report(problem, model):
    names = list(map(str, model.coeff_names))
    return {
        "nobs": int(model.sample_size),
        "llf": float(model.loglikelihood),
        "params": dict(zip(names, map(float, model.coeff_), strict=True)),
        "bse": {"bhhh": dict(zip(names, map(float, model.stderr), strict=True))},
    }
