"""The five research questions as ready tables: numbers, and the text that reports show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from choicemodels.errors import DataError, NestflowError
from estimation import Table, frame_table, table
from microsim.results.per_dollar import PER_DOLLAR, per_dollar
from microsim.results.questions import (
    SE,
    destination_models,
    who_goes_where,
    who_is_displaced,
    who_moves,
    who_sends_and_receives,
)
from microsim.results.rounding import with_errors
from microsim.results.run import Run
from microsim.results.spatial import moran_by_metro

__all__ = ["Answer", "answers", "policy_answer", "save_answers"]

_SUFFIXES = (".md", ".tex", ".html")


@dataclass(frozen=True)
class Answer:
    """A table that answers a question.

    Attributes
    ----------
    name : str
        Of its files.
    title : str
    numbers : DataFrame
        Unrounded, with standard errors in columns of their own.
    shown : Table
        The same as text.
    """

    name: str
    title: str
    numbers: pd.DataFrame
    shown: Table


def answers(run: Run) -> list[Answer]:
    """Return the tables of the four questions that one run answers.

    Parameters
    ----------
    run
        With more than one replicate, so that there are Monte-Carlo errors.
    """
    errors = _errors(run)
    found = [
        _answer("displaced_places", "Who is displaced where", who_is_displaced(run), _moran(run)),
        _answer(
            "displaced_exposure",
            "Who is displaced where, by exposure of the occupation",
            who_is_displaced(run, by="exposure"),
            f"Thirds of all worker-months by exposure. {errors}",
        ),
        _answer(
            "displaced_occupations",
            "Who is displaced, by occupation",
            who_is_displaced(run, "nation", "occupation").droplevel("place"),
            f"The occupation of the job that was lost. {errors}",
        ),
        _answer(
            "who_moves",
            "Who moves, retrains or stays: % a year",
            who_moves(run),
            f"Workers: mean over months. {errors}",
        ),
    ]
    if run.groups["displaced_recently"].any():
        found.append(
            _answer(
                "who_moves_displaced",
                "Who moves, retrains or stays after a displacement: % a year",
                who_moves(run, displaced_recently=True),
                f"In the month of a displacement and the 12 months after it. {errors}",
            )
        )
    found += _destinations(run)
    found.append(
        _answer(
            "regions",
            "Sending and receiving regions",
            who_sends_and_receives(run),
            f"Moves between metros in {run.months} months; net in % of the workers at the start. "
            f"{errors}",
        )
    )
    return found


def policy_answer(baseline: Run, policies: Sequence[Run]) -> Answer:
    """Return the table of policies side by side; see `microsim.results.per_dollar.per_dollar`."""
    numbers = per_dollar(baseline, policies)
    columns, notes = {}, ""
    for run in policies:
        name = run.scenario.name
        part = numbers.loc[name]
        columns[name], columns[f"{name}{SE}"] = part["value"], part["mc_se"]
        for note in part["note"].unique():
            if note:
                notes += f" {name} ({', '.join(part.index[part['note'] == note])}): {note}."
    shown = with_errors(pd.DataFrame(columns), SE)
    shown.insert(0, "unit", list(PER_DOLLAR.values()))
    text = f"Against {baseline.scenario.name}. {_errors(baseline)}{notes}"
    title = "Policies side by side, per dollar"
    return Answer("per_dollar", title, numbers, frame_table(shown, note=text, caption=title))


def save_answers(found: Sequence[Answer], out: Path) -> None:
    """Write every answer as .md, .tex and .html, and its numbers as .csv, into a folder.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for answer in found:
            for suffix in _SUFFIXES:
                answer.shown.save(out / f"{answer.name}{suffix}")
            answer.numbers.to_csv(out / f"{answer.name}.csv")
    except OSError as problem:
        raise DataError(
            f"the tables cannot be written to {out} ({problem.strerror}); give a folder that you "
            "may write to."
        ) from None


def _answer(name: str, title: str, numbers: pd.DataFrame, note: str) -> Answer:
    shown = with_errors(numbers, SE)
    labels = [label if isinstance(label, tuple) else (label,) for label in numbers.index]
    shown.index = pd.Index([", ".join(map(_words, label)) for label in labels])
    return Answer(name, title, numbers, frame_table(shown, note=note, caption=title))


def _words(label: object) -> str:
    return str(label).replace("_", " ")


def _errors(run: Run) -> str:
    if run.replicates < 2:
        return "One replicate: no Monte-Carlo errors."
    return f"Monte-Carlo standard errors over {run.replicates} replicates in parentheses."


def _moran(run: Run) -> str:
    """Say how displacement clusters, replicate by replicate."""
    tests = moran_by_metro(run, "displaced", permutations=999)
    told = tests.dropna(subset="statistic")
    if told.empty:
        return f"{_errors(run)} Moran's I is not defined: {tests['reason'].iloc[0]}."
    return (
        f"{_errors(run)} Clustering of displaced workers by metro: Moran's I "
        f"{told['statistic'].mean():.3f} (mean over replicates; by chance "
        f"{told['expected'].mean():.3f}), z {told['z'].mean():.2f}, permutation p-value "
        f"{told['pvalue_permutations'].mean():.3f}."
    )


def _destinations(run: Run) -> list[Answer]:
    """Return the table of destinations, and their regression if the moves can tell it."""
    title = "Destinations: PPML of the simulated moves"
    models, why = [], ""
    try:
        results = destination_models(run)
    except NestflowError as problem:
        why = f" No regression: {problem}"
    else:
        heads = ["sizes", "destination effects"]
        shown = table(*results, heads=heads, caption=title)
        numbers = pd.concat(
            {
                head: pd.DataFrame({"estimate": result.params, f"estimate{SE}": result.bse})
                for head, result in zip(heads, results, strict=True)
            },
            names=["model", "coefficient"],
        )
        models = [Answer("destination_models", title, numbers, shown)]
    described = _answer(
        "destinations",
        "What cost of living and remote work do to destinations",
        who_goes_where(run),
        "Mean rents of the metros, dollars a month. Rent ratio: there over here. "
        f"{_errors(run)}{why}",
    )
    return [described, *models]
