"""Why do two definitions give two numbers? The difference, split into lines that add up exactly.

Each line is one thing on which the definitions differ (see definition.CHOICES). What several of them do together is
shared by Shapley's rule: a line gets the mean, over all orders in which the lines could be taken, of what it adds at
its turn. That does not depend on the order in which lines are listed, gives nothing to a line without effect, and adds
up exactly, for numbers here are fractions. Source: L. S. Shapley, A value for n-person games, 1953.

What it costs: choices that only read sums otherwise need no look at the facts. For the others a scan finds the
customers that each could touch, wrongly counting some rather than missing one; a combination of choices is then
evaluated for those alone whom all of them touch, for on others it does what the smaller combination did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel.money import exponent, largest_remainder
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US
from tenure.measure import states
from tenure.measure.catalogue import Metric, Value, metric
from tenure.measure.currencies import SCALE
from tenure.measure.definition import CHOICES, Definition
from tenure.measure.figures import Figures
from tenure.measure.gathering import gather
from tenure.measure.movements import movements
from tenure.measure.openings import names as names_of
from tenure.measure.segments import of_lent

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing on which the definitions differ: its share of the difference, and the choices that make it.

    amount: of the metric's unit, exact (money as the catalogue has it: 10^-16 of 10^-6 minor units). alone: what the
    line does by itself to the first definition; the rest of amount is its share of what lines do together.
    """

    name: str
    choices: tuple[tuple[str, Any, Any], ...]
    amount: Fraction
    alone: Fraction
    touched: int | None


@dataclass
class Bridge:
    """From one definition's number to another's."""

    metric: Metric
    before: Definition
    after: Definition
    first: date
    until: date
    grain: str
    currency: str | None
    start: Value
    end: Value
    lines: list[Line]
    facts: Facts
    statements: list[str] = field(default_factory=list)

    @property
    def difference(self) -> Fraction:
        """What the lines add up to, exactly."""
        assert self.start.value is not None
        assert self.end.value is not None
        return self.end.value - self.start.value

    def shown(self, amount: Fraction) -> Any:
        """An exact amount as the metric is shown: money as Decimal in major units, unrounded; all else as float."""
        if self.metric.unit != "money" or self.currency is None:
            return float(amount)
        return _decimal(amount / (SCALE * 1_000_000 * 10 ** exponent(self.currency)))

    def as_json(self) -> dict[str, Any]:
        """The bridge as one JSON object: values of both definitions, and the lines with their choices."""
        assert self.start.value is not None
        assert self.end.value is not None
        shown = {
            "start": self.start.value,
            "end": self.end.value,
            **{f"line {line.name}": line.amount for line in self.lines},
        }
        texts = self._rounded(shown)
        return {
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "currency": self.currency,
            "period_start": self.first.isoformat(),
            "period_end": self.until.isoformat(),
            "from_profile": self.before.name,
            "to_profile": self.after.name,
            "from_value": texts["start"],
            "to_value": texts["end"],
            "lines": [
                {
                    "line": line.name,
                    "amount": texts[f"line {line.name}"],
                    "alone": self._one(line.alone),
                    "touched": line.touched,
                    "choices": [
                        {"choice": name, "from": _told(name, one), "to": _told(name, other)}
                        for name, one, other in line.choices
                    ],
                }
                for line in self.lines
            ],
        }

    def _one(self, amount: Fraction) -> Any:
        return self._rounded({"": amount})[""]

    def _rounded(self, amounts: dict[str, Fraction]) -> dict[str, Any]:
        """The amounts as shown; of money, lines are rounded so that they add up to the shown numbers."""
        if self.metric.unit != "money" or self.currency is None:
            return {name: float(amount) for name, amount in amounts.items()}
        digits = exponent(self.currency)
        unit = SCALE * 1_000_000 * 10**digits
        found = {name: _decimal(amount / unit, digits) for name, amount in amounts.items()}
        lines = [name for name in amounts if name.startswith("line ")]
        if lines:
            target = found["end"] - found["start"]
            rounded = largest_remainder([amounts[name] / unit for name in lines], digits)
            rest = target - sum(rounded, Decimal(0))
            if rest and abs(rest) <= Decimal(len(lines)).scaleb(-digits):
                largest = max(range(len(lines)), key=lambda i: abs(rounded[i]))
                rounded[largest] += rest
            found |= dict(zip(lines, rounded, strict=True))
        return found

    def chart(self, language: str = "en") -> Any:
        """The waterfall from one number to the other (altair.Chart)."""
        from tenure.charts.bridges import bridge as waterfall

        assert self.start.value is not None
        assert self.end.value is not None
        rows = [{"line": "start", "amount": self.shown(self.start.value)}]
        rows += [{"line": line.name, "amount": self.shown(line.amount)} for line in self.lines]
        rows += [{"line": "end", "amount": self.shown(self.end.value)}]
        return waterfall(rows, self.metric.unit, self.currency, self.before.name, self.after.name, language)

    def customers(self, line: str, limit: int | None = None) -> pa.Table:
        """The customers behind a line: those whose part in the number it changes, largest first; see `behind`."""
        return behind(self, line, limit)


