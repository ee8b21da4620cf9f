"""Step 8: a household grid before and after remote work, and what was published of it."""

from microsim.household_grid import (
    GridParameters,
    claims_ensemble,
    grid_outcomes,
    simulate_grid,
    verdicts,
)

# The model as its paper intends it, at a quarter of the size.
small = {"households": 2_500, "side": 10, "steps": 200}
parameters = GridParameters.preset("paper", **small)
run = simulate_grid(parameters, seed=1)
print(run.moves.head())
print(run.activity.groupby("quintile")[["decisions", "moves"]].sum())
print(grid_outcomes(run).round(3))

# Is it remote work? The same draws without it.
calm = simulate_grid(parameters.replace(shock=None), seed=1)
change = grid_outcomes(run) - grid_outcomes(calm)
print(change.loc[["occupancy of the largest cells, change", "rank-order information"]])

# The claims of the paper, over seeds. Twenty of them, at full size, are in the documentation.
ensemble = claims_ensemble(["paper", "code"], seeds=3, **small)
for preset in ("paper", "code"):
    print(f"\n{preset}")
    print(verdicts(ensemble.claims(preset)))
