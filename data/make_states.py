"""Make states.csv: what the states' unemployment insurance pays, and what they tax wages.

Run ``python data/make_states.py``; nothing is downloaded. The figures are typed here, from the
sources that the codebook README.md beside this script names.
"""

import pandas as pd
from _sources import write

# Quarters of wages in the base of each state's formula, times 13 weeks: a formula's rate on that
# base is, for a worker whose wages are steady, this many times its rate on the weekly wage.
WEEKS = {"hqw": 13, "2hqw": 26, "2fqw": 26, "ND": 32.5, "annual": 52, "weekly": 1}

# State: base, rate on it, maximum weekly benefit without dependents. Where a state has two
# formulas, the one of the higher earnings.
FORMULAS = """
AL 2hqw .019230769 275, AK annual .008 370, AZ hqw .04 240, AR annual .009615385 451,
CA hqw .038461538 450, CO annual .009615385 618, CT 2hqw .019230769 649, DE 2hqw .02173913 400,
DC hqw .038461538 444, FL hqw .038461538 275, GA 2hqw .023809524 365, HI hqw .047619048 648,
ID hqw .038461538 448, IL 2hqw .018076923 484, IN annual .009038462 390, IA hqw .043478261 481,
KS hqw .0425 488, KY annual .011923 522, LA annual .012075 247, ME 2hqw .022727273 445,
MD hqw .041666667 430, MA 2hqw .019230769 823, MI hqw .041 362, MN annual .009615385 740,
MS hqw .038461538 235, MO 2hqw .02 320, MT annual .01 552, NE hqw .038461538 440,
NV hqw .04 469, NH annual .01 427, NJ weekly .6 713, NM hqw .041153846 461,
NY hqw .038461538 504, NC 2fqw .019230769 350, ND ND .015384615 618, OH weekly .5 480,
OK hqw .043478261 539, OR annual .0125 648, PA hqw .0392 572, RI 2hqw .01925 586,
SC hqw .038461538 326, SD hqw .038461538 414, TN 2hqw .019230769 275, TX hqw .04 521,
UT hqw .038461538 580, VT 2hqw .022222222 513, VA 2hqw .02 378, WA 2hqw .01925 790,
WV annual .010576923 424, WI hqw .04 370, WY hqw .04 508
"""

# Weeks where a state pays other than 26 at most; of a range that goes with unemployment, those
# at the low unemployment of January 2024.
WEEKS_PAID = {
    "AL": 14, "AR": 12, "AZ": 24, "FL": 12, "GA": 14, "IA": 16, "KS": 16, "KY": 12, "MI": 20,
    "MO": 20, "MT": 28, "NC": 12, "OK": 16, "SC": 20, "TN": 12,
}  # fmt: skip

UNTAXED = ("AK", "FL", "NH", "NV", "SD", "TN", "TX", "WA", "WY")

# Percent of a middle wage, in half points: assumed.
STATE_TAX = {
    "AL": 3.0, "AZ": 1.5, "AR": 2.5, "CA": 2.5, "CO": 3.0, "CT": 3.5, "DE": 3.5, "DC": 4.5,
    "GA": 3.5, "HI": 5.0, "ID": 3.5, "IL": 4.0, "IN": 3.0, "IA": 3.5, "KS": 3.5, "KY": 3.5,
    "LA": 2.0, "ME": 3.5, "MD": 3.5, "MA": 4.5, "MI": 3.5, "MN": 4.0, "MS": 3.0, "MO": 3.0,
    "MT": 3.5, "NE": 3.0, "NJ": 2.5, "NM": 2.5, "NY": 4.0, "NC": 3.5, "ND": 0.5, "OH": 2.0,
    "OK": 3.0, "OR": 6.5, "PA": 3.0, "RI": 3.0, "SC": 3.0, "UT": 4.0, "VT": 3.0, "VA": 4.0,
    "WV": 3.5, "WI": 3.5,
}  # fmt: skip
LOCAL_TAX = {
    "IN": 1.5, "KY": 1.5, "MD": 3.0, "MI": 0.5, "NY": 1.5, "OH": 2.0, "PA": 1.5
}  # fmt: skip


def main() -> None:
    """Write the table."""
    rows = []
    for entry in FORMULAS.replace("\n", " ").split(","):
        state, base, rate, maximum = entry.split()
        weeks = WEEKS_PAID.get(state, 26)
        rows.append(
            {
                "state": state,
                "replacement_rate": round(WEEKS[base] * float(rate), 3),
                "maximum_weekly": int(maximum),
                "weeks": weeks,
                "duration": round(weeks * 12 / 52),
                "state_rate": 0.0 if state in UNTAXED else round(STATE_TAX[state] / 100, 3),
                "local_rate": round(LOCAL_TAX.get(state, 0.0) / 100, 3),
                "state_rate_source": "none levied on wages" if state in UNTAXED else "assumption",
            }
        )
    table = pd.DataFrame(rows).sort_values("state", ignore_index=True)
    if len(table) != 51 or set(STATE_TAX) | set(UNTAXED) != set(table["state"]):
        raise ValueError("a state is missing, or stands twice.")
    write(table, "states.csv")


if __name__ == "__main__":
    main()
