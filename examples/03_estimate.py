"""Step 3: estimate. The covariance is chosen after the fit, and every table says which it is."""

from choicemodels import ChoiceData, FlowData, Gravity, NestedLogit, load_data
from estimation import fit

travel = load_data("travel_mode")
travel["mode"] = travel["mode"].map({1: "air", 2: "train", 3: "bus", 4: "car"})
choices = ChoiceData.from_long(travel, case="individual", alternative="mode", chosen="choice")

nested = fit(NestedLogit("gc + ttme", nests={"ground": ["train", "bus", "car"]}), choices)
print(nested.summary())
for kind in ("hessian", "bhhh", "robust"):
    print(f"{kind:8}", nested.with_cov(kind).bse["lambda:ground"])
print(nested.wald_test("lambda:ground = 1"))

flows = FlowData(
    load_data("austria_flows"), origin="origin", destination="destination", flow="flow"
)
model = Gravity("log(distance) | origin + destination")
gravity = fit(model, flows, cov="cluster", groups=["origin", "destination"])
print(gravity.summary())
