"""The months' core rules as a Mesa model: one object a worker, a firm and a metro.

``python peers/mesa.py PROBLEM OUTPUT`` runs the problem that ``agents.py`` wrote and records
seconds, memory and monthly counts. What all workers of a type and metro share, the logsum and the
destinations' probabilities, the model computes once a month in NumPy, so that its agents look it
up: an agent that computed them would take hundreds of times as long.
"""

import json
import platform
import resource
import sys
import time
from importlib import metadata
from pathlib import Path

# This file is named as the package that it uses, and its folder must not hide that one.
sys.path.pop(0)

import mesa
import numpy as np

VERSIONS = ("mesa", "numpy")
COUNTS = ("displaced", "separations", "hires", "moves")


def rows(problem, names):
    """Return columns of the problem row by row, as Python's own numbers."""
    return zip(*(problem[name].tolist() for name in names), strict=True)


class Firm(mesa.Agent):
    """An employer: workers employed, and positions filled or open."""

    def __init__(self, model, headcount, positions, multiplier):
        super().__init__(model)
        self.headcount, self.positions, self.multiplier = headcount, positions, multiplier


class Metro(mesa.Agent):
    """A labour market and a housing market."""

    def __init__(self, model, row, households, dwellings, under_construction, supply):
        super().__init__(model)
        self.row, self.firms = row, []
        self.households = self.first_households = households
        self.dwellings = self.first_dwellings = dwellings
        self.under_construction = under_construction
        self.stock, self.supply, self.log_price = dwellings + under_construction, supply, 0.0
        self.unemployed, self.tightness = 0, 0.0

    def open_positions(self):
        """Return the positions that its firms have open."""
        return sum(firm.positions - firm.headcount for firm in self.firms)

    def post(self):
        """Count the openings for each of the unemployed."""
        self.tightness = self.open_positions() / self.unemployed if self.unemployed else 0.0

    def opening(self):
        """Return the firm of a random open position, or None."""
        left = self.open_positions()
        if left == 0:
            return None
        left = self.model.random.randrange(left)
        for firm in self.firms:
            left -= firm.positions - firm.headcount
            if left < 0:
                return firm
        return None

    def build(self):
        """Let the price follow demand; lose, complete and permit dwellings."""
        rules = self.model.rules
        built = self.dwellings / max(self.first_dwellings, 1)
        housed = self.first_households * built
        excess = (self.households - housed) / max(housed, rules["smallest_stock"])
        pressure = max(1.0 + excess, 0.1)
        level = np.log(built) / self.supply + np.log(pressure) / rules["demand_elasticity"]
        self.log_price += rules["price_speed"] * (level - self.log_price)
        wanted = self.stock * np.exp(self.supply * self.log_price)
        loss = rules["loss_rate"] / 12.0 * self.dwellings
        gap = wanted - self.dwellings - self.under_construction
        permits = max(int(np.rint(loss + rules["building_speed"] * gap)), 0)
        completed = int(np.rint(self.under_construction / rules["building_months"]))
        self.dwellings += completed - int(np.rint(loss))
        self.under_construction += permits - completed


