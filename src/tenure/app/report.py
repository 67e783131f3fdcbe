"""What does the report say? The workspace's answers, gathered into one Story (tenure.app.story)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenure.app import story as s
from tenure.app.closing import reconciled
from tenure.app.coverage import is_reconstructed, trust
from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.kernel.money import exponent
from tenure.kernel.time import add_months, floor_day, whole_days
from tenure.measure import cohorts as cohorts_of
from tenure.measure import lifetimes, openings, orders
from tenure.measure.answers import Answer, Cell, Question, ask
from tenure.measure.buyers import NOT_BEFORE
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.currencies import SCALE, Conversion, currencies, day_before
from tenure.measure.definition import BASE, Definition, profile
from tenure.measure.purchase_gaps import inactivity_window

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts

MONTHS_SHOWN = 24  # of history in movements and sparklines
COHORTS_SHOWN = 18  # monthly rows of a heat map; longer histories are shown by quarter
FLOWS = ("new", "reactivation", "resume", "expansion", "contraction", "pause", "churn")
LOSSES = ("contraction", "pause", "churn")
RATES = ("customer_churn_rate", "gross_mrr_churn_rate", "net_mrr_churn_rate", "nrr_12m", "grr_12m")
FEWEST_LEAVERS = 30  # fewer say nothing of why
SCORES_LAST = 45  # days; older scores say little of who leaves next
_EVIDENCE = ("usage", "tickets", "answers", "touches", "changes")  # what may have happened before
_COUNTED = (
    "customers",
    "customers_churned",
    "customers_new",
    "customers_churned_voluntary",
    "customers_churned_involuntary",
    "customers_churned_other",
    "customers_churned_unknown",
)
_ASKED = ("mrr", "mrr_opening", *(f"mrr_{kind}" for kind in FLOWS), "mrr_fx", "mrr_correction", *RATES, *_COUNTED)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Scope:
    """What one report is about."""

    shop: Workspace
    facts: Facts
    definition: Definition
    first: date
    after: date
    currency: str | None
    survivors: date | None  # before that day no leaver is known
    snapshot: bool

    @cached_property
    def conversion(self) -> Conversion:
        """The rates into the reporting currency, read once."""
        assert self.currency is not None
        return Conversion.of(self.facts, self.currency)

    def knows(self, day: date) -> bool:
        """Whether leavers are known from that day on: what came before would compare survivors with customers."""
        return self.survivors is None or day >= self.survivors

    @property
    def period(self) -> s.Period:
        return s.Period(self.first, self.after, "month")


def story(
    shop: Workspace,
    *,
    month: str | None = None,
    known_on: str | datetime | None = None,
    currency: str | None = None,
    engine: str | None = None,
    progress: Progress = lambda step: None,
) -> s.Story:
    """Everything the report says about one month (default: the last whole month that the data reaches).

    Raises BadInput where there is nothing to report on.
    """
    facts = shop.facts(known_on, engine)
    definition = shop.definition()
    progress("looking at what there is")
    subscribed = cohorts_of.history(facts)
    bought = orders.span(facts)
    if subscribed is None and bought is None:
        raise BadInput(
            "there is nothing to report on: load subscriptions, orders, a spreadsheet of MRR or a snapshot first, "
            "such as `tenure load subscriptions FILE`; `tenure demo` shows the whole on a made-up company"
        )
    survivors, snapshot = None, False
    if subscribed is not None:
        progress("since when leavers are known")
        survivors, snapshot = lifetimes.exposure_start(facts, definition, subscribed[1] + timedelta(days=1))
    if month is None and snapshot and subscribed is not None:
        # All who are known to have left did so on one day: that day's month is the one that can be told of.
        month = subscribed[1].strftime("%Y-%m")
    first, after = _month(month, facts, subscribed, bought)
    reporting = (currency or shop.settings.currency or "").upper() or None
    if reporting == "EACH":
        reporting = None
    about = s.About(
        company=shop.settings.company or shop.folder.resolve().name,
        period=s.Period(first, after, "month"),
        timezone=shop.settings.timezone,
        currency=reporting or "",
        known_on=facts.known_before,
        made_at=datetime.now(UTC),
        profile=definition.name,
        rules=_rules(definition),
        is_made_up=shop.settings.made_up,
        is_provisional=facts.known_before < _end(facts, after),
        is_reconstructed=is_reconstructed(facts),
        version=_version(),
        engine=facts.engine.name,
    )
    notes: list[s.Note] = []
    if about.is_reconstructed:
        notes.append(s.Note("reconstructed"))
    if about.is_provisional:
        notes.append(s.Note("provisional", {"until": after}))
    found = s.Story(about=about, trust=s.Trust(()))
    if subscribed is not None:
        known = currencies(facts)
        if reporting is None and len(known) == 1:
            reporting = known[0]
        if reporting is None:
            notes.append(s.Note("several_currencies", {"currencies": ", ".join(known)}))
        scope = _Scope(shop, facts, definition, first, after, reporting, survivors, snapshot)
        found = _subscriptions(scope, found, subscribed, progress)
        found = replace(found, about=replace(about, currency=reporting or ""))
    if bought is not None:
        progress("orders")
        found = replace(
            found, orders=_orders(facts, after, _activity(facts, definition, after, shop.inactivity_days()))
        )
    progress("coverage")
    return replace(found, trust=trust(facts, definition, survivors, tuple(notes)), definitions=_definitions(found))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tenure")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return ""


def reported_month(facts: Facts, asked: str | None = None) -> tuple[date, date]:
    """The month that a report is about (default: the last whole one that the data reaches): [first, after)."""
    return _month(asked, facts, cohorts_of.history(facts), orders.span(facts))


def _end(facts: Facts, after: date) -> datetime:
    from tenure.kernel.time import midnight

    return midnight(after, facts.timezone)


def _month(
    asked: str | None, facts: Facts, subscribed: tuple[date, date] | None, bought: tuple[date, date] | None
) -> tuple[date, date]:
    if asked is not None:
        first, after = whole_days(asked)
        if (first, after) != (floor_day(first, "month"), add_months(floor_day(first, "month"), 1)):
            raise BadInput(f"the report is about one month, not about {asked}; write it like 2026-06")
        return first, after
    last = max(span[1] for span in (subscribed, bought) if span is not None)
    first = floor_day(last, "month")
    today = (facts.known_before - timedelta(microseconds=1)).astimezone(facts.timezone).date()
    earliest = min(span[0] for span in (subscribed, bought) if span is not None)
    # A month counts as told when the data reaches its last days, or when it is told by its first day (a spreadsheet).
    told = last >= add_months(first, 1) - timedelta(days=_CLOSE_TO_END) or (
        last == first and bought is None and _monthly(facts)
    )
    if (add_months(first, 1) > today or not told) and add_months(first, -1) >= floor_day(earliest, "month"):
        first = add_months(first, -1)
    return first, add_months(first, 1)


_CLOSE_TO_END = 4


def _monthly(facts: Facts) -> bool:
    """Whether subscriptions change at the beginning of a month and at no other time."""
    if facts.has("subscription_states") or not facts.has("subscription_spans"):
        return False
    st = facts.statement()
    d = facts.engine.dialect
    raw = facts.source(st, "subscription_spans")
    until = facts.known_before + timedelta(days=1)
    day = d.local_day(d.micros("started_at"), facts.timezone, datetime(1970, 1, 1, tzinfo=UTC), until)
    other = f"sum(CASE WHEN day({d.date_of(day)}) <> 1 THEN 1 ELSE 0 END)"
    return not facts.engine.table(st.render(f"SELECT {other} AS n FROM {raw}")).column(0).to_pylist()[0]


# The choices that every report tells; others where the company's definition makes another one than the default.
_TOLD_ALWAYS = (
    "limited_discount",
    "past_due_days",
    "pause",
    "pause_months",
    "churn_at",
    "customer",
    "grouping",
    "grouping_minutes",
    "gap_days",
    "churn_base",
)


def _rules(definition: Definition) -> tuple[tuple[str, str], ...]:
    """The definition's choices as (name, value), values as text: words, numbers, or a factor as a fraction."""
    others = definition.differs(profile(BASE))

    def text(value: object) -> str:
        return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return tuple(
        (name, text(value)) for name, value in definition.choices.items() if name in _TOLD_ALWAYS or name in others
    )


