"""The covariances of maximum likelihood, by name."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.frames import closest
from estimation.covariance import (
    REPAIRED,
    SmallSample,
    cluster_covariance,
    group_codes,
    inverse_information,
    sandwich,
)
from estimation.results import Covariance

__all__ = ["make_covariance"]

Array = NDArray[np.float64]

_COVARIANCES = ("hessian", "bhhh", "robust", "cluster")


def make_covariance(
    hessian: Array,
    score_obs: Array | None,
    names: Sequence[str],
    kind: str,
    *,
    meat: Array | None = None,
    groups: Sequence[tuple[str, NDArray[Any]]] = (),
    ssc: SmallSample = "none",
) -> Covariance:
    """Compute one of the covariances of maximum likelihood.

    Parameters
    ----------
    hessian
        At the estimate, shape (P, P).
    score_obs
        Contributions of the N cases, shape (N, P); needed by ``"cluster"``.
    names
        Parameter names.
    kind
        ``"hessian"``, ``"bhhh"``, ``"robust"`` or ``"cluster"``.
    meat
        Cross-product of the scores, if they are not there themselves.
    groups
        Name and labels (N,) of each way of clustering.
    ssc
        Small-sample factor of the number of groups, see
        :func:`~estimation.covariance.cluster_covariance`.

    Raises
    ------
    SpecificationError
        If ``kind`` or ``ssc`` is unknown, or groups are given or missing.
    IdentificationError
        If the matrix to invert is singular.
    """
    if kind not in _COVARIANCES:
        raise SpecificationError(
            f"cov is '{kind}'{closest(str(kind), _COVARIANCES)}; it is one of "
            f"{', '.join(_COVARIANCES)} and bootstrap."
        )
    if ssc not in get_args(SmallSample):
        raise SpecificationError(
            f"ssc is '{ssc}'{closest(str(ssc), get_args(SmallSample))}; it is one of "
            f"{', '.join(get_args(SmallSample))}."
        )
    if (kind == "cluster") != bool(groups):
        raise SpecificationError(
            "cov='cluster' needs groups=, and no other covariance takes them; "
            "name a column, or give one label a case."
        )
    if kind == "hessian":
        return Covariance(inverse_information(hessian, names), kind)
    if kind == "cluster":
        if score_obs is None:
            raise EstimationError(
                "a clustered covariance needs the scores of the cases, which are not saved with a "
                "result; choose it before saving, or fit again."
            )
        labels = tuple(name for name, _ in groups)
        codes = [group_codes(values, name) for name, values in groups]
        bread = inverse_information(hessian, names)
        clustering = cluster_covariance(bread, score_obs, codes, ssc)
        notes = (REPAIRED,) if clustering.adjusted else ()
        return Covariance(clustering.matrix, kind, labels, clustering.groups, ssc, notes)
    if meat is None:
        assert score_obs is not None
        meat = score_obs.T @ score_obs
    if kind == "bhhh":
        return Covariance(inverse_information(-meat, names), kind)
    return Covariance(sandwich(inverse_information(hessian, names), meat), kind)
