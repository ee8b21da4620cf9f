"""Random numbers that depend on who draws and when, and on nothing else.

Every draw is a hash of (seed, replicate, stream name, agent id, month): the counter-based generator
Philox-4x32-10 (Salmon, Moraes, Dror & Shaw 2011), keyed by the first three and counting the last
two. Sorting or dropping agents, or adding a process with a stream of its own, therefore changes
nobody else's draws, and a baseline and a counterfactual share theirs.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.errors import SpecificationError

__all__ = ["Streams", "normal", "philox", "stream_key", "uniform", "uniform_one"]

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_ROUNDS = 10
_HIGH_BITS = np.uint64(20)
_LOW_BITS = np.uint64(12)
_SCALE = 2.0**-52


@njit(cache=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Return the four 32-bit words of Philox-4x32-10, each in a uint64.

    Parameters
    ----------
    c0, c1, c2, c3
        Counter words, uint64 below 2**32.
    k0, k1
        Key words, uint64 below 2**32.

    Notes
    -----
    All arithmetic is on uint64 because numba promotes mixed signs to floating point.
    Source: [SalmonMoraesDrorShaw2011]_; the known answers of its Random123 distribution are
    in the tests.
    """
    for _ in range(_ROUNDS):
        product_0 = _MULTIPLIER_0 * c0
        product_1 = _MULTIPLIER_1 * c2
        c0 = (product_1 >> _SHIFT) ^ c1 ^ k0
        c1 = product_1 & _MASK
        c2 = (product_0 >> _SHIFT) ^ c3 ^ k1
        c3 = product_0 & _MASK
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


@njit(cache=True)
def uniform_one(key: Any, agent: Any, month: Any) -> Any:
    """Return one uniform in the open interval (0, 1); for use inside kernels.

    Parameters
    ----------
    key
        uint64 from `stream_key`.
    agent
        Non-negative integer id.
    month
        Non-negative integer below 2**32.

    Notes
    -----
    52 random bits and a half step: (k + 1/2) / 2**52 is exact in float64, so neither end is met.
    """
    who = np.uint64(agent)
    a, b, _, _ = philox(
        who & _MASK,
        who >> _SHIFT,
        np.uint64(month),
        np.uint64(0),
        key & _MASK,
        key >> _SHIFT,
    )
    bits = (a << _HIGH_BITS) | (b >> _LOW_BITS)
    return (np.float64(bits) + 0.5) * _SCALE


@njit(cache=True, parallel=True)
def _uniforms(key: Any, agents: Any, month: Any) -> Any:
    out = np.empty(agents.shape[0])
    for i in prange(agents.shape[0]):
        out[i] = uniform_one(key, agents[i], month)
    return out


def stream_key(seed: int, replicate: int, stream: str) -> np.uint64:
    """Return the 64-bit key of a named stream, the same on every machine and in every run.

    Parameters
    ----------
    seed, replicate
        Non-negative integers.
    stream
        Name of the process that draws, such as ``"displacement"``.

    Raises
    ------
    SpecificationError
        If ``seed`` or ``replicate`` is negative or not an integer.
    """
    for label, value in (("seed", seed), ("replicate", replicate)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise SpecificationError(
                f"the {label} is {value!r}; give an integer of 0 or more, such as {label}=1."
            )
    text = f"{int(seed)}|{int(replicate)}|{stream}".encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def uniform(key: np.uint64, agents: NDArray[np.int64], month: int) -> NDArray[np.float64]:
    """Return a uniform in (0, 1) for every agent.

    Parameters
    ----------
    key
        From `stream_key`.
    agents : (N,)
        Non-negative ids.
    month
        Non-negative.

    Returns
    -------
    (N,) float64
    """
    ids = np.ascontiguousarray(agents, dtype=np.int64)
    draws: NDArray[np.float64] = _uniforms(key, ids, month)
    return draws


def normal(key: np.uint64, agents: NDArray[np.int64], month: int) -> NDArray[np.float64]:
    """Return a standard normal for every agent, by the inverse of its distribution function.

    One uniform makes one normal, monotonically, so draws shared by two scenarios stay shared.
    Parameters and shape as in `uniform`.
    """
    draws: NDArray[np.float64] = ndtri(uniform(key, agents, month))
    return draws


@dataclass(frozen=True)
class Streams:
    """The streams of one replicate of one seed.

    Attributes
    ----------
    seed, replicate
        Non-negative integers.
    """

    seed: int
    replicate: int = 0

    def key(self, stream: str) -> np.uint64:
        """Return the key of ``stream``, for kernels that draw themselves."""
        return stream_key(self.seed, self.replicate, stream)

    def uniform(
        self, stream: str, agents: NDArray[np.int64], month: int = 0
    ) -> NDArray[np.float64]:
        """Return a uniform in (0, 1) for every agent, shape (N,)."""
        return uniform(self.key(stream), agents, month)

    def normal(self, stream: str, agents: NDArray[np.int64], month: int = 0) -> NDArray[np.float64]:
        """Return a standard normal for every agent, shape (N,)."""
        return normal(self.key(stream), agents, month)
