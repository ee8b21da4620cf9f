"""Medians of groups whose members come and go: two heaps for each.

The members of a group are ranks. The lower half of them stands in a heap whose top is the largest,
the upper half in one whose top is the smallest; the median lies at the tops, and who enters or
leaves costs the logarithm of the group's size. Both heaps share the group's part of one array: the
lower grows from its beginning, the upper from its end. What is written here of a largest rank holds
of the smallest where ``stride`` is -1.
"""

from typing import Any

from numba import njit

__all__ = ["enter", "leave", "middle"]


@njit(cache=True, nogil=True)
def _put(member: Any, slot: Any, at: Any, rank: Any) -> None:
    member[at] = rank
    slot[rank] = at


@njit(cache=True, nogil=True)
def _rise(member: Any, slot: Any, base: Any, stride: Any, k: Any, rank: Any) -> None:
    """Put a rank where node ``k`` is, or above it: no larger one may stand below it."""
    while k > 0:
        parent = (k - 1) // 2
        above = member[base + stride * parent]
        if stride * above >= stride * rank:
            break
        _put(member, slot, base + stride * k, above)
        k = parent
    _put(member, slot, base + stride * k, rank)


@njit(cache=True, nogil=True)
def _sink(member: Any, slot: Any, base: Any, stride: Any, k: Any, rank: Any, size: Any) -> None:
    """Put a rank where node ``k`` of ``size`` is, or below it."""
    while 2 * k + 1 < size:
        child = 2 * k + 1
        below = member[base + stride * child]
        if child + 1 < size:
            other = member[base + stride * (child + 1)]
            if stride * other > stride * below:
                child, below = child + 1, other
        if stride * below <= stride * rank:
            break
        _put(member, slot, base + stride * k, below)
        k = child
    _put(member, slot, base + stride * k, rank)


@njit(cache=True, nogil=True)
def _drop(member: Any, slot: Any, base: Any, stride: Any, k: Any, size: Any) -> None:
    """Take node ``k`` out of a heap of ``size``; its last takes the place."""
    last = member[base + stride * (size - 1)]
    if k == size - 1:
        return
    if k > 0 and stride * last > stride * member[base + stride * ((k - 1) // 2)]:
        _rise(member, slot, base, stride, k, last)
    else:
        _sink(member, slot, base, stride, k, last, size - 1)


@njit(cache=True, nogil=True)
def enter(member: Any, slot: Any, start: Any, end: Any, n: Any, rank: Any) -> None:
    """Let a rank into a group of ``n``.

    Parameters
    ----------
    member : (M,) int32
        Ranks; those of the group lie from ``start`` to before ``end``, which leaves room for
        one more.
    slot : (N,) int32
        Where in ``member`` each rank stands.
    start, end, n, rank
    """
    lower, upper = (n + 1) // 2, n // 2
    if lower == upper:
        # The lower half grows, by the smallest of the upper where the newcomer exceeds it.
        if upper > 0 and rank > member[end - 1]:
            rank, newcomer = member[end - 1], rank
            _sink(member, slot, end - 1, -1, 0, newcomer, upper)
        _rise(member, slot, start, 1, lower, rank)
    else:
        if rank < member[start]:
            rank, newcomer = member[start], rank
            _sink(member, slot, start, 1, 0, newcomer, lower)
        _rise(member, slot, end - 1, -1, upper, rank)


@njit(cache=True, nogil=True)
def leave(member: Any, slot: Any, start: Any, end: Any, n: Any, rank: Any) -> None:
    """Take a rank out of a group of ``n``; parameters as of `enter`."""
    lower, upper = (n + 1) // 2, n // 2
    at = slot[rank]
    low = at < start + lower
    if lower == upper:
        # The upper half shrinks: its smallest goes down where a member of the lower leaves.
        if low:
            _rise(member, slot, start, 1, at - start, member[end - 1])
        _drop(member, slot, end - 1, -1, 0 if low else end - 1 - at, upper)
    else:
        if not low:
            _rise(member, slot, end - 1, -1, end - 1 - at, member[start])
        _drop(member, slot, start, 1, at - start if low else 0, lower)


@njit(cache=True, nogil=True)
def middle(member: Any, start: Any, end: Any, n: Any) -> Any:
    """Return the two middle ranks of a group of ``n`` > 0, the same one twice where n is odd."""
    lower = member[start]
    return lower, (lower if n % 2 == 1 else member[end - 1])
