"""The latent class logit as a specification: a few kinds of people, nobody knows who is who."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_parts
from choicemodels.logit.models import LogitUtility

__all__ = ["LatentClassLogit"]


@dataclass(frozen=True)
class LatentClassLogit(LogitUtility):
    """Latent class logit: coefficients differ between classes of decision makers.

    All choices t of decision maker n are made with the coefficients of one class c,

        L_n = sum_c pi_nc prod_t P(j_nt | beta_c),
        pi_nc = exp(z_n'delta_c) / sum_d exp(z_n'delta_d),

    with ``delta_1 = 0`` and P the multinomial logit [KamakuraRussell1989]_ [GreeneHensher2003]_.
    Decision makers are those of ``panel=`` of the data; without it, every case is one.

    The parameters are ``cost:class1``, ``cost:class2``, ... and those of membership,
    ``class2:(Intercept)``, ``class2:income``, ... Without constraints and bounds that tell classes
    apart, class 1 is the largest, class 2 the next.

    The other arguments are those of :class:`~choicemodels.logit.models.LogitUtility`; constraints
    name the parameters as above, so that ``"time:class1 = 0"`` makes a class that does not mind
    time.

    Attributes
    ----------
    classes : int
        Number of classes, C; 1 is the multinomial logit.
    membership : str
        Variables of the decision maker that class membership depends on, as ``"income + age"``;
        there is a constant unless it holds ``0``.
    shared : sequence of str
        Coefficients that all classes have in common, by name; ``"(Intercept)"`` stands for
        ``"(Intercept):train"``, ``"(Intercept):car"`` and so on.

    Raises
    ------
    SpecificationError
        If the number of classes is not a positive integer, membership has several parts, or
        there is one class and membership all the same.
    """

    classes: int = field(default=2, kw_only=True)
    membership: str = field(default="", kw_only=True)
    shared: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.classes
        whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
        if not whole or given < 1:
            raise SpecificationError(
                f"classes is {self.classes!r}; it must be a whole number from 1 upwards."
            )
        object.__setattr__(self, "classes", int(self.classes))
        split_parts(self.membership, most=1)
        if self.classes == 1 and self.membership.strip():
            raise SpecificationError(
                f"membership is '{self.membership}', but with one class there is nothing to depend "
                "on it; ask for two classes or more, or leave it out."
            )
        shared = (self.shared,) if isinstance(self.shared, str) else tuple(map(str, self.shared))
        object.__setattr__(self, "shared", shared)
