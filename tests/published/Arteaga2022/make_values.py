"""Estimate mixed logits with xlogit 0.2.7 and print values.toml; README.md says what is what.

Run in an environment of its own: ``pip install xlogit==0.2.7 numpy==2.4.6 pandas==3.1.1
scipy==1.17.1``, then ``python make_values.py > values.toml``.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from xlogit import MixedLogit

DATA = Path(__file__).parents[3] / "data"
DRAWS = 100
ALL = ["pf", "cl", "loc", "wk", "tod", "seas"]
MODELS = {
    "normal": dict.fromkeys(ALL, "n"),
    "bounded": {"cl": "n", "loc": "t", "tod": "u"},
}


def estimate(name, table):
    model = MixedLogit()
    model.fit(
        X=table[ALL],
        y=table["choice"],
        varnames=ALL,
        ids=table["chid"],
        panels=table["id"],
        alts=table["alt"],
        randvars=MODELS[name],
        n_draws=DRAWS,
        num_hess=True,
        tol_opts={"ftol": 1e-14, "gtol": 1e-6},
        verbose=0,
    )
    return model


def main():
    table = pd.read_csv(DATA / "electricity.csv.gz")
    print("# xlogit 0.2.7; made by make_values.py.")
    for name in MODELS:
        model = estimate(name, table)
        print(f"\n[{name}]\nllf = {model.loglikelihood:.8f}")
        for field, values in (("params", model.coeff_), ("bse", model.stderr)):
            print(f"\n[{name}.{field}]")
            for key, value in zip(model.coeff_names, np.asarray(values, float), strict=True):
                print(f'"{key}" = {value:.9g}')


if __name__ == "__main__":
    main()
