"""What the results of gravity models share, by PPML or beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.formula import term_values
from choicemodels.utility import Term
from estimation.covariance import SmallSample
from estimation.gravity.covariance import (
    Grouping,
    LevelCount,
    check_kind,
    gravity_covariance,
    middle_of,
)
from estimation.gravity.effects import EffectEstimate, refuse_unconnected
from estimation.gravity.sample import GroupsArgument, Sample
from estimation.results import Covariance, Result

__all__ = ["FlowResult"]

Array = NDArray[np.float64]

_KINDS = ("hessian", "robust", "HC0", "HC1", "cluster", "dyadic")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FlowResult(Result):
    """An estimate of a model of flows whose fixed effects are concentrated out.

    Besides what every result has:

    Attributes
    ----------
    formula : str
    depvar : str
    hessian : ndarray, shape (K, K)
        Of the log-likelihood, the fixed effects concentrated out.
    scores_product : ndarray, shape (K, K)
        Cross-product of the scores.
    terms : tuple of Term
        The regressors, whose coefficients come first.
    effects : tuple of EffectEstimate
    dropped : DataFrame
        One row for each reason: reason, effect, rows.
    dropped_rows : Series
        The reason, by position of the row in the table that was given.
    offset : str
        The expression that entered with the coefficient one; empty if there was none.
    sample : Sample or None
        The data behind the result; it is not saved.
    """

    formula: str
    depvar: str
    hessian: Array
    scores_product: Array
    terms: tuple[Term, ...]
    effects: tuple[EffectEstimate, ...]
    dropped: pd.DataFrame
    dropped_rows: "pd.Series[str]"
    offset: str = ""
    sample: Sample | None = field(default=None, repr=False)

    @property
    def effect_counts(self) -> tuple[LevelCount, ...]:
        """Name and number of levels of each fixed effect."""
        return tuple(LevelCount(e.name, len(e.values), bool(e.variable)) for e in self.effects)

    def with_cov(
        self, kind: str, *, groups: GroupsArgument = None, ssc: SmallSample | None = None
    ) -> Self:
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind
            ``"hessian"``, ``"robust"``, ``"HC0"``, ``"HC1"``, ``"cluster"`` or ``"dyadic"``.
        groups, ssc
            As in :meth:`GravityResult.with_cov`.

        Raises
        ------
        EstimationError
            If the result was read from a file and the covariance needs the rows.
        SpecificationError
            If an option is unknown or does not fit.
        """
        ssc = self.covariance.ssc if ssc is None else ssc
        check_kind(kind, ssc)
        if kind not in _KINDS:
            raise SpecificationError(
                f"the covariance '{kind}' is offered for PPML alone; choose one of "
                f"{', '.join(_KINDS)}."
            )
        if groups is not None and kind != "cluster":
            raise SpecificationError(f"groups= goes with cov='cluster', not with '{kind}'.")
        places = None
        groupings: tuple[Grouping, ...] = ()
        if kind in ("cluster", "dyadic"):
            sample = self._need_sample(f"the covariance '{kind}'")
            if kind == "dyadic":
                groups = [f"`{sample.data.origin}`", f"`{sample.data.destination}`"]
                places = sample.places()
            groupings = sample.groupings(groups, self.effects)
        middle = middle_of(
            kind, ssc, len(self.names), self.effect_counts, self.nobs,
            groupings=groupings, places=places,
        )  # fmt: skip
        scores = None if self.sample is None else self.sample.scores
        covariance = gravity_covariance(
            middle, self.hessian, self.names, scores, self.scores_product
        )
        return replace(self, covariance=covariance)

    def _need_sample(self, what: str) -> Sample:
        if self.sample is None:
            raise EstimationError(
                f"this result was read from a file, without its rows, which {what} needs; fit "
                "again."
            )
        return self.sample

    def fixed_effects(self) -> "dict[str, pd.Series[float]]":
        """Return the fixed effects and slopes by level, labelled, by name.

        Only sums over the effects of a row are identified. The first effect carries the level;
        of two effects, the second sums to zero over its levels within each connected set of
        levels. With three effects or more, each after the first sums to zero, and what else can
        move between them is as the iterations left it.
        """
        return {effect.name: effect.series() for effect in self.effects}

    def _predictor(self, frame: pd.DataFrame) -> Array:
        """Add up regressors, offset and fixed effects over new rows."""
        eta = np.zeros(len(frame))
        for term, coefficient in zip(self.terms, self.estimate[: len(self.terms)], strict=True):
            eta += coefficient * term_values(term, frame, what="the new table")
        if self.offset:
            eta += term_values(Term("offset", (self.offset,)), frame, what="the new table")
        for effect in self.effects:
            eta += effect.at(frame)
        refuse_unconnected(self.effects, frame)
        return eta

    def _account(self) -> list[str]:
        """Say how many rows were dropped and why."""
        return [
            f"{count:,} rows dropped: {reason}" + (f" of {effect}" if effect else "")
            for reason, effect, count in self.dropped.itertuples(index=False)
        ]

    @property
    def __maketables_depvar__(self) -> str:
        return self.depvar

    @property
    def __maketables_fixef_string__(self) -> str | None:
        return "+".join(effect.name for effect in self.effects) or None

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            **super().to_dict(),
            "formula": self.formula,
            "depvar": self.depvar,
            "offset": self.offset,
            "hessian": self.hessian.tolist(),
            "scores_product": self.scores_product.tolist(),
            "terms": [asdict(term) for term in self.terms],
            "effects": [effect.to_dict() for effect in self.effects],
            "dropped": self.dropped.to_dict(orient="list"),
            "dropped_rows": {
                "row": self.dropped_rows.index.tolist(),
                "reason": self.dropped_rows.tolist(),
            },
        }

    @staticmethod
    def _read(saved: Mapping[str, Any]) -> dict[str, Any]:
        """Rebuild what :meth:`to_dict` of this class wrote, as arguments."""
        K, rows = len(saved["names"]), saved["dropped_rows"]
        return {
            "names": tuple(saved["names"]),
            "estimate": np.array(saved["estimate"], dtype=np.float64),
            "covariance": Covariance.from_dict(saved["covariance"]),
            **{name: saved[name] for name in ("llf", "nobs", "formula", "depvar", "offset")},
            "hessian": np.array(saved["hessian"], dtype=np.float64).reshape(K, K),
            "scores_product": np.array(saved["scores_product"], dtype=np.float64).reshape(K, K),
            "terms": tuple(Term.from_dict(term) for term in saved["terms"]),
            "effects": tuple(EffectEstimate.from_dict(effect) for effect in saved["effects"]),
            "dropped": pd.DataFrame(saved["dropped"], columns=["reason", "effect", "rows"]),
            "dropped_rows": pd.Series(
                rows["reason"], index=pd.Index(rows["row"], dtype="int64"), dtype=object
            ),
        }
