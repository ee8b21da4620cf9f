"""Write values.toml: `python make_values.py`, in an environment with esda, libpysal and nestflow.

The values tested are the Pearson residuals of the doubly constrained exponential model.
"""

from pathlib import Path

import numpy as np
from esda import Moran
from libpysal.weights import W

from choicemodels import FlowData, load_data
from choicemodels.interaction.models import SpatialInteraction
from estimation import fit

COUNT = 3


def neighbours(table):
    """The three nearest regions of each."""
    near = table.sort_values(["origin", "distance"]).groupby("origin").head(COUNT)
    return {o: g["destination"].tolist() for o, g in near.groupby("origin")}


def main():
    table = load_data("austria_flows")
    data = FlowData(table, origin="origin", destination="destination", flow="flow")
    residual = fit(SpatialInteraction(), data).residuals()
    near = neighbours(table)
    places = W(near, silence_warnings=True)
    pairs = list(zip(table["origin"], table["destination"], strict=True))
    links = {(o, d): [(p, q) for p in near[o] for q in near[d] if p != q] for o, d in pairs}
    network = W(links, silence_warnings=True)
    tests = {}
    for side in ("origin", "destination"):
        mean = residual.groupby(table[side]).mean()
        tests[side] = Moran(mean.loc[list(places.id_order)].to_numpy(), places, permutations=0)
    order = [pairs.index(pair) for pair in network.id_order]
    tests["network"] = Moran(residual.to_numpy()[order], network, permutations=0)
    lines = []
    for name, test in tests.items():
        values = {"statistic": test.I, "expected": test.EI, "z": test.z_rand}
        lines += [f"[{name}]", *(f"{k} = {float(v):.12g}" for k, v in values.items()), ""]
    Path(__file__).with_name("values.toml").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
