"""``nestflow nation`` and ``nestflow harmonize``, from files to files."""

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.store import read_matrix
from estimation import harmonize
from microsim.harmonization_job import HarmonizationJob, run_harmonization


@pytest.fixture(scope="module")
def village(tmp_path_factory):
    from choicemodels.nation.generator import generate_nation
    from microsim.nation_files import write_nation

    folder = tmp_path_factory.mktemp("nation") / "village"
    write_nation(generate_nation("village", seed=3), folder)
    return folder


def job_of(village, tmp_path, **changes):
    """Write a job beside the village's files, with keys changed or taken out."""
    import yaml

    content = yaml.safe_load((village / "harmonize.yaml").read_text())
    content["out"] = str(tmp_path / "out")
    content |= changes
    path = village / f"{tmp_path.name}.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def test_a_nation_is_harmonized_from_the_shell(nestflow, tmp_path):
    folder = tmp_path / "village"
    code, shown, said = nestflow("nation", "--out", folder, "--seed", "2")
    assert code == 0, said
    assert "100 block groups" in shown
    code, shown, said = nestflow("harmonize", folder / "harmonize.yaml")
    assert code == 0, said
    assert "4 margins" in shown
    written = folder / "harmonized"
    matrix = read_matrix(written / "matrix")
    before = pd.read_csv(folder / "tables/margins.csv", dtype={"county": str})
    np.testing.assert_allclose(matrix.aggregate("county").before, before["before"], rtol=1e-9)
    assert len(pd.read_csv(written / "log.csv")) == 6


def test_the_job_does_what_the_functions_do(village, tmp_path):
    job = HarmonizationJob.load(job_of(village, tmp_path))
    matrix, steps = job.read()
    found = run_harmonization(job)
    np.testing.assert_array_equal(found.matrix.values, harmonize(matrix, steps).matrix.values)


def test_a_table_of_moves_keeps_its_leading_zeros(village, tmp_path):
    matrix = read_matrix(village / "raw")
    matrix.to_frame().to_csv(village / "moves.csv", index=False)
    areas = matrix.areas
    table = pd.DataFrame({"block_group": areas.labels})
    for name in areas.levels:
        table[name] = areas.level(name).labels.take(areas.level(name).codes)
    table.to_csv(village / "areas.csv", index=False)
    given = {"table": "moves.csv", "areas": "areas.csv", "year": 2019}
    job = HarmonizationJob.load(job_of(village, tmp_path, matrix=given))
    found = run_harmonization(job)
    whole = harmonize(*HarmonizationJob.load(village / "harmonize.yaml").read())
    np.testing.assert_allclose(found.matrix.values, whole.matrix.values, rtol=1e-12)
    assert read_matrix(tmp_path / "out/matrix").year == 2019


def test_a_finished_matrix_is_not_written_over_unasked(village, tmp_path):
    job = HarmonizationJob.load(job_of(village, tmp_path))
    run_harmonization(job)
    with pytest.raises(DataError, match="is there already; give --overwrite"):
        run_harmonization(job)
    run_harmonization(job, overwrite=True)


def test_a_stopped_job_goes_on(village, tmp_path):
    job = HarmonizationJob.load(job_of(village, tmp_path))

    def stop(name, number, count):
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_harmonization(job, progress=stop)
    assert not (tmp_path / "out/matrix").exists()
    kept = tmp_path / "out/steps/step_3.json"
    first = kept.stat().st_mtime_ns
    run_harmonization(job)
    assert kept.stat().st_mtime_ns == first
    assert (tmp_path / "out/matrix").exists()


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"step": []}, r"unknown key 'step' \(did you mean 'steps'\?\)"),
            ({"matrix": None}, "'matrix' is missing"),
            ({"steps": []}, "'steps' has 0 entries"),
            (
                {"matrix": {"table": "m.csv", "areas": "a.csv", "levels": "county"}},
                r"'matrix.levels' is 'county'; give a list\.$",
            ),
            (
                {"matrix": {"tabel": "m.csv", "areas": "a.csv"}},
                r"unknown key 'matrix.tabel' \(did you mean 'table'\?\)",
            ),
            ({"matrix": 3}, r"'matrix' is 3; give text or keys and values\.$"),
            ({"steps": [{"kind": "flows", "table": 3}]}, r"table' is 3; give text\.$"),
            ({"steps": [{"kind": "margin", "table": "x.csv"}]}, r"steps\[0\].*margins"),
            ({"steps": [{"kind": "flows"}]}, "'steps.*table' is missing"),
            ({"steps": [{"kind": "flows", "table": "x.csv", "tol": 0}]}, "tol' is 0; give a value"),
        ],
    )
    def test_a_job_that_is_none(self, village, tmp_path, changes, message):
        path = job_of(village, tmp_path, **changes)
        with pytest.raises(SpecificationError, match=message):
            HarmonizationJob.load(path)

    @pytest.mark.parametrize(
        ("step", "message"),
        [
            ({"kind": "flows", "table": "no.csv"}, "there is no file"),
            ({"kind": "flows", "table": "tables/margins.csv"}, "'tables/margins.csv'.*no column"),
            (
                {"kind": "populations", "table": "tables/populations.csv", "level": "town"},
                "there is no level 'town'",
            ),
        ],
    )
    def test_tables_that_do_not_fit(self, village, tmp_path, step, message):
        job = HarmonizationJob.load(job_of(village, tmp_path, steps=[step]))
        with pytest.raises((DataError, SpecificationError), match=message):
            job.read()

    def test_rows_that_repeat_or_are_strange(self, village, tmp_path):
        flows = pd.read_csv(village / "tables/flows.csv", dtype=str)
        pd.concat([flows, flows[:1]]).to_csv(village / "twice.csv", index=False)
        step = {"kind": "flows", "table": "twice.csv"}
        with pytest.raises(DataError, match=r"'twice.csv' has several rows for"):
            HarmonizationJob.load(job_of(village, tmp_path, steps=[step])).read()
        flows.assign(origin="99").iloc[:1].to_csv(village / "odd.csv", index=False)
        step["table"] = "odd.csv"
        job = HarmonizationJob.load(job_of(village, tmp_path, steps=[step]))
        with pytest.raises(DataError, match=r"name 1 that are none \(99\)"):
            run_harmonization(job)
        assert not (tmp_path / "out/matrix").exists()

    def test_the_shell_tells_it_in_a_sentence(self, nestflow, village, tmp_path):
        code, _, said = nestflow("harmonize", tmp_path / "no.yaml")
        assert code == 2
        assert "there is no such file" in said
        code, _, said = nestflow("nation", "--out", village)
        assert code == 2
        assert "is there already" in said
