"""Nothing appears or vanishes: what must hold between the beginning and the end of a month."""

from collections.abc import Callable, Sequence

import numpy as np

from microsim.mobility.remote_work import REMOTE
from microsim.policies import MovingAid, RelocationGrant
from microsim.state import State
from microsim.world import World

__all__ = ["CHECKS", "ConservationError", "assert_conserved"]


class ConservationError(RuntimeError):
    """The simulation broke a conservation law: a fault of the program, not of its input."""


def people(before: State, after: State, world: World) -> str | None:
    """Check that stocks by metro change by arrivals less departures, and that nobody is lost."""
    size = world.metros
    stock = np.bincount(before.metro, minlength=size)
    now = np.bincount(after.metro, minlength=size)
    if now.sum() != len(world.population.workers):
        return f"there are {now.sum():,} people, but {len(world.population.workers):,} at the start"
    gap = now - (stock + after.flows.arrivals - after.flows.departures)
    if gap.any():
        m = int(np.flatnonzero(gap)[0])
        return f"the stock of metro {world.utility.cbsa[m]} is off by {gap[m]:+d} people"
    return None


def moves(before: State, after: State, world: World) -> str | None:
    """Check that as many arrive as depart, and that the moves are those counted and no others."""
    flows = after.flows
    arrivals, departures = int(flows.arrivals.sum()), int(flows.departures.sum())
    if not arrivals == departures == len(flows.origin):
        return f"{departures:,} depart, {arrivals:,} arrive and {len(flows.origin):,} move"
    if (flows.origin == flows.destination).any():
        return "somebody moved to the metro they live in"
    changed = np.flatnonzero(after.metro != before.metro)
    if not np.array_equal(changed, np.sort(flows.movers)):
        return "the movers are not those who live in another metro"
    ring = int((after.ring != before.ring).sum())
    if ring > int(flows.local_moves.sum()):
        return f"{ring:,} changed between city and suburb, but fewer moved within their metro"
    return None


def jobs(before: State, after: State, world: World) -> str | None:
    """Check that headcounts are the employed, in their metro, and change by the job flows."""
    size, firms = world.metros, world.population.firms
    # The first bin is that of the unemployed, who are employed by firm -1.
    staff = np.bincount(after.firm + 1, minlength=len(firms) + 1)[1:]
    if not np.array_equal(staff, after.headcount):
        return "a firm's headcount differs from the workers it employs"
    away = np.flatnonzero(after.workplace(world) != after.metro)
    if (after.remote[after.firm[away]] != REMOTE).any():
        return "a worker is employed in another metro than their own by a firm that is not remote"
    if (after.positions < after.headcount).any():
        return "a firm employs more workers than it has positions"
    flows = after.flows
    change = flows.hires - flows.separations - flows.displaced - flows.quits + flows.carried
    was, now = (np.bincount(s.metro, s.employed, minlength=size) for s in (before, after))
    gap = (now - was).astype(np.int64) - change
    if gap.any():
        m = int(np.flatnonzero(gap)[0])
        return f"employment in metro {world.utility.cbsa[m]} is off by {gap[m]:+d} jobs"
    return None


def money(before: State, after: State, world: World) -> str | None:
    """Check that savings change by what was booked, and grants are payments times amounts."""
    flows, policies = after.flows, world.scenario.policies
    paid = int(flows.outlays.sum() - flows.services.sum())
    benefits = int(flows.benefit_cents.sum())
    booked = flows.saved - flows.drawn + paid + benefits - flows.moving_cost - flows.tuition
    change = int(after.savings.sum()) - int(before.savings.sum())
    if change != booked:
        return f"savings change by {change:,} cents, but {booked:,} were booked"
    if (flows.services < 0).any() or (flows.services > flows.outlays).any():
        return "a policy bought more services than it paid for"
    if not np.array_equal(after.spent - before.spent, flows.outlays.sum(axis=1)):
        return "the government's outlay differs from what the policies paid"
    takers = int((after.granted & ~before.granted).sum())
    if takers != int(flows.grants.sum()):
        return f"{takers:,} workers took a grant, but {int(flows.grants.sum()):,} were paid"
    for g, policy in world.scenario.policies_of(RelocationGrant):
        count, cents = flows.payments[g], flows.outlays[g].sum()
        if cents != count * policy.most_cents:
            each = f"{count:,} times {policy.most_cents:,}"
            return f"'{policy.name}' paid {cents:,} cents, not {each}"
    for g, aid in world.scenario.policies_of(MovingAid):
        if flows.outlays[g].sum() > flows.payments[g] * aid.most_cents:
            return f"'{aid.name}' paid somebody more than its maximum"
    if (flows.inframarginal > flows.payments).any():
        return "more payments were needless than were made"
    over = [
        policy.name
        for policy, spent in zip(policies, after.spent, strict=True)
        if (left := policy.left(int(spent))) is not None and left < 0
    ]
    return f"'{over[0]}' spent more than its budget" if over else None


