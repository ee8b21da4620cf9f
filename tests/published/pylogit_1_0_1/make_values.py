"""Estimate the models of the test with pylogit 1.0.1 and write its numbers beside this file.

Run it in an environment of its own; README.md says which.
"""

import collections
import collections.abc
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "data"


def swissmetro():
    """Return one row for each available mode: 1 train, 2 Swissmetro, 3 car."""
    sm = pd.read_csv(DATA / "swissmetro.csv.gz")
    sm = sm[sm["PURPOSE"].isin([1, 3]) & (sm["CHOICE"] != 0)].reset_index(drop=True)
    frames = []
    for code, mode in {1: "TRAIN", 2: "SM", 3: "CAR"}.items():
        free = (sm["GA"] == 1) & (mode != "CAR")
        frames.append(
            pd.DataFrame(
                {
                    "obs": sm.index + 1,
                    "mode": code,
                    "person": sm["ID"],
                    "choice": (sm["CHOICE"] == code).astype(int),
                    "time": sm[f"{mode}_TT"] / 100,
                    "cost": np.where(free, 0, sm[f"{mode}_CO"]) / 100,
                    "headway": 0.0 if mode == "CAR" else sm[f"{mode}_HE"] / 60,
                    "luggage": (sm["LUGGAGE"] > 0).astype(float),
                    "offered": sm[f"{mode}_AV"] * ((sm["SP"] != 0) | (mode == "SM")),
                }
            )
        )
    long = pd.concat(frames)
    long = long[long["offered"] == 1].sort_values(["obs", "mode"], kind="stable")
    return long.drop(columns="offered").reset_index(drop=True)


def travel_mode():
    """Return the table as shipped: modes 1 air, 2 train, 3 bus, 4 car."""
    return pd.read_csv(DATA / "travel_mode.csv")


def heating():
    """Return one row for each system: 1 to 4 with central cooling, 5 to 7 without."""
    wide = pd.read_csv(DATA / "hc.csv.gz")
    chosen = wide["depvar"].str.strip()
    frames = [
        pd.DataFrame(
            {
                "house": wide.index + 1,
                "system": code,
                "choice": (chosen == system).astype(int),
                "ich": wide[f"ich.{system}"],
                "och": wide[f"och.{system}"],
                "icca": wide["icca"],
                "occa": wide["occa"],
                "income": wide["income"],
            }
        )
        for code, system in enumerate(("gcc", "ecc", "erc", "hpc", "gc", "ec", "er"), start=1)
    ]
    return pd.concat(frames).sort_values(["house", "system"]).reset_index(drop=True)


def heating_cut():
    """Return heating() without systems 5 to 7 in every third house that chose another."""
    long = heating()
    chosen = long["house"].map(long[long["choice"] == 1].set_index("house")["system"])
    cut = (chosen <= 4) & (long["system"] >= 5) & (long["house"] % 3 == 0)
    return long[~cut].reset_index(drop=True)


SWISS = {"alt_id_col": "mode", "obs_id_col": "obs", "choice_col": "choice"}
TRAVEL = {"alt_id_col": "mode", "obs_id_col": "individual", "choice_col": "choice"}
HOUSE = {"alt_id_col": "system", "obs_id_col": "house", "choice_col": "choice"}

# Name: data, columns, model type, what else create_choice_model takes, what fit_mle takes.
GROUPED = OrderedDict(
    intercept=[1, 3],
    time=[[1, 2], 3],
    cost="all_same",
    headway=[1, 2],
    luggage=[[1, 3]],
)
GROUPED_NAMES = OrderedDict(
    intercept=["ASC Train", "ASC Car"],
    time=["Travel Time, units:100 min (Train and SM)", "Travel Time, units:100 min (Car)"],
    cost="Travel Cost",
    headway=["Headway, hours (Train)", "Headway, hours (SM)"],
    luggage=["Luggage (Train and Car)"],
)
PLAIN = OrderedDict(intercept=[1, 3], time="all_same", cost="all_same")
TRAVEL_SPEC = OrderedDict(intercept=[1, 2, 3], gc="all_diff", ttme=[[1, 2], 3], hinc=[1])
TRAVEL_NESTED = OrderedDict(intercept=[1, 2, 3], gc="all_same", ttme="all_same", hinc=[1])
NESTS = OrderedDict(existing=[1, 3], new=[2])
GROUND = OrderedDict(fly=[1], ground=[2, 3, 4])
COOLED = [1, 2, 3, 4]
HEATING = OrderedDict(
    ich="all_same",
    och="all_same",
    icca=[COOLED],
    occa=[COOLED],
    income=[[3, 7], COOLED],
    intercept=[COOLED],
)
SYSTEMS = OrderedDict(cooling=COOLED, other=[5, 6, 7])
TWO = OrderedDict(public=[2, 3], private=[1, 4])

