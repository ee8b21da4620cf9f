"""The published examples, ready to estimate."""

import numpy as np
import pytest

from choicemodels import ChoiceData, load_data


@pytest.fixture(scope="session")
def swissmetro():
    sm = load_data("swissmetro")
    sm = sm[sm["PURPOSE"].isin([1, 3]) & (sm["CHOICE"] != 0)].copy()
    for mode in ("TRAIN", "SM", "CAR"):
        sm[f"{mode}_TIME"] = sm[f"{mode}_TT"] / 100
        free = (sm["GA"] == 1) & (mode != "CAR")
        sm[f"{mode}_COST"] = np.where(free, 0, sm[f"{mode}_CO"]) / 100
    sm["TRAIN_OK"] = sm["TRAIN_AV"] * (sm["SP"] != 0)
    sm["CAR_OK"] = sm["CAR_AV"] * (sm["SP"] != 0)
    modes = {"train": "TRAIN", "sm": "SM", "car": "CAR"}
    return ChoiceData.from_wide(
        sm,
        choice="CHOICE",
        alternatives={1: "train", 2: "sm", 3: "car"},
        varying={
            "time": {name: f"{mode}_TIME" for name, mode in modes.items()},
            "cost": {name: f"{mode}_COST" for name, mode in modes.items()},
        },
        available={"train": "TRAIN_OK", "sm": "SM_AV", "car": "CAR_OK"},
        panel="ID",
    )


@pytest.fixture(scope="session")
def travel_mode():
    table = load_data("travel_mode")
    table["mode"] = table["mode"].map({1: "air", 2: "train", 3: "bus", 4: "car"})
    return ChoiceData.from_long(table, case="individual", alternative="mode", chosen="choice")


@pytest.fixture(scope="session")
def hc():
    modes = ["gcc", "ecc", "erc", "hpc", "gc", "ec", "er"]
    wide = load_data("hc")
    wide["depvar"] = wide["depvar"].str.strip()
    data = ChoiceData.from_wide(
        wide,
        choice="depvar",
        alternatives=modes,
        varying={cost: {m: f"{cost}.{m}" for m in modes} for cost in ("ich", "och")},
    )
    table = data.table
    cooling = table["alternative"].isin(["gcc", "ecc", "erc", "hpc"]).astype(float)
    room = table["alternative"].isin(["erc", "er"]).astype(float)
    return ChoiceData.from_long(
        table.assign(
            cooling=cooling,
            icca=cooling * table["icca"],
            occa=cooling * table["occa"],
            inc_room=room * table["income"],
            inc_cooling=cooling * table["income"],
        ),
        case="case",
        alternative="alternative",
        chosen="chosen",
    )