# ---------------------------------------------------------------------------------------------------------------------
# Subscriptions


def _subscriptions(scope: _Scope, found: s.Story, span: tuple[date, date], progress: Progress) -> s.Story:
    facts, definition = scope.facts, scope.definition
    start = max(floor_day(span[0], "month"), add_months(scope.first, 1 - MONTHS_SHOWN))
    if scope.survivors is not None:
        start = max(start, floor_day(scope.survivors, "month"))
    start = min(start, scope.first)
    progress("movements and rates")
    answer = ask(facts, definition, Question(_ASKED, start, scope.after, "month", (), scope.currency))
    cells = _Cells(reconciled(scope.shop, answer))
    progress("who moved")
    moved = openings.movement_rows(facts, definition, scope.first, scope.after).to_pylist()
    people = _people(facts)
    recurring = tuple(_recurring(scope, cells, moved, people, currency) for currency in cells.currencies)
    progress("cohorts")
    tables, layers = _cohorts(scope)
    recurring = tuple(replace(r, layers=layers.get(r.currency, ())) for r in recurring)
    progress("lifetimes")
    survival, hazard = _survival(scope, scope.survivors, scope.snapshot)
    progress("segments")
    told = replace(
        found,
        recurring=recurring,
        customers=_headline(scope, cells, "customers", None, _opened_events(scope, moved, people, cells)),
        rates=tuple(
            _headline(scope, cells, name, cells.main, None)
            for name in RATES
            if cells.at(name, scope.first, cells.main) is not None
            and (not CATALOGUE[name].looks_back or scope.knows(add_months(scope.after, -12)))
        ),
        leavers=_leavers(scope, moved, people),
        chosen=_chosen(scope, cells, moved),
        ahead=_ahead(scope, people),
        due=_due(scope, cells),
        costs=_costs(scope, cells),
        causes=_causes(scope, cells, progress),
        leaves_next=_leaves_next(scope, people),
        worse=_worse(scope),
        cohorts=tables,
        survival=survival,
        hazard=hazard,
    )
    return told


class _Cells:
    """An answer's cells by metric, month and currency."""

    def __init__(self, answer: Answer) -> None:
        self.by: dict[tuple[str, date, str | None], Cell] = {}
        for cell in answer.cells:
            self.by[cell.metric.name, cell.period.first, cell.currency] = cell
        self.months = sorted({cell.period.first for cell in answer.cells})
        by_size: dict[str, Decimal] = {}
        for cell in answer.cells:
            if cell.metric.name == "mrr" and cell.period.first == self.months[-1] and cell.currency:
                by_size[cell.currency] = cell.major(cell.value) or Decimal(0)
        self.currencies = sorted(by_size, key=lambda c: (-by_size[c], c))
        self.main = self.currencies[0] if self.currencies else None

    def at(self, metric: str, month: date, currency: str | None) -> Cell | None:
        return self.by.get((metric, month, currency if CATALOGUE[metric].of_money else None))

    def money(self, metric: str, month: date, currency: str | None) -> Decimal:
        cell = self.at(metric, month, currency)
        return (cell.major(cell.value) if cell is not None else None) or Decimal(0)

    def exact(self, metric: str, month: date, currency: str | None) -> Any:
        cell = self.at(metric, month, currency)
        return None if cell is None else cell.value


def _figure(cell: Cell, profile: str) -> s.Figure:
    unit = cell.metric.unit
    money = unit == "money"
    value: Decimal | float | int | None
    if cell.value is None:
        value = None
    elif money:
        value = cell.major(cell.value)
    else:
        value = int(cell.value) if unit == "count" else float(cell.value)

    def part(amount: Any, is_money: bool) -> Decimal | int | float | None:
        if amount is None:
            return None
        return cell.major(amount) if is_money else int(amount)

    of_money = money or cell.metric.money_parts
    return s.Figure(
        metric=cell.metric.name,
        value=value,
        unit=unit,  # type: ignore[arg-type]
        period=s.Period(cell.period.first, cell.period.after, cell.period.grain),  # type: ignore[arg-type]
        currency=cell.currency or "",
        low=cell.low,
        high=cell.high,
        numerator=part(cell.numerator, of_money),
        denominator=part(cell.denominator, cell.metric.money_parts),
        n=cell.n,
        reason=cell.reason if cell.value is None else "",
        is_small_base=cell.n is not None and unit == "rate" and stats.small_base(cell.n),
        profile=profile,
    )


