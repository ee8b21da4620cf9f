"""The command line: the right answers, and one sentence with exit code 2 for a mistake."""

import json
import re

import pandas as pd
import pytest

from choicemodels.datasets import data_path

TRAVEL = str(data_path("travel_mode"))
AUSTRIA = str(data_path("austria_flows"))
MODE = ["--case", "individual", "--alternative", "mode", "--chosen", "choice"]


def test_fit_prints_saves_and_tabulates(nestflow, tmp_path):
    out, table = tmp_path / "r.json", tmp_path / "t.tex"
    code, shown, said = nestflow(
        "fit", TRAVEL, *MODE, "--formula", "gc + ttme", "--nest", "ground=2,3,4", "--base", "4",
        "--out", out, "--table", table,
    )  # fmt: skip
    assert code == 0, said
    assert "lambda:ground" in shown
    assert "Standard errors: robust" in shown
    assert json.loads(out.read_text(encoding="utf-8"))["kind"] == "choice"
    assert "tabularx" in table.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--random", "gc=normal", "--draws", "60"), "sd:gc"),
        (("--classes", "2", "--formula", "gc | 0"), "class2:(Intercept)"),
        (("--constraint", "ttme = -0.1"), "Constraint: ttme = -0.1"),
        (("--offset", "-0.1 * ttme", "--formula", "gc"), "Multinomial logit"),
    ],
)
@pytest.mark.filterwarnings("ignore::choicemodels.NestflowWarning")
def test_fit_knows_the_other_families(nestflow, options, found):
    formula = () if "--formula" in options else ("--formula", "gc + ttme")
    code, shown, said = nestflow("fit", TRAVEL, *MODE, *formula, "--base", "4", *options)
    assert code == 0, said
    assert found in shown


def test_fit_takes_one_family_at_a_time(nestflow):
    code, _, said = nestflow(
        "fit", TRAVEL, *MODE, "--formula", "gc", "--nest", "a=2,3", "--classes", "2"
    )
    assert code == 2
    assert "--nest and --classes are different models" in " ".join(said.split())


def test_fit_refuses_no_classes_at_all(nestflow):
    code, _, said = nestflow("fit", TRAVEL, *MODE, "--formula", "gc", "--classes", "0")
    assert code == 2
    assert "classes" in said


def test_gravity_clusters_two_ways(nestflow, tmp_path):
    code, shown, said = nestflow(
        "gravity", AUSTRIA, "--formula", "log(distance) | origin + destination",
        "--cluster", "origin", "--cluster", "destination", "--table", tmp_path / "g.md",
    )  # fmt: skip
    assert code == 0, said
    assert "-1.264" in shown
    assert (tmp_path / "g.md").exists()


def test_gravity_estimates_stepwise_formulas_into_one_table(nestflow, tmp_path):
    code, shown, said = nestflow(
        "gravity", AUSTRIA, "--formula", "sw(distance, log(distance)) | origin + destination",
        "--out", tmp_path / "fits", "--table", tmp_path / "g.md",
    )  # fmt: skip
    assert code == 0, said
    assert "-1.264" in shown
    assert "-0.008" in shown
    assert "log(distance) | origin + destination" in shown
    assert sorted(p.name for p in (tmp_path / "fits").iterdir()) == ["1.json", "2.json"]
    assert "-1.264" in (tmp_path / "g.md").read_text()


def test_gravity_refuses_a_covariance_beside_clusters(nestflow):
    command = ("gravity", AUSTRIA, "--formula", "distance", "--cluster", "origin", "--cov")
    code, _, said = nestflow(*command, "HC3")
    assert code == 2
    assert "--cov HC3 does not go with --cluster" in said
    assert nestflow(*command, "CRV3")[0] == 0


def test_gravity_knows_namibia(nestflow, tmp_path):
    table = pd.read_csv(AUSTRIA)
    names = {"AT11": "NA"}
    table = table.replace({"origin": names, "destination": names})
    table.to_csv(tmp_path / "flows.csv", index=False)
    code, shown, said = nestflow(
        "gravity", tmp_path / "flows.csv", "--formula", "log(distance) | origin + destination"
    )
    assert code == 0, said
    assert "-1.264" in shown


