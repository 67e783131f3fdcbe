"""Who is in a number of renewals, or of committed MRR? What each customer adds to it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tenure.kernel.time import midnight
from tenure.lake.portable import from_day_number, micros
from tenure.measure.catalogue import Metric
from tenure.measure.openings import Opening, Share, Shares
from tenure.measure.renewal_book import Renewal

_CAME = ("renewed", "late")


def recipe_of_renewals(metric: Metric) -> Callable[[Opening], Shares]:
    """What a customer adds to a metric of renewals, or of committed MRR."""
    return _PARTS[metric.opens]


def _at(told: Opening, renewal: Renewal) -> int:
    return micros(midnight(from_day_number(renewal.due_day), told.facts.timezone))


def _count(*outcomes: str, below: tuple[str, ...] = (), annual: bool = False) -> Callable[[Opening], Shares]:
    """Renewals of these outcomes, one each; with `below`, those are the denominator."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for renewal in told.renewals:
            if annual and renewal.length != "year":
                continue
            if renewal.outcome in outcomes or renewal.outcome in below:
                share = found.setdefault((renewal.window, renewal.seg, None, renewal.customer_id), Share())
                share.amount += renewal.outcome in outcomes
                share.base += renewal.outcome in below
                share.seen(_at(told, renewal), renewal.outcome)
        return found

    return shares


def _due(*outcomes: str) -> Callable[[Opening], Shares]:
    """ARR that renewals of these outcomes were due with."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for renewal in told.renewals:
            if renewal.outcome in outcomes:
                share = found.setdefault((renewal.window, renewal.seg, renewal.currency, renewal.customer_id), Share())
                share.amount += renewal.due
                share.seen(_at(told, renewal), renewal.outcome)
        return found

    return shares


def _again(part: str, below: bool = False) -> Callable[[Opening], Shares]:
    """ARR of what is renewed: all of it, the uplift, the downsell, or what is kept; below: over what was decided."""

    def shares(told: Opening) -> Shares:
        found: Shares = {}
        for renewal in told.renewals:
            if renewal.outcome == "undecided":
                continue
            same = renewal.same
            came = renewal.outcome in _CAME
            nothing = Fraction(0)
            amounts: dict[str, tuple[str, Fraction]] = {
                "again": (renewal.renewed_currency, renewal.again),
                "uplift": (renewal.renewed_currency, max(renewal.again - (renewal.due if same else 0), nothing)),
                "downsell": (renewal.currency, max(renewal.due - (renewal.again if same else 0), nothing)),
                "kept": (renewal.currency, min(renewal.due, renewal.again) if same else nothing),
            }
            currency, amount = amounts[part]
            rows: list[tuple[str, Fraction, Fraction]] = [(currency, amount if came else Fraction(0), Fraction(0))]
            if below:
                rows.append((renewal.currency, Fraction(0), renewal.due))
            for money, top, base in rows:
                share = found.setdefault((renewal.window, renewal.seg, money, renewal.customer_id), Share())
                share.amount += top
                share.base += base
                share.seen(_at(told, renewal), renewal.outcome)
        return found

    return shares


def _committed(*parts: str) -> Callable[[Opening], Shares]:
    """What is signed and what is leaving, beside the balance where it is asked for."""
    from tenure.measure.openings import balance

    def shares(told: Opening) -> Shares:
        found = balance(told) if "mrr" in parts else {}
        for promise in told.promises:
            for part, amount, currency in (
                ("signed", promise.signed, promise.signed_currency),
                ("leaving", promise.leaving, promise.leaving_currency),
            ):
                if part in parts and amount:
                    micro, money = told.worth(amount, currency, told.ends(promise.window))
                    share = found.setdefault((promise.window, promise.seg, money, promise.customer_id), Share())
                    share.amount += -micro if part == "leaving" and "mrr" in parts else micro
                    share.seen(None, part)
        return found

    return shares


_ALL = ("renewed", "late", "undecided", "lost")
_DECIDED = ("renewed", "late", "lost")
_PARTS: dict[str, Callable[[Opening], Shares]] = {
    "renewals:due": _count(*_ALL),
    **{f"renewals:{outcome}": _count(outcome) for outcome in _ALL},
    "renewals:rate": _count(*_CAME, below=_DECIDED),
    "renewals:annual": _count(*_CAME, below=_DECIDED, annual=True),
    "renewals:arr_due": _due(*_ALL),
    **{f"renewals:arr_{outcome}": _due(outcome) for outcome in _ALL},
    "renewals:again": _again("again"),
    "renewals:uplift": _again("uplift"),
    "renewals:downsell": _again("downsell"),
    "renewals:gross": _again("kept", below=True),
    "renewals:net": _again("again", below=True),
    "committed:cmrr": _committed("mrr", "signed", "leaving"),
    "committed:signed": _committed("signed"),
    "committed:leaving": _committed("leaving"),
}
