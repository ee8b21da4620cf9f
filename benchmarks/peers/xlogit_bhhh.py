"""xlogit with the covariance that costs it nothing: the inverse of the scores' cross-product."""

from peers.xlogit import VERSIONS, prepare, summarize
from xlogit import MultinomialLogit

__all__ = ["VERSIONS", "estimate", "prepare", "report"]


def estimate(problem, arrays):
    model = MultinomialLogit()
    model.fit(**arrays, varnames=list(problem.regressors), num_hess=False, verbose=0)
    return model


def report(problem, model):
    return summarize(model, "bhhh")
