"""What remains of absorbed constants when they have been partialled out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choicemodels.errors import EstimationError, IdentificationError, SpecificationError
from choicemodels.logit.absorbed import Concentrated
from estimation.covariance import inverse_information
from estimation.summary import coefficient_table

__all__ = ["AbsorbedConstants"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AbsorbedConstants:
    """How sure the absorbed constants are, and what BHHH inverts without them.

    Attributes
    ----------
    bse : mapping of str to ndarray, shape (J,)
        Standard errors of the constants by kind of covariance; zero for the base.
    cross_product : ndarray, shape (P, P), or None
        Cross-product of the scores by the parameters less what those by the constants explain of
        it. BHHH partials the constants out by cross-products, where the other covariances do so
        by the Hessian. None if there are too few cases for that.
    """

    bse: Mapping[str, Array]
    cross_product: Array | None

    @classmethod
    def of(cls, found: Concentrated, basis: Array, covariance: Array) -> Self:
        """Compute the standard errors of the constants at the estimate.

        With ``D = -H_dd^-1``, the slopes ``A = -H_dd^-1 H_dt`` and the influence of a case on the
        parameters ``V s_n``, that on the constants is ``D s_d,n + A V s_n``.

        Parameters
        ----------
        found
            The likelihood with the constants partialled out.
        basis
            Derivatives of the parameters by the free ones, shape (P, F).
        covariance
            Inverse of the information on the free ones, shape (F, F).
        """
        at, A, D = found.contributions, found.slopes, found.inverse
        J = len(D)
        products = found.products[:J, :J]
        V = basis @ covariance @ basis.T
        meat = at.score_obs.T @ at.score_obs
        # Scores by the constants with those by the parameters, these partialled out.
        mixed = found.products[:J, J:] + products @ A
        variances = {
            "hessian": np.diag(D) + _quadratic(A, V),
            "robust": (
                np.einsum("jk,jk->j", D @ products, D)
                + _quadratic(A, V @ meat @ V)
                + 2 * np.einsum("jp,jp->j", D @ mixed @ V, A)
            ),
        }
        cross_product, variance = _bhhh(found, basis)
        if variance is not None:
            variances["bhhh"] = variance
        return cls({kind: np.sqrt(v) for kind, v in variances.items()}, cross_product)

    def table(self, constants: "pd.Series[float]", kind: str) -> pd.DataFrame:
        """Lay the constants but the base's zero out with their standard errors.

        Parameters
        ----------
        constants
            By alternative, shape (J,).
        kind
            Of covariance.

        Raises
        ------
        SpecificationError
            If standard errors were not kept for this kind.
        """
        if kind not in self.bse:
            raise SpecificationError(
                f"standard errors of absorbed constants are kept for {', '.join(self.bse)}, not "
                f"for '{kind}'; choose one of these with with_cov(), or estimate the constants."
            )
        bse = pd.Series(self.bse[kind], index=constants.index)
        params, bse = constants[bse > 0], bse[bse > 0]
        z, reach = params / bse, -ndtri(0.025) * bse
        pvalues = pd.Series(2 * ndtr(-np.abs(z)), index=z.index)
        limits = pd.DataFrame({"lower": params - reach, "upper": params + reach})
        return coefficient_table(params, bse, z, pvalues, limits)

    def need_cross_product(self) -> Array:
        """Return what BHHH inverts, shape (P, P).

        Raises
        ------
        EstimationError
            If there are too few cases for it.
        """
        if self.cross_product is None:
            raise EstimationError(
                "cov='bhhh': the scores by parameters and absorbed constants are collinear, as "
                "they are with fewer cases than these; choose 'robust' or 'hessian'."
            )
        return self.cross_product

    def to_dict(self) -> dict[str, Any]:
        """Return the fields ready for JSON."""
        matrix = self.cross_product
        return {
            "bse": {kind: values.tolist() for kind, values in self.bse.items()},
            "cross_product": None if matrix is None else matrix.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the fields from :meth:`to_dict`."""
        matrix = saved["cross_product"]
        return cls(
            {kind: np.array(values) for kind, values in saved["bse"].items()},
            None if matrix is None else np.array(matrix),
        )


def _quadratic(A: Array, V: Array) -> Array:
    """Return the diagonal of ``A V A'``."""
    return np.asarray(np.einsum("jp,pq,jq->j", A, V, A))


def _bhhh(found: Concentrated, basis: Array) -> tuple[Array | None, Array | None]:
    """Partial the constants out by cross-products: return what is left, and their variances."""
    J, P = found.slopes.shape
    others = np.flatnonzero(np.diag(found.inverse))
    inside = np.ix_(others, others)
    inverse, slopes = np.zeros((J, J)), np.zeros((J, P))
    constants = [found.parameters.alternatives[j] for j in others]
    free = [str(f) for f in range(basis.shape[1])]
    try:
        inverse[inside] = inverse_information(-found.products[inside], constants)
        slopes[others] = -inverse[inside] @ found.products[others, J:]
        left = found.products[J:, J:] + found.products[J:, :J] @ slopes
        V = basis @ inverse_information(-basis.T @ left @ basis, free) @ basis.T
    except IdentificationError:
        return None, None
    return left, np.diag(inverse) + _quadratic(slopes, V)
