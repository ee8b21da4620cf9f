"""Biogeme: one column for each variable and alternative, and its automatic choice of algorithm."""

import biogeme.biogeme as bio
from biogeme.database import Database
from biogeme.expressions import (
    Beta,
    Draws,
    LinearTermTuple,
    LinearUtility,
    MonteCarlo,
    Variable,
    log,
)
from biogeme.models import logit, lognested
from biogeme.nests import NestsForNestedLogit, OneNestForNestedLogit
from biogeme.parameters import Parameters
from biogeme.results_processing import EstimateVarianceCovariance

VERSIONS = ("biogeme", "jax", "numpy", "pandas")


def prepare(problem):
    table = problem.table
    wide = table.pivot(index="case", columns="alt", values=list(problem.regressors))
    wide.columns = [f"{name}_{alternative}" for name, alternative in wide.columns]
    wide["chosen"] = table.loc[table["chosen"] == 1].set_index("case")["alt"]
    return Database(problem.name, wide.reset_index(drop=True))


def estimate(problem, database):
    parameters = Parameters()
    quiet = dict.fromkeys(("generate_html", "generate_yaml", "save_iterations"), False)
    for name, value in quiet.items():
        parameters.set_value(name, value)
    if problem.random:
        parameters.set_value("number_of_draws", problem.draws)
    model = bio.BIOGEME(database, contribution(problem), parameters=parameters)
    model.model_name = problem.name
    return model.estimate()


def contribution(problem):
    """Write the log-likelihood of one case."""
    alternatives = [int(alternative) for alternative in problem.table["alt"].unique()]
    beta = {name: Beta(name, 0, None, None, 0) for name in problem.regressors}
    if problem.random:
        beta = {name: vary(name, b, position) for position, (name, b) in enumerate(beta.items())}
        V = {a: sum(beta[x] * Variable(f"{x}_{a}") for x in beta) for a in alternatives}
        return log(MonteCarlo(logit(V, None, Variable("chosen"))))
    V = {
        a: LinearUtility([LinearTermTuple(b, Variable(f"{x}_{a}")) for x, b in beta.items()])
        for a in alternatives
    }
    nests = tuple(
        OneNestForNestedLogit(Beta(f"mu:{name}", 1, 1, None, 0), members, name)
        for name, members in problem.nests.items()
    )
    return lognested(V, None, NestsForNestedLogit(alternatives, nests), Variable("chosen"))


def vary(name, mean, position):
    """Make a coefficient normal, on a Halton sequence of its own."""
    base = (2, 3, 5)[position]
    return mean + Beta(f"sd:{name}", 1, None, None, 0) * Draws(f"z_{name}", f"NORMAL_HALTON{base}")


def report(problem, results):
    kind = EstimateVarianceCovariance.RAO_CRAMER
    params, bse = {}, {}
    for name, value in results.get_beta_values().items():
        error = results.get_parameter_std_err(name, kind)
        if name.startswith("mu:"):
            # lambda = 1 / mu, and its standard error by the delta method.
            name, value, error = name.replace("mu:", "lambda:"), 1 / value, error / value**2
        elif name.startswith("sd:"):
            value = abs(value)
        params[name], bse[name] = float(value), float(error)
    return {
        "nobs": int(results.sample_size),
        "llf": float(results.final_loglikelihood),
        "params": params,
        "bse": {"hessian": bse},
    }
