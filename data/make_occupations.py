"""Make occupations.csv, metro_occupations.csv and ai_exposure.csv from the OEWS of May 2025.

Run ``python data/make_occupations.py`` after ``make_metros.py``; the codebook is README.md
beside this script.
"""

import pandas as pd
from _sources import HERE, read_oews, write

WAGES = ["wage_mean", "wage_p10", "wage_p25", "wage_p50", "wage_p75", "wage_p90"]
NUMBERS = ["employment", *WAGES]

# The figures that the project's brief gives, as (exposure, low, high).
BRIEF_NAMED = {
    "finance and data analysis": (0.67, 0.67, 0.67),
    "sales representatives": (0.67, 0.67, 0.67),
    "market research analysts": (0.53, 0.53, 0.53),
    "managers": (0.15, 0.09, 0.21),
}
NAMED = {
    "finance and data analysis": [
        "13-2031", "13-2041", "13-2051", "13-2054", "15-2031", "15-2041", "15-2051",
    ],
    "sales representatives": ["41-3091", "41-4011", "41-4012"],
    "market research analysts": ["13-1161"],
    "managers": ["11-0000"],
}  # fmt: skip

# The rule for everything else: three classes, set by the brief's own figures. Office work gets
# the lowest figure named for non-managers, manual work the lowest of all, mixed work the
# midpoint; a class reaches as far as its neighbours' values.
CLASS_EXPOSURE = {
    "office-cognitive": (0.53, 0.31, 0.67),
    "mixed": (0.31, 0.09, 0.53),
    "manual": (0.09, 0.00, 0.31),
}
CLASS_GROUPS = {
    "office-cognitive": ["13", "15", "17", "23", "43"],
    "mixed": ["19", "21", "25", "27", "29", "41"],
    "manual": ["31", "33", "35", "37", "39", "45", "47", "49", "51", "53"],
}


def major_groups(oews: pd.DataFrame) -> pd.DataFrame:
    """Keep the 22 civilian major groups."""
    return oews[oews["soc"].str.endswith("-0000") & (oews["soc"] != "00-0000")]


def national(oews: pd.DataFrame) -> pd.DataFrame:
    """Describe the major groups in the whole nation."""
    nation = major_groups(oews[oews["cbsa"] == "00000"])
    title = nation["occupation"].str.removesuffix(" Occupations")
    return nation.assign(title=title)[["soc", "title", *NUMBERS]].sort_values("soc")


def metropolitan(oews: pd.DataFrame, metros: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """Describe every metro's major groups, on a full grid; what is not released stays missing."""
    grid = pd.MultiIndex.from_product([metros, groups], names=["cbsa", "soc"])
    cells = major_groups(oews).set_index(["cbsa", "soc"])
    if cells["topcoded"].any():
        raise ValueError("A major group's wage is top-coded, which the codebook denies.")
    cells["source"] = "oews"
    cells.loc[cells[NUMBERS].isna().any(axis=1), "source"] = "oews: suppressed"
    table = cells.reindex(grid)[[*NUMBERS, "source"]]
    return table.fillna({"source": "oews: absent"}).reset_index()


def exposure(oews: pd.DataFrame) -> pd.DataFrame:
    """Give every major group, and the occupations that the brief names, an exposure to AI."""
    nation = oews[oews["cbsa"] == "00000"].set_index("soc")
    named = pd.DataFrame(
        [
            (soc, *BRIEF_NAMED[name], f"brief: {name}")
            for name, codes in NAMED.items()
            for soc in codes
        ],
        columns=["soc", "exposure", "low", "high", "source"],
    )
    groups = [group_row(f"{group}-0000", name, named, nation["employment"])
              for name, members in CLASS_GROUPS.items() for group in members]  # fmt: skip
    table = pd.concat([named, pd.DataFrame(groups)], ignore_index=True).sort_values("soc")
    title = table["soc"].map(nation["occupation"]).str.removesuffix(" Occupations")
    table.insert(1, "title", title)
    return table.round(4)


def group_row(soc: str, name: str, named: pd.DataFrame, employment: pd.Series) -> dict[str, object]:
    """Average a group's named occupations and its class's value for the rest, by employment."""
    values = pd.Series(CLASS_EXPOSURE[name], index=["exposure", "low", "high"])
    members = named[named["soc"].str[:2] == soc[:2]]
    if members.empty:
        return {"soc": soc, **values, "source": f"rule: {name}"}
    weight = members["soc"].map(employment) / employment[soc]
    figures = members[list(values.index)]
    blend = figures.mul(weight, axis=0).sum() + (1 - weight.sum()) * values
    return {"soc": soc, **blend, "source": f"rule: named occupations by employment, rest {name}"}


def main() -> None:
    """Make the three tables."""
    oews = read_oews()
    occupations = national(oews)
    metros = pd.read_csv(HERE / "metros.csv", dtype={"cbsa": str})["cbsa"].sort_values()
    cells = metropolitan(oews, metros, occupations["soc"])
    for table in (occupations, cells):
        table[NUMBERS] = table[NUMBERS].astype("Int64")
    write(occupations, "occupations.csv")
    write(cells, "metro_occupations.csv")
    write(exposure(oews), "ai_exposure.csv")


if __name__ == "__main__":
    main()
