"""Step 4: tables as economists publish them, and results that survive in a file."""

from pathlib import Path
from tempfile import mkdtemp

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, load_data
from estimation import fit, load_result, table

travel = load_data("travel_mode")
travel["mode"] = travel["mode"].map({1: "air", 2: "train", 3: "bus", 4: "car"})
choices = ChoiceData.from_long(travel, case="individual", alternative="mode", chosen="choice")
ground = {"ground": ["train", "bus", "car"]}

flat = fit(MultinomialLogit("gc + ttme", base="car"), choices)
nested = fit(NestedLogit("gc + ttme", nests=ground, base="car"), choices)

both = table(flat, nested, heads=["MNL", "NL"], labels={"gc": "Cost", "ttme": "Terminal time"})
print(both)

folder = Path(mkdtemp())
for suffix in (".md", ".tex", ".html", ".docx", ".typ"):
    both.save(folder / f"modes{suffix}")

back = load_result(nested.save(folder / "nested.json"))
print(back.predict(choices).groupby("mode")["probability"].mean())
print(f"written to {folder}")
