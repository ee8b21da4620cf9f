import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.store import read_matrix, write_matrix
from estimation import harmonize
from estimation.harmonization.steps import Flows, published_steps
from estimation.harmonization.years import harmonize_years

from .conftest import make_matrix, tables_of


@pytest.fixture
def years(areas, tmp_path):
    folders, steps, matrices = {}, {}, {}
    for year in (2014, 2015, 2016):
        matrices[year] = make_matrix(areas, seed=year)
        folders[year] = write_matrix(
            matrices[year], tmp_path / f"raw_{year}", provenance={"source": "a test"}
        )
        steps[year] = published_steps(tables_of(matrices[year], seed=year))
    return matrices, folders, steps


def check(years, out, log):
    matrices, _, steps = years
    assert sorted(log["year"].unique()) == [2014, 2015, 2016]
    for year, matrix in matrices.items():
        alone = harmonize(matrix, steps[year]).matrix
        np.testing.assert_array_equal(read_matrix(out / str(year)).values, alone.values)


def test_years_one_after_the_other(years, tmp_path):
    _, folders, steps = years
    told = []
    log = harmonize_years(folders, steps, tmp_path / "out", progress=lambda *n: told.append(n))
    check(years, tmp_path / "out", log)
    assert told == [(1, 3), (2, 3), (3, 3)]
    # What was finished is not run again, and gives the same log.
    written = (tmp_path / "out/2015/metadata.json").stat().st_mtime_ns
    again = harmonize_years(folders, steps, tmp_path / "out")
    assert (tmp_path / "out/2015/metadata.json").stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(again, log)


def test_years_on_a_cluster(years, tmp_path):
    distributed = pytest.importorskip("distributed")
    _, folders, steps = years
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        log = harmonize_years(folders, steps, tmp_path / "out", client=client)
    check(years, tmp_path / "out", log)


def test_a_folder_with_another_matrix_is_not_touched(years, tmp_path):
    _, folders, steps = years
    harmonize_years(folders, steps, tmp_path / "out")
    other = dict(steps) | {2015: steps[2015][:2]}
    with pytest.raises(DataError, match=r"2015: .*2015' holds another matrix"):
        harmonize_years(folders, other, tmp_path / "out")


def test_bad_input_names_the_year(years, tmp_path):
    _, folders, steps = years
    with pytest.raises(SpecificationError, match="years 2016 have a matrix or steps, but not bo"):
        harmonize_years({k: v for k, v in folders.items() if k < 2016}, steps, tmp_path / "out")
    with pytest.raises(SpecificationError, match="client= is a str; pass"):
        harmonize_years(folders, steps, tmp_path / "out", client="tcp://here")
    wrong = dict(steps) | {2015: [Flows(pd.DataFrame([[1.0]], ["01"], ["01"]))]}
    with pytest.raises(DataError, match=r"2015: the targets of flows \(origins\) lack 2 areas"):
        harmonize_years(folders, wrong, tmp_path / "out")