def _headline(scope: _Scope, cells: _Cells, name: str, currency: str | None, opened: s.Opened | None) -> s.Headline:
    cell = cells.at(name, scope.first, currency)
    assert cell is not None
    now = _figure(cell, scope.definition.name)
    comparisons = []
    for against, months in (("previous", -1), ("year_ago", -12)):
        earlier = add_months(scope.first, months)
        back = add_months(earlier, -11) if CATALOGUE[name].looks_back else earlier
        before = cells.at(name, earlier, currency) if scope.knows(back) else None
        if before is None or before.value is None or cell.value is None:
            continue
        comparisons.append(_compare(against, now, _figure(before, scope.definition.name)))
    target = scope.shop.settings.targets.get(name)
    if target is not None and now.value is not None:
        goal = Decimal(str(target)) if now.unit == "money" else target
        then = replace(now, value=goal, low=None, high=None, numerator=None, denominator=None, n=None)
        difference = now.value - goal  # type: ignore[operator]
        low, high = (
            (None, None) if now.low is None or now.high is None else (float(now.low) - target, float(now.high) - target)
        )
        comparisons.append(s.Comparison("target", then, difference, low, high))
    history = tuple(
        s.Point(f.period, f.value, f.low, f.high)
        for month in cells.months
        if (past := cells.at(name, month, currency)) is not None
        and (not CATALOGUE[name].looks_back or scope.knows(add_months(month, -11)))
        for f in [_figure(past, "")]
    )
    return s.Headline(now, CATALOGUE[name].better, tuple(comparisons), history, opened)  # type: ignore[arg-type]


def _compare(against: str, now: s.Figure, then: s.Figure) -> s.Comparison:
    if now.unit in ("money", "count"):
        return s.Comparison(against, then, now.value - then.value)  # type: ignore[arg-type,operator]
    change = stats.change_interval(
        stats.Estimate(float(then.value or 0), _float(then.low), _float(then.high)),
        stats.Estimate(float(now.value or 0), _float(now.low), _float(now.high)),
    )
    return s.Comparison(against, then, change.difference, change.low, change.high)  # type: ignore[arg-type]


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _people(facts: Facts) -> dict[str, dict[str, Any]]:
    if not facts.has("customers"):
        return {}
    st = facts.statement()
    latest = facts.latest(st, "customers", ("customer_id", "name", "channel", "signed_up_at"))
    rows = facts.engine.table(st.render(f"SELECT * FROM {latest}")).to_pylist()
    return {row["customer_id"]: row for row in rows}


def _row(people: dict[str, dict[str, Any]], facts: Facts, customer: str, **values: Any) -> s.CustomerRow:
    from tenure.lake.portable import from_micros

    known = people.get(customer, {})
    since = known.get("signed_up_at")
    return s.CustomerRow(
        id=customer,
        name=known.get("name") or "",
        channel=known.get("channel") or "",
        since=None if since is None else from_micros(since).astimezone(facts.timezone).date(),
        **values,
    )


def _converted(scope: _Scope, row: dict[str, Any], currency: str) -> Decimal | None:
    """A movement row's amount in the currency, at the day's rate; None where it is of another and none is known."""
    if row["currency"] == currency:
        return Decimal(row["amount"])
    if scope.currency is None:
        return None
    conversion = scope.conversion
    from tenure.lake.portable import day_number

    day = day_number(row["at"].astimezone(scope.facts.timezone).date())
    unit = conversion.unit(row["currency"], day)
    if unit is None:
        return None
    return openings.major(round(row["amount_micro"] * unit / SCALE), currency)


def _cents(amount: Decimal, currency: str) -> Decimal:
    from tenure.kernel.money import exponent

    return amount.quantize(Decimal(1).scaleb(-exponent(currency)))


def _recurring(
    scope: _Scope, cells: _Cells, moved: Sequence[dict[str, Any]], people: dict[str, dict[str, Any]], currency: str
) -> s.Recurring:
    by_kind: dict[str, list[tuple[Decimal, dict[str, Any]]]] = defaultdict(list)
    for row in moved:
        amount = _converted(scope, row, currency)
        if amount is not None:
            by_kind[row["kind"]].append((amount, row))
    months = tuple(_roll(cells, month, currency) for month in cells.months)
    now = months[-1]
    lines = []
    for kind, amount in now.amounts.items():
        rows = by_kind.get(kind, [])
        causes: dict[str, Decimal] = defaultdict(Decimal)
        for value, row in rows:
            if row["cause"]:
                causes[row["cause"]] += value
        ranked = sorted(((c, _cents(v, currency)) for c, v in causes.items()), key=lambda x: -abs(x[1]))
        opened = _opened(scope, rows, people, currency, kind)
        lines.append(
            s.MovementLine(
                kind,
                amount,
                None if kind in ("fx", "correction") else len({row["customer_id"] for _, row in rows}),
                tuple(ranked) if kind in ("expansion", "contraction") else (),
                opened if rows else None,
            )
        )
    every = [pair for rows in by_kind.values() for pair in rows]
    headline = _headline(scope, cells, "mrr", currency, _opened(scope, every, people, currency, "net_new"))
    return s.Recurring(currency, headline, now.opening, now.closing, tuple(lines), months)


def _roll(cells: _Cells, month: date, currency: str) -> s.MovementPeriod:
    """One month's roll-forward, rounded by largest remainder so that the shown lines add up to the shown closing."""
    from tenure.kernel.money import exponent, largest_remainder

    digits = exponent(currency)
    kinds = [*FLOWS, "fx"]
    if cells.exact("mrr_correction", month, currency):
        kinds.append("correction")
    values = [cells.exact(f"mrr_{kind}", month, currency) or 0 for kind in kinds]
    signed = [-v if kind in LOSSES else v for kind, v in zip(kinds, values, strict=True)]
    scale = SCALE * 1_000_000 * 10**digits
    from fractions import Fraction

    opening = cells.money("mrr_opening", month, currency)
    closing = cells.money("mrr", month, currency)
    exact = Fraction(cells.exact("mrr_opening", month, currency) or 0) / scale
    # What rounding the opening took or gave is shared out with the lines, so that opening + lines = closing as shown.
    parts = [Fraction(value) / scale for value in signed]
    slack = exact - Fraction(opening)
    total = Fraction(closing) - Fraction(opening)
    rounded = largest_remainder([*parts, slack], digits) if parts else []
    lines, rest = rounded[:-1], rounded[-1]
    drift = Decimal(total.numerator) / Decimal(total.denominator) - sum(lines, Decimal(0))
    if drift or rest:
        place = max(range(len(lines)), key=lambda i: abs(lines[i]))
        lines[place] += drift
    amounts = {kind: _cents(line, currency) for kind, line in zip(kinds, lines, strict=True)}
    cell = cells.at("mrr", month, currency)
    assert cell is not None
    return s.MovementPeriod(s.Period(month, cell.period.after, "month"), opening, closing, amounts)


