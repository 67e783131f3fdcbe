"""What came due, and what is promised? The same answers as measure.renewals and measure.committed, worked out plainly.

Every day of every item is looked at by itself: is it a day on which a term or an interval ends, and what did the item
pay at the ends of the days before and after? No SQL, nothing of `tenure`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from tests.reference.day_by_day import DEAD, KEYS, TICK, Item, Reference, Row, _order, add_months, end_of, worth

DAY = timedelta(days=1)
MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Due:
    """One renewal: whose, on which day, with what, and what became of it."""

    item: Item
    day: date
    last: date  # of the grace
    micro: int
    currency: str
    outcome: str
    again: int = 0
    again_in: str = ""


def billed(state: Row) -> tuple[Any, ...]:
    """What starts counting anew when it changes."""
    how = "dead" if state["status"] in DEAD else "trial" if state["status"] == "trialing" else "billed"
    return how, state.get("interval"), state.get("interval_count") or 1


def later(base: date, state: Row, k: int) -> date:
    """The end of the k-th interval after a day."""
    count = k * (state.get("interval_count") or 1)
    if state["interval"] in ("day", "week"):
        return base + timedelta(days=count * (7 if state["interval"] == "week" else 1))
    return add_months(base, MONTHS[state["interval"]] * count)


class Renewals:
    """What came due on the days [first, after)."""

    def __init__(self, reference: Reference, first: date, after: date, grace: int) -> None:
        self.reference, self.grace = reference, timedelta(days=grace)
        self.unknown = reference.day(reference.known_on)  # the first day that is not over
        found = [due for item in reference.items for due in self._of(item, first, after + self.grace + DAY)]
        self.found = [due for due in self._with_others(found) if first <= due.day < after]

    def value(self, item: Item, day: date) -> tuple[int, str, bool, bool]:
        """(MRR, its currency, whether it pauses, whether it owes) at the end of a day."""
        end = min(self.reference.midnight(day + DAY), self.reference.known_on) - TICK
        value = item.at(end)
        past = [state for state in item.states if state["effective_at"] <= end]
        owes = bool(past) and past[-1]["status"] == "past_due"
        return value.mrr, value.columns["currency"] if value.mrr else "", value.paused, owes

    def good(self, item: Item, day: date) -> bool:
        """Whether it pays and owes nothing at the end of a day."""
        micro, _, _, owes = self.value(item, day)
        return micro > 0 and not owes

    def _states(self, item: Item) -> list[Row]:
        return [state for state in item.states if state["effective_at"] < self.reference.known_on]

    def _day(self, at: datetime | None) -> date | None:
        return None if at is None else self.reference.day(at)

    def _days(self, item: Item, first: date, after: date) -> Iterator[tuple[date, date, date | None, date | None]]:
        """(due day, the one before, the one after, the day on which its term was made longer early)."""
        states = self._states(item)
        days = [self.reference.day(state["effective_at"]) for state in states]
        day = first
        while day < after:
            place = max((i for i, told in enumerate(days) if told < day), default=-1)
            if place > 0 and states[place]["status"] in DEAD and days[place] == day - DAY:
                place -= 1  # it ended on the day before
            if place >= 0 and states[place]["status"] not in DEAD:
                state, began = states[place], self._began(states, days, place)
                term = self._day(state.get("term_ends_at"))
                base = term or (self._day(state["trial_ends_at"]) if state["status"] == "trialing" else began)
                if base is not None:
                    k = 0 if term else 1
                    while later(base, state, k) < day:
                        k += 1
                    if later(base, state, k) == day:
                        yield (
                            day,
                            began if k == 0 else later(base, state, k - 1),
                            later(base, state, k + 1) if k else None,
                            None,
                        )
            day += DAY
        for i in range(len(states) - 1):
            term, new = self._day(states[i].get("term_ends_at")), self._day(states[i + 1].get("term_ends_at"))
            alive = states[i]["status"] not in DEAD and states[i + 1]["status"] not in DEAD
            if alive and term and new and new > term and days[i] < days[i + 1] < term and first <= term < after:
                yield term, self._began(states, days, i), None, days[i + 1]

    @staticmethod
    def _began(states: list[Row], days: list[date], place: int) -> date:
        while place and billed(states[place - 1]) == billed(states[place]):
            place -= 1
        return days[place]

    def _of(self, item: Item, first: date, after: date) -> Iterator[Due]:
        for day, before, following, moved in self._days(item, first, after):
            here = self.value(item, day - DAY)
            paid = here if here[0] else self.value(item, day - 2 * DAY)
            if not paid[0]:
                continue
            between = (before + n * DAY for n in range((day - before).days))
            if not any(self.good(item, then) for then in between):
                continue
            if moved is not None and self.value(item, moved - DAY)[0]:
                paid = self.value(item, moved - DAY)
            last = day + self.grace if following is None else min(day + self.grace, following - DAY)
            due = Due(item, day, last, paid[0], paid[1], "undecided")
            seen = min(last, self.unknown - DAY)
            come = next((then for then in _each(day, seen) if self.good(item, then)), None)
            if come is not None:
                again = self.value(item, come)
                yield replace(due, outcome="renewed" if come == day else "late", again=again[0], again_in=again[1])
            elif day >= self.unknown or last >= self.unknown or self.value(item, seen)[2]:
                yield due
            else:
                yield replace(due, outcome="lost")

    def _with_others(self, found: list[Due]) -> list[Due]:
        """Where an item has ended, another of the customer's that begins then stands in its place."""
        ended: dict[tuple[str, date], list[Due]] = defaultdict(list)
        for due in found:
            if due.outcome in ("undecided", "lost") and due.day < self.unknown:
                micro, _, paused, _ = self.value(due.item, min(due.last, self.unknown - DAY))
                if not micro and not paused:
                    ended[due.item.customer, due.day].append(due)
        coming: dict[tuple[str, date], list[tuple[int, Item, date, str]]] = defaultdict(list)
        for item in self.reference.items:
            days = sorted({self.reference.day(at) for at in item.instants() if at < self.reference.known_on})
            begun = next((day for day in days if self.value(item, day)[0] and day < self.unknown), None)
            places = [
                due.day
                for (customer, _), dues in ended.items()
                for due in dues
                if customer == item.customer and due.item is not item and begun and due.day - DAY <= begun <= due.last
            ]
            if begun is not None and places:
                micro, currency, _, _ = self.value(item, begun)
                coming[item.customer, max(places)].append((micro, item, begun, currency))
        taken: dict[tuple[Any, date], Due] = {}
        for place, dues in ended.items():
            dearest = sorted(dues, key=lambda due: (-due.micro, due.item.name))
            others = sorted(coming[place], key=lambda other: (-other[0], other[1].name))
            for due, (micro, _, begun, currency) in zip(dearest, others, strict=False):
                outcome = "renewed" if begun <= due.day else "late"
                taken[due.item.name, due.day] = replace(due, outcome=outcome, again=micro, again_in=currency)
        return [taken.get((due.item.name, due.day), due) for due in found]