def bridge(
    facts: Facts,
    before: Definition,
    after: Definition,
    name: str,
    *,
    first: date,
    until: date,
    grain: str = "month",
    currency: str | None = None,
    progress: Progress | None = None,
) -> Bridge:
    """The difference between two definitions' numbers for one period [first, until), line by line.

    BadInput where one of the numbers does not exist, or money stands in several currencies without a reporting one.
    progress is told how many combinations of how many are done.
    """
    what = metric(name)
    if what.needs:
        raise BadInput(f"{name} rests on assumptions too; bridge what it is made of, arpa or customer_churn_rate")
    if what.line == "usage":
        raise BadInput(f"{name} is of usage, which every definition counts alike; there is nothing to bridge")
    statements: list[str] = []
    lines = _lines(before, after)
    engine = [line for line in lines if any(CHOICES[choice].engine for choice in lines[line])]
    masks, touched = _touched(facts, before, after, [lines[line] for line in engine], currency, first)
    present = sorted(set(masks.column("mask").to_pylist())) if masks is not None else []
    needed = _needed(present)
    readings = _readings(before, after, [line for line in lines if line not in engine], lines)
    parts: dict[int, dict[int, Figures]] = {}

    def under(mask: int) -> Definition:
        names = [choice for i, line in enumerate(engine) if mask >> i & 1 for choice in lines[line]]
        return replace(before, **{choice: getattr(after, choice) for choice in names})

    for done, mask in enumerate(needed):
        if progress is not None:
            progress(done, len(needed))
        group = _among(masks, mask) if mask else None
        counted = facts
        segment = None
        if masks is not None:
            source = masks if group is None else group
            lent = facts.engine.lend(f"touched_{mask}", source.select(["customer_id", "seg"]))
            segment = of_lent(lent)
            counted = replace(facts, among=lent if mask else None)
        found = gather(
            counted,
            under(mask),
            first=first,
            after=until,
            grain=grain,
            segment=segment,
            currency=currency,
            year_back=what.looks_back,
            rates=what.unit == "rate",
            retention=what.opens == "kept",
            readings=readings,
            renewals=what.opens == "due",
        )
        statements += found.statements
        if what.of_money and len(found.currencies) > 1:
            raise BadInput(
                f"{name} is money in {', '.join(map(str, found.currencies))}: add --currency, such as --currency USD"
            )
        if len(found.asked) > 1:
            raise BadInput("a bridge is about one period: name one month, quarter or year")
        shown = found.currencies[0] if what.of_money else None
        parts[mask] = {int(seg or 0): figures for (_, seg, kept), figures in found.found.items() if kept == shown}
    if progress is not None:
        progress(len(needed), len(needed))

    numbers: dict[frozenset[str], Fraction] = {}

    def value(on: frozenset[str]) -> Value:
        mask = sum(1 << i for i, line in enumerate(engine) if line in on)
        whole = _whole(parts, mask)
        if whole is None:
            return Value(None, reason="there is nobody to count")
        definition = replace(under(mask), **{c: getattr(after, c) for line in on for c in lines[line]})
        return what.compute(whole.under(definition))

    def number(on: frozenset[str]) -> Fraction:
        if on not in numbers:
            found = value(on)
            if found.value is None:
                part = ", ".join(sorted(on)) or "nothing"
                mixed = f"with {part} as in {after.name} and the rest as in {before.name}"
                raise BadInput(f"there is no {name} {mixed}: {found.reason}")
            numbers[on] = found.value
        return numbers[on]

    everything = frozenset(lines)
    start, end = value(frozenset()), value(everything)
    for definition, found_value in ((before, start), (after, end)):
        if found_value.value is None:
            raise BadInput(f"there is no {name} by {definition.name} to compare: {found_value.reason}")
    shares = _shapley(list(lines), number)
    nothing = number(frozenset())
    result = [
        Line(
            line,
            tuple((choice, getattr(before, choice), getattr(after, choice)) for choice in lines[line]),
            shares[line],
            number(frozenset([line])) - nothing,
            touched[engine.index(line)] if line in engine else None,
        )
        for line in lines
    ]
    return Bridge(what, before, after, first, until, grain, shown, start, end, result, facts, statements)


