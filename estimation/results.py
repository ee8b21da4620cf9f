"""What every fitted model answers, in the words of statsmodels.

A result is immutable. The estimate is made once; the covariance is chosen afterwards and
gives a new result with the same estimate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from estimation.estimates import Covariance, Estimates
from estimation.jsonfile import result_path, write_json

__all__ = ["Covariance", "Result"]

_STAT_LABELS = {
    "N": "Observations",
    "ll": "Log-likelihood",
    "ll_null": "Log-likelihood (null)",
    "ll_constants": "Log-likelihood (constants)",
    "pseudo_r2": "McFadden R²",
    "deviance": "Deviance",
    "aic": "AIC",
    "bic": "BIC",
    "se_type": "Standard errors",
}


@dataclass(frozen=True, eq=False, repr=False)
class Result(Estimates):
    """An estimate with its covariance.

    Attributes
    ----------
    names : tuple of str, length K
    estimate : ndarray, shape (K,)
    covariance : Covariance
    llf : float
        Log-likelihood at the estimate.
    nobs : int
        Observations used (cases of a choice model, rows of a gravity model).
    """

    llf: float
    nobs: int

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.df_model} parameters, {self.nobs:,} observations, "
            f"log-likelihood {self.llf:.4f}, {self.covariance.kind} standard errors>"
        )

    @property
    def cov_type(self) -> str:
        """The kind of covariance shown."""
        return self.covariance.kind

    @property
    def df_model(self) -> int:
        """Number of estimated parameters."""
        return len(self.names)

    @property
    def aic(self) -> float:
        """Akaike's criterion, ``-2 llf + 2 K``."""
        return -2 * self.llf + 2 * self.df_model

    @property
    def bic(self) -> float:
        """Schwarz's criterion, ``-2 llf + K log(nobs)``."""
        return -2 * self.llf + self.df_model * float(np.log(self.nobs))

    @property
    def statistics(self) -> dict[str, Any]:
        """What stands at the foot of a regression table, by the keys that tables use."""
        return {
            "N": self.nobs,
            "ll": self.llf,
            "aic": self.aic,
            "bic": self.bic,
            "se_type": self.covariance.short,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON: no data, no contributions of observations."""
        return {
            "names": list(self.names),
            "estimate": self.estimate.tolist(),
            "covariance": {**vars(self.covariance), "matrix": self.covariance.matrix.tolist()},
            "llf": self.llf,
            "nobs": self.nobs,
        }

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON, to be read by :func:`estimation.load_result`.

        Raises
        ------
        DataError
            If the folder does not exist, or the file would not be called .json.
        """
        return write_json(self.to_dict(), result_path(path))

    def __maketables_stat__(self, key: str) -> Any:
        """Answer maketables' question for one statistic."""
        return self.statistics.get(key)

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return dict(_STAT_LABELS)

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        limits = self.conf_int()
        return pd.DataFrame(
            {
                "b": self.params,
                "se": self.bse,
                "t": self.tvalues,
                "p": self.pvalues,
                "ci95l": limits["lower"],
                "ci95u": limits["upper"],
            }
        ).rename_axis("Coefficient")

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return {"vcov_type": self.covariance.label, "clustervar": list(self.covariance.groups)}
