"""Step 1: bring choices and flows in, look at them, and have them checked."""

from choicemodels import ChoiceData, FlowData, load_data

# One row for each alternative of each case: Greene's 210 travellers and four modes.
travel = load_data("travel_mode")
travel["mode"] = travel["mode"].map({1: "air", 2: "train", 3: "bus", 4: "car"})
choices = ChoiceData.from_long(travel, case="individual", alternative="mode", chosen="choice")
print(choices.describe())
print(choices.check())

# One row for each flow: migration between nine Austrian regions.
flows = FlowData(
    load_data("austria_flows"), origin="origin", destination="destination", flow="flow"
)
print(flows.describe())