def _told(name: str, value: Any) -> Any:
    return f"{value[0]}/{value[1]}" if isinstance(value, tuple) else value


def _decimal(amount: Fraction, digits: int | None = None) -> Decimal:
    places = 10 if digits is None else digits
    return Decimal(round(amount * 10**places)).scaleb(-places)


def _lines(before: Definition, after: Definition) -> dict[str, list[str]]:
    """The choices that differ, by line, in the order of CHOICES."""
    lines: dict[str, list[str]] = {}
    for choice in before.differs(after):
        lines.setdefault(CHOICES[choice].line, []).append(choice)
    return lines


def _readings(
    before: Definition, after: Definition, plain: Sequence[str], lines: dict[str, list[str]]
) -> list[Definition]:
    """Definitions whose needs, together, are those of every mixture of choices that only read sums."""
    mixed = [
        replace(before, **{choice: getattr(after, choice)})
        for line in lines
        for choice in lines[line]
        if not CHOICES[choice].engine
    ]
    return [before, after, *mixed]


def _needed(present: Iterable[int]) -> list[int]:
    """The combinations that must be evaluated: those all of whose choices touch some customer; none comes first."""
    found = {0}
    for mask in present:
        part = mask
        while part:
            found.add(part)
            part = (part - 1) & mask
    return sorted(found, key=lambda mask: (mask.bit_count(), mask))


def _whole(parts: dict[int, dict[int, Figures]], mask: int) -> Figures | None:
    """Everybody's figures under a combination: each group's under what of it can touch the group."""
    whole: Figures | None = None
    for group in sorted({group for found in parts.values() for group in found}):
        mine = parts[group & mask].get(group)
        if mine is None:
            # Under these choices the group has neither money nor customers.
            continue
        whole = mine if whole is None else whole.plus(mine)
    return whole


def _shapley(lines: Sequence[str], number: Callable[[frozenset[str]], Fraction]) -> dict[str, Fraction]:
    """Each line's mean contribution over all orders, exactly."""
    n = len(lines)
    shares = dict.fromkeys(lines, Fraction(0))
    for line in lines:
        others = [other for other in lines if other != line]
        for size in range(n):
            weight = Fraction(factorial(size) * factorial(n - size - 1), factorial(n))
            for chosen in combinations(others, size):
                on = frozenset(chosen)
                shares[line] += weight * (number(on | {line}) - number(on))
    return shares


# --- whom could a choice touch? ---------------------------------------------------------------------------------------


def _touched(
    facts: Facts,
    before: Definition,
    after: Definition,
    lines: Sequence[Sequence[str]],
    currency: str | None,
    first: date,
) -> tuple[pa.Table | None, list[int]]:
    """Per customer a number whose bit i says that line i could touch them: (customer_id, mask, seg); None: no line."""
    if not lines:
        return None, []
    import pyarrow as pa

    st = facts.statement()
    needs_payment = any("first_payment" in line for line in lines) and facts.has("invoices")
    rows: list[str] = []
    for source in sorted({before.source, after.source}):
        definition = replace(before, source=source, churn_at="end", follows="customer")
        if source == "states" and not states.tables(facts):
            continue
        rows.append(_claims(st, facts, definition, lines, before, after, currency, needs_payment))
    bits = ", ".join(f"max(bit_{i}) AS bit_{i}" for i in range(len(lines)))
    mask = " + ".join(f"{1 << i} * bit_{i}" for i in range(len(lines)))
    names = ", ".join(f"bit_{i}" for i in range(len(lines)))
    union = "\nUNION ALL\n".join(f"SELECT customer_id, {names} FROM {row}" for row in rows)
    each = f"SELECT customer_id, {bits} FROM ({union}) AS c GROUP BY customer_id"
    sql = f"SELECT customer_id, CAST({mask} AS BIGINT) AS mask FROM ({each}) AS m"
    found = facts.engine.table(st.render(sql))
    masks = pa.array(found.column("mask").to_pylist(), pa.int64())
    table = pa.table(
        {
            "customer_id": found.column("customer_id").cast(pa.string()).combine_chunks(),
            "mask": masks,
            "seg": masks.cast(pa.string()),
        }
    )
    counts = [sum(value >> i & 1 for value in masks.to_pylist()) for i in range(len(lines))]
    return table, counts


