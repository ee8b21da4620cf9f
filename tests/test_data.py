import numpy as np
import pytest

from choicemodels import datasets
from choicemodels.datasets import data_path, load_data
from choicemodels.errors import DataError

WAGES = ["wage_p10", "wage_p25", "wage_p50", "wage_p75", "wage_p90"]
SHAPES = {
    "metros": (384, 31),
    "occupations": (22, 9),
    "occupation_skills": (22, 7),
    "metro_occupations": (384 * 22, 10),
    "industry_occupations": (220, 3),
    "ai_exposure": (33, 6),
    "states": (51, 8),
    "labour_laws": (51, 3),
    "ai_use": (51, 2),
    "swissmetro": (10_728, 28),
    "mode_canada": (15_520, 12),
    "hc": (250, 19),
    "electricity": (17_232, 10),
    "train": (2_929, 11),
    "travel_mode": (840, 9),
    "austria_flows": (72, 6),
    "canada_migration": (90, 9),
    "calibration_targets": (12, 6),
}


@pytest.fixture(scope="module")
def metros():
    return load_data("metros").set_index("cbsa")


@pytest.fixture(scope="module")
def metro_occupations():
    return load_data("metro_occupations")


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_every_table_has_its_rows_and_columns(name, shape):
    assert load_data(name).shape == shape


def test_the_known_names_are_the_documented_ones():
    assert set(datasets._FILES) == set(SHAPES)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"'swismetro' \(did you mean 'swissmetro'\?\).*metros"):
        load_data("swismetro")


