"""What the README says, it means."""

import re
from pathlib import Path

from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_example_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    exec(compile(first, "README.md", "exec"), {})
    assert {p.name for p in tmp_path.iterdir()} == {"table.tex", "nested.json"}


def test_the_names_in_every_example_exist():
    for line in re.findall(r"^from (?:choicemodels|estimation|microsim).*$", README, flags=re.M):
        exec(line, {})


def test_the_shell_examples_name_real_commands_and_files():
    from microsim.cli import app

    runner = CliRunner()
    for command in set(re.findall(r"^    nestflow (\w+)", README, flags=re.MULTILINE)):
        shown = runner.invoke(app, [command, "--help"])
        assert shown.exit_code == 0
        assert "Example: nestflow" in shown.output
    for path in re.findall(r"(?:data|examples|docs)/[\w/]+\.\w+", README):
        assert (ROOT / path).exists(), path


def test_every_target_of_the_makefile_is_known():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.M))
    assert {"demo", "test", "lint", "bench", "help"} <= targets
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets
