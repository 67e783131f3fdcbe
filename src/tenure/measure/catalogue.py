"""Which numbers are there? Every metric as data, and one function of a period's figures.

The command line's list, the reference pages and the report's definitions are made from here, so that a number has one
meaning in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tenure.errors import UnknownName
from tenure.kernel import stats
from tenure.kernel.time import months_of
from tenure.measure import worth
from tenure.measure.currencies import SCALE
from tenure.measure.figures import Figures, Retention

if TYPE_CHECKING:
    from tenure.measure.buyers import BuyerFigures
    from tenure.measure.committed import Committed
    from tenure.measure.renewal_book import RenewalFigures
    from tenure.measure.seats import PeopleFigures
    from tenure.measure.usage_revenue import UsageFigures

MOVEMENTS = "docs/explanation/movements.md"
USAGE = "docs/how-to/usage-priced-revenue.md"
WHO = "docs/how-to/who-is-who.md"
WORTH = "docs/how-to/what-churn-costs.md"
RENEWALS = "docs/how-to/renewals.md"
BUYERS = "docs/how-to/customers-without-a-contract.md"


@dataclass(frozen=True, slots=True)
class Value:
    """A number with what it was made from. Money: 10^-16 x 10^-6 minor units (Fraction); value None with its reason."""

    value: Fraction | None
    low: float | None = None
    high: float | None = None
    numerator: Fraction | None = None
    denominator: Fraction | None = None
    n: int | None = None
    reason: str = ""
    times: Fraction | None = None  # of a value per head: how many months of a customer's MRR it makes of it


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the catalogue.

    unit: money, rate (a fraction), ratio, months or count. grain: `state` (at the period's end), `flow` (within it) or
    `cohort` (two instants compared). money_parts: numerator and denominator are money. opens: how to list who is in it.
    needs: what it is made of beside a period's sums (churn, lifetime, six_months, spend, and with them the margin; or
    an inactivity window, grace days, months ahead); such a number rests on assumptions, so it is neither closed with a
    month nor bridged.
    """

    name: str
    title: str
    question: str
    unit: str
    grain: str
    formula: str
    source: str
    better: str
    compute: Callable[[Figures], Value]
    opens: str
    money_parts: bool = False
    looks_back: bool = False
    family: str = "subscriptions"
    line: str = "committed"  # of which revenue it is told; see revenue_lines
    needs: tuple[str, ...] = ()

    @property
    def per_head(self) -> bool:
        """Whether it is money divided by a number of customers."""
        return self.name == "arpa" or self.opens in ("times", "spend")

    @property
    def of_money(self) -> bool:
        """Whether the value depends on a currency."""
        return self.unit == "money" or self.money_parts or self.opens == "parts"


def _amount(total: int | Fraction, f: Figures) -> Value:
    if f.reason:
        return Value(None, reason=f.reason)
    return Value(Fraction(total))


def _flow(*kinds: str) -> Callable[[Figures], Value]:
    def compute(f: Figures) -> Value:
        return _amount(sum(f.flow(kind) for kind in kinds), f)

    return compute


def _share(numerator: int | Fraction, denominator: int | Fraction, empty: str, f: Figures, **rest: object) -> Value:
    if f.reason:
        return Value(None, reason=f.reason)
    top, bottom = Fraction(numerator), Fraction(denominator)
    if not bottom:
        return Value(None, numerator=top, denominator=bottom, n=0, reason=empty)
    return Value(top / bottom, numerator=top, denominator=bottom, **rest)  # type: ignore[arg-type]


def _losses(f: Figures) -> int:
    return f.flow("churn") + f.flow("contraction") + f.flow("pause")


def _gains(f: Figures) -> int:
    return f.flow("expansion") + f.flow("reactivation") + f.flow("resume")


_NO_MRR = "there was no MRR at the start"
_NO_CUSTOMERS = "there were no customers at the start"


def _effective(f: Figures) -> float | None:
    if not f.squares or f.opening <= 0:
        return None
    # A sum of squares is a difference of large floats; no company has more effective customers than customers.
    size = stats.effective_size(f.opening / SCALE, max(f.squares, 0.0))
    return None if size is None else min(size, float(max(f.paying_open, 1)))


def _gross_churn(f: Figures) -> Value:
    f = f.rated
    found = _share(_losses(f), f.opening, _NO_MRR, f, n=f.paying_open)
    if found.value is None or not 0 <= found.value <= 1:
        return found
    low, high = stats.wilson_effective(float(found.value), _effective(f))
    return Value(found.value, low, high, found.numerator, found.denominator, found.n)


def _net_churn(f: Figures) -> Value:
    f = f.rated
    gains = _gains(f) - (f.flow("reactivation") if f.definition.net_churn == "expansion_only" else 0)
    return _share(_losses(f) - gains, f.opening, _NO_MRR, f, n=f.paying_open)


def lost_customers(f: Figures) -> int:
    """How many customers count as lost, by what the definition says of those who come, leave and return in a period."""
    joiners, returners = f.definition.joiners == "counted", f.definition.returners == "counted"
    if joiners and returners:
        return f.churned
    if returners:
        return f.turnover.get("base_events", 0)
    return f.lost + (f.turnover.get("passers", 0) if joiners else 0)


def _presumes_choice(f: Figures) -> bool:
    """Whether who left without anybody saying how counts as having chosen to."""
    return f.definition.unknown_actor == "voluntary"


def _customer_churn(f: Figures) -> Value:
    f = f.rated
    lost, how = lost_customers(f), f.definition.churn_base
    bases = {
        "start": Fraction(f.customers_open),
        "daily": Fraction(f.customers_open),
        "start_and_new": Fraction(f.customers_open + f.events["new"]),
        "mean": Fraction(f.customers_open + f.customers_close, 2),
        "end": Fraction(f.customers_close),
        "customer_days": Fraction(sum(close for _, _, close in f.days or ())),
    }
    base = bases[how]
    n = f.customers_open
    if how == "daily":
        days = [(left, there) for there, left, _ in f.days or () if left]
        if not n or not all(there for _, there in days):
            empty = "a day on which somebody left began without customers"
            return Value(None, numerator=Fraction(lost), denominator=Fraction(0), n=0, reason=empty)
        value = sum((Fraction(left, there) for left, there in days), Fraction(0))
        scale = float(value) / lost if lost else 0.0
    elif not base:
        return Value(None, numerator=Fraction(lost), denominator=Fraction(0), n=0, reason=_NO_CUSTOMERS)
    else:
        factor = 30 if how == "customer_days" else 1
        value = Fraction(lost) / base * factor
        scale = factor / float(base)
    reason = f"small base: {n} customers at the start (under {stats.SMALL_BASE})" if stats.small_base(n) else ""
    if how in ("start", "start_and_new") and lost <= base:
        low, high = stats.wilson(lost, int(base))
    else:
        # Events per exposure, not a share of anybody: an exact Poisson interval for the events.
        events = stats.poisson_exact(lost, 1)
        low, high = (None if limit is None else limit * scale for limit in (events.low, events.high))
    return Value(value, low, high, Fraction(lost), base, n, reason)


def _per_renewal(f: Figures) -> Value:
    base, lost = f.due or (0, 0)
    if not base:
        return Value(None, numerator=Fraction(lost), denominator=Fraction(0), n=0, reason="nobody was due for renewal")
    low, high = stats.wilson(lost, base)
    reason = (
        f"small base: {base} customers due for renewal (under {stats.SMALL_BASE})" if stats.small_base(base) else ""
    )
    return Value(Fraction(lost, base), low, high, Fraction(lost), Fraction(base), base, reason)


def _converted(per_year: float) -> Callable[[Figures], Value]:
    def compute(f: Figures) -> Value:
        found = _customer_churn(f)
        if found.value is None:
            return found
        per_period = 365 / f.definition.window_days if f.definition.window_days else 12.0 / months_of(f.period)
        power = per_period / per_year

        def convert(rate: float | None) -> float | None:
            return None if rate is None else 1.0 - max(1.0 - rate, 0.0) ** power

        value = convert(float(found.value))
        assert value is not None
        return Value(
            Fraction(value),
            convert(found.low),
            convert(found.high),
            found.numerator,
            found.denominator,
            found.n,
            found.reason,
        )

    return compute


def _retention(compute: Callable[[Retention], Value], churn: Callable[[Figures], Value]) -> Callable[[Figures], Value]:
    """Retention of a cohort, or 1 less a churn rate where the definition makes it so."""

    def look(f: Figures) -> Value:
        if f.definition.retention == "cohort":
            alone = f.definition.retention_of == "subscription"
            return compute(f.kept_alone or f.kept if alone else f.kept)
        lost = churn(f)
        if lost.value is None or lost.numerator is None or lost.denominator is None:
            return lost
        low = None if lost.high is None else 1.0 - lost.high
        high = None if lost.low is None else 1.0 - lost.low
        return Value(1 - lost.value, low, high, lost.denominator - lost.numerator, lost.denominator, lost.n)

    return look


def _nrr(kept: Retention) -> Value:
    if kept.reason:
        return Value(None, reason=kept.reason)
    top, bottom = Fraction(kept.opening) + Fraction(kept.net), Fraction(kept.opening)
    if bottom <= 0:  # credits may be all there is
        return Value(None, numerator=top, denominator=bottom, n=0, reason=_NO_MRR)
    low = high = None
    if kept.squares and kept.customers > 1:
        # What a bootstrap of the customers tends to, from sums. Unmoved customers end as they began.
        opening = kept.opening / SCALE
        interval = stats.ratio_interval(
            kept.customers,
            opening,
            max(float(top / SCALE), 0.0),
            kept.squares,
            kept.squares + 2 * kept.crossed + kept.net_squared,
            kept.squares + kept.crossed,
        )
        low, high = interval.low, interval.high
    return Value(top / bottom, low, high, top, bottom, kept.customers)


def _grr(kept: Retention) -> Value:
    if kept.reason:
        return Value(None, reason=kept.reason)
    top, bottom = Fraction(kept.opening) - Fraction(kept.loss), Fraction(kept.opening)
    if bottom <= 0:
        return Value(None, numerator=top, denominator=bottom, n=0, reason=_NO_MRR)
    low = high = None
    if kept.squares:
        size = stats.effective_size(kept.opening / SCALE, max(kept.squares, 0.0))
        if size is not None:
            low, high = stats.wilson_effective(float(top / bottom), min(size, float(max(kept.customers, 1))))
    return Value(top / bottom, low, high, top, bottom, kept.customers)


def _back(compute: Callable[[Retention], Value]) -> Callable[[Figures], Value]:
    def look(f: Figures) -> Value:
        if f.kept_12m is None:
            return Value(None, reason="twelve months back were not computed")
        return compute(f.kept_12m)

    return look


def _quick(f: Figures) -> Value:
    back = 0 if f.definition.quick_ratio == "with_reactivation" else f.flow("reactivation")
    return _share(f.flow("new") + _gains(f) - back, _losses(f), "nothing was lost, so there is no ratio", f)


def _arpa(f: Figures) -> Value:
    if f.reason:
        return Value(None, reason=f.reason)
    if not f.paying_close:
        return Value(None, numerator=Fraction(f.closing), denominator=Fraction(0), n=0, reason="nobody pays")
    top = Fraction(f.closing)
    return Value(top / f.paying_close, None, None, top, Fraction(f.paying_close), f.paying_close)


def _count(get: Callable[[Figures], int]) -> Callable[[Figures], Value]:
    return lambda f: Value(Fraction(get(f)))


def _involuntary(f: Figures) -> Value:
    involuntary, all_left = f.events["churned_involuntary"], f.churned
    if not all_left:
        return Value(None, numerator=Fraction(0), denominator=Fraction(0), n=0, reason="nobody left")
    low, high = stats.wilson(involuntary, all_left)
    return Value(
        Fraction(involuntary, all_left),
        low,
        high,
        Fraction(involuntary),
        Fraction(all_left),
        all_left,
        f"{f.events['churned_unknown']} of {all_left} left for an unknown reason"
        if f.events["churned_unknown"] and not _presumes_choice(f)
        else "",
    )


# ------------------------------------------------------------------------------------- what a customer is worth


def _monthly_churn(f: Figures) -> Value:
    """The customer churn rate of a month: exactly the month's, or the period's converted."""
    return _customer_churn(f) if f.period.grain == "month" and not f.definition.window_days else _converted(12.0)(f)


def _heads(f: Figures) -> Value:
    """ARPA, where anybody pays in this currency."""
    found = _arpa(f)
    if found.value == 0:
        return Value(None, numerator=Fraction(0), denominator=Fraction(0), n=0, reason="nobody pays")
    return found


def _times(f: Figures, times: Fraction | None, low: float | None, high: float | None, reason: str) -> Value:
    """ARPA so many times over; without a factor nothing, with the reason."""
    arpa = _heads(f)
    if arpa.value is None or arpa.denominator is None or arpa.numerator is None:
        return arpa
    if times is None:
        return Value(None, n=arpa.n, reason=reason)
    of_one = float(arpa.value)
    if low is None or high is None:
        low = high = None
    else:
        low, high = of_one * low, of_one * high
    return Value(arpa.value * times, low, high, arpa.numerator * times, arpa.denominator, arpa.n, reason, times)


def _ltv(f: Figures) -> Value:
    life, margin = f.worth.lifetime, f.worth.assumed.margin
    if life.months is None:
        return _times(f, None, None, None, life.reason)
    low, high = ((None if limit is None else float(margin) * limit) for limit in (life.low, life.high))
    return _times(f, margin * life.months, low, high, life.reason)


def _of_churn(times: Callable[[Figures, Fraction], Fraction | None]) -> Callable[[Figures], Value]:
    """ARPA times what a churn rate makes of it; its interval comes from the two ends of the rate's."""

    def compute(f: Figures) -> Value:
        churn = _monthly_churn(f)
        if churn.value is None:
            return _times(f, None, None, None, churn.reason)
        factor = times(f, churn.value)
        if factor is None:
            return _times(f, None, None, None, worth.NO_CHURN)
        ends = [None if not end or end >= 1 else times(f, Fraction(end)) for end in (churn.high, churn.low)]
        low, high = (None if end is None else float(end) for end in ends)
        return _times(f, factor, low, high, churn.reason)

    return compute


def _ltv_six_months(f: Figures) -> Value:
    recent = f.worth.recent_churn
    if recent is None:
        return _times(f, None, None, None, f.worth.recent_reason)
    return _times(f, worth.simple(Fraction(1), recent), None, None, "" if recent > 0 else worth.NO_CHURN)


_ltv_simple = _of_churn(lambda f, churn: worth.simple(f.worth.assumed.margin, churn))


def _cac(f: Figures) -> Value:
    spend, new = f.worth.spend, f.events["new"]
    if spend is None:
        return Value(None, reason=f.worth.spend_reason)
    if not new:
        return Value(None, numerator=spend, denominator=Fraction(0), n=0, reason="nobody became a customer")
    return Value(spend / new, None, None, spend, Fraction(new), new, f.worth.spend_reason)


def _payback(adjusted: bool) -> Callable[[Figures], Value]:
    def compute(f: Figures) -> Value:
        cac, arpa = _cac(f), _heads(f)
        if cac.value is None or arpa.value is None:
            return Value(None, reason=cac.reason if cac.value is None else arpa.reason)
        monthly = arpa.value * f.worth.assumed.margin
        if not adjusted:
            return Value(worth.payback(cac.value, monthly), n=cac.n, reason=cac.reason)
        churn = _monthly_churn(f)
        if churn.value is None:
            return Value(None, n=cac.n, reason=churn.reason)
        if churn.value > 1:
            return Value(None, n=cac.n, reason="more left than were there at the start")
        months = worth.payback_with_churn(cac.value, monthly, churn.value)
        if months is None:
            return Value(None, n=cac.n, reason="at this churn winning a customer is never paid back")
        return Value(Fraction(months), n=cac.n, reason=cac.reason)

    return compute


def _to_cac(value: Callable[[Figures], Value]) -> Callable[[Figures], Value]:
    def compute(f: Figures) -> Value:
        cac, ltv = _cac(f), value(f)
        if cac.value is None or ltv.value is None:
            return Value(None, reason=cac.reason if cac.value is None else ltv.reason)
        if not cac.value:
            return Value(None, n=cac.n, reason="winning customers cost nothing, so there is no ratio")
        low, high = ((None if end is None else end / float(cac.value)) for end in (ltv.low, ltv.high))
        reason = "; ".join(dict.fromkeys(filter(None, (cac.reason, ltv.reason))))
        return Value(ltv.value / cac.value, low, high, n=cac.n, reason=reason)

    return compute


# --------------------------------------------------------------------------------------------- what customers use

_NO_USAGE = "no usage lines are loaded (`tenure load invoice_lines FILE`)"


def of_usage(get: Callable[[UsageFigures], Fraction]) -> Callable[[Figures], Value]:
    """Money of usage: one number of a period's usage figures."""

    def compute(f: Figures) -> Value:
        if f.usage is None or f.usage.reason:
            return Value(None, reason=_NO_USAGE if f.usage is None else f.usage.reason)
        return Value(get(f.usage))

    return compute


def _users(get: Callable[[UsageFigures], int]) -> Callable[[Figures], Value]:
    def compute(f: Figures) -> Value:
        return Value(None, reason=_NO_USAGE) if f.usage is None else Value(Fraction(get(f.usage)))

    return compute


def _usage_churn(f: Figures) -> Value:
    if f.usage is None:
        return Value(None, reason=_NO_USAGE)
    lost, base = f.usage.lost, f.usage.customers_open
    if not base:
        why = "nobody used anything in the three months before"
        return Value(None, numerator=Fraction(lost), denominator=Fraction(0), n=0, reason=why)
    low, high = stats.wilson(lost, base)
    small = f"small base: {base} customers at the start (under {stats.SMALL_BASE})" if stats.small_base(base) else ""
    return Value(Fraction(lost, base), low, high, Fraction(lost), Fraction(base), base, small)


def _usage_nrr(f: Figures) -> Value:
    if f.usage is None or f.usage.retention_reason:
        return Value(None, reason=_NO_USAGE if f.usage is None else f.usage.retention_reason)
    before, after, n = f.usage.before, f.usage.after, f.usage.cohort
    if not before:
        why = "nobody used anything in the first of the 24 months"
        return Value(None, numerator=after, denominator=before, n=n, reason=why)
    low, high = f.usage.retention_interval()
    return Value(after / before, low, high, after, before, n)


# -------------------------------------------------------------------------------------- who buys without a contract

_NO_ORDERS = "no orders are loaded (`tenure load orders FILE`)"


