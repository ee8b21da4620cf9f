"""The published examples, ready to estimate."""

from importlib.metadata import distribution

import numpy as np
import pandas as pd
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


@pytest.fixture(scope="session")
def mode_canada():
    """Travellers with four modes, without the bus and the ten who took it."""
    table = load_data("mode_canada")
    table = table[(table["noalt"] == 4) & (table["alt"] != "bus")]
    chose = table.groupby("case")["choice"].transform("sum") == 1
    return ChoiceData.from_long(
        table[chose].assign(time=table["ivt"] + table["ovt"]),
        case="case",
        alternative="alt",
        chosen="choice",
        alternatives=["car", "train", "air"],
    )


@pytest.fixture(scope="session")
def mtc():
    """Work trips of the Bay Area, from a file that larch ships; larch itself stays unimported."""
    table = pd.read_csv(distribution("larch").locate_file("larch/data_warehouse/MTCwork.csv.gz"))
    modes = {1: "DA", 2: "SR2", 3: "SR3+", 4: "Transit", 5: "Bike", 6: "Walk"}
    return ChoiceData.from_long(
        table.assign(
            mode=table["altnum"].map(modes),
            motorized=(table["altnum"] <= 4).astype(float),
            shared=table["altnum"].isin([2, 3]).astype(float),
            cbd=table["wkccbd"] + table["wknccbd"],
        ),
        case="casenum",
        alternative="mode",
        chosen="chose",
        alternatives=list(modes.values()),
    )