def _opened(
    scope: _Scope,
    rows: Sequence[tuple[Decimal, dict[str, Any]]],
    people: dict[str, dict[str, Any]],
    currency: str,
    kind: str,
    top: int = 10,
) -> s.Opened:
    by_customer: dict[str, list[tuple[Decimal, dict[str, Any]]]] = defaultdict(list)
    for amount, row in rows:
        by_customer[row["customer_id"]].append((amount, row))
    sums = {c: sum((a for a, _ in mine), Decimal(0)) for c, mine in by_customer.items()}
    ranked = sorted(sums, key=lambda c: (-abs(sums[c]), c))
    shown = []
    for customer in ranked[:top]:
        last = by_customer[customer][-1][1]
        shown.append(
            _row(
                people,
                scope.facts,
                customer,
                change=_cents(sums[customer], currency),
                currency=currency,
                on=last["at"].astimezone(scope.facts.timezone).date(),
                plan=last["plan_before"] or last["plan_after"] or "",
                plan_after=last["plan_after"] or "",
                cause=last["cause"] or "",
                reason=last["reason"] or "",
                comment=last["comment"] or "",
                how=_how(last["how"]),
            )
        )
    month = scope.first.strftime("%Y-%m")
    return s.Opened(tuple(shown), len(ranked), f"tenure metrics mrr_{kind} --from {month} --to {month} --customers")


def _how(actor: str | None) -> Any:
    if actor is None:
        return None
    return actor if actor in ("voluntary", "involuntary", "unknown") else "other"


def _opened_events(
    scope: _Scope, moved: Sequence[dict[str, Any]], people: dict[str, dict[str, Any]], cells: _Cells
) -> s.Opened | None:
    rows = [(Decimal(row["amount"]), row) for row in moved if row["kind"] in ("new", "reactivation", "churn")]
    if not rows:
        return None
    month = scope.first.strftime("%Y-%m")
    opened = _opened(scope, rows, people, cells.main or "USD", "new")
    command = f"tenure metrics customers_new customers_churned --from {month} --to {month} --customers"
    return replace(opened, command=command)


def _said(scope: _Scope, customers: set[str]) -> dict[str, tuple[str, str]]:
    """What leavers said in exit surveys around the month: customer -> (choice, comment)."""
    facts = scope.facts
    if not facts.has("answers") or not customers:
        return {}
    st = facts.statement()
    latest = facts.latest(st, "answers", ("customer_id", "kind", "choice", "comment", "answered_at", "asked_at"))
    rows = facts.engine.table(
        st.render(
            f"SELECT customer_id, choice, comment, coalesce(answered_at, asked_at) AS ts FROM {latest} "
            "WHERE kind = 'exit' AND (choice IS NOT NULL OR comment IS NOT NULL) ORDER BY 4"
        )
    ).to_pylist()
    return {
        row["customer_id"]: (row["choice"] or "", row["comment"] or "")
        for row in rows
        if row["customer_id"] in customers
    }


def _leavers(scope: _Scope, moved: Sequence[dict[str, Any]], people: dict[str, dict[str, Any]]) -> s.Leavers:
    gone = [row for row in moved if row["kind"] == "churn"]
    by_customer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in gone:
        by_customer[row["customer_id"]].append(row)
    said = _said(scope, set(by_customer))
    mrr: dict[str, Decimal] = defaultdict(Decimal)
    lost: dict[str, tuple[Decimal | None, str]] = {}
    for customer, rows in by_customer.items():
        total: Decimal | None = Decimal(0)
        shown = scope.currency or rows[0]["currency"]
        for row in rows:
            mrr[row["currency"]] -= row["amount"]
            amount = _converted(scope, row, shown)
            total = None if amount is None or total is None else total - amount
        lost[customer] = (total, shown)
    if scope.currency is not None:
        mrr = {scope.currency: sum((v for v, _ in lost.values() if v is not None), Decimal(0))}
    ranked = sorted(by_customer, key=lambda c: (-(lost[c][0] or Decimal(0)), c))
    costliest: list[s.CustomerRow] = []
    reasons: dict[str, tuple[int, Decimal]] = {}
    silent = 0
    for customer in ranked:
        last = by_customer[customer][-1]
        choice, words = said.get(customer, ("", ""))
        reason = last["reason"] or choice
        comment = last["comment"] or words
        amount, shown = lost[customer]
        if not reason and not comment:
            silent += 1
        if reason:
            n, money = reasons.get(reason, (0, Decimal(0)))
            reasons[reason] = (n + 1, money + (amount or Decimal(0)))
        if len(costliest) < 10:
            costliest.append(
                _row(
                    people,
                    scope.facts,
                    customer,
                    mrr=None if amount is None else _cents(amount, shown),
                    currency=shown,
                    on=last["at"].astimezone(scope.facts.timezone).date(),
                    plan=last["plan_before"] or "",
                    how=_how(last["how"]),
                    reason=reason,
                    comment=comment,
                )
            )
    month = scope.first.strftime("%Y-%m")
    ordered = sorted(reasons.items(), key=lambda item: (-item[1][0], item[0]))
    return s.Leavers(
        scope.period,
        len(by_customer),
        tuple(s.Amount(_cents(v, c), c) for c, v in sorted(mrr.items(), key=lambda item: -item[1])),
        tuple(costliest),
        tuple((r, n, _cents(m, scope.currency) if scope.currency else None) for r, (n, m) in ordered),
        silent,
        f"tenure metrics customers_churned --from {month} --to {month} --customers",
    )


def _chosen(scope: _Scope, cells: _Cells, moved: Sequence[dict[str, Any]]) -> s.Chosen:
    def lines(month: date, with_money: bool) -> tuple[s.ShareLine, ...]:
        names = {
            "voluntary": "customers_churned_voluntary",
            "involuntary": "customers_churned_involuntary",
            "other": "customers_churned_other",
            "unknown": "customers_churned_unknown",
        }
        counts = {how: int(cells.exact(name, month, None) or 0) for how, name in names.items()}
        total = sum(counts.values())
        found = []
        for how, n in counts.items():
            low, high = stats.wilson(n, total)
            money = None
            if with_money and scope.currency is not None:
                parts = [
                    _converted(scope, r, scope.currency)
                    for r in moved
                    if r["kind"] == "churn" and _how(r["how"]) == how
                ]
                money = _cents(-sum((p for p in parts if p is not None), Decimal(0)), scope.currency)
            found.append(s.ShareLine(how, n, money, n / total if total else None, low, high))  # type: ignore[arg-type]
        return tuple(found)

    before = add_months(scope.first, -1)
    previous = lines(before, False) if before in cells.months else ()
    return s.Chosen(scope.period, lines(scope.first, True), scope.currency or "", previous)