def _buyers(get: Callable[[BuyerFigures], int], at_start: bool = False) -> Callable[[Figures], Value]:
    """How many buyers; at_start: it depends on who bought before orders begin."""

    def compute(f: Figures) -> Value:
        if f.buyers is None or f.buyers.reason:
            return Value(None, reason=_NO_ORDERS if f.buyers is None else f.buyers.reason)
        doubts = (f.buyers.doubt_at_start if at_start else "", f.buyers.doubt)
        return Value(Fraction(get(f.buyers)), reason="; ".join(filter(None, doubts)))

    return compute


def _activity_churn(f: Figures) -> Value:
    if f.buyers is None or f.buyers.reason:
        return Value(None, reason=_NO_ORDERS if f.buyers is None else f.buyers.reason)
    lost, base = f.buyers.lost, f.buyers.opening
    if not base:
        why = "; ".join(filter(None, ("there were no active buyers at the start", f.buyers.doubt_at_start)))
        return Value(None, numerator=Fraction(lost), denominator=Fraction(0), n=0, reason=why)
    low, high = stats.wilson(lost, base)
    small = f"small base: {base} active buyers (under {stats.SMALL_BASE})" if stats.small_base(base) else ""
    why = "; ".join(filter(None, (small, f.buyers.doubt_at_start, f.buyers.doubt)))
    return Value(Fraction(lost, base), low, high, Fraction(lost), Fraction(base), base, why)


# ------------------------------------------------------------------------------------ renewals, and what is promised

_NOT_LOOKED_AT = "renewals were not looked at"


def _renewals(get: Callable[[RenewalFigures], int]) -> Callable[[Figures], Value]:
    """How many renewals."""
    return lambda f: Value(None, reason=_NOT_LOOKED_AT) if f.renewals is None else Value(Fraction(get(f.renewals)))


def _renewal_money(get: Callable[[RenewalFigures], int]) -> Callable[[Figures], Value]:
    """ARR of renewals."""

    def compute(f: Figures) -> Value:
        if f.renewals is None or f.renewals.reason:
            return Value(None, reason=_NOT_LOOKED_AT if f.renewals is None else f.renewals.reason)
        return Value(Fraction(get(f.renewals)))

    return compute


def _open_renewals(r: RenewalFigures) -> str:
    return f"{r.counts['undecided']} of {r.all_due} not decided yet" if r.counts["undecided"] else ""


def _renewal_rate(get: Callable[[RenewalFigures], tuple[int, int]]) -> Callable[[Figures], Value]:
    """Renewals that came, of those that are decided."""

    def compute(f: Figures) -> Value:
        if f.renewals is None:
            return Value(None, reason=_NOT_LOOKED_AT)
        came, decided = get(f.renewals)
        waiting = _open_renewals(f.renewals)
        if not decided:
            why = "; ".join(filter(None, ("no renewal is decided", waiting)))
            return Value(None, numerator=Fraction(came), denominator=Fraction(0), n=0, reason=why)
        low, high = stats.wilson(came, decided)
        small = f"small base: {decided} renewals decided (under {stats.SMALL_BASE})"
        why = "; ".join(filter(None, (small if stats.small_base(decided) else "", waiting)))
        return Value(Fraction(came, decided), low, high, Fraction(came), Fraction(decided), decided, why)

    return compute


def _renewed_share(net: bool) -> Callable[[Figures], Value]:
    """ARR renewed of the ARR decided; gross: each renewal at most with what it was due with."""

    def compute(f: Figures) -> Value:
        r = f.renewals
        if r is None or r.reason:
            return Value(None, reason=_NOT_LOOKED_AT if r is None else r.reason)
        top, bottom, waiting = Fraction(r.again if net else r.kept), Fraction(r.arr_decided), _open_renewals(r)
        if bottom <= 0:
            why = "; ".join(filter(None, ("no renewal is decided", waiting)))
            return Value(None, numerator=top, denominator=bottom, n=0, reason=why)
        low, high = r.net_interval() if net else r.gross_interval()
        return Value(top / bottom, low, high, top, bottom, r.decided, waiting)

    return compute


def _promised(get: Callable[[Figures, Committed], int]) -> Callable[[Figures], Value]:
    """Money that is promised at a period's end."""

    def compute(f: Figures) -> Value:
        if f.committed is None or f.committed.reason:
            return Value(
                None, reason="what is promised was not looked at" if f.committed is None else f.committed.reason
            )
        return _amount(get(f, f.committed), f)

    return compute


# ----------------------------------------------------------------------------------------- people behind customers

_NO_PEOPLE = "people were not looked at"


def _people(get: Callable[[PeopleFigures], int], reason: str) -> Callable[[Figures], Value]:
    """How many seats, champions or customers."""

    def compute(f: Figures) -> Value:
        why = _NO_PEOPLE if f.people is None else getattr(f.people, reason)
        return Value(None, reason=why) if why or f.people is None else Value(Fraction(get(f.people)))

    return compute


def _seat_utilization(f: Figures) -> Value:
    if f.people is None or f.people.no_use:
        return Value(None, reason=_NO_PEOPLE if f.people is None else f.people.no_use)
    used, paid, n = Fraction(f.people.used), Fraction(f.people.paid), f.people.seated
    if not paid:
        return Value(None, numerator=used, denominator=paid, n=0, reason="nobody pays for seats")
    _, low, high = f.people.utilization()
    small = f"small base: {n} customers with seats (under {stats.SMALL_BASE})" if stats.small_base(n) else ""
    return Value(used / paid, low, high, used, paid, n, small)


def _m(
    name: str,
    title: str,
    question: str,
    unit: str,
    grain: str,
    formula: str,
    compute: Callable[[Figures], Value],
    better: str,
    opens: str,
    source: str = MOVEMENTS,
    **more: bool | str | tuple[str, ...],
) -> Metric:
    return Metric(name, title, question, unit, grain, formula, source, better, compute, opens, **more)  # type: ignore[arg-type]


