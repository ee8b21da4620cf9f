"""xlogit on the processor: its own BFGS, and its default covariance, a Hessian by differences."""

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
    model.fit(**arrays, varnames=list(problem.regressors), verbose=0)
    return model


def report(problem, model):
    return summarize(model, "hessian")


def summarize(model, kind):
    names = list(map(str, model.coeff_names))
    return {
        "nobs": int(model.sample_size),
        "llf": float(model.loglikelihood),
        "params": dict(zip(names, map(float, model.coeff_), strict=True)),
        "bse": {kind: dict(zip(names, map(float, model.stderr), strict=True))},
    }