def _ahead(scope: _Scope, people: dict[str, dict[str, Any]], window: int = 90) -> s.Ahead:
    """Who has an end already set, and whose term ends soon, as of the end of the month."""
    from tenure.lake.portable import from_micros, micros
    from tenure.measure.standing import items_standing

    facts = scope.facts
    as_of = min(_end(facts, scope.after), facts.known_before)
    until = micros(as_of) + window * 86_400_000_000
    rows = items_standing(facts, scope.definition, as_of)
    scheduled: dict[str, list[dict[str, Any]]] = defaultdict(list)
    renewing: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["ends_at"] is not None:
            scheduled[row["customer_id"]].append({**row, "when": row["ends_at"]})
        elif row["renews_at"] is not None and row["renews_at"] < until:
            renewing[row["customer_id"]].append({**row, "when": row["renews_at"]})

    def opened(found: dict[str, list[dict[str, Any]]], command: str) -> tuple[s.Opened, tuple[s.Amount, ...]]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        shown = []
        for customer, items in found.items():
            by_currency: dict[str, Decimal] = defaultdict(Decimal)
            for item in items:
                currency, amount = _standing_amount(scope, item["mrr"], item["currency"])
                by_currency[currency] += amount
            for currency, amount in by_currency.items():
                sums[currency] += amount
            currency = max(by_currency, key=lambda c: by_currency[c])
            first = min(items, key=lambda item: item["when"])
            shown.append(
                _row(
                    people,
                    facts,
                    customer,
                    mrr=_cents(by_currency[currency], currency),
                    currency=currency,
                    on=from_micros(first["when"]).astimezone(facts.timezone).date(),
                    plan=first["plan_id"] or "",
                    reason=first["cancel_reason"] or "",
                    comment=first["cancel_comment"] or "",
                )
            )
        shown.sort(key=lambda row: (-(row.mrr or Decimal(0)), row.id))
        amounts = tuple(s.Amount(_cents(v, c), c) for c, v in sorted(sums.items(), key=lambda item: -item[1]))
        return s.Opened(tuple(shown[:10]), len(shown), command), amounts

    month = scope.first.strftime("%Y-%m")
    command = f"tenure metrics mrr --from {month} --to {month} --customers"
    leaving, leaving_mrr = opened(scheduled, command)
    due, due_mrr = opened(renewing, command)
    return s.Ahead(scope.after, leaving, leaving_mrr, due, due_mrr, window)


def _due(scope: _Scope, cells: _Cells) -> s.ComingDue | None:
    """What became of yearly terms, month by month, and what is promised as the month ends; None without either."""
    from fractions import Fraction

    from tenure.kernel import stats
    from tenure.measure.committed import CommittedBook
    from tenure.measure.renewal_answer import renewals
    from tenure.measure.renewals import OUTCOMES

    if cells.main is None:
        return None
    assumed = scope.shop.assumptions
    told = renewals(
        scope.facts, scope.definition, first=cells.months[0], after=scope.after, currency=scope.currency,
        grace=assumed.grace_days, length="year",
    )  # fmt: skip
    by_month = {row["period_start"]: row for row in told.rows() if row["currency"] == cells.main}
    parts = dict(
        zip(OUTCOMES, ("arr_due_renewed", "arr_due_late", "arr_due_undecided", "arr_lost_at_renewal"), strict=True)
    )
    months = []
    for period in told.periods[-MONTHS_SHOWN:]:
        row = by_month.get(period.first.isoformat())
        counts = {outcome: row[outcome] if row else 0 for outcome in OUTCOMES}
        arr = {outcome: (row[parts[outcome]] if row else None) or Decimal(0) for outcome in OUTCOMES}
        months.append(s.DueMonth(s.Period(period.first, period.after), counts, arr))
    book = CommittedBook(
        scope.facts, scope.definition, told.periods[-1:], assumed.committed_months, None, scope.currency
    )
    promised = book.figures().get((0, "", cells.main))
    signed, leaving = (Fraction(getattr(promised, part)) if promised else Fraction(0) for part in ("signed", "leaving"))
    cell = cells.at("mrr", scope.first, cells.main)
    if cell is None or cell.value is None or (not signed and not leaving and not any(month.due for month in months)):
        return None
    came = sum(month.counts["renewed"] + month.counts["late"] for month in months)
    decided = came + sum(month.counts["lost"] for month in months)
    low, high = stats.wilson(came, decided)
    return s.ComingDue(
        cells.main, tuple(months), cell.major(cell.value) or Decimal(0), cell.major(signed) or Decimal(0),
        cell.major(leaving) or Decimal(0), assumed.committed_months, came / decided if decided else None, low, high,
    )  # fmt: skip


def _costs(scope: _Scope, cells: _Cells) -> s.Costs | None:
    """What churn cost, what is at risk and what was kept, in the report's first currency; None without MRR."""
    from tenure.measure.costs import cost_of_churn

    cell = None if cells.main is None else cells.at("mrr", scope.first, cells.main)
    if cells.main is None or cell is None or cell.value is None:
        return None
    told = cost_of_churn(
        scope.facts, scope.definition, first=scope.first, after=scope.after, currency=scope.currency,
        assumed=scope.shop.assumptions,
    )  # fmt: skip
    known = {
        line.kind.name: line.shown()
        for line in told.lines
        if line.kind.name in s.COST_LINES and line.currency in (None, cells.main)
    }
    month = scope.first.strftime("%Y-%m")
    lines = {name: value for name, value in known.items() if not isinstance(value, float)}
    return s.Costs(cells.main, s.Period(scope.first, scope.after), lines, f"tenure cost --from {month}")


