"""nestflow itself."""

from choicemodels import ChoiceData, FlowData, Gravity, MultinomialLogit, NestedLogit
from estimation import fit

VERSIONS = ("nestflow", "numba", "numpy", "pandas")


def prepare(problem):
    if problem.effects:
        return FlowData(problem.table, "origin", "destination", "flow", time="year")
    return ChoiceData.from_long(problem.table, case="case", alternative="alt", chosen="chosen")


def estimate(problem, data):
    regressors = " + ".join(problem.regressors)
    if problem.effects:
        model = Gravity(f"{regressors} | {' + '.join(problem.effects)}")
        return fit(model, data, cov="cluster", groups="origin^destination", ssc="fixest")
    formula = f"{regressors} | 0"
    if not problem.nests:
        return fit(MultinomialLogit(formula), data, cov="robust")
    nests = {name: [str(alt) for alt in members] for name, members in problem.nests.items()}
    return fit(NestedLogit(formula, nests), data, cov="robust")


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
