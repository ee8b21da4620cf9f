"""Linear equations among parameters, and bounds on them.

``R theta = q`` is solved once for some of the parameters in terms of the others,
``theta = origin + basis @ phi`` with ``phi`` the free parameters themselves, so that estimation is
unrestricted in phi and every derivative and covariance follows by the chain rule.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest

__all__ = [
    "Bounds",
    "Evaluation",
    "Restrictions",
    "check_bounds",
    "equation_lines",
    "linear_equations",
    "plain_names",
    "quote_names",
    "restrict",
    "single_equations",
]

Array = NDArray[np.float64]
Bounds: TypeAlias = Mapping[str, tuple[float | None, float | None]]
Evaluation: TypeAlias = tuple[float, Array, Array]
_NO_BOUNDS: Bounds = MappingProxyType({})


def equation_lines(given: Any, what: str) -> tuple[str, ...]:
    """Return equations as lines of text.

    Parameters
    ----------
    given
        One equation, a sequence of them, or a mapping from parameters to their values.
    what
        How the error message calls them.

    Raises
    ------
    SpecificationError
        If an equation is not text, or a value of the mapping is neither a number nor text.
    """
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Mapping):
        return tuple(f"{name} = {_value(name, value, what)}" for name, value in given.items())
    lines = tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [line for line in lines if not isinstance(line, str)]
    if wrong:
        raise SpecificationError(
            f"{what} holds {wrong[0]!r}, which is not an equation; write for example "
            "'cost = time', a list of such lines, or {'cost': -1}."
        )
    return lines


def _value(name: object, value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SpecificationError(
            f"{what} sets '{name}' to {value!r}; give a finite number, or an expression as text."
        )
    return repr(number)


def single_equations(lines: Sequence[str], names: Sequence[str]) -> list[str]:
    """Split lines at commas, and chains such as ``a = b = 0`` into ``a = b`` and ``b = 0``.

    Commas and equality signs within parameter names or backticks do not count.
    """
    single = []
    for line in lines:
        for part in _split(line, ",", names):
            sides = _split(part, "=", names)
            if len(sides) <= 2:
                single.append(part)
            else:
                single += [f"{a} = {b}" for a, b in pairwise(sides)]
    return [part for part in single if part]


def _split(text: str, mark: str, names: Sequence[str]) -> list[str]:
    ends = [
        m.span() for m in re.finditer(f"{_quoted_or_named(names)}|{mark}", text) if m[0] == mark
    ]
    begins = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [text[i:j].strip() for i, j in zip(begins, stops, strict=True)]


def linear_equations(lines: Sequence[str], names: Sequence[str]) -> tuple[Array, Array]:
    """Read linear equations among parameters.

    Parameters
    ----------
    lines
        Such as ``"cost = time"`` or ``"2 * cost + time = -1"``; without ``=``, equal to zero.
        Names may stand in backticks. A line may hold several, as for :func:`single_equations`.
    names
        The P parameters.

    Returns
    -------
    R : ndarray, shape (Q, P)
    q : ndarray, shape (Q,)

    Raises
    ------
    SpecificationError
        If an equation cannot be read or names an unknown parameter.
    """
    from formulaic.errors import FormulaSyntaxError
    from formulaic.utils.constraints import LinearConstraints

    single = single_equations(lines, names)
    plain = [_for_the_parser(quote_names(line, names)) for line in single]
    known = plain_names(names)
    try:
        parsed = LinearConstraints.from_spec(", ".join(plain), variable_names=known)
    except (FormulaSyntaxError, ValueError, RuntimeError, LookupError, ArithmeticError) as problem:
        raise SpecificationError(
            f"cannot read the restriction '{', '.join(single)}' ({_reason(problem, known)}); "
            f"the parameters are: {', '.join(names)}."
        ) from None
    R = np.asarray(parsed.constraint_matrix, dtype=np.float64)
    return R, np.asarray(parsed.constraint_values, dtype=np.float64)


def _reason(problem: Exception, known: Sequence[str]) -> str:
    """Say on one line what the parser says on several, with colours for a terminal."""
    if isinstance(problem, KeyError):
        name = str(problem.args[0])
        return f"there is no parameter '{name}'{closest(name, known)}"
    first = (str(problem).splitlines() or [type(problem).__name__])[0]
    return re.sub(r"\x1b\[[0-9;]*m", "", first).rstrip(". ")


def _for_the_parser(line: str) -> str:
    """Write a sign that opens a side as a difference, and powers of ten in full.

    formulaic reads ``= -1`` and ``, -x`` as unknown operators, and knows no ``1e-3``.
    """
    power = r"`[^`]*`|(?<![\w.])(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+"
    line = re.sub(power, lambda m: m[0] if m[0][0] == "`" else f"{Decimal(m[0]):f}", line)
    return re.sub(r"(^|=)\s*-", r"\1 0 - ", line)


def plain_names(names: Sequence[str]) -> list[str]:
    """Return the names as :func:`quote_names` writes them between its backticks."""
    return [name.replace("`", "") for name in names]


def quote_names(text: str, names: Sequence[str]) -> str:
    """Put parameter names into backticks, the longest first, as the constraint parser asks.

    Backticks within a name are left out: no parser could tell them from those around it.
    """
    return re.sub(_quoted_or_named(names), _in_backticks, text)


def _quoted_or_named(names: Sequence[str]) -> str:
    """Return the pattern of a known name, in backticks or not, or of anything in backticks."""
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return rf"`(?:{known})`|(?<![\w.:])(?:{known})(?![\w.:])|`[^`]*`"


def _in_backticks(match: re.Match[str]) -> str:
    return f"`{match[0].replace('`', '')}`"


def check_bounds(bounds: Bounds) -> dict[str, tuple[float, float]]:
    """Return bounds as pairs of numbers, open sides infinite.

    Raises
    ------
    SpecificationError
        If a pair is not one, or the lowest value is not below the highest.
    """
    if not isinstance(bounds, Mapping):
        raise SpecificationError(
            f"bounds is {bounds!r}; map parameters to (lowest, highest), None for an open side."
        )
    checked = {}
    for name, pair in bounds.items():
        try:
            low, high = pair
            lowest = -np.inf if low is None else float(low)
            highest = np.inf if high is None else float(high)
        except (TypeError, ValueError):
            raise SpecificationError(
                f"bounds['{name}'] is {pair!r}; write (lowest, highest), None for an open side."
            ) from None
        if not lowest < highest:
            raise SpecificationError(
                f"bounds['{name}'] is {pair!r}: the lowest value must lie below the highest; fix "
                f"a parameter with constraints=['{name} = value']."
            )
        checked[str(name)] = (lowest, highest)
    return checked


@dataclass(frozen=True, eq=False)
class Restrictions:
    """The map from free parameters to all: ``theta = origin + basis @ phi``.

    Attributes
    ----------
    origin : ndarray, shape (P,)
    basis : ndarray, shape (P, F)
    free : ndarray of int64, shape (F,)
        Which parameters ``phi`` are.
    lower, upper : ndarray, shape (F,)
        Bounds on ``phi``, infinite where there are none.
    """

    origin: Array
    basis: Array
    free: NDArray[np.int64]
    lower: Array
    upper: Array

    @classmethod
    def build(
        cls,
        names: Sequence[str],
        equations: Sequence[str],
        bounds: Bounds,
        domain: Bounds = _NO_BOUNDS,
    ) -> Self:
        """Solve the equations for as many parameters, the last ones first.

        Parameters
        ----------
        names
            The P parameters.
        equations, bounds
            What the user asks.
        domain
            Bounds by nature; those of parameters that are not there, or that the equations
            determine, are left out.

        Raises
        ------
        SpecificationError
            If an equation cannot be read, repeats or contradicts the others, or bounds are put
            on a parameter that the equations determine, or outside of its domain.
        """
        P = len(names)
        equations = single_equations(equations, names)
        R, q = linear_equations(equations, names) if equations else (np.empty((0, P)), np.empty(0))
        R, q, pivots = _solve(R.copy(), q.copy(), equations)
        free = np.setdiff1d(np.arange(P), pivots).astype(np.int64)
        origin, basis = np.zeros(P), np.zeros((P, len(free)))
        basis[free, np.arange(len(free))] = 1.0
        for row, pivot in enumerate(pivots):
            origin[pivot], basis[pivot] = q[row], -R[row, free]
        lower, upper = np.full(len(free), -np.inf), np.full(len(free), np.inf)
        place = {names[k]: f for f, k in enumerate(free)}
        for name, (low, high) in check_bounds(domain).items():
            if name in place:
                lower[place[name]], upper[place[name]] = low, high
        for name, (low, high) in check_bounds(bounds).items():
            if name not in names:
                raise SpecificationError(
                    f"bounds names the parameter '{name}'{closest(name, names)}, which the model "
                    f"does not have; it has: {', '.join(names)}."
                )
            if name not in place:
                raise SpecificationError(
                    f"'{name}' is determined by the constraints and cannot have bounds as well; "
                    "put them on the parameter that it follows."
                )
            f = place[name]
            if high <= lower[f] or low >= upper[f]:
                raise SpecificationError(
                    f"bounds['{name}'] is ({low:g}, {high:g}), but the parameter lies between "
                    f"{lower[f]:g} and {upper[f]:g} by its nature."
                )
            lower[f], upper[f] = max(low, lower[f]), min(high, upper[f])
        return cls(origin, basis, free, lower, upper)

    def extended(self, count: int) -> Self:
        """Add parameters at the end that nothing restricts."""
        P, F = self.basis.shape
        basis = np.zeros((P + count, F + count))
        basis[:P, :F], basis[P:, F:] = self.basis, np.eye(count)
        return type(self)(
            np.append(self.origin, np.zeros(count)),
            basis,
            np.append(self.free, P + np.arange(count)),
            np.append(self.lower, np.full(count, -np.inf)),
            np.append(self.upper, np.full(count, np.inf)),
        )

    def shortened(self, count: int) -> Self:
        """Take away as many parameters at the end, which nothing restricts."""
        P, F = self.basis.shape[0] - count, self.basis.shape[1] - count
        return type(self)(
            self.origin[:P], self.basis[:P, :F], self.free[:F], self.lower[:F], self.upper[:F]
        )

    @property
    def trivial(self) -> bool:
        """Whether nothing is restricted."""
        return self.basis.shape[0] == self.basis.shape[1] and not self.bounded

    @property
    def bounded(self) -> bool:
        """Whether any parameter has bounds."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @cached_property
    def estimated(self) -> NDArray[np.bool_]:
        """Which of the P parameters vary at all; the others are fixed."""
        return np.asarray((self.basis != 0).any(axis=1))

    def full(self, phi: Array) -> Array:
        """Return all parameters, shape (P,)."""
        return np.asarray(self.origin + self.basis @ phi)

    def reduce(self, theta: Array) -> Array:
        """Return the free parameters, moved into their bounds, shape (F,)."""
        return np.clip(theta[self.free], self.lower, self.upper)

    def pinned(self, phi: Array) -> tuple[Self, NDArray[np.int64]]:
        """Fix the free parameters that lie on a bound; return also which parameters these are."""
        on = (phi <= self.lower) | (phi >= self.upper)
        kept = replace(
            self,
            origin=self.origin + self.basis[:, on] @ phi[on],
            basis=np.ascontiguousarray(self.basis[:, ~on]),
            free=self.free[~on],
            lower=self.lower[~on],
            upper=self.upper[~on],
        )
        return kept, self.free[on]


