"""Who is in a number of usage? What each customer adds to the run-rate, its change, and to those who keep using."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from tenure.measure.catalogue import CATALOGUE, Metric
from tenure.measure.currencies import SCALE, day_before
from tenure.measure.openings import Key, Opening, Share, Shares, recipe
from tenure.measure.usage_revenue import RUN_RATE_MONTHS, last_day

_THIRD = Fraction(1, RUN_RATE_MONTHS)


def recipe_of_line(metric: Metric) -> Callable[[Opening], Shares]:
    """What a customer adds to a metric of usage, or of usage and committed revenue together."""
    line, _, part = metric.opens.partition(":")
    usage = _PARTS[part]
    if line == "usage":
        return usage
    committed = recipe(CATALOGUE[metric.name])

    def together(told: Opening) -> Shares:
        found = dict(committed(told))
        for key, share in usage(told).items():
            mine = found.setdefault(key, Share())
            mine.amount += share.amount
            mine.seen(share.at, *share.what)
        return found

    return together


def _each(told: Opening) -> Iterator[tuple[int, str, str, str, dict[int, tuple[int, int]]]]:
    """(period, segment, currency, customer, months)."""
    for (seg, currency, customer), months in told.usage.by_customer.items():
        for i in range(len(told.asked)):
            yield i, seg, currency, customer, months


def _worth(told: Opening, amount: Fraction, currency: str, day: int) -> tuple[Fraction, str]:
    """An amount at a day's rate with its currency; where no rate is known it stays what it is, in its own."""
    unit = told.usage.unit(currency, day)
    if unit is None or told.usage.currency is None:
        return amount * SCALE, currency
    return amount * unit, told.usage.currency


def _add(found: Shares, key: Key, amount: Fraction, what: str) -> None:
    if amount:
        share = found.setdefault(key, Share())
        share.amount += amount
        share.seen(None, what)


def _balance(at_end: bool, times: int = 1) -> Callable[[Opening], Shares]:
    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for i, seg, native, customer, months in _each(told):
            day = told.asked[i].after if at_end else told.asked[i].first
            micro = told.usage.balance(told.usage.complete(day), months)
            amount, currency = _worth(told, times * _THIRD * micro, native, day_before(day))
            _add(found, (i, seg, currency, customer), amount, "usage")
        return found

    return shares


def _change(told: Opening) -> Shares:
    found: Shares = {}
    for i, seg, native, customer, months in _each(told):
        for k, micro, _ in told.usage.moves(told.asked[i], months):
            amount, currency = _worth(told, _THIRD * micro, native, last_day(k))
            _add(found, (i, seg, currency, customer), amount, "usage_change")
    return found


def _credits(told: Opening) -> Shares:
    found: Shares = {}
    for i, seg, native, customer, months in _each(told):
        for k, _, credits in told.usage.moves(told.asked[i], months):
            amount, currency = _worth(told, Fraction(credits), native, last_day(k))
            _add(found, (i, seg, currency, customer), amount, "credit")
    return found


def _fx(told: Opening) -> Shares:
    found: Shares = {}
    book = told.usage
    if book.currency is None:
        return found
    for i, seg, native, customer, months in _each(told):
        period = told.asked[i]
        last = book.unit(native, day_before(period.after))
        changes = [(book.balance(book.complete(period.first), months), day_before(period.first))]
        changes += [(micro, last_day(k)) for k, micro, _ in book.moves(period, months)]
        for micro, day in changes:
            then = book.unit(native, day)
            if then is not None and last is not None:
                _add(found, (i, seg, book.currency, customer), _THIRD * micro * (last - then), "fx")
    return found


def _customers(told: Opening) -> Shares:
    return {(i, seg, None, who): Share(1, what=["usage"]) for i, seg, who, _, stands in told.usage.users if stands}


def _lost(told: Opening) -> Shares:
    return {
        (i, seg, None, who): Share(1, what=["lost"])
        for i, seg, who, was, stands in told.usage.users
        if was and not stands
    }


def _churn(told: Opening) -> Shares:
    """Who used at the periods' starts, each one in the denominator; who does not at the end is one in the numerator."""
    return {
        (i, seg, None, who): Share(int(not stands), 1, what=["stayed" if stands else "lost"])
        for i, seg, who, was, stands in told.usage.users
        if was
    }


def _kept(told: Opening) -> Shares:
    """Those present at the start: the twelve months behind in the denominator, the last twelve in the numerator."""
    found: Shares = {}
    for row in told.usage.kept_by_customer:
        day = told.usage.start_rate(told.asked[row["win"]])
        before, currency = _worth(told, Fraction(int(row["before"])), row["currency"], day)
        after, _ = _worth(told, Fraction(int(row["after"])), row["currency"], day)
        share = found.setdefault((row["win"], row["seg"], currency, row["customer_id"]), Share())
        share.base += before
        share.amount += after
    for share in found.values():
        share.seen(None, "less" if share.amount < share.base else "more" if share.amount > share.base else "same")
    return found


_PARTS: dict[str, Callable[[Opening], Shares]] = {
    "closing": _balance(at_end=True),
    "opening": _balance(at_end=False),
    "arr": _balance(at_end=True, times=12),
    "change": _change,
    "fx": _fx,
    "credits": _credits,
    "customers": _customers,
    "lost": _lost,
    "churn": _churn,
    "kept": _kept,
}