def _claims(
    st: Any,
    facts: Facts,
    definition: Definition,
    lines: Sequence[Sequence[str]],
    before: Definition,
    after: Definition,
    currency: str | None,
    needs_payment: bool,
) -> str:
    """A step with a row per state (or invoice line): customer_id and for each line whether it could touch them."""
    wanted = [
        "customer_id", "subscription_id", "item_id", "status", "interval", "interval_count", "amount_minor",
        "tax_minor", "tax_inclusive", "discount_forever_minor", "discount_limited_minor", "discount_ends_at",
        "minimum_commit_minor", "currency", "is_metered", "period_end", "term_ends_at", "trial_ends_at",
        "collection_paused", "resumes_at", "cancel_at", "cancel_requested_at",
    ]  # fmt: skip
    suffix = definition.source
    every = states.all_states(st, facts, wanted, definition)
    payment = "FALSE"
    if needs_payment and definition.source == "states":
        every = states.with_first_payment(st, facts, every)
        payment = "coalesce(ts < first_paid, FALSE)"
    dead = ", ".join(f"'{status}'" for status in states.DEAD)
    near = "lag(ts) OVER (PARTITION BY customer_id ORDER BY ts)"
    seen = st.step(
        f"bridge_states_{suffix}",
        f"SELECT *, {near} AS before_ts, count(*) OVER (PARTITION BY customer_id) AS rows_there FROM {every}",
        says="each customer's states, to find whom a choice could touch",
    )
    paused = "coalesce(status = 'paused' OR collection_paused, FALSE)"
    ending = "(cancel_at IS NOT NULL OR cancel_requested_at IS NOT NULL OR status = 'non_renewing')"
    within = (
        f"({ending} OR {paused} OR trial_ends_at IS NOT NULL OR discount_ends_at IS NOT NULL OR status = 'past_due' "
        f"OR {payment} OR term_ends_at IS NOT NULL)"
    )
    gone = f"(status IN ({dead}) OR {ending} OR {paused} OR status = 'past_due')"
    free = (
        f"({paused} OR coalesce(is_metered, FALSE) OR coalesce(amount_minor, 0) <= coalesce(discount_forever_minor, 0) "
        "+ coalesce(discount_limited_minor, 0) + CASE WHEN tax_inclusive THEN coalesce(tax_minor, 0) ELSE 0 END)"
    )
    units = {"four_weeks": "interval = 'week' AND coalesce(interval_count, 1) % 4 = 0"}
    apart = 33 if "month" in (before.grouping, after.grouping) else 2
    claims = {
        **{
            unit: units.get(unit, f"interval = '{unit}'")
            for unit in ("day", "week", "four_weeks", "month", "quarter", "year")
        },
        "forever_discount": "coalesce(discount_forever_minor, 0) <> 0",
        "limited_discount": "coalesce(discount_limited_minor, 0) <> 0",
        "first_payment": payment,
        "past_due_days": "status = 'past_due'",
        "pause": paused,
        "pause_months": paused,
        "churn_at": f"({ending} OR status = 'canceled')",
        "customer": free,
        "grouping": f"({within} OR coalesce(ts - before_ts < {apart * DAY_US}, FALSE))",
        "grouping_minutes": f"({within} OR coalesce(ts - before_ts < {apart * DAY_US}, FALSE))",
        "gap_days": f"({gone} AND rows_there > 1)",
        "reactivation_days": f"({gone} AND rows_there > 1)",
        "fx": f"coalesce(currency <> {facts.engine.dialect.literal(currency or '')}, FALSE)" if currency else "FALSE",
        "source": "TRUE",
    }
    bits = []
    for i, choices in enumerate(lines):
        some = " OR ".join(claims[choice] for choice in choices if CHOICES[choice].engine)
        bits.append(f"CASE WHEN {some} THEN 1 ELSE 0 END AS bit_{i}")
    return str(st.step(f"bridge_claims_{suffix}", f"SELECT customer_id, {', '.join(bits)} FROM {seen}"))


def _among(masks: pa.Table | None, mask: int) -> pa.Table:
    """The customers whom every choice of the combination could touch."""
    import pyarrow as pa
    import pyarrow.compute as pc

    assert masks is not None
    both = pc.bit_wise_and(masks.column("mask"), pa.scalar(mask, pa.int64()))
    return masks.filter(pc.equal(both, pa.scalar(mask, pa.int64())))


# --- who is behind a line? --------------------------------------------------------------------------------------------


