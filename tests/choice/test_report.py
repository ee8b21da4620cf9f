"""Summaries, tables and files."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, frame_table, load_result, table


@pytest.fixture(scope="module")
def results(travel_mode):
    flat = fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)
    nested = fit(
        NestedLogit("gc + ttme", nests={"ground": ["train", "bus", "car"]}, base="car"),
        travel_mode,
        cov="hessian",
    )
    return flat, nested


def test_the_summary_names_its_standard_errors_and_holds_no_clock(results):
    text = str(results[1].summary())
    assert "Standard errors: hessian" in text
    assert "lambda:ground" in text
    assert "against 1." in text
    assert text == str(results[1].summary())
    assert "<table" in results[1].summary()._repr_html_()


def test_the_table_is_data_first(results):
    both = table(*results, heads=["MNL", "NL"])
    assert both.data.shape[1] == 2
    text = str(both)
    for piece in ("gc", "ttme", "lambda", "Log-likelihood", "210", "robust", "hessian", "MNL"):
        assert piece in text
    bse = f"({results[0].bse['ttme']:.3f})"
    assert bse in text


@pytest.mark.parametrize("suffix", [".md", ".tex", ".html", ".typ", ".txt", ".csv", ".docx"])
def test_tables_save_by_suffix(results, tmp_path, suffix):
    path = table(*results).save(tmp_path / f"table{suffix}")
    assert path.stat().st_size > 300
    if suffix == ".md":
        assert path.read_text(encoding="utf-8").count("|") > 20
    if suffix == ".tex":
        assert r"\begin{tabularx}" in path.read_text(encoding="utf-8")


def test_what_is_special_to_latex_is_escaped(results):
    frame = pd.DataFrame({"50 % of $10": ["a_b", "{x}^2"]}, index=["R&D", "no. #1"])
    shown = frame_table(frame, note="100 %", caption="a \\ b")
    made = shown.to_latex().split("threeparttable\n", 1)[1]
    for piece in (
        r"50 \% of \$10",
        r"R\&D & a\_b",
        r"no. \#1 & \{x\}\textasciicircum{}2",
        r"100 \%",
    ):
        assert piece in made
    assert r"\caption{a \textbackslash{} b}" in made
    assert not re.search(r"(?<!\\)[%$#_]", made)
    assert "50 % of $10" in shown.to_markdown()
    fitted = table(results[0], labels={"gc": "cost_g"}).to_latex()
    assert r"cost\_g" in fitted
    assert "$R^2$" in fitted


def test_names_and_notes_of_results_are_escaped(results):
    shown = table(results[0], labels={"gc": "50% & #1 $"}, heads=["a<b"], caption="R&D")
    made = shown.to_latex().split("threeparttable\n", 1)[1]
    for piece in (r"50\% \& \#1 \$", r"a\textless{}b", r"\caption{R\&D}", r"p \textless{} 0.05"):
        assert piece in made
    assert "Standard errors in parentheses." in made
    assert "<" not in made
    assert "Standard errors in parentheses." in shown.to_html()


def test_a_table_beside_statsmodels(results, travel_mode):
    import statsmodels.api as sm

    other = sm.Logit(
        travel_mode.table["choice"], sm.add_constant(travel_mode.table[["gc", "ttme"]])
    ).fit(disp=0)
    assert "gc" in str(table(results[0], other))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, tmp: table(), "at least one result"),
        (lambda r, tmp: table(r, heads=["a", "b"]), "2 headings were given for 1"),
        (lambda r, tmp: table(r, "b"), "a str, which is no estimation result"),
        (lambda r, tmp: table(r, stats=["r22"]), "no statistic is called 'r22'"),
        (lambda r, tmp: table(r).save(tmp / "t.xlsx"), "suffix '.xlsx' is not one of"),
        (lambda r, tmp: table(r).save(tmp / "no" / "t.md"), "does not exist; make it first"),
    ],
)
def test_table_mistakes(results, tmp_path, call, message):
    with pytest.raises(SpecificationError, match=message):
        call(results[0], tmp_path)


def test_results_survive_a_file(results, travel_mode, tmp_path):
    for result in results:
        back = load_result(result.save(tmp_path / "result.json"))
        assert back.params.equals(result.params)
        assert back.bse.equals(result.bse)
        assert back.cov_type == result.cov_type
        assert str(back.summary()) == str(result.summary())
        for kind in ("hessian", "bhhh", "robust"):
            np.testing.assert_array_equal(back.with_cov(kind).bse, result.with_cov(kind).bse)
        new = ChoiceData.from_long(travel_mode.table, "individual", "mode", "choice")
        np.testing.assert_array_equal(
            back.predict(new)["probability"], result.predict()["probability"]
        )
        with pytest.raises(EstimationError, match="a saved result does not keep the data"):
            back.predict()
        with pytest.raises(EstimationError, match=r"does not keep the data"):
            back.with_cov("cluster", groups=np.arange(210) // 2)


def test_a_clustered_covariance_is_saved_with_its_label(results, tmp_path):
    clustered = results[0].with_cov("cluster", groups=np.arange(210) // 2)
    back = load_result(clustered.save(tmp_path / "clustered.json"))
    np.testing.assert_array_equal(back.bse, clustered.bse)
    assert back.covariance.label == "cluster by groups (105); small-sample factor: none"


def test_categories_keep_their_levels_in_a_file(travel_mode, tmp_path):
    size = np.where(travel_mode.table["psize"] > 1, "many", "one")
    data = ChoiceData.from_long(travel_mode.table.assign(size=size), "individual", "mode", "choice")
    result = fit(MultinomialLogit("gc + ttme:size | size", base="car"), data)
    back = load_result(result.save(tmp_path / "categories.json"))
    ones = data.table[data.table["size"] == "one"]
    some = ChoiceData.from_long(ones, "individual", "mode")
    want = result.predict()["probability"][data.table["size"].to_numpy() == "one"]
    np.testing.assert_allclose(back.predict(some)["probability"], want, rtol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("{", "is not a saved result"),
        ("[]", "not a result saved by this version"),
        ('{"nestflow": 1, "kind": "spell"}', "unknown kind 'spell'"),
        ('{"nestflow": 1, "kind": "choice"}', "incomplete or was changed"),
    ],
)
def test_files_that_are_no_results(tmp_path, content, message):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_result(path)


def test_a_formula_in_a_file_is_not_executed(results, tmp_path, travel_mode):
    path = results[0].save(tmp_path / "evil.json")
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["parameters"]["utility"]["linear"][3]["factors"] = ["__import__('os').system('true')"]
    path.write_text(json.dumps(saved), encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"not a function|not allowed"):
        load_result(path).predict(travel_mode)
