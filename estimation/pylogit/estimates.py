"""What pylogit's ``fit_mle`` leaves on a model: its names, its parametrization, our numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from choicemodels.errors import enumerate_some
from estimation.choice.result import ChoiceResult
from estimation.estimates import Estimates
from estimation.results import Covariance
from estimation.summary import Summary, coefficient_table

__all__ = ["PylogitEstimates", "in_log_odds"]

Array = NDArray[np.float64]


def in_log_odds(
    result: ChoiceResult, parameters: Mapping[str, str], n_nests: int, initial: Array
) -> Estimates:
    """Return a fit in pylogit's parametrization.

    A nest's parameter is ``log(lambda / (1 - lambda))``, and its standard error follows by the
    delta method: ``d log-odds / d lambda = 1 / (lambda (1 - lambda))``.

    Parameters
    ----------
    result
        The fit, with the covariance to transform.
    parameters
        What the fit calls each of pylogit's P parameters, those of the nests first.
    n_nests
        Number of nests.
    initial
        Initial values, shape (P,): what parameters that were not estimated are.

    Returns
    -------
    Estimates
        The covariance is NaN for parameters that were held; estimate and covariance are NaN for
        a lambda of one or more, which has no log-odds.
    """
    own = list(parameters.values())
    held = ~np.isin(own, result.names)
    values = result.params.reindex(own).to_numpy(copy=True)
    slope = np.where(held, np.nan, 1.0)
    lam = values[:n_nests]
    expressible = (lam > 0) & (lam < 1)
    slope[:n_nests] = np.nan
    slope[:n_nests][expressible] = 1 / (lam * (1 - lam))[expressible]
    lam[~expressible] = np.nan
    values[:n_nests] = special.logit(lam)
    values[held] = initial[held]
    matrix = result.cov_params().reindex(index=own, columns=own).to_numpy()
    covariance = Covariance(matrix * np.outer(slope, slope), result.cov_type)
    return Estimates(tuple(parameters), values, covariance)


@dataclass(frozen=True, eq=False, repr=False)
class PylogitEstimates:
    """A fitted model in pylogit's words.

    Attributes
    ----------
    result : ChoiceResult
        The fitted model in nestflow's words, with pylogit's kind of standard errors.
    title : str
        What pylogit calls the model.
    parameters : mapping
        What ``result`` calls each of pylogit's P parameters, those of the nests first.
    nest_names : tuple of str
    initial : ndarray, shape (P,)
        Initial values.
    choice_col : str
    """

    result: ChoiceResult
    title: str
    parameters: Mapping[str, str]
    nest_names: tuple[str, ...]
    initial: Array
    choice_col: str

    @cached_property
    def _shown(self) -> Estimates:
        return in_log_odds(self.result, self.parameters, len(self.nest_names), self.initial)

    @cached_property
    def _robust(self) -> Estimates:
        robust = self.result.with_cov("robust")
        return in_log_odds(robust, self.parameters, len(self.nest_names), self.initial)

    @property
    def params(self) -> pd.Series:
        """All parameters; nests first."""
        return self._shown.params

    @property
    def coefs(self) -> pd.Series:
        """Coefficients of the index, and standard deviations of the random ones."""
        return self.params.iloc[len(self.nest_names) :]

    @property
    def nests(self) -> pd.Series | None:
        """Log-odds of the dissimilarities; None without nests."""
        return self.params.iloc[: len(self.nest_names)] if self.nest_names else None

    @property
    def cov(self) -> pd.DataFrame:
        """Covariance of the parameters: of the inverse Hessian (MNL) or BHHH, as in pylogit."""
        return self._shown.cov_params()

    @property
    def standard_errors(self) -> pd.Series:
        """Standard errors; NaN for what was held, see notes."""
        return self._shown.bse

    @property
    def bse(self) -> pd.Series:
        """Standard errors, by statsmodels' name."""
        return self._shown.bse

    @property
    def tvalues(self) -> pd.Series:
        """Parameters over their standard errors."""
        return self._shown.tvalues

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values under the normal distribution."""
        return self._shown.pvalues

    @property
    def robust_cov(self) -> pd.DataFrame:
        """Sandwich covariance of the parameters."""
        return self._robust.cov_params()

    @property
    def robust_std_errs(self) -> pd.Series:
        """Standard errors of the sandwich covariance."""
        return self._robust.bse

    @property
    def robust_t_stats(self) -> pd.Series:
        """Parameters over their robust standard errors."""
        return self._robust.tvalues

    @property
    def robust_p_vals(self) -> pd.Series:
        """Two-sided p-values with robust standard errors."""
        return self._robust.pvalues

    @property
    def llf(self) -> float:
        """Log-likelihood."""
        return self.result.llf

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood."""
        return self.result.llf

    @property
    def null_log_likelihood(self) -> float:
        """Log-likelihood with equal shares."""
        return self.result.llnull

    @property
    def rho_squared(self) -> float:
        """McFadden's R² against equal shares."""
        return 1 - self.llf / self.null_log_likelihood

    @property
    def rho_bar_squared(self) -> float:
        """McFadden's R², adjusted for the number of estimated parameters."""
        return 1 - (self.llf - self.df_model) / self.null_log_likelihood

    @property
    def nobs(self) -> int:
        """Number of choice situations."""
        return self.result.nobs

    @property
    def df_model(self) -> int:
        """Number of estimated parameters."""
        return self.result.df_model

    @property
    def df_resid(self) -> int:
        """Choice situations less estimated parameters."""
        return self.nobs - self.df_model

    @property
    def aic(self) -> float:
        """Akaike's criterion, over the estimated parameters."""
        return self.result.aic

    @property
    def bic(self) -> float:
        """Schwarz's criterion, over the estimated parameters."""
        return self.result.bic

    @property
    def estimation_success(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.result.converged

    @property
    def estimation_message(self) -> str:
        """How the search ended."""
        return self.result.optimum.message

    @property
    def summary(self) -> pd.DataFrame:
        """One row a parameter, with both kinds of standard errors."""
        return pd.DataFrame(
            {
                "parameters": self.params,
                "std_err": self.standard_errors,
                "t_stats": self.tvalues,
                "p_values": self.pvalues,
                "robust_std_err": self.robust_std_errs,
                "robust_t_stats": self.robust_t_stats,
                "robust_p_values": self.robust_p_vals,
            }
        )

    @property
    def fit_summary(self) -> pd.Series:
        """How well the model fits."""
        return pd.Series(
            {
                "Number of Parameters": self.df_model,
                "Number of Observations": self.nobs,
                "Null Log-Likelihood": self.null_log_likelihood,
                "Fitted Log-Likelihood": self.llf,
                "Rho-Squared": self.rho_squared,
                "Rho-Bar-Squared": self.rho_bar_squared,
                "Estimation Message": self.estimation_message,
            }
        )

    @property
    def without_log_odds(self) -> dict[str, float]:
        """Nests whose dissimilarity is one or more, and what it is."""
        own = self.result.params
        return {
            nest: float(own[parameter])
            for nest, parameter in list(self.parameters.items())[: len(self.nest_names)]
            if parameter in own.index and own[parameter] >= 1
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know."""
        held = [name for name, own in self.parameters.items() if own not in self.result.names]
        notes = [f"Standard errors: {self.result.cov_type}; `summary` has the robust ones, too."]
        if held:
            notes.append(f"Held at the initial value, so without standard error: {_list(held)}.")
        notes += [
            f"The dissimilarity of '{nest}' is {value:.4f}, which has no log-odds, so that its "
            "parameter is NaN; see result.params, or hold the nest at 40, which is a lambda of 1."
            for nest, value in self.without_log_odds.items()
        ]
        return (*notes, *self.result.notes)

    def conf_int(
        self, alpha: float = 0.05, coefs: Any = None, return_df: bool = False
    ) -> pd.DataFrame | Array:
        """Return normal confidence limits at level ``1 - alpha``.

        Parameters
        ----------
        alpha
            Between 0 and 1.
        coefs
            Names of parameters; all by default.
        return_df
            Whether as a labelled table, rather than an array of shape (P, 2).

        Raises
        ------
        SpecificationError
            If ``alpha`` is not between 0 and 1.
        """
        limits = self._shown.conf_int(alpha)
        chosen = limits if coefs is None else limits.loc[coefs]
        return chosen if return_df else chosen.to_numpy()

    def get_statsmodels_summary(self, title: str | None = None, alpha: float = 0.05) -> Summary:
        """Return the page to print.

        Parameters
        ----------
        title
            Headline; the model's name by default.
        alpha
            One minus the level of the confidence limits.

        Raises
        ------
        SpecificationError
            If ``alpha`` is not between 0 and 1.
        """
        shown = self._shown
        facts = (
            ("Dep. Variable", self.choice_col),
            ("Model", self.title),
            ("Standard errors", self.result.cov_type),
            ("Converged", "yes" if self.estimation_success else f"NO: {self.estimation_message}"),
            ("AIC", f"{self.aic:,.3f}"),
            ("BIC", f"{self.bic:,.3f}"),
            ("No. Observations", f"{self.nobs:,}"),
            ("Df Residuals", f"{self.df_resid:,}"),
            ("Df Model", f"{self.df_model:,}"),
            ("Pseudo R-squ.", f"{self.rho_squared:.3f}"),
            ("Pseudo R-bar-squ.", f"{self.rho_bar_squared:.3f}"),
            ("Log-Likelihood", f"{self.llf:,.3f}"),
            ("LL-Null", f"{self.null_log_likelihood:,.3f}"),
        )
        table = coefficient_table(
            shown.params, shown.bse, shown.tvalues, shown.pvalues, shown.conf_int(alpha)
        )
        limits = {"[0.025": f"[{alpha / 2:g}", "0.975]": f"{1 - alpha / 2:g}]"}
        headline = title or f"{self.title} Regression Results"
        return Summary(headline, facts, table.rename(columns=limits), self.notes)


def _list(names: list[str]) -> str:
    return enumerate_some([repr(name) for name in names], most=8)