def test_a_lost_file_is_named_with_its_places(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(datasets, "_installed", lambda file: [])
    with pytest.raises(DataError, match=r"metros\.csv nor among .*install nestflow again"):
        data_path("metros")


def test_an_installed_wheel_finds_its_copy(monkeypatch, tmp_path):
    (tmp_path / "hc.csv.gz").write_bytes(b"")
    monkeypatch.setattr(datasets, "_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(datasets, "_installed", lambda file: [tmp_path / file])
    assert data_path("hc") == tmp_path / "hc.csv.gz"


def test_metros_are_distinct_places_in_order_of_population(metros):
    assert metros.index.is_unique
    assert metros.index.str.fullmatch(r"\d{5}").all()
    assert metros["name"].is_unique
    assert metros["population"].is_monotonic_decreasing
    assert not metros.isna().any(axis=None)


def test_metros_hold_the_population_of_metropolitan_america(metros):
    # 86 percent of the 331,093,495 people of the 50 states and DC in the same source
    assert metros["population"].sum() == 285_081_847
    assert metros["name"].iloc[0] == "New York-Newark-Jersey City, NY-NJ"
    assert metros["population"].iloc[0] == pytest.approx(19.85e6, rel=0.01)


def test_connecticut_is_repaired(metros):
    connecticut = metros[metros["states"] == "CT"]
    assert sorted(connecticut.index) == ["14860", "25540", "35300", "35980", "47930"]
    assert 1.1e6 < metros.loc["25540", "population"] < 1.25e6
    # Litchfield and Windham's micropolitan areas are the rest of the 3.61 million
    assert connecticut["population"].sum() == pytest.approx(3.40e6, rel=0.01)
    assert (connecticut["division"] == "New England").all()


@pytest.mark.parametrize(
    ("cbsa", "population"),
    # Counties that are whole metros (Boulder, Bannock, Weld, Fairbanks): census of 2020
    [("14500", 330_758), ("38540", 87_018), ("24540", 328_981), ("21820", 95_655)],
)
def test_zips_are_split_between_metros_by_where_people_live(metros, cbsa, population):
    assert metros.loc[cbsa, "population"] == pytest.approx(population, rel=0.02)


def test_no_metro_of_puerto_rico_and_only_the_nine_divisions(metros):
    assert not metros["states"].str.contains("PR").any()
    assert metros["division"].nunique() == 9
    assert metros["states"].str.fullmatch(r"[A-Z]{2}(-[A-Z]{2})*").all()


def test_metro_figures_are_in_range(metros):
    shares = metros.filter(like="_share")
    assert shares.shape[1] == 13
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert metros["latitude"].between(18, 66).all()
    assert metros["longitude"].between(-160, -65).all()
    assert metros["median_household_income"].between(40_000, 250_001).all()
    assert metros["median_home_value"].between(90_000, 2_000_001).all()
    assert (metros["jobs"] / metros["population"]).between(0.2, 0.8).all()


def test_shares_of_race_leave_room_for_other_races(metros):
    named = metros[["white_share", "black_share", "asian_share", "hispanic_share"]].sum(axis=1)
    assert named.max() < 1
    # The ACS of 2018-2022 counts 18.7 percent of the nation as Hispanic, more in metros.
    hispanic = np.average(metros["hispanic_share"], weights=metros["population"])
    assert 0.19 < hispanic < 0.22
    highest = metros.filter(regex="white|black|asian|hispanic").idxmax()
    # Parkersburg, Albany (Georgia), Honolulu and Laredo
    assert list(highest) == ["37620", "10500", "46520", "29700"]


def test_industries_add_up_to_the_nations_occupations():
    table = load_data("industry_occupations")
    assert table.groupby("industry")["soc"].nunique().eq(22).all()
    jobs = table.groupby("soc")["employment"].sum()
    nation = load_data("occupations").set_index("soc")["employment"]
    gap = np.abs(jobs / nation - 1)
    assert gap.drop("45-0000").max() < 1e-3
    assert gap["45-0000"] < 0.05
    share = table.set_index(["industry", "soc"])["employment"] / nation
    assert share["manufacturing", "51-0000"] > 0.6
    assert share["natural resources and construction", "47-0000"] > 0.7


def test_every_metro_has_one_region_class_by_the_stated_rule(metros):
    classes = metros["region_class"].value_counts()
    assert classes.to_dict() == {
        "small_metro": 191,
        "sun_belt_growth": 69,
        "traditional_manufacturing": 53,
        "emerging_tech": 52,
        "tech_hub": 19,
    }
    assert (metros.loc[metros["region_class"] == "small_metro", "population"] < 250_000).all()
    assert (metros.loc[metros["region_class"] == "tech_hub", "computer_lq"] >= 1.4).all()
    for cbsa, name in {
        "41940": "tech_hub",
        "19820": "traditional_manufacturing",
        "38060": "sun_belt_growth",
        "38900": "emerging_tech",
        "13220": "small_metro",
    }.items():
        assert metros.loc[cbsa, "region_class"] == name


def test_climate_zones_are_the_five_bands(metros):
    assert set(metros["climate_zone"]) == {
        "tropical", "subtropical", "temperate", "continental", "cold",
    }  # fmt: skip


def test_occupations_are_the_22_major_groups():
    occupations = load_data("occupations")
    assert occupations["soc"].is_unique
    assert occupations["soc"].str.fullmatch(r"\d\d-0000").all()
    assert occupations["employment"].sum() == pytest.approx(155.5e6, rel=1e-3)
    assert (np.diff(occupations[WAGES], axis=1) > 0).all()


def test_every_metro_has_every_major_group(metros, metro_occupations):
    socs = load_data("occupations")["soc"]
    pairs = metro_occupations[["cbsa", "soc"]]
    assert not pairs.duplicated().any()
    assert set(pairs["cbsa"]) == set(metros.index)
    assert (pairs.groupby("cbsa")["soc"].agg(list).map(lambda found: found == list(socs))).all()


def test_what_oews_does_not_release_is_missing_and_flagged(metro_occupations):
    figures = metro_occupations.drop(columns=["cbsa", "soc", "source"])
    gaps = figures.isna()
    assert metro_occupations["source"].value_counts().to_dict() == {
        "oews": 8398,
        "oews: suppressed": 26,
        "oews: absent": 24,
    }
    assert (gaps.any(axis=1) == (metro_occupations["source"] != "oews")).all()
    assert gaps.all(axis=1).sum() == 24
    assert gaps.any(axis=1).groupby(metro_occupations["cbsa"]).sum().max() == 2


def test_metro_groups_add_up_to_the_metros_jobs_and_wages_rise(metros, metro_occupations):
    whole = metro_occupations.groupby("cbsa")["employment"].agg(["sum", "count"])
    whole = whole[whole["count"] == 22]
    assert len(whole) == 352
    np.testing.assert_allclose(whole["sum"], metros.loc[whole.index, "jobs"], rtol=1e-3)
    wages = metro_occupations[WAGES].dropna()
    assert (np.diff(wages, axis=1) >= 0).all()


def test_exposure_has_the_briefs_figures():
    exposure = load_data("ai_exposure").set_index("soc")
    assert exposure.index.is_unique
    for soc in ["13-2051", "15-2051", "41-3091", "41-4011", "41-4012"]:
        assert exposure.loc[soc, "exposure"] == 0.67
    assert exposure.loc["13-1161", "exposure"] == 0.53
    assert tuple(exposure.loc["11-0000", ["low", "exposure", "high"]]) == (0.09, 0.15, 0.21)
    assert exposure["source"].str.match("brief: |rule: ").all()


def test_a_group_with_named_occupations_lies_between_them_and_its_class():
    exposure = load_data("ai_exposure").set_index("soc")["exposure"]
    assert 0.53 < exposure["13-0000"] < 0.67
    assert 0.53 < exposure["15-0000"] < 0.67
    assert 0.31 < exposure["41-0000"] < 0.67


def test_swissmetro_is_the_published_sample():
    data = load_data("swissmetro")
    used = data[data["PURPOSE"].isin([1, 3]) & (data["CHOICE"] != 0)]
    assert len(used) == 6768
    assert data["ID"].nunique() == 1192


def test_travel_mode_has_210_people_with_four_modes_and_one_choice():
    data = load_data("travel_mode")
    people = data.groupby("individual")
    assert people.ngroups == 210
    assert (people["mode"].agg(list).map(lambda modes: modes == [1, 2, 3, 4])).all()
    assert (people["choice"].sum() == 1).all()
    assert data.groupby("mode")["choice"].sum().tolist() == [58, 63, 30, 59]


def test_mode_canada_has_one_choice_a_case():
    data = load_data("mode_canada")
    cases = data.groupby("case")
    assert cases.ngroups == 4324
    assert (cases["choice"].sum() == 1).all()
    assert data.loc[data["noalt"] == 4, "case"].nunique() == 2779


def test_hc_has_seven_systems():
    data = load_data("hc")
    systems = {"gcc", "ecc", "erc", "hpc", "gc", "ec", "er"}
    assert set(data["depvar"]) == systems
    assert {f"ich.{system}" for system in systems} < set(data.columns)


def test_austria_has_every_pair_of_nine_regions_and_no_intrazonal_flow():
    flows = load_data("austria_flows")
    assert not flows[["origin", "destination"]].duplicated().any()
    assert (flows["origin"] != flows["destination"]).all()
    assert flows["origin"].nunique() == flows["destination"].nunique() == 9
    assert flows["flow"].sum() == 89_575


def test_canada_has_every_pair_of_ten_provinces_and_no_intrazonal_flow():
    flows = load_data("canada_migration")
    assert not flows[["source", "destination"]].duplicated().any()
    assert (flows["source"] != flows["destination"]).all()
    assert flows["source"].nunique() == flows["destination"].nunique() == 10


def test_the_data_stay_small():
    assert sum(data_path(name).stat().st_size for name in SHAPES) < 6e6


def test_the_states_are_those_of_the_metros_and_their_rules_are_sane(metros):
    states = load_data("states").set_index("state")
    assert {code for codes in metros["states"] for code in codes.split("-")} <= set(states.index)
    assert states["replacement_rate"].between(0.4, 0.65).all()
    assert states["maximum_weekly"].between(235, 823).all()
    assert (states["duration"] == (states["weeks"] * 12 / 52).round()).all()
    assert (states["state_rate"] == 0).sum() == 9
    none_levied = states["state_rate_source"] == "none levied on wages"
    assert ((states["state_rate"] == 0) == none_levied).all()
