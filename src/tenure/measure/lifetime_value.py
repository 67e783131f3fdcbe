"""Of what is lifetime value made in these periods? Lifetimes, recent churn and spend, hung on the periods' figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from tenure.kernel.time import add_months, floor_day
from tenure.lake.facts import Facts
from tenure.measure.acquisition import Spent, spent, stretches
from tenure.measure.catalogue import metric
from tenure.measure.currencies import Conversion, currencies
from tenure.measure.definition import Definition
from tenure.measure.gathering import Gathered, gather
from tenure.measure.lifetimes import Lives, follows_lives, lives_until
from tenure.measure.segments import Segment
from tenure.measure.worth import Assumptions, Lifetime, Worth, lifetime

RECENT = 6  # months whose churn rates are averaged


def fill(
    facts: Facts,
    definition: Definition,
    there: Gathered,
    assumed: Assumptions,
    needs: Iterable[str],
    currency: str | None,
) -> None:
    """Fills `worth` of every figure with what the metrics need: lifetime, six_months, spend."""
    for figures in there.found.values():
        figures.worth = Worth(assumed)
    wanted = set(needs)
    if "lifetime" in wanted:
        _lifetimes(facts, definition, there)
    if "six_months" in wanted:
        _recent_churn(facts, definition, there, currency)
    if "spend" in wanted:
        _spend(facts, there, assumed, currency)


def lives_of(facts: Facts, definition: Definition, there: Gathered) -> dict[tuple[int, str], Lives]:
    """The lives as seen at each period's end, by (period, segment); all customers' where segments have none."""
    segment = there.segment if there.segment is not None and follows_lives(there.segment) else None
    found, statement = lives_until(facts, definition, [period.after for period in there.asked], segment)
    if statement:
        there.statements.append(statement)
    return found


def split_by(segment: Segment | None) -> str:
    """Why lifetimes are not told by these segments; empty where they are."""
    if segment is None or follows_lives(segment):
        return ""
    moving = [name for name in segment.names if name in (*segment.item, *segment.bands)]
    return f"how long customers stay is not told by {', '.join(moving)}, which changes while they stay"


def _lifetimes(facts: Facts, definition: Definition, there: Gathered) -> None:
    if reason := split_by(there.segment):
        for figures in there.found.values():
            figures.worth = replace(figures.worth, lifetime=Lifetime(reason=reason))
        return
    known = {key: lifetime(one.counts) for key, one in lives_of(facts, definition, there).items()}
    for (i, seg, _), figures in there.found.items():
        figures.worth = replace(figures.worth, lifetime=known.get((i, seg), Lifetime()))


def _recent_churn(facts: Facts, definition: Definition, there: Gathered, currency: str | None) -> None:
    """The mean of the customer churn rates of the six whole months before each period; months without base left out."""
    months = [floor_day(period.first, "month") for period in there.asked]
    before = gather(
        facts,
        definition,
        first=add_months(months[0], -RECENT),
        after=months[-1],
        grain="month",
        segment=there.segment,
        currency=currency,
    )
    there.statements += before.statements
    churn = metric("customer_churn_rate")
    place = {period.first: i for i, period in enumerate(before.asked)}
    rates: dict[tuple[int, str], Fraction | None] = {
        (i, seg): churn.compute(figures).value for (i, seg, money), figures in before.found.items() if money is None
    }
    for (i, seg, _), figures in there.found.items():
        wanted = [place[add_months(months[i], -back)] for back in range(RECENT, 0, -1)]
        told = [rate for month in wanted if (rate := rates.get((month, seg))) is not None]
        if told:
            mean = sum(told, Fraction(0)) / len(told)
            figures.worth = replace(figures.worth, recent_churn=mean)


def _spend(facts: Facts, there: Gathered, assumed: Assumptions, currency: str | None) -> None:
    """What was spent for each period's customers; by channel, or in all, and by nothing else."""
    told = stretches(facts)
    conversion = Conversion.of(facts, currency) if currency is not None else None
    known = currencies(facts)
    names = there.segment.names if there.segment is not None else ()
    for (i, seg, money), figures in there.found.items():
        if names not in ((), ("channel",)):
            found = Spent(None, "spend is told by channel alone")
        elif currency is None and len(known) > 1:
            found = Spent(None, f"customers pay in {', '.join(known)}: add --currency, such as --currency {known[0]}")
        elif names and not seg:
            found = Spent(None, "no spend belongs to customers whose channel is unknown")
        else:
            found = spent(
                facts,
                told,
                there.asked[i],
                channel=seg if names else None,
                currency=currency or money or (known[0] if known else ""),
                conversion=conversion,
                lag_months=assumed.lag_months,
            )
        figures.worth = replace(figures.worth, spend=found.amount, spend_reason=found.reason)
