"""What was found by a choice model, and what follows from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.choices.partitioned import AnyChoiceData, PartitionedChoiceData
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.logit.factored_likelihood import FactoredLikelihood
from choicemodels.logit.likelihood import RowLikelihood
from choicemodels.logit.summed import SummedLikelihood
from choicemodels.logit.tree import NestTree, branch_logsum, log_probabilities
from choicemodels.specify import layout_from_dict, model_from_dict, model_to_dict, specify
from choicemodels.utility import Term, UtilityTerm
from estimation.choice.absorbed_constants import AbsorbedConstants
from estimation.choice.estimate import ChoiceEstimate, LoglikeBaselines
from estimation.newton import Iteration, Optimum
from estimation.results import Covariance
from estimation.summary import Summary, coefficient_table

__all__ = ["ChoiceResult"]

Array = NDArray[np.float64]

# Beyond this many rows probabilities are not laid out one by one.
_MOST_ROWS = 20_000_000


@dataclass(frozen=True, eq=False, repr=False)
class ChoiceResult(ChoiceEstimate):
    """A fitted choice model: predictions, tables and storage of a :class:`ChoiceEstimate`."""

    def over(self, data: AnyChoiceData | None, purpose: str) -> tuple[ChoiceData, RowLikelihood]:
        """Put the fitted model over new data, or over its own, row by row.

        Raises
        ------
        SpecificationError
            If the data are no choice data.
        EstimationError
            If there are no data, they are factored and would take too many rows, or their choice
            sets are samples.
        """
        data = self.need_data(purpose) if data is None else data
        if not isinstance(data, ChoiceData | PartitionedChoiceData | FactoredChoiceData):
            raise SpecificationError(
                f"{purpose} takes choice data and was given a {type(data).__name__}; make them of "
                "a table with ChoiceData.from_long(table, ...)."
            )
        if isinstance(data, ChoiceData) and data.sample is not None:
            raise EstimationError(
                f"{purpose}: the choice sets are samples, within which probabilities are not those "
                "of the full sets; pass the full choice sets."
            )
        if isinstance(data, PartitionedChoiceData):
            raise EstimationError(
                f"{purpose} needs the rows, which lie in {len(data.paths):,} files; go through "
                "data.partitions() and ask for one at a time."
            )
        if isinstance(data, FactoredChoiceData):
            rows = int(data.set_sizes.sum())
            if rows > _MOST_ROWS:
                raise EstimationError(
                    f"{purpose} would lay out {rows:,} rows, one for each chooser and alternative; "
                    "ask for some choosers, data.take(...), or for sums with expected_choices()."
                )
            data = data.to_long()
        return data, self.parameters.over(data)

    def predict(self, data: AnyChoiceData | None = None) -> pd.DataFrame:
        """Return choice probabilities, one row for each case and alternative.

        Parameters
        ----------
        data
            New data with the same variables; by default the data of the estimation. Choices
            are not needed, and alternatives may be fewer.

        Returns
        -------
        DataFrame
            Case, alternative and ``probability``, in the rows of ``data.table``.
        """
        rows, likelihood = self.over(data, "predict()")
        P, _ = likelihood.probabilities(self.theta)
        names = np.array(rows.alternatives)[rows.alternative]
        return pd.DataFrame(
            {
                rows.case_name: rows.table[rows.case_name],
                rows.alternative_name: names,
                "probability": P,
            }
        )

    def logsum(self, data: AnyChoiceData | None = None) -> "pd.Series[float]":
        """Return the expected maximum utility of each case, up to a constant."""
        found = self.need_data("logsum()") if data is None else data
        if isinstance(found, FactoredChoiceData):
            likelihood = specify(self.model, found, self.parameters)
            assert isinstance(likelihood, FactoredLikelihood | SummedLikelihood)
            _, logsum = likelihood.expected(self.theta)
        else:
            found, rows = self.over(found, "logsum()")
            _, logsum = rows.probabilities(self.theta)
        index = pd.Index(found.case_ids, name=found.case_name)
        return pd.Series(logsum, index=index, name="logsum")

    def expected_choices(self, data: FactoredChoiceData | None = None) -> pd.DataFrame:
        """Return how many choosers of each origin are expected to take each alternative.

        Parameters
        ----------
        data
            Factored data; by default those of the estimation.

        Returns
        -------
        DataFrame
            Origin, alternative and ``expected``, the sum of the weighted probabilities.

        Raises
        ------
        SpecificationError
            If the data are not factored: sum what ``predict()`` returns.
        """
        found = data if data is not None else self.need_data("expected_choices()")
        if not isinstance(found, FactoredChoiceData):
            raise SpecificationError(
                "expected_choices() sums over factored data; with a row for each alternative, sum "
                "the probabilities of predict() by group."
            )
        likelihood = specify(self.model, found, self.parameters)
        assert isinstance(likelihood, FactoredLikelihood | SummedLikelihood)
        expected, _ = likelihood.expected(self.theta)
        places = found.places
        return pd.DataFrame(
            {
                "origin": np.array(places.origins, dtype=object)[places.origin],
                found.alternative_name: np.array(places.alternatives, object)[places.alternative],
                "expected": expected,
            }
        )

    def utility_terms(self) -> tuple[UtilityTerm, ...]:
        """Return the fitted utilities as terms: coefficient times a product of expressions.

        Raises
        ------
        SpecificationError
            If the utilities have a size or a scale, or the model's coefficients vary.
        """
        utility = self._logit("utility_terms()").utility
        if utility.size or utility.scale:
            raise SpecificationError(
                "the utilities hold a size or a scale, so they are not a sum of products."
            )
        terms = list(zip(utility.linear, self.theta, strict=False))
        if utility.offset:
            terms.append((utility.offset, 1.0))
        if self.constants is not None:
            terms += [
                (Term(f"constant:{name}", (), (str(name),)), value)
                for name, value in self.constants.items()
            ]
        return tuple(
            UtilityTerm(term.name, float(b), term.factors, term.alternatives) for term, b in terms
        )

    def log_probabilities(self, V: Array, available: NDArray[np.bool_] | None = None) -> Array:
        """Return log probabilities for dense utilities, shape (..., J), under the fitted tree."""
        p = self._logit("log_probabilities()")
        lam = p.lambdas(self.theta)[:-1]
        return log_probabilities(V, p.tree, lam, rum=p.rum, available=available)

    def branch_logsum(
        self, V: Array, available: NDArray[np.bool_] | None = None, exclude: str = "stay"
    ) -> Array:
        """Return the logsum of all alternatives but ``exclude``, which hangs on the root.

        The arguments are those of :func:`choicemodels.logit.tree.branch_logsum`.

        Raises
        ------
        SpecificationError
            If the model is not RUM-normalized, or ``exclude`` shares a nest.
        """
        p = self._logit("branch_logsum()")
        if not p.rum:
            raise SpecificationError(
                "the logsum of a branch needs normalization='rum'; fit the model that way."
            )
        lam = p.lambdas(self.theta)[:-1]
        return branch_logsum(V, p.tree, lam, exclude, available=available)

    def nesting(self) -> tuple[NestTree, Array]:
        """Return the tree and the fitted dissimilarities of its nests, shape (nests,)."""
        p = self._logit("nesting()")
        return p.tree, p.lambdas(self.theta)[:-1]

    def summary(self) -> Summary:
        """Return the page that statsmodels' users expect, with the covariance named."""
        constants = self.llconstants
        facts = (
            ("Cases", f"{self.nobs:,}"),
            ("Alternatives", f"{len(self.alternatives):,}"),
            ("Parameters", self._count_parameters()),
            ("Converged", "yes" if self.converged else f"NO: {self.optimum.message}"),
            ("Standard errors", self.covariance.short),
            ("Log-likelihood", f"{self.llf:.4f}"),
            ("Equal shares", f"{self.llnull:.4f}"),
            *([] if constants is None else [("Constants only", f"{constants:.4f}")]),
            ("McFadden R² (equal shares)", f"{self.prsquared:.4f}"),
            ("AIC / BIC", f"{self.aic:.2f} / {self.bic:.2f}"),
        )
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        cautions = tuple(
            text[0].upper() + text[1:] for text in self.parameters.cautions(self.theta)
        )
        notes = (*self.notes, *self._lambda_notes(), *self.covariance.footnotes, *cautions)
        return Summary(self.parameters.title, facts, table, notes)

    def _count_parameters(self) -> str:
        absorbed = self.df_model - self.basis.shape[1]
        also = f" + {absorbed:,} absorbed constants" if absorbed else ""
        return f"{self.basis.shape[1]}{also}"

    def _lambda_notes(self) -> tuple[str, ...]:
        """Test each free lambda against 1, the value at which its nest dissolves."""
        free = [name for name in self.names if name == "lambda" or name.startswith("lambda:")]
        tests = [
            f"{name}: z = {(self.params[name] - 1) / self.bse[name]:.2f} against 1" for name in free
        ]
        return ("; ".join(tests) + ".",) if tests else ()

    @property
    def __maketables_depvar__(self) -> str:
        return "choice"

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        more = {"ll_null": self.llnull}
        if self.llconstants is not None:
            more["ll_constants"] = self.llconstants
        return {**super().statistics, **more, "pseudo_r2": self.prsquared}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "ll_null", "pseudo_r2", "aic"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "choice",
            **super().to_dict(),
            "model": model_to_dict(self.model),
            "parameters": self.parameters.to_dict(),
            "theta": self.theta.tolist(),
            "basis": self.basis.tolist(),
            "hessian": self.hessian.tolist(),
            "meat": self.meat.tolist(),
            "baselines": asdict(self.baselines),
            "notes": list(self.notes),
            "converged": self.optimum.converged,
            "message": self.optimum.message,
            "choice_based": self.choice_based,
            "absorbed": None if self.absorbed is None else self.absorbed.to_dict(),
            "iterations": [step.to_dict() for step in self.optimum.iterations],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild a result from :meth:`to_dict`."""
        model = model_from_dict(saved["model"])
        theta = np.array(saved["theta"], dtype=np.float64)
        return cls(
            names=tuple(saved["names"]),
            estimate=np.array(saved["estimate"], dtype=np.float64),
            covariance=Covariance.from_dict(saved["covariance"]),
            llf=saved["llf"],
            nobs=saved["nobs"],
            model=model,
            parameters=layout_from_dict(model, saved["parameters"]),
            theta=theta,
            basis=np.array(saved["basis"], dtype=np.float64),
            hessian=np.array(saved["hessian"]),
            meat=np.array(saved["meat"]),
            optimum=Optimum(
                theta,
                saved["converged"],
                saved["message"],
                tuple(Iteration.from_dict(step) for step in saved["iterations"]),
            ),
            baselines=LoglikeBaselines(**saved["baselines"]),
            notes=tuple(saved["notes"]),
            choice_based=saved["choice_based"],
            absorbed=saved["absorbed"] and AbsorbedConstants.from_dict(saved["absorbed"]),
        )
