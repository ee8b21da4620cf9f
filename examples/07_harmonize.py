"""Step 7: bring a biased matrix of moves between block groups to agree with census tables."""

from choicemodels import FlowData, Gravity
from choicemodels.nation.generator import generate_nation
from estimation import fit, harmonize
from estimation.harmonization.steps import published_steps
from estimation.migration.validation import validate

# A generated nation stands in for address histories: what they miss is known.
nation = generate_nation("town", seed=1)
print(f"{nation.raw.total:,.0f} of {nation.truth.total:,.0f} people are in the raw matrix")

harmonized = harmonize(nation.raw, published_steps(nation.tables))
print(harmonized.table())

# Against the truth, beside the raw matrix scaled to the number of people.
levels = ["block_group", "county", "state"]
print(
    validate({"harmonized": harmonized}, truth=nation.truth, raw=nation.raw, levels=levels).table()
)

# And on into the gravity models: moves between counties of the same and of different states.
table = harmonized.matrix.to_flows("county").table
table = table[table["origin"] != table["destination"]]
table = table.assign(near=(table["origin"].str[:2] == table["destination"].str[:2]).astype(float))
flows = FlowData(table, origin="origin", destination="destination", flow="people")
print(fit(Gravity("near | origin + destination"), flows).summary())
