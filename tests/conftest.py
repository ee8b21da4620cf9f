"""What tests of several packages share."""

import re
import warnings

import pytest


@pytest.fixture
def nestflow(monkeypatch, capsys):
    """Run the command line in this process; return exit code, output and messages."""

    from microsim.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["nestflow", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
            main()
        shown = capsys.readouterr()
        code = stop.value.code
        return (0 if code is None else code), shown.out, re.sub(r"\s+", " ", shown.err)

    return run