class Worker(mesa.Agent):
    """Somebody who is displaced or separated, searches, and stays or moves."""

    def __init__(self, model, metro, firm, exposure, staying, kind):
        super().__init__(model)
        self.metro, self.firm = metro, firm
        self.exposure, self.staying, self.kind = exposure, staying, kind
        self.months_out = 0
        metro.unemployed += firm is None

    def leave(self):
        """Leave the job; the position stays open."""
        self.firm.headcount -= 1
        self.firm, self.months_out = None, 0
        self.metro.unemployed += 1

    def join(self, firm):
        """Take a job, if there is one."""
        if firm is not None:
            firm.headcount += 1
            self.firm, self.months_out = firm, 0
            self.metro.unemployed -= 1
            self.model.counts["hires"] += 1

    def lose(self):
        """Be displaced with a complementary log-log hazard, or separated."""
        if self.firm is None:
            return
        model, firm = self.model, self.firm
        strength = model.intensity[self.metro.row] * self.exposure * firm.multiplier
        if model.random.random() < -np.expm1(-strength):
            firm.positions -= model.random.random() < model.rules["position_loss"]
            model.counts["displaced"] += 1
            self.leave()
        elif model.random.random() < model.rules["separation_rate"]:
            model.counts["separations"] += 1
            self.leave()

    def search(self):
        """Find a job of the metro's with a chance that its tightness raises."""
        if self.firm is not None or (self.months_out == 0 and self.model.month > 0):
            return
        rules = self.model.rules
        relative = self.metro.tightness / rules["reference_tightness"]
        chance = rules["job_finding_rate"] * relative ** rules["matching_elasticity"]
        if self.model.random.random() < chance:
            self.join(self.metro.opening())

    def move(self):
        """Move if moving promises more than staying, with a job at the destination or without."""
        model, here = self.model, self.metro
        staying = self.staying + model.rules["price_taste"] * here.log_price
        staying += model.rules["unemployed_taste"] * (self.firm is None)
        annual = 1.0 / (1.0 + np.exp(staying - model.logsum[self.kind, here.row]))
        if model.random.random() >= -np.expm1(np.log1p(-annual) / 12.0):
            return
        worked = self.firm is not None
        if worked:
            self.leave()
        cumulated = model.destinations[self.kind, here.row]
        to = int(np.searchsorted(cumulated, model.random.random() * cumulated[-1], side="right"))
        here.households -= 1
        here.unemployed -= 1
        self.metro = model.metros[to]
        self.metro.households += 1
        self.metro.unemployed += 1
        model.counts["moves"] += 1
        if worked and model.random.random() < model.rules["job_in_hand"]:
            self.join(self.metro.opening())

    def wait(self):
        """Be a month longer without a job."""
        if self.firm is None:
            self.months_out += 1


class Economy(mesa.Model):
    """Months of displacement, search, moves and housing."""

    def __init__(self, problem, seed):
        super().__init__(seed=seed)
        self.rules, self.paths = json.loads(str(problem["rules"])), problem["intensity"]
        self.utilities, self.month = problem["utilities"], 0
        firm_names = ("headcount", "positions", "multiplier")
        metro_names = ("households", "dwellings", "under_construction", "supply")
        self.metros = [
            Metro(self, m, *values) for m, values in enumerate(rows(problem, metro_names))
        ]
        firms = [Firm(self, *values) for values in rows(problem, firm_names)]
        for firm, metro in zip(firms, problem["firm_metro"].tolist(), strict=True):
            self.metros[metro].firms.append(firm)
        names = ("metro", "firm", "exposure", "staying", "kind")
        for metro, firm, *rest in rows(problem, names):
            Worker(self, self.metros[metro], firms[firm] if firm >= 0 else None, *rest)

    def look_around(self):
        """Compute logsums and cumulated probabilities of destinations, by type and origin."""
        price = np.array([metro.log_price for metro in self.metros])
        scale = self.rules["dissimilarity"]
        V = (self.utilities + self.rules["price_taste"] * price) / scale
        V[:, np.arange(len(price)), np.arange(len(price))] = -np.inf
        top = V.max(axis=2, keepdims=True)
        self.destinations = np.cumsum(np.exp(V - top), axis=2)
        self.logsum = scale * (top[..., 0] + np.log(self.destinations[..., -1]))

    def step(self):
        """Let a month pass."""
        self.counts = dict.fromkeys(COUNTS, 0)
        self.intensity = self.paths[self.month]
        workers, metros = self.agents_by_type[Worker], self.agents_by_type[Metro]
        workers.do("lose")
        metros.do("post")
        workers.shuffle_do("search")
        self.look_around()
        workers.shuffle_do("move")
        metros.do("build")
        workers.do("wait")
        self.month += 1


def main(path, output):
    problem = dict(np.load(path))
    seeds, counts, seconds = int(problem["seeds"]), [], []
    for seed in range(seeds):
        began = time.perf_counter()
        economy = Economy(problem, seed)
        built = time.perf_counter()
        months = []
        for _ in range(len(problem["intensity"])):
            economy.step()
            unemployed = sum(metro.unemployed for metro in economy.metros)
            price = float(np.mean([np.exp(metro.log_price) for metro in economy.metros]))
            months.append({**economy.counts, "unemployed": unemployed, "price_index": price})
        counts.append(months)
        seconds.append((built - began, time.perf_counter() - built))
    record = {
        "counts": counts,
        "build_s": min(s[0] for s in seconds),
        "months_s": min(s[1] for s in seconds),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "python": platform.python_version(),
        "versions": " ".join(f"{name}-{metadata.version(name)}" for name in VERSIONS),
    }
    Path(output).write_text(json.dumps(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