def _each(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


def promised(
    reference: Reference, facts: Mapping[str, list[Row]], after: date, months: int
) -> dict[str, tuple[int, int]]:
    """{currency: (signed, leaving)} at the end of the period that ends before `after`, in micro units."""
    at = min(reference.midnight(after), reference.known_on)
    until = reference.midnight(add_months(after, months))
    ahead: dict[tuple[str, str], Row] = {}
    by_states = {
        (row["subscription_id"], row["item_id"])
        for row in _latest(facts, "subscription_states", reference.known_on)
        if row["effective_at"] < reference.known_on
    }
    for table, column in (("subscription_states", "effective_at"), ("subscription_spans", "started_at")):
        for row in _latest(facts, table, at):
            name = (row["subscription_id"], row["item_id"])
            if not at <= row[column] < until or (table == "subscription_spans" and name in by_states):
                continue
            told = {**row, "at": row[column]}
            if table == "subscription_spans":
                told["cancel_at"] = row["ended_at"]
                trial = row["trial_ends_at"] is not None and row["trial_ends_at"] > row["started_at"]
                told["status"] = "trialing" if trial else row["status"] or "active"
            if name not in ahead or ahead[name]["at"] < told["at"]:
                ahead[name] = told
    ends: dict[tuple[str, str], datetime] = {}
    for row in _latest(facts, "subscription_spans", reference.known_on):
        name, ended = (row["subscription_id"], row["item_id"]), row["ended_at"]
        if name in by_states or ended is None or not row["started_at"] < at <= ended:
            continue
        if ended >= reference.known_on or (row["cancel_requested_at"] is not None and row["cancel_requested_at"] < at):
            ends[name] = max(ended, ends.get(name, ended))
    items = {item.name: item for item in reference.items}
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name in {*items, *ahead}:
        item, coming = items.get(name), ahead.get(name)
        if item is None and coming is not None and reference.is_test(reference.root(coming["customer_id"])):
            continue
        if coming is None and item is None:
            continue
        value = item.at(at - TICK) if item is not None else None
        past = [state for state in item.states if state["effective_at"] < at] if item is not None else []
        now = past[-1] if past else None
        pays, currency = (value.mrr, value.columns["currency"]) if value is not None and value.mrr else (0, None)
        alive = now is not None and now["status"] not in DEAD - {"scheduled"}
        end = ends.get(name)
        if now is not None and alive and end is None and end_of(now) is not None and end_of(now) >= at:
            end = end_of(now)
        trying = now is not None and now["status"] == "trialing"
        will, in_currency = pays, currency
        if (
            coming is not None
            and coming["status"] != "trialing"
            and not trying
            and (end is None or coming["at"] >= end or end >= until)
        ):
            gone = coming["status"] in {*DEAD, "paused"} - {"scheduled"}
            gone = gone or (coming["cancel_at"] is not None and coming["cancel_at"] < until)
            will, in_currency = (
                0 if gone else worth({**coming, "amount_minor": coming["amount_minor"] or 0}),
                coming["currency"],
            )
        elif end is not None and end < until:
            will = 0
        elif now is not None and now["status"] == "scheduled":
            starts = now.get("period_start")
            starts = starts if starts is not None and starts > now["effective_at"] else None
            if starts is None or starts < until:
                will, in_currency = worth({**now, "amount_minor": now["amount_minor"] or 0}), now["currency"]
        if will and pays and in_currency != currency:
            totals[in_currency][0] += will
            totals[currency][1] += pays
        elif will > pays:
            totals[in_currency][0] += will - pays
        elif pays > will:
            totals[currency][1] += pays - will
    return {currency: (signed, leaving) for currency, (signed, leaving) in totals.items()}


def _latest(facts: Mapping[str, list[Row]], table: str, known_on: datetime) -> list[Row]:
    """The versions in force as they were told, with what lies ahead."""
    latest: dict[tuple[Any, ...], Row] = {}
    for row in facts[table]:
        key = tuple(row[column] for column in KEYS[table])
        if row["recorded_at"] < known_on and (key not in latest or _order(latest[key]) < _order(row)):
            latest[key] = row
    return [row for row in latest.values() if not row["retracted"]]
