"""nestflow itself."""

from choicemodels import (
    ChoiceData,
    FlowData,
    Gravity,
    MixedLogit,
    MultinomialLogit,
    NestedLogit,
)
from estimation import fit

VERSIONS = ("nestflow", "numba", "numpy", "pandas")


def prepare(problem):
    if problem.effects:
        return FlowData(problem.table, "origin", "destination", "flow", time="year")
    if "choosers" in problem.tables:
        return ChoiceData.from_factors(
            **problem.tables, origin="home", alternative="place", chosen="took"
        )
    return ChoiceData.from_long(problem.table, case="case", alternative="alt", chosen="chosen")


def specify(problem):
    regressors = " + ".join(problem.regressors)
    if problem.effects:
        return Gravity(f"{regressors} | {' + '.join(problem.effects)}")
    formula = f"{regressors} | 0"
    if problem.random:
        return MixedLogit(formula, dict.fromkeys(problem.random, "normal"), draws=problem.draws)
    nests = {name: [str(alt) for alt in members] for name, members in problem.nests.items()}
    if "choosers" in problem.tables:
        return NestedLogit.move_stay(formula, groups=nests, specific=problem.specific)
    return NestedLogit(formula, nests) if nests else MultinomialLogit(formula)


def estimate(problem, data):
    if problem.effects:
        options = {"cov": "cluster", "groups": "origin^destination", "ssc": "fixest"}
        return fit(specify(problem), data, **options)
    return fit(specify(problem), data, cov="robust")


def report(problem, result):
    if problem.effects:
        covariances = {"cluster": result}
    else:
        covariances = {kind: result.with_cov(kind) for kind in ("hessian", "bhhh", "robust")}
    return {
        "nobs": int(result.nobs),
        "llf": float(result.llf),
        "params": result.params.to_dict(),
        "bse": {kind: shown.bse.to_dict() for kind, shown in covariances.items()},
    }