_METRICS = (
    _m(
        "mrr",
        "MRR",
        "How much recurring revenue do we have a month?",
        "money",
        "state",
        "sum of every live item's price, made monthly",
        lambda f: _amount(f.closing, f),
        "higher",
        "balance",
    ),
    _m(
        "arr",
        "ARR",
        "How much recurring revenue is that a year?",
        "money",
        "state",
        "12 x mrr",
        lambda f: _amount(12 * f.closing, f),
        "higher",
        "balance",
    ),
    _m(
        "mrr_opening",
        "Opening MRR",
        "With how much MRR did the period begin?",
        "money",
        "state",
        "mrr at the end of the period before",
        lambda f: _amount(f.opening, f),
        "higher",
        "balance",
    ),
    _m(
        "mrr_new",
        "New MRR",
        "How much MRR did first-time customers bring?",
        "money",
        "flow",
        "sum of movements of kind new",
        _flow("new"),
        "higher",
        "flow:new",
    ),
    _m(
        "mrr_reactivation",
        "Reactivated MRR",
        "How much MRR came back with customers who had left?",
        "money",
        "flow",
        "sum of movements of kind reactivation",
        _flow("reactivation"),
        "higher",
        "flow:reactivation",
    ),
    _m(
        "mrr_expansion",
        "Expansion MRR",
        "How much more do those who stayed pay?",
        "money",
        "flow",
        "sum of movements of kind expansion",
        _flow("expansion"),
        "higher",
        "flow:expansion",
    ),
    _m(
        "mrr_contraction",
        "Contraction MRR",
        "How much less do those who stayed pay?",
        "money",
        "flow",
        "- sum of movements of kind contraction",
        _flow("contraction"),
        "lower",
        "flow:contraction",
    ),
    _m(
        "mrr_churn",
        "Churned MRR",
        "How much MRR left with customers who left?",
        "money",
        "flow",
        "- sum of movements of kind churn",
        _flow("churn"),
        "lower",
        "flow:churn",
    ),
    _m(
        "mrr_pause",
        "Paused MRR",
        "How much MRR stands still because customers pause?",
        "money",
        "flow",
        "- sum of movements of kind pause",
        _flow("pause"),
        "lower",
        "flow:pause",
    ),
    _m(
        "mrr_resume",
        "Resumed MRR",
        "How much MRR came back from pauses?",
        "money",
        "flow",
        "sum of movements of kind resume",
        _flow("resume"),
        "higher",
        "flow:resume",
    ),
    _m(
        "mrr_entering",
        "Entering MRR",
        "How much MRR came into the segment from other segments?",
        "money",
        "flow",
        "sum of movements of kind entering",
        _flow("entering"),
        "neither",
        "flow:entering",
    ),
    _m(
        "mrr_leaving",
        "Leaving MRR",
        "How much MRR went from the segment to other segments?",
        "money",
        "flow",
        "- sum of movements of kind leaving",
        _flow("leaving"),
        "neither",
        "flow:leaving",
    ),
    _m(
        "mrr_fx",
        "FX effect",
        "How much of the change is only the exchange rates'?",
        "money",
        "flow",
        "sum over days of the balance at the day's start x the change of the rate",
        lambda f: _amount(f.fx, f),
        "neither",
        "balance",
    ),
    _m(
        "mrr_correction",
        "Correction",
        "By how much did a closed month's figure have to be corrected?",
        "money",
        "flow",
        "opening as known now - opening as closed; 0 while no month is closed",
        lambda f: _amount(0, f),
        "neither",
        "none",
    ),
    _m(
        "mrr_net_new",
        "Net new MRR",
        "By how much did MRR grow by what customers did?",
        "money",
        "flow",
        "new + reactivation + resume + expansion - contraction - pause - churn",
        lambda f: _amount(
            sum(f.flows[k] for k in ("new", "reactivation", "resume", "expansion", "contraction", "pause", "churn")), f
        ),
        "higher",
        "flow:new,reactivation,resume,expansion,contraction,pause,churn",
    ),
    _m(
        "arpa",
        "ARPA",
        "What does a paying customer pay a month on average?",
        "money",
        "state",
        "mrr / paying_customers",
        _arpa,
        "higher",
        "balance",
    ),
    _m(
        "quick_ratio",
        "Quick ratio",
        "How many dollars come in for each one that goes?",
        "ratio",
        "flow",
        "(new + reactivation + resume + expansion) / (contraction + pause + churn)",
        _quick,
        "higher",
        "flow:new,reactivation,resume,expansion,contraction,pause,churn",
        money_parts=True,
    ),
    _m(
        "gross_mrr_churn_rate",
        "Gross MRR churn rate",
        "Which share of our MRR did we lose?",
        "rate",
        "flow",
        "(churn + contraction + pause) / opening MRR",
        _gross_churn,
        "lower",
        "flow:churn,contraction,pause",
        money_parts=True,
    ),
    _m(
        "net_mrr_churn_rate",
        "Net MRR churn rate",
        "Which share of our MRR did we lose after what existing customers added?",
        "rate",
        "flow",
        "(churn + contraction + pause - expansion - reactivation - resume) / opening MRR",
        _net_churn,
        "lower",
        "flow:churn,contraction,pause,expansion,reactivation,resume",
        money_parts=True,
    ),
    _m(
        "nrr",
        "Net revenue retention",
        "What do those who paid at the start pay at the end?",
        "rate",
        "cohort",
        "MRR at the end of those paying at the start / their MRR at the start, at the rates of the start",
        _retention(_nrr, _net_churn),
        "higher",
        "kept",
        money_parts=True,
    ),
    _m(
        "grr",
        "Gross revenue retention",
        "What do those who paid at the start still pay, upgrades aside?",
        "rate",
        "cohort",
        "the same, each customer at most with the MRR of the start",
        _retention(_grr, _gross_churn),
        "higher",
        "kept",
        money_parts=True,
    ),
    _m(
        "nrr_12m",
        "Net revenue retention, 12 months",
        "What do those who paid a year ago pay now?",
        "rate",
        "cohort",
        "nrr from twelve calendar months before the period's end",
        _back(_nrr),
        "higher",
        "kept_12m",
        money_parts=True,
        looks_back=True,
    ),
    _m(
        "grr_12m",
        "Gross revenue retention, 12 months",
        "What do those who paid a year ago still pay, upgrades aside?",
        "rate",
        "cohort",
        "grr from twelve calendar months before the period's end",
        _back(_grr),
        "higher",
        "kept_12m",
        money_parts=True,
        looks_back=True,
    ),
    _m(
        "customers",
        "Customers",
        "How many customers do we have?",
        "count",
        "state",
        "customers who have ever paid and have something live (free, fully discounted and paused count)",
        _count(lambda f: f.customers_close),
        "higher",
        "customers",
    ),
    _m(
        "paying_customers",
        "Paying customers",
        "How many customers pay?",
        "count",
        "state",
        "customers with MRR > 0",
        _count(lambda f: f.paying_close),
        "higher",
        "balance",
    ),
    _m(
        "customers_new",
        "New customers",
        "How many became customers for the first time?",
        "count",
        "flow",
        "customer events of kind new",
        _count(lambda f: f.events["new"]),
        "higher",
        "event:new",
    ),
    _m(
        "customers_reactivated",
        "Reactivated customers",
        "How many came back?",
        "count",
        "flow",
        "customer events of kind reactivated",
        _count(lambda f: f.events["reactivated"]),
        "higher",
        "event:reactivated",
    ),
    _m(
        "customers_churned",
        "Churned customers",
        "How many customers left?",
        "count",
        "flow",
        "customer events of kind churned; who leaves twice counts twice",
        _count(lambda f: f.churned),
        "lower",
        "event:churned",
    ),
    _m(
        "customers_churned_voluntary",
        "Left by choice",
        "How many left because they chose to?",
        "count",
        "flow",
        "churn events whose last ending says cancel_actor = customer",
        _count(lambda f: f.events["churned_voluntary"] + (f.events["churned_unknown"] if _presumes_choice(f) else 0)),
        "lower",
        "event:voluntary",
    ),
    _m(
        "customers_churned_involuntary",
        "Left by failed payment",
        "How many left because a payment failed?",
        "count",
        "flow",
        "churn events whose last ending says dunning, or says nobody and turned unpaid",
        _count(lambda f: f.events["churned_involuntary"]),
        "lower",
        "event:involuntary",
    ),
    _m(
        "customers_churned_other",
        "Left by dispute, fraud or our decision",
        "How many left by dispute, fraud or our own decision?",
        "count",
        "flow",
        "churn events whose last ending says dispute, fraud or business",
        _count(lambda f: sum(f.events[f"churned_{k}"] for k in ("dispute", "fraud", "business"))),
        "lower",
        "event:other",
    ),
    _m(
        "customers_churned_unknown",
        "Left, unknown how",
        "How many left without our knowing how?",
        "count",
        "flow",
        "all other churn events; unknown stays unknown",
        _count(lambda f: 0 if _presumes_choice(f) else f.events["churned_unknown"]),
        "lower",
        "event:unknown",
    ),
    _m(
        "customer_churn_rate",
        "Customer churn rate",
        "Which share of our customers did we lose?",
        "rate",
        "cohort",
        "customers at the start who are none at the end / customers at the start; Wilson interval",
        _customer_churn,
        "lower",
        "lost",
    ),
    _m(
        "customer_churn_rate_monthly",
        "Customer churn rate, as if a month",
        "What would that be a month?",
        "rate",
        "cohort",
        "1 - (1 - customer_churn_rate) ^ (months of the period ^ -1)",
        _converted(12.0),
        "lower",
        "lost",
    ),
    _m(
        "customer_churn_rate_annual",
        "Customer churn rate, as if a year",
        "What would that be a year?",
        "rate",
        "cohort",
        "1 - (1 - customer_churn_rate) ^ (periods in a year)",
        _converted(1.0),
        "lower",
        "lost",
    ),
    _m(
        "renewal_churn_rate",
        "Customer churn rate per renewal",
        "Which share of those whose subscription came up for renewal did we lose?",
        "rate",
        "cohort",
        "customers due for renewal in the period who are none at its end / customers due; Wilson interval",
        _per_renewal,
        "lower",
        "due",
    ),
    _m(
        "renewals_due",
        "Renewals due",
        "How many subscriptions came up for renewal?",
        "count",
        "flow",
        "items and days on which an item that pays ends its term, or its billing interval",
        _renewals(lambda r: r.all_due),
        "neither",
        "renewals:due",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "renewals_renewed",
        "Renewals on time",
        "How many of them renewed on their day?",
        "count",
        "flow",
        "renewals whose item pays and owes nothing as the due day ends",
        _renewals(lambda r: r.counts["renewed"]),
        "higher",
        "renewals:renewed",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "renewals_late",
        "Renewals late",
        "How many renewed after their day, within the grace days?",
        "count",
        "flow",
        "renewals not so on their day, but as a day within grace_days ends",
        _renewals(lambda r: r.counts["late"]),
        "neither",
        "renewals:late",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "renewals_undecided",
        "Renewals undecided",
        "Of how many is it not known yet?",
        "count",
        "flow",
        "renewals neither renewed nor late whose grace days are not over, or whose item pauses at their end",
        _renewals(lambda r: r.counts["undecided"]),
        "neither",
        "renewals:undecided",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "renewals_lost",
        "Renewals lost",
        "How many did not renew?",
        "count",
        "flow",
        "renewals_due - renewals_renewed - renewals_late - renewals_undecided, counted one by one",
        _renewals(lambda r: r.counts["lost"]),
        "lower",
        "renewals:lost",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_due",
        "ARR due for renewal",
        "How much ARR came up for renewal?",
        "money",
        "flow",
        "12 x what each item pays as its due day begins, or paid before its term was made longer early",
        _renewal_money(lambda r: r.arr_due),
        "neither",
        "renewals:arr_due",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_due_renewed",
        "ARR due, renewed on time",
        "How much of it renewed on its day?",
        "money",
        "flow",
        "arr_due of renewals_renewed",
        _renewal_money(lambda r: r.due["renewed"]),
        "higher",
        "renewals:arr_renewed",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_due_late",
        "ARR due, renewed late",
        "How much of it renewed within the grace days?",
        "money",
        "flow",
        "arr_due of renewals_late",
        _renewal_money(lambda r: r.due["late"]),
        "neither",
        "renewals:arr_late",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_due_undecided",
        "ARR due, undecided",
        "Of how much of it is it not known yet?",
        "money",
        "flow",
        "arr_due of renewals_undecided",
        _renewal_money(lambda r: r.due["undecided"]),
        "neither",
        "renewals:arr_undecided",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_lost_at_renewal",
        "ARR lost at renewal",
        "How much of it did not renew?",
        "money",
        "flow",
        "arr_due of renewals_lost",
        _renewal_money(lambda r: r.due["lost"]),
        "lower",
        "renewals:arr_lost",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_renewed",
        "ARR renewed",
        "With how much ARR do those who renewed go on?",
        "money",
        "flow",
        "arr_due_renewed + arr_due_late + arr_renewal_uplift - arr_renewal_downsell",
        _renewal_money(lambda r: r.again),
        "higher",
        "renewals:again",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_renewal_uplift",
        "ARR uplift at renewal",
        "How much more do they go on with?",
        "money",
        "flow",
        "sum of what each goes on with beyond what it was due with",
        _renewal_money(lambda r: r.uplift),
        "higher",
        "renewals:uplift",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_renewal_downsell",
        "ARR downsell at renewal",
        "How much less?",
        "money",
        "flow",
        "sum of what each goes on with short of what it was due with",
        _renewal_money(lambda r: r.downsell),
        "lower",
        "renewals:downsell",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "renewal_rate",
        "Renewal rate",
        "Which share of what came due renewed?",
        "rate",
        "cohort",
        "(renewals_renewed + renewals_late) / (renewals_due - renewals_undecided); Wilson interval",
        _renewal_rate(lambda r: (r.came, r.decided)),
        "higher",
        "renewals:rate",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "annual_plan_renewal_rate",
        "Renewal rate of annual plans",
        "Which share of yearly plans renewed?",
        "rate",
        "cohort",
        "renewal_rate of terms and intervals of a year or more",
        _renewal_rate(lambda r: r.annual),
        "higher",
        "renewals:annual",
        RENEWALS,
        needs=("renewals",),
    ),
    _m(
        "arr_renewal_rate",
        "ARR renewal rate, gross",
        "Which share of the ARR due was kept, uplift aside?",
        "rate",
        "cohort",
        "(arr_renewed - arr_renewal_uplift) / (arr_due - arr_due_undecided)",
        _renewed_share(net=False),
        "higher",
        "renewals:gross",
        RENEWALS,
        needs=("renewals",),
        money_parts=True,
    ),
    _m(
        "arr_net_renewal_rate",
        "ARR renewal rate, net",
        "And with the uplift?",
        "rate",
        "cohort",
        "arr_renewed / (arr_due - arr_due_undecided)",
        _renewed_share(net=True),
        "higher",
        "renewals:net",
        RENEWALS,
        needs=("renewals",),
        money_parts=True,
    ),
    _m(
        "cmrr",
        "Committed MRR",
        "How much MRR is it with all that is already promised?",
        "money",
        "state",
        "mrr + cmrr_signed - cmrr_leaving",
        _promised(lambda f, c: f.closing + c.signed - c.leaving),
        "higher",
        "committed:cmrr",
        RENEWALS,
        needs=("committed",),
    ),
    _m(
        "cmrr_signed",
        "Signed, not begun",
        "How much MRR is signed and has not begun?",
        "money",
        "state",
        "by how much items will pay more within committed_months, as told by the period's end",
        _promised(lambda f, c: c.signed),
        "higher",
        "committed:signed",
        RENEWALS,
        needs=("committed",),
    ),
    _m(
        "cmrr_leaving",
        "Known to leave",
        "How much MRR is known to go?",
        "money",
        "state",
        "by how much items will pay less within committed_months: ends that are set, and smaller plans that are",
        _promised(lambda f, c: c.leaving),
        "lower",
        "committed:leaving",
        RENEWALS,
        needs=("committed",),
    ),
    _m(
        "involuntary_churn_share",
        "Involuntary share of churn",
        "Which share of those who left did a failed payment take?",
        "rate",
        "flow",
        "customers_churned_involuntary / customers_churned; unknown stays in the denominator",
        _involuntary,
        "lower",
        "event:churned",
    ),
    _m(
        "ltv",
        "Lifetime value",
        "What gross margin does a customer bring while staying, within five years?",
        "money",
        "state",
        "margin x arpa x mean months a customer stays within the first 60 (area under the survival curve)",
        _ltv,
        "higher",
        "times",
        WORTH,
        needs=("lifetime",),
    ),
    _m(
        "ltv_simple",
        "Lifetime value, one over churn",
        "What would that be if everybody left at one rate for ever?",
        "money",
        "state",
        "margin x arpa / customer_churn_rate_monthly",
        _ltv_simple,
        "higher",
        "times",
        WORTH,
        needs=("churn",),
    ),
    _m(
        "ltv_revenue",
        "Lifetime revenue, one over churn",
        "And of revenue, before what serving them costs?",
        "money",
        "state",
        "arpa / customer_churn_rate_monthly",
        _of_churn(lambda f, churn: worth.simple(Fraction(1), churn)),
        "higher",
        "times",
        WORTH,
        needs=("churn",),
    ),
    _m(
        "ltv_six_months",
        "Lifetime revenue, six months' churn",
        "And with the churn of the last half-year instead of one month's?",
        "money",
        "state",
        "arpa / mean of customer_churn_rate of the six months before the period",
        _ltv_six_months,
        "higher",
        "times",
        WORTH,
        needs=("six_months",),
    ),
    _m(
        "ltv_arrears",
        "Lifetime value, paid in arrears",
        "And if a month is paid at its end, by those who are still there?",
        "money",
        "state",
        "margin x arpa x (1 - c) / c, c = customer_churn_rate_monthly",
        _of_churn(lambda f, churn: worth.in_arrears(f.worth.assumed.margin, churn)),
        "higher",
        "times",
        WORTH,
        needs=("churn",),
    ),
    _m(
        "ltv_discounted",
        "Lifetime value, discounted",
        "And if money of later is worth less?",
        "money",
        "state",
        "margin x arpa x (1 + d) / (c + d), c = customer_churn_rate_monthly, d = (1 + discount_rate) ^ (1/12) - 1",
        _of_churn(lambda f, churn: worth.discounted(f.worth.assumed.margin, churn, f.worth.assumed.discount_rate)),
        "higher",
        "times",
        WORTH,
        needs=("churn",),
    ),
    _m(
        "cac",
        "Customer acquisition cost",
        "What does it cost to win a customer?",
        "money",
        "flow",
        "spend of the period (spend_lag_months earlier) / customers_new",
        _cac,
        "lower",
        "spend",
        WORTH,
        needs=("spend",),
    ),
    _m(
        "cac_payback",
        "CAC payback",
        "After how many months has a customer who stays brought that in?",
        "months",
        "state",
        "cac / (margin x arpa)",
        _payback(adjusted=False),
        "lower",
        "parts",
        WORTH,
        needs=("spend",),
    ),
    _m(
        "cac_payback_churn_adjusted",
        "CAC payback, churn-adjusted",
        "And when some of them leave on the way?",
        "months",
        "state",
        "first whole month n with margin x arpa x (1 - (1 - c)^n) / c >= cac, c = customer_churn_rate_monthly",
        _payback(adjusted=True),
        "lower",
        "parts",
        WORTH,
        needs=("spend", "churn"),
    ),
    _m(
        "ltv_to_cac",
        "LTV to CAC",
        "How often over does a customer pay back what winning one costs?",
        "ratio",
        "state",
        "ltv / cac",
        _to_cac(_ltv),
        "higher",
        "parts",
        WORTH,
        needs=("lifetime", "spend"),
    ),
    _m(
        "ltv_simple_to_cac",
        "LTV to CAC, one over churn",
        "And with the simple lifetime value?",
        "ratio",
        "state",
        "ltv_simple / cac",
        _to_cac(_ltv_simple),
        "higher",
        "parts",
        WORTH,
        needs=("churn", "spend"),
    ),
    _m(
        "usage_run_rate",
        "Usage run-rate",
        "How much a month do customers pay for what they use?",
        "money",
        "state",
        "usage lines of the last three complete service months / 3, beyond minimum commitments, less credits",
        of_usage(lambda u: u.closing),
        "higher",
        "usage:closing",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_change",
        "Usage change",
        "By how much did the usage run-rate change?",
        "money",
        "flow",
        "(months that became complete - the months three before them) / 3, each at the rate of its last day",
        of_usage(lambda u: u.change),
        "higher",
        "usage:change",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_credits",
        "Usage credits",
        "How much usage did we credit?",
        "money",
        "flow",
        "credits with a time of service on items charged for usage alone, in the service months that became complete",
        of_usage(lambda u: u.credits),
        "lower",
        "usage:credits",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_customers",
        "Usage customers",
        "How many customers use and pay for it?",
        "count",
        "state",
        "customers with usage in one of the last three complete service months, whose subscriptions have not all ended",
        _users(lambda u: u.customers_close),
        "higher",
        "usage:customers",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_customers_churned",
        "Lost usage customers",
        "How many customers stopped using?",
        "count",
        "flow",
        "usage customers at the start who are none at the end: closed, or zero for three service months",
        _users(lambda u: u.lost),
        "lower",
        "usage:lost",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_churn_rate",
        "Usage churn rate",
        "Which share of those who used did we lose?",
        "rate",
        "cohort",
        "usage_customers_churned / usage customers at the start; Wilson interval",
        _usage_churn,
        "lower",
        "usage:churn",
        USAGE,
        line="usage",
    ),
    _m(
        "usage_nrr",
        "Usage net revenue retention",
        "What do those who used two years ago pay this year, for each dollar of the year before?",
        "rate",
        "cohort",
        "usage of the last twelve complete service months / of the twelve before, of customers with usage in the first "
        "of the 24 months",
        _usage_nrr,
        "higher",
        "usage:kept",
        USAGE,
        money_parts=True,
        line="usage",
    ),
    _m(
        "active_buyers",
        "Active buyers",
        "How many buy from us, of those without a contract to leave?",
        "count",
        "state",
        "customers whose last purchase lies at most the inactivity window before the period's end",
        _buyers(lambda b: b.closing),
        "higher",
        "buyers:closing",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "active_buyers_opening",
        "Active buyers, opening",
        "With how many active buyers did the period begin?",
        "count",
        "state",
        "active_buyers at the end of the period before",
        _buyers(lambda b: b.opening, at_start=True),
        "higher",
        "buyers:opening",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "buyers_new",
        "New buyers",
        "How many bought for the first time?",
        "count",
        "flow",
        "customers with their first purchase in the period",
        _buyers(lambda b: b.new, at_start=True),
        "higher",
        "buyers:new",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "buyers_returned",
        "Returned buyers",
        "How many bought again after having lapsed?",
        "count",
        "flow",
        "purchases after a gap longer than the inactivity window",
        _buyers(lambda b: b.returned),
        "higher",
        "buyers:returned",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "buyers_lapsed",
        "Lapsed buyers",
        "How many have stopped buying?",
        "count",
        "flow",
        "silences that reached the inactivity window in the period; who lapses twice counts twice",
        _buyers(lambda b: b.lapsed),
        "lower",
        "buyers:lapsed",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "activity_churn_rate",
        "Activity churn rate",
        "Which share of our active buyers did we lose?",
        "rate",
        "cohort",
        "active buyers at the start who are not active at the end / active buyers at the start; Wilson interval",
        _activity_churn,
        "lower",
        "buyers:churn",
        BUYERS,
        line="orders",
        needs=("orders",),
    ),
    _m(
        "seats_paid",
        "Seats paid",
        "For how many seats do customers pay?",
        "count",
        "state",
        "largest quantity of each subscription's items with MRR > 0, not metered, summed",
        _people(lambda p: p.paid, "no_seats"),
        "higher",
        "people:paid",
        WHO,
        needs=("people",),
    ),
    _m(
        "seats_used",
        "Seats used",
        "How many people of theirs use it?",
        "count",
        "state",
        "of customers with seats: different contacts in usage of the last 30 days; without such usage, contacts there",
        _people(lambda p: p.used, "no_use"),
        "higher",
        "people:used",
        WHO,
        needs=("people",),
    ),
    _m(
        "seat_utilization",
        "Seat utilization",
        "Which share of the seats they pay for do they use?",
        "rate",
        "state",
        "seats_used / seats_paid",
        _seat_utilization,
        "higher",
        "people:utilization",
        WHO,
        needs=("people",),
    ),
    _m(
        "champions_left",
        "Champions who left",
        "How many of those who wanted us at our customers left them?",
        "count",
        "flow",
        "contacts of role champion with left_at in the period, of customers at its start",
        _people(lambda p: p.left, "no_champions"),
        "lower",
        "people:left",
        WHO,
        needs=("people",),
    ),
    _m(
        "customers_without_champion",
        "Customers whose champions left",
        "How many customers have nobody left who wanted us?",
        "count",
        "state",
        "customers at the period's end that had contacts of role champion, all of whom have left",
        _people(lambda p: p.without, "no_champions"),
        "lower",
        "people:without",
        WHO,
        needs=("people",),
    ),
)

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def metric(name: str) -> Metric:
    """The metric called `name`; UnknownName with the nearest one for any other."""
    if name not in CATALOGUE:
        raise UnknownName.of("metric", name, CATALOGUE, "`tenure metrics --list` shows them all.")
    return CATALOGUE[name]


def metrics(names: Sequence[str]) -> list[Metric]:
    """The metrics of those names, in that order."""
    return [metric(name) for name in names]