MODELS = {
    "mnl_swissmetro": (
        swissmetro, SWISS, "MNL",
        {"specification": GROUPED, "names": GROUPED_NAMES},
        {"init_vals": np.zeros(8)},
    ),
    "mnl_travel": (
        travel_mode, TRAVEL, "MNL",
        {"specification": TRAVEL_SPEC},
        {"init_vals": np.zeros(10)},
    ),
    "mnl_travel_held": (
        travel_mode, TRAVEL, "MNL",
        {"specification": TRAVEL_SPEC},
        {
            "init_vals": np.array([0, 0, 0, 0, 0, -0.01, 0, -0.1, 0, 0]),
            "constrained_pos": [5, 7],
        },
    ),
    "nested_swissmetro": (
        swissmetro, SWISS, "Nested Logit",
        {"specification": PLAIN, "nest_spec": NESTS},
        {"init_vals": np.array([0.0, 40.0, 0, 0, 0, 0]), "constrained_pos": [1]},
    ),
    "nested_travel": (
        travel_mode, TRAVEL, "Nested Logit",
        {"specification": TRAVEL_NESTED, "nest_spec": GROUND},
        {"init_vals": np.array([40.0, 0.0, 0, 0, 0, 0, 0, 0])},
    ),
    "nested_heating": (
        heating, HOUSE, "Nested Logit",
        {"specification": HEATING, "nest_spec": SYSTEMS},
        {"init_vals": np.zeros(9)},
    ),
    "nested_heating_cut": (
        heating_cut, HOUSE, "Nested Logit",
        {"specification": HEATING, "nest_spec": SYSTEMS},
        {"init_vals": np.zeros(9)},
    ),
    "nested_travel_two": (
        travel_mode, TRAVEL, "Nested Logit",
        {"specification": TRAVEL_NESTED, "nest_spec": TWO},
        {"init_vals": np.array([0.0, 1.0, 0, 0, 0, 0, 0, 0])},
    ),
    "nested_travel_held": (
        travel_mode, TRAVEL, "Nested Logit",
        {"specification": TRAVEL_NESTED, "nest_spec": GROUND},
        {"init_vals": np.array([40.0, 0.0, 0, 0, 0, 0, -0.1, 0]), "constrained_pos": [0, 1, 6]},
    ),
}  # fmt: skip
MODELS["mixed_swissmetro_two"] = (
    swissmetro, SWISS, "Mixed Logit",
    {"specification": PLAIN, "mixing_id_col": "person", "mixing_vars": ["cost", "time"]},
    {"init_vals": np.array([0, 0, -1, -1, 1.0, 1.0]), "num_draws": 100, "seed": 1},
)  # fmt: skip
for _seed in (1, 2, 3, 4, 5):
    MODELS[f"mixed_swissmetro_{_seed}"] = (
        swissmetro, SWISS, "Mixed Logit",
        {"specification": PLAIN, "mixing_id_col": "person", "mixing_vars": ["time"]},
        {"init_vals": np.array([0, 0, -1, -1, 1.0]), "num_draws": 100, "seed": _seed},
    )  # fmt: skip

ROWS = 12


def create_choice_model(**arguments):
    # pylogit imports it from here, where Python 3.10 no longer has it.
    collections.Iterable = collections.abc.Iterable
    import pylogit

    return pylogit.create_choice_model(**arguments)


def fitted(name):
    load, columns, model_type, arguments, options = MODELS[name]
    data = load()
    model = create_choice_model(data=data, model_type=model_type, **columns, **arguments)
    with warnings.catch_warnings():
        # BFGS stops for want of precision a little before the gradient that is asked for;
        # the robust errors of nested and mixed logits are roots of negative numbers.
        warnings.simplefilter("ignore")
        model.fit_mle(print_res=False, gradient_tol=1e-7, **options)
    return data, model


def estimates(name, model):
    return pd.DataFrame(
        {
            "model": name,
            "parameter": model.params.index,
            "estimate": model.params.to_numpy(),
            "std_err": model.standard_errors.to_numpy(),
            "robust_std_err": model.robust_std_errs.to_numpy(),
            "gradient": model.gradient.to_numpy(),
        }
    )


def fit_line(name, model):
    return {
        "model": name,
        "nobs": model.nobs,
        "df_model": model.df_model,
        "log_likelihood": model.log_likelihood,
        "null_log_likelihood": model.null_log_likelihood,
        "rho_squared": model.rho_squared,
        "rho_bar_squared": model.rho_bar_squared,
        "aic": model.aic,
        "bic": model.bic,
    }


def probabilities(name, data, model):
    """Return what predict() says of the first rows."""
    options = MODELS[name][4]
    draws = {key: options[key] for key in ("num_draws", "seed") if key in options}
    P = model.predict(data, **draws)
    return pd.DataFrame({"model": name, "row": range(ROWS), "probability": P[:ROWS]})


def main(names):
    lines, parameters, rows = [], [], []
    for name in names:
        data, model = fitted(name)
        lines.append(fit_line(name, model))
        parameters.append(estimates(name, model))
        rows.append(probabilities(name, data, model))
        print(name, model.log_likelihood, np.abs(model.gradient).max(), model.estimation_message)
    pd.DataFrame(lines).to_csv(HERE / "fit.csv", index=False)
    pd.concat(parameters).to_csv(HERE / "estimates.csv", index=False)
    pd.concat(rows).to_csv(HERE / "probabilities.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODELS))
