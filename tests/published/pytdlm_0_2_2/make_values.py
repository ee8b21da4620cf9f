"""Write austria.csv with PyTDLM 0.2.2: `python make_values.py`, in an environment that has it.

PyTDLM (GPL-3) is run, not copied.
"""

from pathlib import Path

import pandas as pd
from TDLM import tdlm

ROOT = Path(__file__).parents[3]
SCHNEIDER, EXTENDED = 2e-5, 0.5


def main():
    table = pd.read_csv(ROOT / "data" / "austria_flows.csv")
    wide = table.pivot(index="origin", columns="destination", values="distance").fillna(0.0)
    distance = wide.to_numpy()
    m = table.groupby("origin")["origin_mass"].first().to_numpy(float)
    n = table.groupby("destination")["destination_mass"].first().to_numpy(float)
    nearer = tdlm.extract_opportunities(n, distance, 1, False)
    columns = {"opportunities": nearer}
    for name, law, exponent in (
        ("radiation", "Rad", 1.0),
        ("extended_radiation", "RadExt", EXTENDED),
        ("schneider", "Schneider", SCHNEIDER),
    ):
        columns[name] = tdlm.run_law(law, m, n, distance, nearer, exponent)
    out = table[["origin", "destination"]].copy()
    place = {name: i for i, name in enumerate(wide.index)}
    at = out["origin"].map(place), out["destination"].map(place)
    for name, matrix in columns.items():
        out[name] = matrix[at]
    out.to_csv(Path(__file__).with_name("austria.csv"), index=False, float_format="%.12g")


if __name__ == "__main__":
    main()