def test_gravity_splits_weighs_and_offsets(nestflow):
    code, shown, said = nestflow(
        "gravity", AUSTRIA, "--formula", "distance", "--split", "origin",
        "--offset", "log(distance)", "--weights", "flow",
    )  # fmt: skip
    assert code == 0, said
    assert shown.count("AT1") >= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "nowhere.csv", "--formula", "x"], "there is no file 'nowhere.csv'"),
        (["fit", TRAVEL, "--formula", "gc"], "no column 'case'"),
        (["fit", TRAVEL, *MODE, "--formula", "gcc"], "no column 'gcc' (did you mean 'gc'?)"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--nest", "x=2,9"], "names the alternative '9'"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--nest", "2,9"], "not of the form name=value"),
        (["fit", TRAVEL, *MODE, "--formula", "gc + gc:psize + I(gc*2)"], "collinear"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--cov", "hc9"], "cov is 'hc9'"),
        (
            ["fit", TRAVEL, *MODE, "--formula", "open('x')"],
            "not a function|uses the function|cannot",
        ),
        (
            ["fit", TRAVEL, *MODE, "--formula", "gc", "--nest", "g=2,3", "--nest", "g=1,4"],
            "--nest gives 'g' twice",
        ),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--out", "."], "is a folder; name a file"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--out", "data.csv"], "end it in .json"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--membership", "hinc"], "belongs to --classes"),
        (["fit", TRAVEL, *MODE, "--formula", "gc", "--lambdas", "shared"], "belongs to --nest"),
        (["gravity", AUSTRIA, "--formula", "distance | orign"], "'orign'"),
        (["gravity", AUSTRIA, "--formula", "flow ~ distance"], "left-hand side"),
        (["synthesize", "--metros", "1", "--out", "x"], "metros"),
        (["simulate", "nobody", "--mobility", "no.json", "--out", "x"], "no file 'no.json'"),
        (["contrast", "a", "b"], "holds no finished run"),
        (["demo", "--months", "0"], "must be at least 1"),
        (["demo", "--workers", "10"], "10 workers are too few"),
        (["fly"], "No such command"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(nestflow, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, said = nestflow(*arguments)
    assert code == 2
    assert "Traceback" not in said
    assert message in said or re.search(message, said), said
    assert not list(tmp_path.iterdir()), "a refused command left something behind"


def test_an_empty_file(nestflow, tmp_path):
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "header.csv").write_text("a,b\n", encoding="utf-8")
    (tmp_path / "table.xls").write_text("a", encoding="utf-8")
    assert "is empty" in nestflow("fit", tmp_path / "empty.csv", "--formula", "x")[2]
    assert "no rows" in nestflow("fit", tmp_path / "header.csv", "--formula", "x")[2]
    assert "suffix is not one of" in nestflow("fit", tmp_path / "table.xls", "--formula", "x")[2]


def test_negative_flows(nestflow, tmp_path):
    table = pd.read_csv(AUSTRIA)
    table.loc[3, "flow"] = -1
    table.to_csv(tmp_path / "bad.csv", index=False)
    code, _, said = nestflow("gravity", tmp_path / "bad.csv", "--formula", "distance")
    assert code == 2
    assert "negative" in said


def demonstrate(out):
    from microsim.demo import Settings, run_demo

    settings = Settings(6_000, 600, 16, 8, seed=3, replicates=2, cases=600, out=out)
    return run_demo(settings, lambda step: lambda done, of: None)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demonstrate(tmp_path_factory.mktemp("demonstration"))


def test_the_demonstration_writes_everything(demo):
    out = demo.report.parent
    for name in demo.tables:
        for suffix in (".md", ".tex", ".html"):
            assert (out / "tables" / f"{name}{suffix}").stat().st_size > 100
    assert len(list((out / "figures").glob("*.png"))) == 4
    assert len(list((out / "simulations").glob("*/national.parquet"))) == 4
    page = demo.report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=[\"']https?:", page)
    assert "<script" not in page


@pytest.mark.slow
def test_the_demonstration_twice_is_the_same_to_the_byte(demo, tmp_path):
    first, second = (made.report.parent for made in (demo, demonstrate(tmp_path)))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes(), path


def test_the_demonstration_finds_the_truth(demo):
    result = demo.estimates.mobility
    z = (result.params - demo.estimates.truth[result.params.index]) / result.bse
    assert z.abs().max() < 4


def test_runs_go_on_from_the_files(demo, nestflow, tmp_path):
    out = demo.report.parent
    code, shown, said = nestflow(
        "contrast",
        out / "simulations" / "ai_displacement",
        out / "simulations" / "relocation_grant",
        "--out",
        tmp_path / "grant.csv",
    )
    assert code == 0, said
    assert "cost per additional move" in shown
    people, run = tmp_path / "people", tmp_path / "run"
    sizes = ["--workers", "4000", "--firms", "400", "--metros", "16", "--seed", "3"]
    code, shown, said = nestflow(
        "synthesize", *sizes, "--out", people, "--margins", tmp_path / "margins.csv"
    )
    assert code == 0, said
    assert "stage share of firms not large" in shown
    assert len(shown.splitlines()) < 60
    assert len(pd.read_csv(tmp_path / "margins.csv")) > 200
    code, _, said = nestflow("synthesize", *sizes, "--out", people, "--margins", "no/such/x.csv")
    assert code == 2
    assert "non-existent directory: 'no/such'" in " ".join(said.split())
    simulate = ("simulate", people, "--mobility", out / "mobility.json", "--out", run)
    options = ("--checkpoint", "2", "--histories", "0.1")
    code, shown, said = nestflow(*simulate, "--months", "3", *options)
    assert code == 0, said
    assert "moves" in shown
    assert len(list(run.rglob("metro_panel/*/month=*.parquet"))) == 3
    assert len(list(run.rglob("histories/*/month=*.parquet"))) == 3
    code, _, said = nestflow(*simulate, "--months", "4", *options, "--resume")
    assert code == 2
    assert "its number of months is 3, not 4" in " ".join(said.split())
    code, _, said = nestflow("contrast", run, out / "simulations" / "relocation_grant")
    assert code == 2
    assert "have different" in said
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\npolicies:\n  - {kind: relocation_grant, amount: -5}\n", "utf-8")
    code, _, said = nestflow(
        "simulate", people, "--mobility", out / "mobility.json", "--scenario", bad, "--out", "no"
    )
    assert code == 2
    assert "amount" in said
    assert "-5" in said
