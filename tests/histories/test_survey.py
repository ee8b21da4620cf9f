"""The rules for one person, by hand and against a plain reading of them."""

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choicemodels import Areas
from choicemodels.errors import SpecificationError
from choicemodels.histories.answers import Answers
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.kernels import first_day, month_of
from choicemodels.histories.matrices import matrices_from_histories
from choicemodels.histories.people import MISSING, People
from choicemodels.histories.rules import HistoryRules

PLACES = list("abcdefgh")
DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
AREAS = Areas.from_table(
    pd.DataFrame({"block_group": PLACES, "county": "c"}), "block_group", ["county"]
)
GEOCODER = Geocoder.exact(AREAS)


def history(*rows, start=None, end=None, deceased=False, person="p"):
    """Return rows of (address, date, category); each address is its own area."""
    frame = pd.DataFrame(rows, columns=["address", "effective", "category"])
    return frame.assign(
        person=person,
        start=pd.to_datetime(pd.Series([start] * len(frame))),
        end=pd.to_datetime(pd.Series([end] * len(frame))),
        deceased=deceased,
        effective=pd.to_datetime(frame["effective"]),
        block_group=frame["address"],
    )


def answers(frame, year, **rules):
    """Return people by pair of addresses."""
    found = matrices_from_histories(frame, GEOCODER, [year], rules=HistoryRules(**rules))[year]
    table = found.to_frame()
    pairs = zip(table["origin"], table["destination"], strict=True)
    return dict(zip(pairs, table["people"], strict=True))


def test_months_follow_the_calendar():
    days = np.arange(-200_000, 200_000, 7)
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    np.testing.assert_array_equal([month_of(d) for d in days], months.astype(int))
    firsts = months.astype("datetime64[D]").astype(int)
    np.testing.assert_array_equal([first_day(m) for m in months.astype(int)], firsts)


def test_a_move_in_march_is_answered_from_march_to_february():
    frame = history(("a", "2010-01-01", "clean"), ("b", "2015-03-20", "clean"))
    before = sum(DAYS[:2]) / 365
    assert answers(frame, 2014) == {("a", "a"): 1.0}
    assert answers(frame, 2015) == {("a", "a"): before, ("a", "b"): 1 - before}
    # Padded to 2016-03-19: from April on there is nobody to ask.
    march = DAYS[2] / 365
    assert answers(frame, 2016) == {("a", "b"): before, ("b", "b"): march}


def test_activity_is_padded_by_a_year_of_days():
    frame = history(("a", "2015-06-15", "clean"))
    # Months whose first day lies in 2014-06-15 ... 2016-06-14: July 2014 to June 2016.
    assert answers(frame, 2015) == {("a", "a"): sum(DAYS[6:]) / 365}
    assert answers(frame, 2016) == {("a", "a"): sum(DAYS[:6]) / 365}


def test_listed_dates_widen_the_span_in_either_order():
    frame = history(("a", "2015-06-15", "clean"), start="2018-01-01", end="2012-01-01")
    found = matrices_from_histories(frame, GEOCODER, range(2012, 2020))
    # Active from January 2011 (2012-01-01 less 365 days) to January 2019.
    assert [m.total for m in found.values()] == pytest.approx([1.0] * 7 + [31 / 365], abs=1e-15)
    assert found.record["people listed as ending before they start"] == 1


def test_the_deceased_may_end_with_their_last_date():
    frame = history(("a", "2012-01-01", "clean"), end="2015-06-15", deceased=True)
    assert answers(frame, 2015)["a", "a"] == 1.0
    assert answers(frame, 2015, pad_deceased=False)["a", "a"] == sum(DAYS[:6]) / 365


def test_addresses_without_a_date_go_unless_they_are_the_only_one():
    both = history(("a", "2012-01-01", "clean"), ("b", None, "clean"))
    assert answers(both, 2012) == {("a", "a"): 1.0}
    alone = history(("a", None, "clean"), start="2012-01-01", end="2013-01-01")
    assert answers(alone, 2012) == {("a", "a"): 1.0}
    # The same address twice is one address.
    twice = history(("a", None, "clean"), ("a", "2012-01-01", "clean"))
    assert answers(twice, 2012) == {("a", "a"): 1.0}


