"""Redaction: brute force over dense rows, and what is left of a redacted matrix."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import MigrationMatrix, NestflowError
from choicemodels.migration.areas import Areas
from choicemodels.migration.privacy import find_concentrated, redact


def areas_of(N):
    return Areas.from_table(
        pd.DataFrame(
            {
                "zone": [f"z{i:02d}" for i in range(N)],
                "region": [f"r{i % 3}" for i in range(N)],
                "population": np.arange(N, dtype=float),
            }
        ),
        "zone",
        ["region"],
    )


def a_matrix(N=40, seed=1):
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    dense = rng.gamma(0.05, 20, (N, N)) * (rng.random((N, N)) < rng.random((N, 1)))
    np.fill_diagonal(dense, rng.gamma(4, 100, N))
    dense[3] = 0  # nobody lived there
    dense[5, np.arange(N) != 5] = 0  # nobody left
    dense[7, 7] = 0  # everybody left
    return dense, MigrationMatrix.from_scipy(csr_array(dense), areas_of(N), 2015)


@pytest.mark.parametrize("most", [1, 3, 10, 50])
@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_concentration_by_brute_force(most, share):
    dense, matrix = a_matrix()
    found = find_concentrated(matrix, most=most, share=share)
    for i, row in enumerate(dense):
        moves = np.sort(np.delete(row, i))[::-1]
        mine = found.table.iloc[i]
        assert mine["people"] == pytest.approx(row.sum())
        assert mine["movers"] == pytest.approx(moves.sum())
        assert mine["destinations"] == (moves > 0).sum()
        top = moves[:most].sum() / moves.sum() if moves.sum() else 0.0
        assert mine["largest"] == pytest.approx(top)
        assert mine["redacted"] == (moves.sum() > 0 and top >= share - 1e-12)


def test_shares_and_numbers_of_destinations():
    dense, matrix = a_matrix()
    found = find_concentrated(matrix, most=2)
    hidden = found.table["redacted"].to_numpy()
    assert 0 < hidden.sum() < len(hidden)
    moves = dense - np.diag(np.diag(dense))
    some = moves.sum(axis=1) > 0
    counts = (moves > 0).sum(axis=1)[some]
    want = {
        "areas redacted": hidden.sum(),
        "share of areas redacted": hidden.mean(),
        "share of people redacted": dense[hidden].sum() / dense.sum(),
        "share of movers redacted": moves[hidden].sum() / moves.sum(),
        "areas that nobody left": (~some).sum(),
        "mean number of destinations": counts.mean(),
        "median number of destinations": np.median(counts),
    }
    assert found.summary.to_dict() == pytest.approx(want)


def test_redaction_takes_out_the_movers_alone():
    dense, matrix = a_matrix()
    found = find_concentrated(matrix, most=2)
    hidden = found.table["redacted"].to_numpy()
    want = dense.copy()
    want[hidden] = 0
    want[hidden, hidden] = np.diag(dense)[hidden]
    left = redact(matrix, found)
    assert np.array_equal(left.flows.toarray(), want)
    assert left.nnz == (want > 0).sum()
    assert left.year == 2015
    withheld = found.withheld("region")
    lost = matrix.aggregate("region").flows.sum(axis=1) - left.aggregate("region").flows.sum(axis=1)
    assert withheld.to_numpy() == pytest.approx(lost)
    assert list(withheld.index) == ["r0", "r1", "r2"]
    again = find_concentrated(left, most=2)
    assert not again.table.loc[found.redacted, "redacted"].any()


def test_years_are_redacted_together():
    first, second = (find_concentrated(a_matrix(seed=seed)[1], most=2) for seed in (1, 2))
    both = first.joined(second)
    want = first.table["redacted"] | second.table["redacted"]
    assert both.table["redacted"].equals(want)
    assert want.sum() > max(first.table["redacted"].sum(), second.table["redacted"].sum())
    _, matrix = a_matrix(seed=1)
    left = redact(matrix, both)
    lost = matrix.total - left.total
    assert lost == pytest.approx(both.withheld("region").sum())
    assert lost == pytest.approx(matrix.total * both.summary["share of movers redacted"]
                                 * (1 - matrix.stayers.sum() / matrix.total))  # fmt: skip
    with pytest.raises(NestflowError, match="different areas"):
        first.joined(find_concentrated(a_matrix(N=30)[1]))


def test_nothing_moves():
    from scipy.sparse import eye_array

    matrix = MigrationMatrix.from_scipy(eye_array(6, format="csr"), areas_of(6))
    found = find_concentrated(matrix)
    assert found.summary["areas that nobody left"] == 6
    assert found.summary["mean number of destinations"] == 0
    assert np.array_equal(redact(matrix, found).values, matrix.values)


def test_what_is_refused():
    _, matrix = a_matrix()
    with pytest.raises(NestflowError, match="at least 1"):
        find_concentrated(matrix, most=0)
    with pytest.raises(NestflowError, match="above 0 up to 1"):
        find_concentrated(matrix, share=90)
    _, other = a_matrix(N=30)
    with pytest.raises(NestflowError, match="of other areas"):
        redact(matrix, find_concentrated(other))
