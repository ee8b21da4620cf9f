"""Compiled work on plain threads.

numba's own parallel loops compile several times as long, wait busily for each other when cores
are shared, and two of them at once can end the process. Kernels that release the interpreter
lock run as well on plain threads.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["run_blocks"]


def run_blocks(work: Callable[[int], None], count: int) -> None:
    """Call ``work(0) ... work(count - 1)`` on as many threads as numba may use.

    Parameters
    ----------
    work
        Must release the interpreter lock and write only what belongs to its block.
    count
        Number of blocks.
    """
    from numba import get_num_threads

    threads = min(count, get_num_threads())
    if threads == 1:
        for block in range(count):
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, block) for block in range(count)]:
            done.result()