@pytest.mark.parametrize(("days", "kept"), [(364, False), (365, True)])
def test_a_box_leaves_where_another_address_took_effect_within_a_year(days, kept):
    moved = date(2012, 1, 1) + timedelta(days)
    frame = history(("a", "2012-01-01", "clean"), ("b", moved.isoformat(), "PO_box"))
    assert (("a", "b") in answers(frame, 2013)) == kept
    only = history(("a", "2012-01-01", "PO_box"), ("b", "2012-02-01", "PO_box"))
    assert ("a", "b") in answers(only, 2012)


def test_addresses_of_one_date_share_the_month():
    frame = history(
        ("a", "2012-01-01", "clean"), ("b", "2012-01-01", "clean"), ("c", "2014-01-01", "clean")
    )
    assert answers(frame, 2013) == {("a", "a"): 0.5, ("b", "b"): 0.5}
    assert answers(frame, 2014) == {("a", "c"): 0.5, ("b", "c"): 0.5}


def test_sets_that_overlap_multiply_out():
    frame = history(
        ("a", "2012-01-01", "clean"), ("b", "2012-01-01", "clean"),
        ("b", "2014-01-01", "clean"), ("c", "2014-01-01", "clean"),
    )  # fmt: skip
    pairs = {("a", "b"), ("a", "c"), ("b", "b"), ("b", "c")}
    assert answers(frame, 2014) == dict.fromkeys(pairs, 0.25)


def test_the_last_date_of_a_month_counts_and_boxes_of_a_date_leave():
    frame = history(("a", "2012-01-03", "clean"), ("b", "2012-01-20", "clean"))
    assert set(answers(frame, 2012)) == {("b", "b")}
    frame = history(("a", "2012-01-03", "clean"), ("b", "2012-01-03", "PO_box"))
    assert set(answers(frame, 2012, box_days=0)) == {("a", "a")}


def test_whole_years_only_when_all_24_months_are_asked_for():
    frame = history(("a", "2015-06-15", "clean"), end="2017-06-15")
    found = matrices_from_histories(
        frame, GEOCODER, [2016, 2017], rules=HistoryRules(least_months=24)
    )
    assert [m.total for m in found.values()] == [1.0, 1.0]
    assert found.by_year["surveyed"].tolist() == [1, 1]
    short = history(("a", "2015-06-15", "clean"))
    with pytest.raises(ValueError, match="nobody answers in 2016"):
        answers(short, 2016, least_months=24)


def test_moves_between_addresses_of_one_area_are_moves_to_the_address_and_stays_in_the_area():
    frame = history(("x", "2010-01-01", "clean"), ("y", "2015-01-01", "clean"))
    frame["block_group"] = "a"
    found = matrices_from_histories(frame, GEOCODER, [2015])
    assert found.by_year.loc[2015, ["stayers", "movers"]].tolist() == [0.0, 1.0]
    assert found[2015].stayers[0] == 1.0


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"pad_days": -1}, "pad_days is -1; give a number of days"),
        ({"box_days": -365}, "box_days is -365"),
        ({"least_months": 25}, "least_months is 25; .* 1 to 24 months"),
        ({"least_months": 0}, "least_months is 0"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules, message):
    with pytest.raises(SpecificationError, match=message):
        HistoryRules(**rules)