def debts(before: State, after: State, world: World) -> str | None:
    """Check that debts change by what was lent and charged less what was paid."""
    flows = after.flows
    lent = flows.borrowed + (flows.credit if world.parameters.credit.active else 0)
    change = int(after.debt.sum()) - int(before.debt.sum())
    booked = lent + flows.interest - flows.repaid
    if change != booked:
        return f"debts change by {change:,} cents, but {booked:,} were booked"
    if (after.debt < 0).any() or (after.savings < 0).any():
        return "somebody owes, or has saved, less than nothing"
    return None


def treasury(before: State, after: State, world: World) -> str | None:
    """Check that governments' accounts change by what households paid and received."""
    flows = after.flows
    taxes = flows.wages - flows.take_home
    if taxes != int(flows.tax_cents.sum()):
        return f"households paid {taxes:,} cents of taxes, of {int(flows.tax_cents.sum()):,} booked"
    paid_out = flows.outlays.sum(axis=0) + flows.benefit_cents
    change = (after.treasury - before.treasury).sum(axis=0)
    gap = change - flows.tax_cents.sum(axis=0) + paid_out
    if gap.any():
        m = int(np.flatnonzero(gap)[0])
        return f"the accounts of metro {world.utility.cbsa[m]} are off by {gap[m]:+,} cents"
    return None


def dwellings(before: State, after: State, world: World) -> str | None:
    """Check that dwellings change by those completed and lost, and that permits precede them."""
    flows = after.flows
    stock = after.dwellings - before.dwellings - flows.completions + flows.lost_dwellings
    underway = (
        after.under_construction - before.under_construction - flows.permits + flows.completions
    )
    for gap, what in ((stock, "dwellings"), (underway, "dwellings under construction")):
        if gap.any():
            m = int(np.flatnonzero(gap)[0])
            return f"the {what} of metro {world.utility.cbsa[m]} are off by {gap[m]:+,}"
    if min(after.dwellings.min(), after.under_construction.min()) < 0:
        return "a metro has fewer than no dwellings"
    return None


def occupations(before: State, after: State, world: World) -> str | None:
    """Check that occupations change with a job in another one, or with what was learned for it."""
    changed = int(np.count_nonzero(after.occupation != before.occupation))
    caused = int(after.flows.switches.sum() + after.flows.retrained.sum())
    if changed > caused:
        return f"{changed:,} workers changed occupation, but only {caused:,} had cause to"
    return None


def employers(before: State, after: State, world: World) -> str | None:
    """Check that who has another employer changed jobs, lost the old one or moved."""
    flows = after.flows
    wrong = (flows.job_changes > flows.quits) | (flows.job_changes > flows.hires)
    if wrong.any():
        m = int(np.flatnonzero(wrong)[0])
        return f"more changed jobs in metro {world.utility.cbsa[m]} than quit and were hired there"
    kept = before.employed & after.employed
    changed = int(np.count_nonzero(after.firm[kept] != before.firm[kept]))
    lost = int(flows.separations.sum() + flows.displaced.sum())
    caused = int(flows.job_changes.sum()) + lost + len(flows.movers)
    if changed > caused:
        return f"{changed:,} workers changed employer, but only {caused:,} had cause to"
    return None


