"""Write values.toml: what larch estimates from its examples 1 and 22.

Run it in larch's own environment (benchmarks/requirements/larch.txt), from this folder:
``python larch_values.py``.
"""

import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import larch  # noqa: E402

MODES = {1: "DA", 2: "SR2", 3: "SR3+", 4: "Transit", 5: "Bike", 6: "Walk"}
# Our names for larch's parameters; the others follow a pattern.
NAMES = {
    "ASC_SR3P": "(Intercept):SR3+",
    "ASC_TRAN": "(Intercept):Transit",
    "ASC_BIKE": "(Intercept):Bike",
    "ASC_WALK": "(Intercept):Walk",
    "costbyincome": "I(totcost / hhinc)",
    "motorized_time": "motorized:tottime",
    "nonmotorized_time": "I(1 - motorized):tottime",
    "motorized_ovtbydist": "motorized:I(ovtt / dist)",
    "vehbywrk_SR": "shared:vehbywrk",
    "mu_motor": "lambda:motorized",
    "mu_nonmotor": "lambda:nonmotorized",
}


def ours(name):
    if name in NAMES:
        return NAMES[name]
    if name.startswith("hhinc#"):
        return f"hhinc:{MODES[int(name[-1])]}"
    for theirs, prefix in {"ASC_": "(Intercept)", "wkcbd_": "cbd", "wkempden_": "wkempden",
                           "vehbywrk_": "vehbywrk"}.items():  # fmt: skip
        if name.startswith(theirs):
            return f"{prefix}:{name[len(theirs) :]}"
    return name


def estimate(number):
    """Iterate until larch's numbers stop: its default is content with fewer digits."""
    model = larch.example(number)
    model.set_cap(1e9)
    model.maximize_loglike(
        method="bhhh", quiet=True, stderr=True, options={"ctol": 1e-12, "maxiter": 500}
    )
    lines = [f"[model_{number}]", f"llf = {float(model.loglike()):.9f}"]
    for title, values in (("params", model.pvals), ("bse_hessian", model.pstderr)):
        lines += ["", f"[model_{number}.{title}]"]
        pairs = zip(model.pnames, values, strict=True)
        lines += [f'"{ours(name)}" = {float(value):.9g}' for name, value in pairs]
    return lines


# Where larch's own tests of its examples stop (tests/test_mtc.py of larch 6).
PRINTED = """\
[model_17]
llf = -3444.185100565835

[model_22.printed]
llf = -3441.6725273276093
lambda = { motorized = 0.7252129820710107, nonmotorized = 0.7690004184450554 }
"""

if __name__ == "__main__":
    text = [f"# larch {larch.__version__}, MTC work trips: 5,029 cases, six modes.", ""]
    for number in (1, 22):
        text += [*estimate(number), ""]
    text += [PRINTED]
    Path(__file__).with_name("values.toml").write_text("\n".join(text), encoding="utf-8")