def plainly(person, year, pad_days, pad_deceased, box_days, least_months):
    """Follow the rules for one person with sets, dates and fractions."""
    rows, start, end, deceased = person
    dates = [d for _, d, _ in rows if d] + [d for d in (start, end) if d]
    if not dates:
        return {}
    first, last = min(dates), max(dates)
    different = {a for a, _, _ in rows}
    dated = {(a, d or first, c) for a, d, c in rows if d or len(different) == 1}
    streets = [d for _, d, c in dated if c != "PO_box"]
    near = max(box_days, 1)
    kept = [
        (a, d)
        for a, d, c in dated
        if c != "PO_box" or all(abs((d - other).days) >= near for other in streets)
    ]
    homes = {}
    for d in sorted({d for _, d in kept}):
        homes[d.year, d.month] = {a for a, when in kept if when == d}
    low = first - timedelta(pad_days)
    high = last + timedelta(pad_days if pad_deceased or not deceased else 0)

    def at(y, m):
        if not homes or not low <= date(y, m, 1) <= high:
            return None
        past = [month for month in homes if month <= (y, m)]
        return homes[max(past)] if past else homes[min(homes)]

    months = [at(y, m) for y in (year - 1, year) for m in range(1, 13)]
    found = defaultdict(Fraction)
    if sum(home is not None for home in months) < least_months:
        return {}
    for m in range(12):
        before, now, weight = months[m], months[12 + m], Fraction(DAYS[m], 365)
        if before is None or now is None:
            continue
        if before == now:
            for a in now:
                found[a, a] += weight / len(now)
        else:
            for o in before:
                for d in now:
                    found[o, d] += weight / len(before) / len(now)
    return found


a_date = st.one_of(st.none(), st.dates(date(2012, 1, 1), date(2017, 12, 31)))
# Few days, so that ties, shared months and edges of windows come up.
edges = st.sampled_from([date(2013, 1, 1), date(2013, 12, 31), date(2014, 1, 1), date(2014, 1, 31)])
an_address = st.tuples(
    st.sampled_from(PLACES),
    st.one_of(a_date, edges),
    st.sampled_from(["clean", "rural_route", "PO_box"]),
)
a_person = st.tuples(st.lists(an_address, min_size=1, max_size=13), a_date, a_date, st.booleans())
some_rules = st.fixed_dictionaries(
    {
        "pad_days": st.sampled_from([0, 30, 365, 400]),
        "pad_deceased": st.booleans(),
        "box_days": st.sampled_from([0, 1, 200, 365]),
        "least_months": st.sampled_from([1, 12, 13, 24]),
    }
)


def as_people(everyone):
    """Return persons as the arrays that are streamed."""
    rows = [
        (i, a, d, c == "PO_box", start, end, dead)
        for i, (addresses, start, end, dead) in enumerate(everyone)
        for a, d, c in addresses
    ]
    person, address, effective, box, start, end, dead = zip(*rows, strict=True)
    bounds = np.append(np.flatnonzero(np.diff(person, prepend=-1)), len(rows))
    places = np.array([PLACES.index(a) for a in address], dtype=np.int32)

    def days(dates):
        known = [MISSING if d is None else (d - date(1970, 1, 1)).days for d in dates]
        return np.array(known, dtype=np.int32)

    columns = {
        "effective": days(effective), "start": days(start), "end": days(end), "place": places,
        # The order of hashes says nothing about that of addresses.
        "address": (places.astype(np.uint64) * np.uint64(5)) % np.uint64(8),
        "box": np.array(box), "deceased": np.array(dead),
    }  # fmt: skip
    return People(bounds, columns)


@settings(max_examples=60, deadline=None)
@given(people=st.lists(a_person, min_size=1, max_size=12), rules=some_rules)
def test_the_kernels_follow_the_rules_person_by_person(people, rules):
    years = np.arange(2012, 2019)
    answers = Answers(years, len(PLACES), HistoryRules(**rules))
    answers.add(as_people(people))
    for year, found in answers.moves().items():
        expected = np.zeros((8, 8))
        for person in people:
            for (o, d), weight in plainly(person, year, **rules).items():
                expected[PLACES.index(o), PLACES.index(d)] += float(weight)
        # Each address is a place of its own here, so that the diagonal holds the stayers alone.
        assert not found.movers.diagonal().any()
        total = found.movers.toarray() + np.diag(found.stayers)
        np.testing.assert_allclose(total, expected, atol=1e-13)
