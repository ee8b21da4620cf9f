"""The mixed logit as a specification: coefficients that vary in the population."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from choicemodels.logit.models import LogitUtility
from choicemodels.mixed.distributions import DISTRIBUTIONS
from choicemodels.mixed.draws import SEQUENCES

__all__ = ["MixedLogit"]


@dataclass(frozen=True)
class MixedLogit(LogitUtility):
    """Mixed (random-parameters) logit, by simulation.

    Decision maker m has coefficients ``b_m`` drawn from a distribution f, and chooses by a logit
    in each of T cases, so that the likelihood of the choices is

        L_m = integral prod_t P_t(chosen | b) f(b) db,

    an average over draws of b [ReveltTrain1998]_ [McFaddenTrain2000]_. Decision makers are those
    of ``ChoiceData(panel=...)``; without a panel each case is one.

    A coefficient keeps the name of its term as its location; ``sd:time`` is its spread. The
    distributions are

    ==================  =================================================================
    ``"normal"``        location and spread are mean and standard deviation
    ``"lognormal"``     those of the logarithm; ``"-lognormal"`` is minus a lognormal
    ``"truncated"``     a normal given that it is positive; ``"-truncated"`` is minus that
    ``"uniform"``       on location ± spread: the spread is half the width
    ``"triangular"``    on location ± spread, symmetric, zero at both ends
    ``"zbt"``           triangular between zero and twice the location, without a spread
    ==================  =================================================================

    Correlated coefficients have a lower Cholesky factor in place of the spreads,
    ``chol:time:cost`` being the element in the column of time and the row of cost, of the
    logarithms where these are normal.

    The likelihood is that of the draws, to all digits, and so are its derivatives; another
    ``seed`` gives another one. Spreads have no sign where a distribution is symmetric; the search
    starts at positive ones. The other arguments are those of
    :class:`~choicemodels.logit.models.LogitUtility`.

    Attributes
    ----------
    random : mapping
        Term, such as ``"time"`` or ``"(Intercept):train"``, to its distribution.
    correlated : bool or sequence of str
        All coefficients of ``random`` correlate, none, or those named: normal and lognormal ones.
    error_components : mapping
        Name to alternatives that share an error, normal with mean zero; ``sd:name`` is its
        standard deviation.
    draws : int
        For each decision maker.
    sequence : {"halton", "sobol", "mlhs"}
        See :func:`choicemodels.mixed.draws.uniform_draws`.
    seed : int
    space : {"preference", "wtp"}
        In the space of willingness to pay the utility is ``b_p (price - sum_k w_k x_k)``: the
        parameters of all terms but the price are what its units are worth in money
        [TrainWeeks2005]_ [ScarpaThieneTrain2008]_. Error components, offsets and sizes stay in
        units of utility.
    price : str or None
        The term of the price, for ``space="wtp"``. Its coefficient is ``"-lognormal"`` in
        ``random``, or does not vary.

    Raises
    ------
    SpecificationError
        If nothing varies, or a word, a number or a combination is not one of those above.
    """

    random: Mapping[str, str] = field(default_factory=dict)
    correlated: bool | Sequence[str] = field(default=False, kw_only=True)
    error_components: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)
    draws: int = field(default=500, kw_only=True)
    sequence: Literal["halton", "sobol", "mlhs"] = field(default="halton", kw_only=True)
    seed: int = field(default=0, kw_only=True)
    space: Literal["preference", "wtp"] = field(default="preference", kw_only=True)
    price: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        components = {str(k): tuple(map(str, v)) for k, v in self.error_components.items()}
        object.__setattr__(self, "random", dict(self.random))
        object.__setattr__(self, "error_components", components)
        if not isinstance(self.correlated, bool):
            object.__setattr__(self, "correlated", tuple(map(str, self.correlated)))
        self._check_random()
        self._check_correlated()
        self._check_components()
        self._check_draws()
        self._check_space()

    @property
    def correlates(self) -> tuple[str, ...]:
        """Names of the coefficients that correlate, in the order of ``random``."""
        if isinstance(self.correlated, bool):
            return tuple(self.random) if self.correlated else ()
        return tuple(name for name in self.random if name in self.correlated)

    def _check_random(self) -> None:
        if not self.random and not self.error_components:
            raise SpecificationError(
                "nothing varies: give random={'time': 'normal'} or error_components=, or use "
                "MultinomialLogit."
            )
        if self.scale.strip():
            raise SpecificationError(
                f"scale='{self.scale}' cannot go together with coefficients that vary; let a "
                "common factor vary as the price in space='wtp', or drop one of the two."
            )
        for name, distribution in self.random.items():
            if distribution not in DISTRIBUTIONS:
                raise SpecificationError(
                    f"random gives '{name}' the distribution '{distribution}'"
                    f"{closest(distribution, DISTRIBUTIONS)}; the distributions are "
                    f"{', '.join(DISTRIBUTIONS)}."
                )

    def _check_correlated(self) -> None:
        if not isinstance(self.correlated, bool):
            for name in self.correlated:
                if name not in self.random:
                    raise SpecificationError(
                        f"correlated names '{name}'{closest(name, self.random)}, which is not in "
                        "random."
                    )
        for name in self.correlates:
            if not DISTRIBUTIONS[self.random[name]].correlates:
                raise SpecificationError(
                    f"'{name}' is {self.random[name]} and cannot correlate with others: only "
                    "normal and lognormal coefficients mix normal draws; list the others "
                    "in correlated=[...]."
                )
        if len(self.correlates) == 1:
            raise SpecificationError(
                f"'{self.correlates[0]}' alone correlates with nothing; name two coefficients or "
                "more."
            )

    def _check_components(self) -> None:
        for name, members in self.error_components.items():
            if name in self.random:
                raise SpecificationError(
                    f"'{name}' names an error component and a coefficient of random, and sd:{name} "
                    "would be the spread of both; rename the component."
                )
            if not members or len(set(members)) < len(members):
                raise SpecificationError(
                    f"error_components['{name}'] holds {list(members)}; list at least one "
                    "alternative, each once."
                )

    def _check_draws(self) -> None:
        for word, least in (("draws", 1), ("seed", 0)):
            value = getattr(self, word)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise SpecificationError(
                    f"{word} is {value!r}; it is a whole number of at least {least}."
                )
            object.__setattr__(self, word, int(value))
        if self.sequence not in SEQUENCES:
            raise SpecificationError(
                f"sequence is '{self.sequence}'{closest(self.sequence, SEQUENCES)}; it is one of "
                f"{', '.join(SEQUENCES)}."
            )

    def _check_space(self) -> None:
        if self.space not in ("preference", "wtp"):
            raise SpecificationError(f"space is '{self.space}'; it is 'preference' or 'wtp'.")
        if (self.space == "wtp") != (self.price is not None):
            raise SpecificationError(
                "space='wtp' needs the term of the price, as in price='cost', and price= has no "
                "meaning without it."
            )
        if self.space == "wtp" and self.random.get(str(self.price), "-lognormal") != "-lognormal":
            raise SpecificationError(
                f"in the space of willingness to pay the coefficient of '{self.price}' multiplies "
                f"everything and must not cross zero: it is '-lognormal' or does not vary, not "
                f"{self.random[str(self.price)]}."
            )
