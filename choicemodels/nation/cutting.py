"""Cutting boxes into smaller ones with given areas."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.flows.geography import EARTH_RADIUS

__all__ = ["cut"]


@njit(cache=True, nogil=True)
def _cut(box: Any, first: int, last: int, sums: Any, out: Any) -> None:
    """Halve the children first to last again and again, across the longer side of their box."""
    stack = [(first, last, box[0], box[1], box[2], box[3])]
    while len(stack) > 0:
        a, b, west, south, east, north = stack.pop()
        if b - a == 1:
            out[a, 0], out[a, 1], out[a, 2], out[a, 3] = west, south, east, north
            continue
        half = (sums[a] + sums[b]) / 2
        middle = a + 1
        while middle < b - 1 and sums[middle] < half:
            middle += 1
        share = (sums[middle] - sums[a]) / (sums[b] - sums[a])
        sine = (south + north) / 2 / EARTH_RADIUS
        # On the map east to west is stretched, and south to north pressed, by the cosine.
        if (east - west) * (1 - sine * sine) >= north - south:
            x = west + share * (east - west)
            stack.append((a, middle, west, south, x, north))
            stack.append((middle, b, x, south, east, north))
        else:
            y = south + share * (north - south)
            stack.append((a, middle, west, south, east, y))
            stack.append((middle, b, west, y, east, north))


@njit(cache=True, nogil=True)
def _cut_each(boxes: Any, starts: Any, sums: Any, out: Any) -> None:
    for parent in range(boxes.shape[0]):
        _cut(boxes[parent], starts[parent], starts[parent + 1], sums, out)


def cut(
    boxes: NDArray[np.float64], parent: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cut each box among its children in proportion to their weights.

    Neighbours in order become neighbours on the map.

    Parameters
    ----------
    boxes : (P, 4)
        West, south, east and north, in kilometres on Lambert's cylindrical equal-area map.
    parent : (C,)
        Box of each child; they rise, and none is missing.
    weight : (C,)
        Positive.

    Returns
    -------
    (C, 4) float64
    """
    starts = np.searchsorted(parent, np.arange(len(boxes) + 1)).astype(np.int64)
    sums = np.concatenate([[0.0], np.cumsum(weight)])
    out = np.empty((len(parent), 4))
    _cut_each(boxes, starts, sums, out)
    return out