def _solve(R: Array, q: Array, equations: Sequence[str]) -> tuple[Array, Array, list[int]]:
    """Reduce ``R theta = q`` so that each row has a column, its pivot, that no other row has."""
    pivots: list[int] = []
    for row in range(len(R)):
        size = np.abs(R[row])
        if size.max(initial=0.0) < 1e-12:
            kind = "contradicts" if abs(q[row]) > 1e-12 else "repeats"
            raise SpecificationError(
                f"the constraint '{equations[row]}' {kind} the others; leave it out."
            )
        pivot = int(np.flatnonzero(size > 1e-12)[-1])
        q[row] /= R[row, pivot]
        R[row] /= R[row, pivot]
        for other in range(len(R)):
            if other != row:
                q[other] -= R[other, pivot] * q[row]
                R[other] -= R[other, pivot] * R[row]
        pivots.append(pivot)
    return R, q, pivots


def restrict(
    evaluate: Callable[[Array], Evaluation], restrictions: Restrictions
) -> Callable[[Array], Evaluation]:
    """Return a log-likelihood with its derivatives as a function of the free parameters."""
    if restrictions.trivial:
        return evaluate
    B = restrictions.basis

    def objective(phi: Array) -> Evaluation:
        llf, score, hessian = evaluate(restrictions.full(phi))
        return llf, B.T @ score, B.T @ hessian @ B

    return objective
