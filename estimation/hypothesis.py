"""What every test of a hypothesis answers."""

from dataclasses import dataclass
from typing import Literal, Self

from scipy.special import chdtrc

__all__ = ["HypothesisTest"]


@dataclass(frozen=True)
class HypothesisTest:
    """The outcome of a test, or why there is none.

    Attributes
    ----------
    name : str
        What the test is called.
    hypothesis : str
        The null hypothesis.
    statistic : float or None
        None if it could not be computed; a statistic that cannot be referred to its
        distribution is kept.
    df : int or None
        Degrees of freedom.
    pvalue : float or None
        None exactly if the test does not apply.
    distribution : "chi2" or "normal bound"
        What the statistic follows under the hypothesis; under ``"normal bound"`` the p-value is
        an upper bound.
    note : str
        What the reader must know of a test that applies.
    reason : str
        Why the test does not apply; empty if it does.
    """

    name: str
    hypothesis: str
    statistic: float | None
    df: int | None
    pvalue: float | None
    distribution: Literal["chi2", "normal bound"] = "chi2"
    note: str = ""
    reason: str = ""

    @classmethod
    def chi2(cls, name: str, hypothesis: str, statistic: float, df: int, note: str = "") -> Self:
        """Refer a statistic to the chi-squared distribution."""
        pvalue = float(chdtrc(df, statistic))
        return cls(name, hypothesis, float(statistic), df, pvalue, note=note)

    @classmethod
    def refused(
        cls,
        name: str,
        hypothesis: str,
        reason: str,
        statistic: float | None = None,
        df: int | None = None,
    ) -> Self:
        """Say why a test does not apply."""
        return cls(name, hypothesis, statistic, df, None, reason=reason)

    @property
    def applies(self) -> bool:
        """Whether there is a p-value to go by."""
        return not self.reason

    def __str__(self) -> str:
        if self.pvalue is None:
            return f"{self.name} of {self.hypothesis} does not apply: {self.reason}."
        bound = self.distribution == "normal bound"
        value = f"z = {self.statistic:.4f}" if bound else f"chi2({self.df}) = {self.statistic:.4f}"
        p = f"p {'<=' if bound else '='} {self.pvalue:.4f}"
        if self.pvalue < 5e-5:
            p = "p < 0.0001"
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} of {self.hypothesis}: {value}, {p}{note}."
