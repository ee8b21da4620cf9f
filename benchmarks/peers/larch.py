"""larch: numba engine, BHHH steps, and the covariance from its Hessian by differences."""

import larch as lx
from larch import P, X

VERSIONS = ("larch", "numba", "numpy", "pandas", "sharrow", "xarray")


def prepare(problem):
    table = problem.table.set_index(["case", "alt"])
    # No column is constant within cases, so there is nothing for crack= to look for.
    return lx.Dataset.construct.from_idca(table, crack=False)


def estimate(problem, dataset):
    model = lx.Model(dataset, compute_engine="numba")
    model.utility_ca = sum(P(name) * X(name) for name in problem.regressors)
    model.choice_ca_var = "chosen"
    for name, members in problem.nests.items():
        model.graph.new_node(parameter=f"lambda:{name}", children=members, name=name)
    # Without a method larch would turn to SLSQP for nests: slower, and further from the optimum.
    model.maximize_loglike(method="bhhh", quiet=True, stderr=True)
    return model


def report(problem, model):
    names = list(model.pnames)
    return {
        "nobs": int(model.n_cases),
        "llf": float(model.loglike()),
        "params": dict(zip(names, map(float, model.pvals), strict=True)),
        "bse": {"hessian": dict(zip(names, map(float, model.pstderr), strict=True))},
    }