def _causes(scope: _Scope, cells: _Cells, progress: Progress) -> s.Causes | None:
    """Why customers left in up to twelve months; None where few did, or no fact tells what happened before."""
    from tenure.errors import BadPeriod, CannotFit
    from tenure.explain.verdict import verdict

    months = [month for month in cells.months if add_months(scope.after, -12) <= month < scope.after]
    counted = [cell.value for month in months if (cell := cells.at("customers_churned", month, None)) and cell.value]
    if sum(counted) < FEWEST_LEAVERS or not any(scope.facts.has(table) for table in _EVIDENCE):
        return None
    progress("why customers leave")
    first = months[0]
    try:
        found = verdict(scope.facts, scope.definition, first, scope.after, currency=scope.currency)
    except (BadPeriod, CannotFit):
        return None
    parts = tuple(
        s.CausePart(
            one.cause, one.customers.value, one.customers.low, one.customers.high, one.mrr.value, one.mrr.low,
            one.mrr.high, "" if one.strength is None else one.strength.words, one.withheld or "",
        )
        for one in found.causes
    )  # fmt: skip
    last = scope.after - timedelta(days=1)
    command = f"tenure why --from {first:%Y-%m} --to {last:%Y-%m}"
    return s.Causes(s.Period(first, scope.after), len(found.left.people), parts, command)


def _leaves_next(scope: _Scope, people: dict[str, dict[str, Any]]) -> s.LeavesNext | None:
    """The last scores of the period, as `tenure risk` stored them; None without any that are fresh."""
    from tenure.app.fitting import HORIZONS, name_of
    from tenure.lake.portable import from_micros, micros
    from tenure.measure import states

    facts = scope.facts
    if not facts.has("scores"):
        return None
    models = {name_of(name): (name, days) for name, days in HORIZONS.items() if isinstance(days, int)}
    st = facts.statement()
    columns = ("customer_id", "model", "as_of", "probability", "involuntary", "value")
    known = facts.counted(st, facts.latest(st, "scores", columns), columns, "counted_scores")
    end = _end(facts, scope.after)
    among = ", ".join(f"'{model}'" for model in models)
    fresh = f"model IN ({among}) AND as_of <= {micros(end)} AND as_of > {micros(end - timedelta(days=SCORES_LAST))}"
    last = facts.engine.table(
        st.render(
            f"SELECT model, max(as_of) AS as_of FROM {known} WHERE {fresh} AND probability IS NOT NULL "
            "GROUP BY model ORDER BY as_of DESC, model LIMIT 1"
        )
    ).to_pylist()
    if not last:
        return None
    model, instant = last[0]["model"], last[0]["as_of"]
    horizon, days = models[model]
    every = states.all_states(st, facts, ("customer_id", "currency"))
    pays = st.step(
        "scored_pay_in",
        f"SELECT customer_id, max_by(currency, ts) AS currency FROM {every} "
        f"WHERE ts < {micros(end)} AND currency IS NOT NULL GROUP BY customer_id",
    )
    told = st.step(
        "scores_in_money",
        f"SELECT s.customer_id, s.probability, s.involuntary, s.value, p.currency FROM {known} AS s "
        f"LEFT JOIN {pays} AS p ON p.customer_id = s.customer_id "
        f"WHERE s.model = '{model}' AND s.as_of = {instant} AND s.probability IS NOT NULL",
        keep=True,
    )
    chances = "sum(CAST(round(probability * 1000000) AS BIGINT)) AS chance"
    sums = facts.engine.table(
        st.render(f"SELECT currency, count(*) AS n, {chances} FROM {told} GROUP BY currency ORDER BY currency")
    ).to_pylist()
    units: dict[str | None, float] = {row["currency"]: 1.0 for row in sums}
    if scope.currency is not None:
        for currency in units:
            unit = None if currency is None else scope.conversion.unit(currency, day_before(scope.after))
            shift = 0 if currency is None else exponent(currency) - exponent(scope.currency)
            units[currency] = 0.0 if unit is None else unit / SCALE * 10.0**shift
    comparable = scope.currency is not None or len([currency for currency in units if currency]) == 1
    worth = " ".join(f"WHEN currency = '{currency}' THEN {unit!r}" for currency, unit in units.items() if currency)
    stake = f"probability * value * CASE {worth} ELSE 0 END" if worth else "0"
    order = f"coalesce({stake}, 0) DESC, " if comparable else ""
    rows = facts.engine.table(
        st.render(f"SELECT * FROM {told} ORDER BY {order}probability DESC, customer_id LIMIT 10")
    ).to_pylist()

    def shown(row: dict[str, Any]) -> s.ScoredRow:
        value, currency = row["value"], row["currency"] or ""
        if value is not None and scope.currency is not None and units[row["currency"]]:
            value, currency = value * units[row["currency"]], scope.currency
        worth = stake = None
        if value is not None and currency:
            worth, stake = (_cents(Decimal(str(each)), currency) for each in (value, value * row["probability"]))
        name = people.get(row["customer_id"], {}).get("name") or ""
        return s.ScoredRow(row["customer_id"], name, row["probability"], row["involuntary"], worth, stake, currency)

    return s.LeavesNext(
        from_micros(instant).astimezone(facts.timezone).date(),
        days,
        sum(row["n"] for row in sums),
        sum(int(row["chance"]) for row in sums) / 1_000_000,
        tuple(shown(row) for row in rows),
        "at_stake" if comparable else "chance",
        f"tenure risk --horizon {horizon} --top 10",
    )


def _standing_amount(scope: _Scope, micro: int, currency: str) -> tuple[str, Decimal]:
    """What an item pays a month in the reporting currency at the rate of the month's last day, else in its own."""
    if scope.currency is not None and currency != scope.currency:
        unit = scope.conversion.unit(currency, day_before(scope.after))
        if unit is not None:
            return scope.currency, openings.major(round(micro * unit / SCALE), scope.currency)
    return currency, openings.major(micro, currency)


