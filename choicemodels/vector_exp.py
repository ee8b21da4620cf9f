"""The exponential function, in a form that the compiler turns into vector instructions.

numba calls the C library's ``exp`` one number at a time unless Intel's vector library is
installed; likelihoods of discrete choice spend a good part of their time there. This one is plain
arithmetic, inlines, and takes a quarter of the time.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["vector_exp"]

_LOG2_E = 1.4426950408889634
# log 2 in two parts, the first with trailing zeros, so that k * _LOG_2_HIGH is exact.
_LOG_2_HIGH = 6.93145751953125e-1
_LOG_2_LOW = 1.42860682030941723212e-6
# Added to a small number it rounds it to an integer, which then stands in the lowest bits.
_ROUND = 6755399441055744.0
# Below this the result is no longer a normal number: zero, as probabilities want it.
_LOWEST = -708.0
_BIAS = 1023


# Both are called from compiled code only, without the typing context: Any keeps the checker out.
@intrinsic
def _float_to_int(typing_context: Any, x: Any) -> Any:
    """Read the bits of a float64 as an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _int_to_float(typing_context: Any, x: Any) -> Any:
    """Read the bits of an int64 as a float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


_bits: Any = _float_to_int
_from_bits: Any = _int_to_float


# Contraction alone: reordering would undo the two-part logarithm.
@njit(cache=True, fastmath={"contract"})
def vector_exp(x: Any) -> Any:
    """Return ``exp(x)`` for x up to 709 to 2e-16 of itself or so, and 0 below -708.

    ``exp(x) = 2^k exp(r)`` with ``k = round(x / log 2)`` and r within ``log(2) / 2`` of zero,
    where the Taylor polynomial of degree 13 is exact to rounding.
    """
    y = max(x, _LOWEST)
    shifted = y * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (y - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    p = 1.6059043836821613e-10
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 1.6666666666666666e-01
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = _from_bits((_bits(shifted) << 52) + (_BIAS << 52))
    return p * power if x > _LOWEST else 0.0
