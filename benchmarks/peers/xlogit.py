"""xlogit on the processor: its own BFGS, and its default covariance.

That is a Hessian by differences for the multinomial logit, and for the mixed logit the inverse of
the scores' cross-product. Its draws are its default, Halton's.
"""

from xlogit import MixedLogit, MultinomialLogit

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
    model = MixedLogit() if problem.random else MultinomialLogit()
    options = {}
    if problem.random:
        options = {"randvars": dict.fromkeys(problem.random, "n"), "n_draws": problem.draws}
    model.fit(**arrays, varnames=list(problem.regressors), verbose=0, **options)
    return model


def report(problem, model):
    return summarize(model, "bhhh" if problem.random else "hessian")


def summarize(model, kind):
    names = [str(name).replace("sd.", "sd:") for name in model.coeff_names]
    # A normal spread has no sign.
    values = {
        name: abs(float(value)) if name.startswith("sd:") else float(value)
        for name, value in zip(names, model.coeff_, strict=True)
    }
    return {
        "nobs": int(model.sample_size),
        "llf": float(model.loglikelihood),
        "params": values,
        "bse": {kind: dict(zip(names, map(float, model.stderr), strict=True))},
    }