def _worse(scope: _Scope) -> s.Worse | None:
    """Average monthly churn of the last twelve months by plan, channel, country and tenure, each against the rest."""
    facts = scope.facts
    columns = ["plan_id", "tenure"]
    columns += [c for c in ("channel", "country") if not facts.lacks("customers", c)]
    first = add_months(scope.first, -11)
    period = s.Period(first, scope.after, "year")
    tables: list[tuple[str, dict[str, tuple[int, int]], dict[str, Decimal | None]]] = []
    for column in columns:
        names = ("customer_churn_rate", "mrr_opening")
        answer = ask(facts, scope.definition, Question(names, first, scope.after, "month", (column,), scope.currency))
        counts: dict[str, tuple[int, int]] = {}
        money: dict[str, Decimal | None] = {}
        for cell in answer.cells:
            value = (cell.segment or {}).get(column) or ""
            if cell.metric.name == "customer_churn_rate" and cell.denominator:
                lost, base = counts.get(value, (0, 0))
                counts[value] = (lost + int(cell.numerator or 0), base + int(cell.denominator))
            elif (
                cell.metric.name == "mrr_opening"
                and cell.period.first == scope.first
                and cell.currency == scope.currency
            ):
                money[value] = cell.major(cell.value)
        if len(counts) > 1:
            tables.append((column, counts, money))
    compared = sum(len(counts) for _, counts, _ in tables)
    if not compared:
        return None
    level = 1 - 0.05 / compared  # one family-wise 5 % over all comparisons (Bonferroni)
    found = []
    worst: list[s.SegmentRate] = []
    for column, counts, money in tables:
        all_lost, all_base = (sum(c[i] for c in counts.values()) for i in (0, 1))
        rows = []
        for value, (lost, base) in counts.items():
            low, high = stats.wilson(lost, base)
            rest_lost, rest_base = all_lost - lost, all_base - base
            rate = _share_figure(lost, base, low, high, period, scope)
            rest = difference = None
            widened: tuple[float | None, float | None] = (None, None)
            if rest_base > 0:
                rest = _share_figure(rest_lost, rest_base, *stats.wilson(rest_lost, rest_base), period, scope)
                change = stats.change_of_shares(rest_lost, rest_base, lost, base, level)
                difference, widened = change.difference, (change.low, change.high)
            row = s.SegmentRate(column, value, rate, rest, difference, *widened, mrr=money.get(value))
            rows.append(row)
            if row.low is not None and row.low > 0:
                worst.append(row)
        rows.sort(key=lambda r: -float(r.rate.value or 0))
        found.append(s.SegmentTable(column, tuple(rows[:12]), max(len(rows) - 12, 0)))
    worst.sort(key=lambda r: -(r.difference or 0) * (r.rate.n or 0))
    return s.Worse("customer_churn_rate", period, tuple(found), tuple(worst[:5]), compared, per="month")


def _share_figure(
    lost: int, base: int, low: float | None, high: float | None, period: s.Period, scope: _Scope
) -> s.Figure:
    return s.Figure(
        "customer_churn_rate",
        lost / base if base else None,
        "rate",
        period,
        low=low,
        high=high,
        numerator=lost,
        denominator=base,
        n=base,
        is_small_base=stats.small_base(base),
        profile=scope.definition.name,
        reason="" if base else "nobody was there",
    )


def _cohorts(scope: _Scope) -> tuple[tuple[s.Cohorts, ...], dict[str, tuple[s.Layer, ...]]]:
    facts, definition = scope.facts, scope.definition
    found: list[s.Cohorts] = []
    layers: dict[str, tuple[s.Layer, ...]] = {}
    span = cohorts_of.history(facts)
    assert span is not None
    months = (scope.after.year - span[0].year) * 12 + scope.after.month - span[0].month
    grain = "month" if months <= COHORTS_SHOWN * 2 else "quarter" if months <= 24 * 6 else "year"
    for measure in ("customers", "revenue"):
        for table in cohorts_of.cohorts(
            facts, definition, measure=measure, grain=grain, until=scope.after, currency=scope.currency
        ):
            if table.triangle.values:
                found.append(_triangle(table, measure))
    for table in cohorts_of.cohorts(
        facts, definition, measure="revenue", grain="month", until=scope.after, currency=scope.currency
    ):
        layers[table.currency or ""] = _layers(table)
    return tuple(found), layers


def _triangle(table: cohorts_of.CohortTable, measure: str) -> s.Cohorts:
    rows = []
    for period, size, shares in zip(table.cohorts, table.triangle.sizes, table.triangle.shares, strict=True):
        if not size:
            continue
        known = Decimal(round(size, 2)).quantize(Decimal("0.01")) if measure == "revenue" else int(size)
        rows.append(s.CohortRow(period.label, period.first, known, tuple(shares)))
    rows = rows[-COHORTS_SHOWN:]
    width = max((sum(v is not None for v in row.values) for row in rows), default=0)
    rows = [replace(row, values=row.values[:width]) for row in rows]
    average = tuple(table.triangle.average(age) for age in range(width))
    return s.Cohorts(measure, table.grain, tuple(rows), average, table.currency or "")  # type: ignore[arg-type]


def _layers(table: cohorts_of.CohortTable) -> tuple[s.Layer, ...]:
    """MRR by year of joining (by quarter where history is short) at each month's end."""
    years = {period.first.year for period in table.cohorts}
    by_quarter = len(years) <= 3
    sums: dict[tuple[str, int], float] = defaultdict(float)
    ends: dict[int, s.Period] = {}
    first = table.cohorts[0].first if table.cohorts else None
    for period, values in zip(table.cohorts, table.triangle.values, strict=True):
        assert first is not None
        offset = (period.first.year - first.year) * 12 + period.first.month - first.month
        day = period.first
        name = f"{day.year}-Q{(day.month + 2) // 3}" if by_quarter else f"{day.year}"
        for age, value in enumerate(values):
            if value is not None:
                month = add_months(first, offset + age)
                ends[offset + age] = s.Period(month, add_months(month, 1), "month")
                sums[name, offset + age] += value
    shown = sorted(ends)[-MONTHS_SHOWN:]
    names = sorted({name for name, _ in sums})
    return tuple(
        s.Layer(name, ends[i], Decimal(repr(round(sums.get((name, i), 0.0), 2)))) for name in names for i in shown
    )


