"""When a time counts: estimates that agree with each other, and with what drew the data."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

DIFFERENCES = ("llf_difference", "coefficient_difference_in_se", "se_relative_difference")


@dataclass(frozen=True)
class Tolerance:
    """How far two packages' estimates may lie apart.

    Attributes
    ----------
    llf_amount, llf_share : float
        Log-likelihoods, by an amount and a share of themselves.
    coefficient : float
        Coefficients, in standard errors.
    standard_error : float
        Standard errors, by a share of themselves.
    """

    llf_amount: float
    llf_share: float
    coefficient: float
    standard_error: float


EXACT = Tolerance(1e-3, 1e-8, 1e-2, 1e-3)
# The likelihood is an average over draws, and each package draws its own.
SIMULATED = Tolerance(0.0, 5e-4, 0.1, 0.05)
# Data drawn from a model lie this many standard errors from it, at most: beyond chance for the few
# dozen parameters here.
TRUTH = 4.5


def worst(values: Iterable[float]) -> float:
    """Return the largest value, and infinity if one of them is no number: ``max`` would skip it."""
    found = list(values)
    return max(found) if all(map(math.isfinite, found)) else math.inf


def differences(ours: dict, theirs: dict) -> dict:
    """Return the largest differences between two records' estimates."""
    (kind,) = set(ours["bse"]) & set(theirs["bse"])
    a, b = ours["bse"][kind], theirs["bse"][kind]
    if a.keys() != b.keys() or ours["nobs"] != theirs["nobs"]:
        return dict.fromkeys(DIFFERENCES, math.inf) | {"se_kind": kind}
    gaps = {name: abs(ours["params"][name] - theirs["params"][name]) for name in a}
    return {
        "se_kind": kind,
        "llf_difference": worst([abs(ours["llf"] - theirs["llf"])]),
        "coefficient_difference_in_se": worst(gaps[name] / a[name] for name in a),
        "se_relative_difference": worst(abs(b[name] / a[name] - 1) for name in a),
    }


def agree(found: dict, llf: float, tolerance: Tolerance) -> bool:
    return (
        found["llf_difference"] <= tolerance.llf_amount + tolerance.llf_share * abs(llf)
        and found["coefficient_difference_in_se"] <= tolerance.coefficient
        and found["se_relative_difference"] <= tolerance.standard_error
    )


def distance_from_truth(record: dict) -> float | None:
    """Return the largest distance from what drew the data, in standard errors, if that is known."""
    truth, bse = record["truth"], record["bse"].get("hessian")
    if not truth or bse is None:
        return None
    if truth.keys() != bse.keys():
        return math.inf
    return worst(abs(record["params"][name] - value) / bse[name] for name, value in truth.items())
