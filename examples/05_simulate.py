"""Step 5: synthesize people, estimate how they move, and run the estimate forward."""

from choicemodels import ChoiceData, NestedLogit
from estimation import fit
from microsim import Behaviour, Scenario, simulate, synthesize
from microsim.mobility.moves import choice_table, sample_cases, year_of_moves

population = synthesize(workers=12_000, firms=1_200, metros=20, seed=1)

# A year of moves from a known model, and the cases to estimate from: half of them movers.
moves = year_of_moves(population, seed=1)
sample = sample_cases(moves, 1_500, seed=1)
choices = ChoiceData.from_long(
    choice_table(population, sample, moves),
    case="worker",
    alternative="alternative",
    chosen="chosen",
    weights="weight",
)
model = NestedLogit(
    "log(distance) + moving_cost + log(population) + log(wage) + log(home_value) | 0",
    nests={"move": list(population.metros.cbsa)},
    specific={"stay": "1 + age + homeowner + unemployed"},
)
mobility = fit(model, choices)
print(mobility.summary())

run = simulate(population, Behaviour(mobility=mobility), Scenario.baseline(), months=12, seed=1)
by_date = run.national.set_index("date")
print(by_date[["moves", "unemployment_rate", "mean_price_index"]].round(4))
