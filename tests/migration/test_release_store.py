"""Written matrices: they come back to the last digit, whole or not at all."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels import Gravity, MigrationMatrix, NestflowError
from choicemodels.flows.geography import great_circle
from choicemodels.migration import store
from choicemodels.migration.areas import Areas
from choicemodels.migration.privacy import find_concentrated, redact
from choicemodels.migration.store import read_flows, read_matrix, read_metadata, write_matrix
from choicemodels.nation.generator import generate_nation
from estimation import fit

SOURCE = {"source": "generated", "seed": 1, "steps": ["populations", "margins"]}


@pytest.fixture(scope="module")
def village():
    return generate_nation("village", seed=3)


def same(a, b):
    assert np.array_equal(a.indptr, b.indptr)
    assert np.array_equal(a.indices, b.indices)
    assert np.array_equal(a.values, b.values)
    assert a.year == b.year
    assert a.areas.name == b.areas.name
    assert a.areas.labels.equals(b.areas.labels)
    assert list(a.areas.levels) == list(b.areas.levels)
    for name, level in a.areas.levels.items():
        assert np.array_equal(level.codes, b.areas.levels[name].codes)
        assert list(level.labels) == list(b.areas.levels[name].labels)
    assert list(a.areas.table.columns) == list(b.areas.table.columns)
    for name in a.areas.table.columns:
        assert np.array_equal(a.areas.table[name], b.areas.table[name])


def test_a_matrix_comes_back(village, tmp_path):
    path = write_matrix(village.raw, tmp_path / "raw", provenance=SOURCE)
    same(read_matrix(path), village.raw)
    assert sorted(file.name for file in path.iterdir()) == [
        "areas.parquet",
        "metadata.json",
        "moves.parquet",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["raw"]


def test_slices_do_not_show(village, tmp_path, monkeypatch):
    whole = write_matrix(village.raw, tmp_path / "whole", provenance=SOURCE)
    monkeypatch.setattr(store, "_CELLS", 37)
    sliced = write_matrix(village.raw, tmp_path / "sliced", provenance=SOURCE)
    same(read_matrix(sliced), read_matrix(whole))


def test_awkward_matrices_come_back(tmp_path):
    labels = ["b", "ä → ö", "a", "0001"]
    areas = Areas(pd.Index(labels, name="place"), "place", {}, pd.DataFrame(index=labels))
    dense = np.array([[0, 0, 0, 0], [0.1 + 0.2, 0, 1e-300, 5], [0, 0, 0, 0], [0, 0, 0, 1e15]])
    for number, values in enumerate((dense, dense * 0)):
        matrix = MigrationMatrix.from_scipy(csr_array(values), areas)
        path = write_matrix(matrix, tmp_path / str(number), provenance=SOURCE)
        same(read_matrix(path), matrix)


def test_the_metadata_tell_what_it_is(village, tmp_path):
    redaction = find_concentrated(village.raw, share=0.4)
    assert 0 < len(redaction.redacted) < village.areas.size
    matrix = redact(village.raw, redaction)
    path = write_matrix(matrix, tmp_path / "x", provenance=SOURCE, redaction=redaction)
    told = read_metadata(path)
    assert told["provenance"] == SOURCE
    assert told["schema"] == 1
    assert told["cells"] == matrix.nnz
    assert told["people"] == pytest.approx(matrix.total)
    assert told["stayers"] == pytest.approx(matrix.stayers.sum())
    assert told["redaction"]["share of areas redacted"] == redaction.table["redacted"].mean()
    withheld = sum(told["redaction"]["withheld"]["state"].values())
    assert withheld == pytest.approx(village.raw.total - matrix.total)
    columns = set(pd.read_parquet(path / "areas.parquet").columns)
    assert set(told["codebook"]["areas.parquet"]) == columns
    assert set(told["codebook"]["moves.parquet"]) == {"origin", "destination", "people"}
    with pytest.raises(NestflowError, match=r"areas to redact still have movers"):
        write_matrix(village.raw, tmp_path / "y", provenance=SOURCE, redaction=redaction)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_duckdb_reads_labels_and_codes(village, tmp_path):
    import duckdb

    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    moves, areas = path / "moves.parquet", path / "areas.parquet"
    label = village.areas.labels[7]
    row = village.raw.flows[[7]].toarray()[0]
    by_label = duckdb.sql(f"SELECT sum(people) FROM '{moves}' WHERE origin = '{label}'").fetchall()
    assert by_label[0][0] == pytest.approx(row.sum())
    states = duckdb.sql(
        f"""
        SELECT o.state AS origin, d.state AS destination, sum(people) AS people
        FROM '{moves}' m
        JOIN '{areas}' o ON m.origin = o.block_group
        JOIN '{areas}' d ON m.destination = d.block_group
        GROUP BY ALL ORDER BY ALL
        """
    ).df()
    want = village.raw.aggregate("state").to_frame().stack()
    found = states.set_index(["origin", "destination"])["people"]
    for pair, people in found.items():
        assert people == pytest.approx(want[pair])
    assert found.sum() == pytest.approx(village.raw.total)


def test_a_written_matrix_goes_into_a_gravity_model(village, tmp_path):
    path = write_matrix(village.truth, tmp_path / "x", provenance=SOURCE)
    flows = read_flows(path, "county")
    assert flows.table["people"].sum() == pytest.approx(village.truth.total)
    counties = village.areas.level("county")
    centre = {
        name: counties.totals(village.areas.attribute(name)) / np.bincount(counties.codes)
        for name in ("latitude", "longitude")
    }
    o, d = (counties.labels.get_indexer(flows.table[side]) for side in ("origin", "destination"))
    apart = o != d
    distance = great_circle(
        centre["latitude"][o], centre["longitude"][o], centre["latitude"][d], centre["longitude"][d]
    )
    between = type(flows)(
        flows.table.assign(distance=distance)[apart], "origin", "destination", "people"
    )
    result = fit(Gravity("log(distance) | origin + destination"), between)
    assert result.params["log(distance)"] < 0
    finest = read_flows(path)
    assert finest.nobs == village.truth.nnz
    assert finest.time == "year"


def test_what_is_there_is_not_overwritten_unasked(village, tmp_path):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    with pytest.raises(NestflowError, match="pass overwrite=True"):
        write_matrix(village.truth, path, provenance=SOURCE)
    same(read_matrix(path), village.raw)
    write_matrix(village.truth, path, provenance=SOURCE, overwrite=True)
    same(read_matrix(path), village.truth)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    other = tmp_path / "letters"
    other.mkdir()
    with pytest.raises(NestflowError, match="holds no matrix, so it is not overwritten"):
        write_matrix(village.raw, other, provenance=SOURCE, overwrite=True)


def test_an_interrupted_write_leaves_nothing(village, tmp_path, monkeypatch):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_checksum", stop)
    for target, options in ((tmp_path / "y", {}), (path, {"overwrite": True})):
        with pytest.raises(KeyboardInterrupt):
            write_matrix(village.truth, target, provenance=SOURCE, **options)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    same(read_matrix(path), village.raw)


def test_a_failed_replacement_keeps_the_old(village, tmp_path, monkeypatch):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    rename, calls = type(path).rename, []

    def second_fails(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise OSError("no space")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", second_fails)
    with pytest.raises(OSError, match="no space"):
        write_matrix(village.truth, path, provenance=SOURCE, overwrite=True)
    same(read_matrix(path), village.raw)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def spoil_metadata(path, **changes):
    told = json.loads((path / "metadata.json").read_text())
    (path / "metadata.json").write_text(json.dumps(told | changes))


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: flip_a_byte(p / "moves.parquet"), "its checksum differs"),
        (lambda p: (p / "areas.parquet").unlink(), "lacks the file 'areas.parquet'"),
        (lambda p: (p / "metadata.json").unlink(), "is no folder with a written matrix"),
        (lambda p: (p / "metadata.json").write_text("{"), "is damaged"),
        (lambda p: spoil_metadata(p, schema=99), "has schema 99, and this version"),
        (lambda p: spoil_metadata(p, nestflow="result"), "holds no matrix of moves"),
        (lambda p: spoil_metadata(p, cells=5), "5 were written"),
        (lambda p: spoil_metadata(p, areas=5), "and 5 in the order of their codes"),
        (lambda p: spoil_metadata(p, people=5.0), "but 5 were written"),
        (shutil.rmtree, "is no folder with a written matrix"),
    ],
)
def test_a_changed_folder_is_refused(village, tmp_path, spoil, says):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    spoil(path)
    with pytest.raises(NestflowError, match=says):
        read_matrix(path)


def test_rows_out_of_order_are_refused(village, tmp_path):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    moves = pd.read_parquet(path / "moves.parquet")
    moves.iloc[::-1].to_parquet(path / "moves.parquet")
    with pytest.raises(NestflowError, match="not sorted by origin"):
        read_matrix(path, verify=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provenance": {}}, "the provenance is empty"),
        ({"provenance": {"when": object()}}, "cannot be written as JSON"),
        ({"provenance": {"share": float("nan")}}, "cannot be written as JSON"),
        ({"codebook": {"age": "years"}}, "describes age, which the areas lack"),
        ({"path": "missing/x"}, "does not exist; make it first"),
    ],
)
def test_bad_calls_end_in_a_sentence(village, tmp_path, change, says):
    given = {"provenance": SOURCE, "codebook": None, "path": "x"} | change
    with pytest.raises(NestflowError, match=says):
        write_matrix(village.raw, tmp_path / given.pop("path"), **given)
    assert list(tmp_path.iterdir()) == []


def test_damage_is_told_without_checksums_too(village, tmp_path):
    path = write_matrix(village.raw, tmp_path / "x", provenance=SOURCE)
    whole = (path / "moves.parquet").read_bytes()
    (path / "moves.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NestflowError, match=r"cannot be read: .*; copy them again"):
        read_matrix(path, verify=False)


def test_every_attribute_is_described(tmp_path):
    table = pd.DataFrame({"place": ["a", "b"], "charm": [1.0, 2.0]})
    matrix = MigrationMatrix.from_scipy(csr_array(np.eye(2)), Areas.from_table(table, "place", []))
    with pytest.raises(NestflowError, match="does not describe charm"):
        write_matrix(matrix, tmp_path / "x", provenance=SOURCE)
    path = write_matrix(matrix, tmp_path / "x", provenance=SOURCE, codebook={"charm": "of a place"})
    assert read_metadata(path)["codebook"]["areas.parquet"]["charm"] == "of a place"
    table = table.rename(columns={"charm": "code"})
    matrix = MigrationMatrix.from_scipy(csr_array(np.eye(2)), Areas.from_table(table, "place", []))
    with pytest.raises(NestflowError, match="which is a name of the release"):
        write_matrix(matrix, tmp_path / "z", provenance=SOURCE, codebook={"code": "?"})
