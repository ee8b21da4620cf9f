"""Step 6: what a policy changes. Both runs share their draws, so the difference is the policy's."""

from pathlib import Path

from microsim import Behaviour, Scenario, contrast, simulate, synthesize
from microsim.mobility.moves import MoveTruth

scenarios = Path(__file__).parent / "scenarios"
population = synthesize(workers=10_000, firms=1_000, metros=20, seed=1)
# Any fitted nested logit with the alternative "stay" will do (step 5); here the known truth.
behaviour = Behaviour(mobility=MoveTruth(tuple(population.metros.cbsa)))

runs = [
    simulate(
        population,
        behaviour,
        Scenario.load(scenarios / f"{name}.yaml"),
        months=24,
        seed=1,
        replicates=2,
    )
    for name in ("ai_displacement", "relocation_grant")
]
print(contrast(*runs))