def _survival(scope: _Scope, since: date | None, snapshot: bool) -> tuple[tuple[s.Survival, ...], s.Hazard | None]:
    from tenure.kernel.survival import kaplan_meier, life_table

    facts, definition = scope.facts, scope.definition
    found: list[s.Survival] = []
    hazard = None
    passes: list[tuple[date | None, tuple[s.Note, ...]]] = []
    if snapshot:
        passes = [(None, (s.Note("snapshot_one_period"),)), (since, (s.Note("survivors_only", {"until": since}),))]
    else:
        passes = [(since, (s.Note("survivors_only", {"until": since}),) if since else ())]
    for begin, notes in passes:
        lives = lifetimes.lives(facts, definition, until=scope.after, since=begin, snapshot=snapshot)
        if not lives:
            continue
        counts = lives[0].counts
        curve = kaplan_meier(counts)
        if not len(curve.time):
            continue
        horizon = int(curve.time[-1])
        median = curve.median
        mean = curve.restricted_mean(min(horizon, 60)) if horizon else None
        points = tuple(
            s.SurvivalPoint(float(t), float(v), _finite(low), _finite(high), int(n))
            for t, v, low, high, n in zip(curve.time, curve.survival, curve.low, curve.high, curve.at_risk, strict=True)
        )
        shape = s.SurvivalCurve(
            "",
            points,
            counts.customers,
            int(counts.events.sum()),
            median.value,
            median.low,
            median.high,
            None if mean is None else mean.value,
            float(min(horizon, 60)),
        )
        found.append(s.Survival((shape,), "months", exposure_since=begin, notes=notes))
        spans = life_table(counts, 1 if horizon <= 36 else 3)
        hazard = s.Hazard(
            tuple(
                s.HazardPoint(
                    span.start,
                    span.end,
                    float(span.leaves.value),
                    span.leaves.low,
                    span.leaves.high,
                    span.events,
                    span.entering,
                )
                for span in spans
                if span.leaves.value is not None and span.effective >= 5
            ),
            "months",
            notes=notes,
        )
    return tuple(found), hazard


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if number == number else None


# ---------------------------------------------------------------------------------------------------------------------
# Orders


def _activity(facts: Facts, definition: Definition, after: date, window: int | None) -> s.Activity | None:
    """Who has stopped buying, month by month, two years back at most; None where no gap tells a window."""
    chosen, days = inactivity_window(facts, window), orders.span(facts)
    if chosen is None or days is None or days[0] >= after:
        return None
    since = max(days[0].replace(day=1), add_months(after, -24))
    cells = ask(facts, definition, Question(("activity_churn_rate",), since, after, inactivity=window)).cells

    def share(value: Fraction | None) -> float | None:
        return None if value is None else float(value)

    last = cells[-1]
    now = s.Figure(
        "activity_churn_rate",
        share(last.value),
        "rate",
        s.Period(last.period.first, last.period.after, "month"),
        low=last.low,
        high=last.high,
        numerator=None if last.numerator is None else int(last.numerator),
        denominator=None if last.denominator is None else int(last.denominator),
        n=last.n,
        reason=last.reason,
        is_small_base=stats.small_base(last.n or 0),
    )
    # Where nobody could lapse yet, a churn of nothing says nothing.
    past = tuple(
        s.Point(s.Period(c.period.first, c.period.after, "month"), share(c.value), c.low, c.high)
        if NOT_BEFORE not in c.reason
        else s.Point(s.Period(c.period.first, c.period.after, "month"), None)
        for c in cells
    )
    return s.Activity(
        s.Headline(now, "lower", (), past),
        chosen.days,
        chosen.chosen == "gaps",
        chosen.share_within,
        chosen.reached,
        chosen.share_came_back.value,
    )


def _orders(facts: Facts, after: date, activity: s.Activity | None = None) -> tuple[s.Orders, ...]:
    found: list[s.Orders] = []
    silent_since = orders.nobody_new_since(facts, after)
    notes = () if silent_since is None else (s.Note("nobody_new", {"since": silent_since}),)
    for history in orders.order_history(facts, until=after):
        figures = history.figures
        if not figures:
            continue
        months = tuple(
            s.OrderPeriod(
                s.Period(f.period.first, f.period.after, "month"),
                f.revenue,
                f.orders,
                f.customers,
                f.new_customers,
                f.returns,
            )
            for f in figures
        )
        last = months[-1]

        def headline(
            name: str,
            unit: Any,
            value: Any,
            points: list[Any],
            period: s.Period,
            months: tuple[s.OrderPeriod, ...] = months,
            currency: str = history.currency,
            **more: Any,
        ) -> s.Headline:
            figure = s.Figure(name, value, unit, period, currency=currency if unit == "money" else "", **more)
            past = tuple(s.Point(m.period, v) for m, v in zip(months, points, strict=True))
            comparisons = []
            if len(points) > 1 and value is not None and unit in ("money", "count"):
                then = replace(figure, value=points[-2], period=months[-2].period)
                comparisons.append(s.Comparison("previous", then, value - points[-2]))
            return s.Headline(figure, "higher", tuple(comparisons), past)

        returning = [(m.customers - m.new_customers) / m.customers if m.customers else None for m in months]
        low, high = stats.wilson(last.customers - last.new_customers, last.customers)
        triangle = history.repeat
        rows = [
            s.CohortRow(history.periods[c].label, history.periods[c].first, int(size), tuple(shares))
            for c, size, shares in zip(triangle.cohorts, triangle.sizes, triangle.shares, strict=True)
            if size
        ][-COHORTS_SHOWN:]
        width = max((sum(v is not None for v in row.values) for row in rows), default=0)
        rows = [replace(row, values=row.values[:width]) for row in rows]
        table = s.Cohorts("orders", "month", tuple(rows), tuple(triangle.average(a) for a in range(width)))
        quarters: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for (cohort, period), amount in history.revenue.items():
            name = ""
            if cohort >= 0:
                day = history.periods[cohort].first
                name = f"{day.year}-Q{(day.month + 2) // 3}"
            quarters[name or "—", period] += amount
        names = sorted({name for name, _ in quarters})
        layers = tuple(
            s.Layer(name, s.Period(p.first, p.after, "month"), quarters.get((name, i), Decimal(0)))
            for name in names
            for i, p in enumerate(history.periods)
        )
        found.append(
            s.Orders(
                history.currency,
                headline("order_revenue", "money", last.revenue, [m.revenue for m in months], last.period),
                headline("order_customers", "count", last.customers, [m.customers for m in months], last.period),
                headline(
                    "repeat_rate",
                    "rate",
                    returning[-1],
                    returning,
                    last.period,
                    low=low,
                    high=high,
                    n=last.customers,
                    is_small_base=stats.small_base(last.customers),
                    numerator=last.customers - last.new_customers,
                    denominator=last.customers,
                ),
                months,
                table,
                layers,
                # One caveat for all currencies: a customer is new once.
                notes=() if found else notes,
                activity=None if found else activity,
            )
        )
    return tuple(found)


def _definitions(told: s.Story) -> tuple[s.Definition, ...]:
    names: list[str] = []
    if told.recurring:
        names += ["mrr", "customers", *RATES]
    return tuple(
        s.Definition(m.name, m.title, m.question, m.formula, m.unit, m.source)  # type: ignore[arg-type]
        for m in (CATALOGUE[name] for name in names)
    )