def behind(found: Bridge, line: str, limit: int | None = None) -> pa.Table:
    """The customers whose part in the number a line changes, alone, from the first definition.

    Returns an Arrow table: customer_id, name, numerator_before, numerator_after, denominator_before, denominator_after
    (money in major units; denominators 0 where the number is none of a division), change (of the value, were only this
    customer's part changed); largest change first.
    """
    import pyarrow as pa

    chosen = next((known for known in found.lines if known.name == line), None)
    if chosen is None:
        names = ", ".join(known.name for known in found.lines) or "none"
        raise BadInput(f"this bridge has no line '{line}'; it has: {names}")
    facts, before = found.facts, found.before
    switched = replace(before, **{choice: value for choice, _, value in chosen.choices})
    if any(CHOICES[choice].engine for choice, _, _ in chosen.choices):
        masks, _ = _touched(
            facts, before, found.after, [[choice for choice, _, _ in chosen.choices]], found.currency, found.first
        )
        assert masks is not None
        people = _among(masks, 1)
    else:
        people = _moved(found)
    people = pa.table({"customer_id": people.column("customer_id"), "seg": people.column("customer_id")})
    lent = facts.engine.lend("behind_the_line", people)
    mine = [
        {
            seg: figures.under(definition)
            for (_, seg, currency), figures in gather(
                replace(facts, among=lent),
                definition,
                first=found.first,
                after=found.until,
                grain=found.grain,
                segment=of_lent(lent),
                currency=found.currency,
                year_back=found.metric.looks_back,
                rates=found.metric.unit == "rate",
                retention=found.metric.opens == "kept",
                readings=[before, switched],
                renewals=found.metric.opens == "due",
            ).found.items()
            if currency == (found.currency if found.metric.of_money else None)
        }
        for definition in (before, switched)
    ]
    rows: list[tuple[Any, ...]] = []
    for seg in sorted({*mine[0], *mine[1]} - {""}):
        one, other = (_part(found.metric, side.get(seg)) for side in mine)
        if one != other:
            rows.append((seg, *one, *other))
    start = found.start
    rows.sort(key=lambda row: (-abs(_effect(start, row)), row[0]))
    rows = rows[: limit or len(rows)]
    known = names_of(facts)
    is_money = found.metric.unit == "money" or found.metric.money_parts
    unit = SCALE * 1_000_000 * 10 ** exponent(found.currency) if is_money and found.currency else 1
    of_value = unit if found.metric.unit == "money" else 1
    # Of an average of money per customer only what is above the line is money.
    below = unit if found.metric.money_parts else 1

    def floats(place: int, divisor: int) -> pa.Array:
        return pa.array([float(row[place] / divisor) for row in rows], pa.float64())

    return pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.string()),
            "name": pa.array([known.get(row[0]) for row in rows], pa.string()),
            "numerator_before": floats(1, unit),
            "numerator_after": floats(3, unit),
            "denominator_before": floats(2, below),
            "denominator_after": floats(4, below),
            "change": pa.array([float(_effect(start, row) / of_value) for row in rows], pa.float64()),
        }
    )


def _part(what: Metric, figures: Figures | None) -> tuple[Fraction, Fraction]:
    """What one customer adds to the number: above and below the line (below: 0 where there is no line)."""
    if figures is None:
        return Fraction(0), Fraction(0)
    found = what.compute(figures)
    if found.numerator is not None and found.denominator is not None:
        return found.numerator, found.denominator
    return found.value or Fraction(0), Fraction(0)


def _effect(start: Value, row: tuple[Any, ...]) -> Fraction:
    """How the whole number moves if only this customer's part does."""
    _, top0, bottom0, top1, bottom1 = row
    if start.value is None or start.numerator is None or start.denominator is None:
        return Fraction(top1 - top0)
    below = start.denominator + bottom1 - bottom0
    if not below or not start.denominator:
        return Fraction(0)
    scale = start.value / (start.numerator / start.denominator) if start.numerator else Fraction(1)
    return ((start.numerator + top1 - top0) / below - start.numerator / start.denominator) * scale


def _moved(found: Bridge) -> pa.Table:
    """The customers with any movement in the period, a month before it or, for look-backs, the year before it."""
    from tenure.kernel.time import Period, add_months, midnight

    facts = found.facts
    tz = facts.timezone
    since = add_months(found.first, -13 if found.metric.looks_back else -1)
    span = [Period(midnight(since, tz), midnight(found.until, tz), since, found.until, "day")]
    st = facts.statement()
    moved = movements(st, facts, found.before, states.shape(facts, found.before), span)
    return facts.engine.table(st.render(f"SELECT DISTINCT customer_id FROM {moved} WHERE period >= 0"))
