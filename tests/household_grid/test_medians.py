import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from microsim.household_grid.medians import enter, leave, middle

RANKS, GROUPS = 40, 3


@given(st.lists(st.tuples(st.integers(0, RANKS - 1), st.integers(0, GROUPS - 1)), max_size=200))
def test_the_middle_of_a_group_is_known_whoever_comes_and_goes(steps):
    member, slot = np.full(GROUPS * RANKS, -1, np.int32), np.full(RANKS, -1, np.int32)
    bounds = [(np.int64(g * RANKS), np.int64((g + 1) * RANKS)) for g in range(GROUPS)]
    groups = [set() for _ in range(GROUPS)]
    for rank, there in steps:
        for here, group in enumerate(groups):
            if rank in group:
                leave(member, slot, *bounds[here], len(group), rank)
                group.remove(rank)
        # A third of the steps only leave.
        if there:
            enter(member, slot, *bounds[there], len(groups[there]), rank)
            groups[there].add(rank)
        for group, limits in zip(groups, bounds, strict=True):
            if group:
                n = len(group)
                expected = sorted(group)[(n - 1) // 2], sorted(group)[n // 2]
                assert middle(member, *limits, n) == expected