def courses(before: State, after: State, world: World) -> str | None:
    """Check that those who retrain change by the courses begun and ended, and have months left."""
    flows = after.flows
    change = int(flows.retraining.sum() - flows.retrained.sum() - flows.dropouts.sum())
    now, was = np.count_nonzero(after.course >= 0), np.count_nonzero(before.course >= 0)
    if now - was != change:
        return f"{now - was:+,} workers retrain, but {change:+,} began less ended a course"
    if ((after.course >= 0) != (after.course_left > 0)).any():
        return "a course is over that has not ended, or goes on that has"
    return None


def rosters(before: State, after: State, world: World) -> str | None:
    """Check that the displaced, local movers and graduates are as many by name as counted."""
    flows = after.flows
    for what, named, counted in (
        ("displaced", int((after.displaced_in == after.month).sum()), int(flows.displaced.sum())),
        ("moved within their metro", len(flows.local_movers), int(flows.local_moves.sum())),
        ("completed a course", len(flows.graduates), int(flows.retrained.sum())),
    ):
        if named != counted:
            return f"{counted:,} {what}, but {named:,} are known by name"
    return None


def education(before: State, after: State, world: World) -> str | None:
    """Check that education rises only, and only of those whom a university has just served."""
    changed = after.education != before.education
    if (after.education < before.education).any():
        return "somebody has lost a level of education"
    if (changed & ~(after.certified & ~before.certified)).any():
        return "somebody has risen in education whom no university served"
    return None


def stages(before: State, after: State, world: World) -> str | None:
    """Check that firms keep their stage of adoption or take the next one."""
    ahead = after.stage.astype(np.int64) - before.stage
    wrong = np.flatnonzero((ahead < 0) | (ahead > 1) | (after.stage > 3))
    if wrong.size:
        firm = world.population.firms.id[wrong[0]]
        return f"firm {firm} goes from stage {before.stage[wrong[0]]} to {after.stage[wrong[0]]}"
    return None


def closings(before: State, after: State, world: World) -> str | None:
    """Check that closed firms stay closed, and have neither workers nor positions."""
    wrong = np.flatnonzero(before.closed & ~after.closed)
    if wrong.size:
        return f"firm {world.population.firms.id[wrong[0]]} has opened again"
    wrong = np.flatnonzero(after.closed & ((after.headcount > 0) | (after.positions > 0)))
    if wrong.size:
        firm = world.population.firms.id[wrong[0]]
        return f"firm {firm} is closed, but has {after.positions[wrong[0]]} positions"
    newly = np.bincount(
        world.population.firms.metro,
        before.positions * (after.closed & ~before.closed),
        minlength=world.metros,
    )
    more = after.lost_positions - before.lost_positions
    wrong = np.flatnonzero((more > newly + 1) | ((newly == 0) & (more != 0)))
    if wrong.size:
        m = wrong[0]
        return f"metro {world.utility.cbsa[m]} lost {more[m]:+,} positions for good of {newly[m]:,}"
    return None


Check = Callable[[State, State, World], str | None]
CHECKS: Sequence[Check] = (
    people,
    moves,
    jobs,
    employers,
    occupations,
    courses,
    rosters,
    closings,
    education,
    stages,
    money,
    debts,
    treasury,
    dwellings,
)
"""Each returns what is wrong, or None; `simulate` takes more of them."""


def assert_conserved(
    before: State, after: State, world: World, checks: Sequence[Check] = CHECKS
) -> None:
    """Run the checks on a month.

    Parameters
    ----------
    before, after
        The states at the beginning and the end of the month.
    world
        What stays the same.
    checks
        Functions of these three that return a message or None.

    Raises
    ------
    ConservationError
        With the first message, the law's name and the month.
    """
    for check in checks:
        problem = check(before, after, world)
        if problem is not None:
            own = any(check is law for law in CHECKS)
            remedy = (
                "This is a fault in the simulation; please report it with the scenario and the seed"
                if own
                else "A check of yours says so, not one of nestflow's; look into the scenario or it"
            )
            raise ConservationError(
                f"{_name(check)} not conserved in month {after.month}, replicate "
                f"{world.streams.replicate}: {problem}. {remedy}."
            )


def _name(check: Check) -> str:
    """Return the name of a check: a function, a part of one, or an object that can be called."""
    inner = getattr(check, "func", check)
    return str(getattr(inner, "__name__", type(inner).__name__))
