"""What did churn cost? Lost revenue and forgone value, what replacing costs, what is at risk and what was kept.

One stretch of time, whole or by segment, in one currency or in each. Everything is a list of lines; see LINES for what
each of them is. Money is exact (see currencies.SCALE) until it is shown; forgone value rests on an estimated curve.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tenure.errors import BadInput
from tenure.kernel import stats
from tenure.kernel.money import exponent
from tenure.kernel.time import STRETCH, Period, months_of, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import from_micros
from tenure.measure import at_risk, states
from tenure.measure.answers import Answer, Cell, Question, ask
from tenure.measure.at_risk import Exposed
from tenure.measure.currencies import SCALE, day_before
from tenure.measure.definition import Definition
from tenure.measure.lifetimes import follows_lives, lives_until
from tenure.measure.openings import Opening, names
from tenure.measure.reputation import promoters, reviews
from tenure.measure.segments import resolve
from tenure.measure.worth import Assumptions, curve, horizon_of, months_left, point_of_churn

if TYPE_CHECKING:
    import pyarrow as pa

SECTIONS = ("lost", "replacing", "point", "at_risk", "protected", "reputation", "owners")
POINTS = (12, 36)
_OWNERS = 100  # owners shown one by one; who has more asks `tenure metrics --by owner`


@dataclass(frozen=True, slots=True)
class Kind:
    """What a line is: its section, name, title, unit (money, rate, ratio, months, points, count) and definition."""

    section: str
    name: str
    title: str
    unit: str
    says: str


_KINDS = (
    Kind("lost", "customers_lost", "Customers who left", "count", "customers_churned: who leaves twice counts twice"),
    Kind("lost", "mrr_lost", "MRR lost", "money", "mrr_churn: what those who left paid a month"),
    Kind("lost", "arr_lost", "ARR lost", "money", "12 x MRR lost"),
    Kind("lost", "mrr_lost_per_customer", "MRR lost per customer", "money", "MRR lost / customers who left"),
    Kind(
        "lost",
        "forgone_value",
        "Forgone lifetime value",
        "money",
        "margin x MRR lost x the months each would have stayed on within the first 60, by the survival curve",
    ),
    Kind(
        "lost",
        "forgone_value_per_customer",
        "Forgone value per customer",
        "money",
        "forgone lifetime value / customers who left",
    ),
    Kind("lost", "mrr_contraction", "Downgrades, beside it", "money", "MRR that those who stayed pay less"),
    Kind("lost", "mrr_pause", "Pauses, beside it", "money", "MRR that stands still"),
    Kind("replacing", "customers_new", "New customers", "count", "who paid for the first time"),
    Kind("replacing", "cac", "Acquisition cost each", "money", "spend, with the lag told below / new customers"),
    Kind("replacing", "replacement_cost", "Replacing who left", "money", "customers who left x acquisition cost each"),
    Kind("replacing", "ltv", "Lifetime value each", "money", "margin x ARPA x mean months within the first 60"),
    Kind("replacing", "ltv_to_cac", "Lifetime value to cost", "ratio", "ltv / cac"),
    Kind("replacing", "cac_payback", "Payback, months", "months", "cac / (margin x ARPA)"),
    Kind(
        "replacing",
        "cac_payback_churn_adjusted",
        "Payback with churn, months",
        "months",
        "first whole month by which those who came have paid it back, leavers left out",
    ),
    Kind("point", "monthly_mrr_churn", "MRR churn a month", "rate", "gross_mrr_churn_rate, made monthly"),
    *(
        kind
        for months in POINTS
        for kind in (
            Kind(
                "point",
                f"point_revenue_{months}m",
                f"One point less, revenue over {months} months",
                "money",
                f"what today's MRR would bring in more over {months} months at one point less churn a month",
            ),
            Kind(
                "point",
                f"point_arr_{months}m",
                f"One point less, ARR after {months} months",
                "money",
                f"how much more of today's ARR would be left after {months} months",
            ),
        )
    ),
    Kind("at_risk", "arr_scheduled", "Cancellation scheduled", "money", "ARR of items whose end is set and lies ahead"),
    Kind("at_risk", "arr_past_due", "Past due", "money", "ARR of items with an open payment, if not scheduled to end"),
    Kind(
        "at_risk",
        "arr_renewal",
        f"Due for renewal within {at_risk.RENEWAL_DAYS} days",
        "money",
        f"ARR of items whose term, or billing period of a quarter or more, ends within {at_risk.RENEWAL_DAYS} days",
    ),
    Kind("at_risk", "arr_at_risk", "At risk in all", "money", "the sum of these, each item counted once"),
    Kind(
        "protected", "arr_saved", "Saved", "money", "ARR of items whose end was set and taken back, paying at the end"
    ),
    Kind("protected", "arr_recovered", "Recovered", "money", "ARR of items past due and no more so, paying at the end"),
    Kind("protected", "arr_won_back", "Won back", "money", "12 x mrr_reactivation: of customers who had left"),
    Kind("reputation", "nps", "Net promoter score", "points", "promoters less detractors, per 100 answers"),
    Kind("reputation", "detractors", "Detractors", "count", "answers from 0 to 6"),
    Kind(
        "reputation",
        "churn_of_detractors",
        "Churn of detractors",
        "rate",
        "customers of the start whose latest answer of the year before was 0 to 6, and who are gone at the end",
    ),
    Kind("reputation", "churn_of_passives", "Churn of passives", "rate", "the same, of 7 and 8"),
    Kind("reputation", "churn_of_promoters", "Churn of promoters", "rate", "the same, of 9 and 10"),
    Kind("reputation", "reviews", "Reviews", "count", "mentions with stars"),
    Kind("reputation", "mean_rating", "Mean stars", "ratio", "mean rating of these"),
    Kind("reputation", "low_reviews", "One or two stars", "rate", "reviews of at most two stars / reviews"),
    Kind(
        "reputation",
        "churn_of_low_reviewers",
        "Churn of who gave them",
        "rate",
        "customers of the start whose latest review of the year before had at most two stars, and who are gone",
    ),
    Kind("owners", "customers_per_owner", "Customers per owner", "ratio", "customers with an owner / owners"),
    Kind("owners", "lost_per_owner", "Lost per owner", "ratio", "churn events of customers with an owner / owners"),
    Kind("owners", "owner_customers", "Customers", "count", "customers of the owner as the period closes"),
    Kind("owners", "owner_lost", "Lost", "count", "churn events of the owner's customers"),
    Kind("owners", "owner_mrr_lost", "MRR lost", "money", "churned MRR of the owner's customers"),
)
LINES: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
_ASKED = (
    "mrr", "customers_churned", "mrr_churn", "mrr_contraction", "mrr_pause", "customers_new", "cac", "ltv",
    "ltv_to_cac", "cac_payback", "cac_payback_churn_adjusted", "gross_mrr_churn_rate", "mrr_reactivation",
    "customers_reactivated",
)  # fmt: skip
_UNTOLD = {
    "scheduled": "no planned end of a subscription is ever told",
    "past_due": "no subscription is ever told as past due",
    "renewal": "no contract's term or long billing period is ever told",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One number: money scaled as in currencies.SCALE, all else plain; None with its reason. n: customers in it."""

    kind: Kind
    segment: dict[str, str | None] | None
    currency: str | None
    value: Fraction | None
    low: float | None = None
    high: float | None = None
    numerator: int | None = None
    denominator: int | None = None
    n: int | None = None
    reason: str = ""

    def shown(self) -> Decimal | float | int | None:
        """Money in major units, rounded half-even to the currency's digits; a count as int, all else as float."""
        if self.value is None:
            return None
        if self.kind.unit == "money":
            return None if self.currency is None else _major(self.value, self.currency, exponent(self.currency))
        return int(self.value) if self.kind.unit == "count" else float(self.value)


def _major(value: Fraction, currency: str, digits: int) -> Decimal:
    return Decimal(round(in_major(value, currency) * 10**digits)).scaleb(-digits)


@dataclass
class Cost:
    """What churn cost in a stretch of time: its lines, who is behind them, and how they were found."""

    period: Period
    definition: Definition
    assumed: Assumptions
    by: tuple[str, ...]
    currencies: tuple[str | None, ...]
    lines: list[Line]
    facts: Facts
    answer: Answer
    statements: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def line(self, name: str, currency: str | None = None, **segment: str | None) -> Line:
        """The line of that name (of a segment, in a currency); BadInput where there is none or several."""
        found = [
            line
            for line in self.lines
            if line.kind.name == name
            and (currency is None or line.currency in (None, currency))
            and (not segment or line.segment == segment)
        ]
        if len(found) != 1:
            raise BadInput(f"there are {len(found)} lines called '{name}'; name a currency or a segment, or use rows()")
        return found[0]

    def rows(self) -> list[dict[str, Any]]:
        """One dict per line: money in major units as Decimal, rates as fractions, counts as int."""
        return [
            {
                "section": line.kind.section,
                "line": line.kind.name,
                "segment": line.segment,
                "currency": line.currency,
                "unit": line.kind.unit,
                "value": line.shown(),
                "low": _end(line, line.low),
                "high": _end(line, line.high),
                "numerator": line.numerator,
                "denominator": line.denominator,
                "n": line.n,
                "reason": line.reason or None,
            }
            for line in self.lines
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything as one JSON object: the stretch, the assumptions, and the lines with their definitions."""
        return {
            "period_start": self.period.first.isoformat(),
            "period_end": self.period.after.isoformat(),
            "profile": self.definition.name,
            "margin": float(self.assumed.margin),
            "spend_lag_months": self.assumed.lag_months,
            "lines": [{**row, "definition": LINES[row["line"]].says} for row in self.rows()],
            "notes": self.notes,
        }

    def to_arrow(self) -> pa.Table:
        """The lines as an Arrow table: `segment` is JSON text, `value` a float (of money: major units)."""
        import pyarrow as pa

        rows = self.rows()
        texts = ("section", "line", "currency", "unit", "reason")
        columns: dict[str, Any] = {name: pa.array([row[name] for row in rows], pa.string()) for name in texts}
        columns["segment"] = pa.array(
            [None if row["segment"] is None else json.dumps(row["segment"], ensure_ascii=False) for row in rows],
            pa.string(),
        )
        for name in ("value", "low", "high"):
            columns[name] = pa.array([None if row[name] is None else float(row[name]) for row in rows], pa.float64())
        for name in ("numerator", "denominator", "n"):
            columns[name] = pa.array([row[name] for row in rows], pa.int64())
        return pa.table({name: columns[name] for name in (rows[0] if rows else columns)})

    def chart(self, language: str = "en") -> Any:
        """What was lost, is at risk and was kept, a bar each (altair.Chart); of one currency, without segments."""
        from tenure.charts.costs import cost_of_churn as draw

        if self.by or len(self.currencies) != 1:
            raise BadInput("the picture is of the whole in one currency: leave out `by`, and choose a currency")
        told = [row for row in self.rows() if row["unit"] == "money" and row["section"] != "owners"]
        return draw(told, str(self.currencies[0]), language)

    def customers(self) -> pa.Table:
        """Who left: one row each (and per segment and currency), what was lost with them first.

        Arrow: segment (JSON text), customer_id, name, at (UTC, of the last loss), how, tenure_months, currency,
        mrr_lost, arr_lost, forgone_value, replacement_cost (Decimals, major units). They add up to the lines, but for
        the rounding to ten decimals; where one is not known it is NULL.
        """
        return _customers(self)


def _end(line: Line, end: float | None) -> Decimal | float | None:
    if end is None or line.kind.unit != "money" or line.currency is None:
        return end
    return _major(Fraction(end), line.currency, exponent(line.currency))


# ------------------------------------------------------------------------------------------------------------ asking


def cost_of_churn(
    facts: Facts,
    definition: Definition,
    *,
    first: date,
    after: date,
    by: Sequence[str] = (),
    currency: str | None = None,
    assumed: Assumptions,
) -> Cost:
    """What churn cost in the days [first, after), whole or by segment.

    by: what belongs to the item, or to the customer for good (a column, an undated trait). currency: the reporting
    currency; None: each by itself. Raises BadInput for segments that customers move between.
    """
    segment = resolve(facts, by)
    if segment is not None and segment.moves:
        moving = ", ".join((*segment.dated, *segment.bands))
        raise BadInput(f"what churn costs is split by what customers do not move between, and {moving} changes")
    question = Question(_ASKED, first, after, STRETCH, tuple(by), currency, True, assumed=assumed)
    answer = ask(facts, definition, question)
    (period,) = periods(first, after, STRETCH, facts.timezone)
    book = _Book(answer, period)
    lines = [
        *book.lost(),
        *book.replacing(),
        *book.points(),
        *book.exposed(),
        *([] if by else _reputation(facts, definition, period)),
        *([] if by else _owners(facts, definition, question)),
    ]
    order = {kind: place for place, kind in enumerate(LINES)}
    sections = {section: place for place, section in enumerate(SECTIONS)}
    lines.sort(key=lambda line: (sections[line.kind.section], order[line.kind.name]))
    return Cost(
        period,
        definition,
        assumed,
        tuple(by),
        book.currencies,
        lines,
        facts,
        answer,
        [*answer.statements, *book.statements],
        list(answer.notes),
    )


SegmentKey = tuple[tuple[str, str | None], ...] | None


def _key(segment: Mapping[str, str | None] | None) -> SegmentKey:
    return None if segment is None else tuple(segment.items())


class _Book:
    """The answer's numbers by segment and currency, and what is made of them."""

    def __init__(self, answer: Answer, period: Period) -> None:
        self.answer, self.period, self.facts = answer, period, answer.facts
        self.opening = Opening(answer)
        self.cells: dict[tuple[str, SegmentKey, str | None], Cell] = {
            (cell.metric.name, _key(cell.segment), cell.currency): cell for cell in answer.cells
        }
        self.currencies = tuple(dict.fromkeys(c.currency for c in answer.cells if c.metric.of_money)) or (None,)
        self.segments = list(dict.fromkeys(_key(cell.segment) for cell in answer.cells))
        self.statements: list[str] = []

    def cell(self, name: str, segment: SegmentKey, currency: str | None) -> Cell | None:
        """The number of that name; None where the segment has none."""
        return self.cells.get((name, segment, currency)) or self.cells.get((name, segment, None))

    def places(self) -> Iterable[tuple[SegmentKey, str | None]]:
        return ((segment, currency) for segment in self.segments for currency in self.currencies)

    def _line(self, name: str, segment: SegmentKey, currency: str | None, **rest: Any) -> Line:
        kind = LINES[name]
        of_money = kind.unit == "money" or kind.name in _IN_MONEY
        return Line(kind, None if segment is None else dict(segment), currency if of_money else None, **rest)

    def told(self, name: str, metric: str, segment: SegmentKey, currency: str | None, times: int = 1) -> Line:
        """A metric of the catalogue as a line."""
        cell = self.cell(metric, segment, currency)
        if cell is None:
            return self._line(name, segment, currency, value=None, reason="there is nobody to count")
        value = None if cell.value is None else cell.value * times
        return self._line(
            name, segment, currency, value=value, low=cell.low, high=cell.high, n=cell.n, reason=cell.reason
        )

    # -------------------------------------------------------------------------------------------------------- lost

    @cached_property
    def curves(self) -> dict[str, tuple[list[Fraction | None], str]]:
        """By segment's text, how many months more somebody of a tenure would have stayed, and a doubt; '': of all."""
        segment = self.opening.segment
        own = segment if segment is not None and follows_lives(segment) else None
        found: dict[str, tuple[list[Fraction | None], str]] = {}
        for of in dict.fromkeys((None, own)):
            known, statement = lives_until(self.facts, self.answer.definition, [self.period.after], of)
            self.statements += [statement] if statement else []
            for (_, seg), one in known.items():
                km = curve(one.counts)
                horizon, doubt = horizon_of(km)
                found[seg] = (months_left(km, horizon) if horizon else [], doubt)
        return found

    def left(self, seg: str) -> tuple[list[Fraction | None], str]:
        """The months left by tenure in a segment: its own, or (where items define it) those of all customers."""
        segment = self.opening.segment
        mine = "" if segment is None or not follows_lives(segment) else seg
        months, doubt = self.curves.get(mine, ([], "how long customers stay is not known"))
        if segment is not None and not follows_lives(segment):
            doubt = "; ".join(filter(None, (doubt, "by how long all customers stay")))
        return months, doubt

    def forgone(self, row: dict[str, Any]) -> tuple[int, str, Fraction | None]:
        """A loss in the currency asked for (scaled), its currency, and the value forgone with it; None if unknown."""
        amount, currency = self.opening.worth(int(row["amount"]), row["currency"], row["day"])
        months, _ = self.left(row["seg"])
        if not months:
            return amount, currency, None
        tenure = int(row["tenure"])
        further = Fraction(0) if tenure >= len(months) else months[tenure]
        margin = self.answer.question.assumed.margin
        return amount, currency, None if further is None else amount * margin * further

    def lost(self) -> list[Line]:
        found = []
        sums: dict[tuple[SegmentKey, str], Fraction] = {}
        unknown: dict[tuple[SegmentKey, str], int] = {}
        doubts: dict[SegmentKey, str] = {}
        for row in self.opening.losses():
            segment = self.read(row["seg"])
            _, money, forgone_then = self.forgone(row)
            key = (segment, money)
            if forgone_then is None:
                unknown[key] = unknown.get(key, 0) + 1
            else:
                sums[key] = sums.get(key, Fraction(0)) + forgone_then
            doubts[segment] = self.left(row["seg"])[1]
        for segment, currency in self.places():
            heads, mrr = self.cell("customers_churned", segment, None), self.cell("mrr_churn", segment, currency)
            n = 0 if heads is None or heads.value is None else int(heads.value)
            if currency == self.currencies[0]:
                found.append(self.told("customers_lost", "customers_churned", segment, None))
            found.append(self.told("mrr_lost", "mrr_churn", segment, currency))
            found.append(self.told("arr_lost", "mrr_churn", segment, currency, 12))
            value, reason = (None, "") if mrr is None else (mrr.value, mrr.reason)
            forgone = sums.get((segment, str(currency)), Fraction(0)) if value is not None else None
            doubt = doubts.get(segment, "")
            if unknown.get((segment, str(currency))):
                forgone = None
                doubt = doubt or "somebody stayed longer than the survival curve tells of"
            elif forgone == 0 and value:
                doubt = "; ".join(filter(None, (doubt, "all who left had been customers for five years")))
            # With several currencies, who left is counted once, and a head has no price in each.
            single = len(self.currencies) == 1
            why = "nobody left" if not n else "customers pay in several currencies: add --currency"
            for name, total, because in (
                ("mrr_lost_per_customer", value, reason),
                ("forgone_value_per_customer", forgone, doubt if value is not None else reason),
            ):
                each = total / n if total is not None and n and single else None
                because = because if each is not None or total is None else why
                found.append(self._line(name, segment, currency, value=each, n=n, reason=because))
            found.append(
                self._line(
                    "forgone_value",
                    segment,
                    currency,
                    value=forgone,
                    n=n,
                    reason=doubt if value is not None else reason,
                )
            )
            found.append(self.told("mrr_contraction", "mrr_contraction", segment, currency))
            found.append(self.told("mrr_pause", "mrr_pause", segment, currency))
        return found

    def read(self, seg: str) -> SegmentKey:
        """A statement's segment text as the answer's segments have it."""
        return None if self.opening.segment is None else _key(self.opening.segment.read(seg))

    # --------------------------------------------------------------------------------------------------- replacing

    def replacing(self) -> list[Line]:
        found = []
        for segment, currency in self.places():
            if currency == self.currencies[0]:
                found.append(self.told("customers_new", "customers_new", segment, None))
            for name in ("cac", "ltv", "ltv_to_cac", "cac_payback", "cac_payback_churn_adjusted"):
                found.append(self.told(name, name, segment, currency))
            cac, heads = self.cell("cac", segment, currency), self.cell("customers_churned", segment, None)
            value = None
            if cac is not None and cac.value is not None and heads is not None and heads.value is not None:
                value = cac.value * heads.value
            reason = "" if cac is None else cac.reason
            n = None if heads is None or heads.value is None else int(heads.value)
            found.append(self._line("replacement_cost", segment, currency, value=value, n=n, reason=reason))
        return found

    # ------------------------------------------------------------------------------------------------- one point

    def points(self) -> list[Line]:
        found = []
        for segment, currency in self.places():
            mrr, gross = self.cell("mrr", segment, currency), self.cell("gross_mrr_churn_rate", segment, currency)
            rate = None if gross is None else gross.value
            reason = "there is nobody to count" if gross is None else gross.reason
            months = months_of(self.period)

            def monthly(share: float | None, months: float = months) -> float | None:
                return share if share is None or months == 1 else 1.0 - max(1.0 - share, 0.0) ** (1 / months)

            churn = rate if rate is None or months == 1 else Fraction(monthly(float(rate)) or 0.0)
            low, high = (None, None) if gross is None else (monthly(gross.low), monthly(gross.high))
            found.append(
                self._line("monthly_mrr_churn", segment, currency, value=churn, low=low, high=high, reason=reason)
            )
            for ahead in POINTS:
                point = None
                why = reason
                if churn is not None and mrr is not None and mrr.value is not None and churn <= 1:
                    point = point_of_churn(mrr.value, churn, ahead)
                    why = "" if point else "churn is under one point a month"
                found.append(
                    self._line(
                        f"point_revenue_{ahead}m", segment, currency, value=point.revenue if point else None, reason=why
                    )
                )
                found.append(
                    self._line(f"point_arr_{ahead}m", segment, currency, value=point.arr if point else None, reason=why)
                )
        return found

    # -------------------------------------------------------------------------------------------- at risk, protected

    def exposed(self) -> list[Line]:
        """ARR at risk as the period closes, and ARR protected within it."""
        facts, definition, segment = self.facts, self.answer.definition, self.opening.segment
        if not states.tables(facts):
            return []
        from tenure.lake.portable import micros

        known = at_risk.told(facts, micros(self.period.end))
        risky, first = at_risk.at_risk(facts, definition, self.period, segment)
        kept, second = at_risk.protected(facts, definition, self.period, segment)
        self.statements += [first, second]
        money, heads, missing = self._sums([*risky, *kept])
        found = []
        for place in self.places():
            in_all: list[Fraction] = []
            for section, kinds in (("at_risk", at_risk.RISKS), ("protected", at_risk.KEPT)):
                for kind in kinds:
                    needs = {"saved": "scheduled", "recovered": "past_due"}.get(kind, kind)
                    value = money.get((kind, *place), Fraction(0))
                    reason = missing.get((kind, place[0]), "")
                    told = needs in known and not reason
                    n = heads.get((kind, *place), 0)
                    if told and section == "at_risk":
                        in_all.append(value)
                    found.append(
                        self._line(
                            f"arr_{kind}",
                            *place,
                            value=value if told else None,
                            n=n if told else None,
                            reason=reason or ("" if told else _UNTOLD[needs]),
                        )
                    )
            reason = "; ".join(_UNTOLD[kind] for kind in at_risk.RISKS if kind not in known)
            total = sum(in_all, Fraction(0)) if in_all else None
            found.append(self._line("arr_at_risk", *place, value=total, reason=reason))
            won = self.told("arr_won_back", "mrr_reactivation", *place, 12)
            back = self.cell("customers_reactivated", place[0], None)
            came = None if back is None or back.value is None else int(back.value)
            found.append(self._line("arr_won_back", *place, value=won.value, n=came, reason=won.reason))
        return found

    def _sums(
        self, rows: Iterable[Exposed]
    ) -> tuple[
        dict[tuple[str, SegmentKey, str | None], Fraction],
        dict[tuple[str, SegmentKey, str | None], int],
        dict[tuple[str, SegmentKey], str],
    ]:
        """ARR and customers by kind, segment and currency, and why money cannot be converted.

        In one currency customers who pay in several are counted once.
        """
        money: dict[tuple[str, SegmentKey, str | None], Fraction] = {}
        heads: dict[tuple[str, SegmentKey, str | None], int] = {}
        missing: dict[tuple[str, SegmentKey], str] = {}
        conversion = self.opening.conversion
        day = day_before(self.period.after)
        single = len(self.currencies) == 1
        for row in rows:
            segment = self.read(row.segment)
            if (row.currency is None) == single:
                heads[row.kind, segment, self.currencies[0] if single else row.currency] = row.customers
            if row.currency is None:
                continue
            amount, currency = self.opening.worth(row.mrr, row.currency, day)
            if conversion is not None and currency != conversion.reporting:
                missing[row.kind, segment] = conversion.reason(row.currency, day)
                continue
            key = (row.kind, segment, currency)
            money[key] = money.get(key, Fraction(0)) + 12 * amount
        return money, heads, missing


_IN_MONEY = ("monthly_mrr_churn", "ltv_to_cac", "cac_payback", "cac_payback_churn_adjusted")


# ------------------------------------------------------------------------------------------------ reputation, owners


def _reputation(facts: Facts, definition: Definition, period: Period) -> list[Line]:
    """The score and the reviews of the period, and the churn of those who had spoken before it."""
    found: list[Line] = []

    def add(name: str, value: Fraction | None, **rest: Any) -> None:
        found.append(Line(LINES[name], None, None, value, **rest))

    def churn(name: str, group: tuple[int, int] | None) -> None:
        base, lost = group or (0, 0)
        if not base:
            add(name, None, numerator=lost, denominator=0, n=0, reason="nobody of the start had said so")
            return
        low, high = stats.wilson(lost, base)
        small = f"small base: {base} customers at the start (under {stats.SMALL_BASE})"
        reason = small if stats.small_base(base) else ""
        add(name, Fraction(lost, base), low=low, high=high, numerator=lost, denominator=base, n=base, reason=reason)

    said = promoters(facts, definition, period)
    if said is not None:
        n = sum(said.counts.values())
        high, low = said.counts.get("promoters", 0), said.counts.get("detractors", 0)
        if n:
            score = Fraction(100 * (high - low), n)
            # The variance of a difference of two shares of the same answers.
            spread = (high + low) / n - ((high - low) / n) ** 2
            reach = 100 * stats.normal_quantile(0.95) * (spread / n) ** 0.5
            ends = {"low": max(-100.0, float(score) - reach), "high": min(100.0, float(score) + reach)}
            add("nps", score, n=n, **ends)
            add("detractors", Fraction(low), numerator=low, denominator=n, n=n)
        else:
            add("nps", None, n=0, reason="nobody answered in this time")
        for group in ("detractors", "passives", "promoters"):
            churn(f"churn_of_{group}", said.lost.get(group))
    read = reviews(facts, definition, period)
    if read is not None:
        n = sum(read.counts.values())
        add("reviews", Fraction(n), n=n)
        if n:
            add("mean_rating", Fraction(read.total) / n, n=n)
            bad = read.counts.get("low", 0)
            share = stats.wilson(bad, n)
            add("low_reviews", Fraction(bad, n), low=share.low, high=share.high, numerator=bad, denominator=n, n=n)
        churn("churn_of_low_reviewers", read.lost.get("low"))
    return found


def _owners(facts: Facts, definition: Definition, question: Question) -> list[Line]:
    """Customers and losses of each owner; nothing where nobody owns a customer."""
    if facts.lacks("customers", "owner"):
        return []
    wanted = ("customers", "customers_churned", "mrr_churn")
    asked = Question(wanted, question.first, question.after, STRETCH, ("owner",), question.currency, False)
    cells = [cell for cell in ask(facts, definition, asked).cells if cell.segment and cell.segment["owner"]]
    by: dict[str, dict[tuple[str, str | None], Cell]] = {}
    for cell in cells:
        assert cell.segment is not None
        by.setdefault(str(cell.segment["owner"]), {})[cell.metric.name, cell.currency] = cell
    if not by:
        return []

    def count(owner: str, name: str) -> int:
        return int(by[owner][name, None].value or 0)

    have, lost = (sum(count(owner, name) for owner in by) for name in wanted[:2])
    found = [
        Line(LINES["customers_per_owner"], None, None, Fraction(have, len(by)), n=len(by)),
        Line(LINES["lost_per_owner"], None, None, Fraction(lost, len(by)), n=len(by)),
    ]
    for owner in sorted(by, key=lambda owner: (-count(owner, "customers_churned"), owner))[:_OWNERS]:
        segment: dict[str, str | None] = {"owner": owner}
        found.append(Line(LINES["owner_customers"], segment, None, Fraction(count(owner, "customers"))))
        found.append(Line(LINES["owner_lost"], segment, None, Fraction(count(owner, "customers_churned"))))
        for (name, currency), cell in by[owner].items():
            if name == "mrr_churn":
                found.append(Line(LINES["owner_mrr_lost"], segment, currency, cell.value, reason=cell.reason))
    return found


# --------------------------------------------------------------------------------------------------------- customers


class Loss(NamedTuple):
    """What was lost with one customer at one instant, in major units, exactly; forgone: None where it is not known."""

    customer_id: str
    at: datetime
    currency: str
    mrr: Fraction
    forgone: Fraction | None


def losses_of(cost: Cost) -> list[Loss]:
    """Every loss behind the lines `mrr_lost` and `forgone_value`, to which they add up exactly, in order of time."""
    book = _Book(cost.answer, cost.period)
    found: dict[tuple[int, str, str], list[Fraction | None]] = {}
    for row in book.opening.losses(each=True):
        amount, currency, forgone = book.forgone(row)
        one = found.setdefault((int(row["ts"]), row["customer_id"], currency), [Fraction(0), Fraction(0)])
        one[0] = (one[0] or Fraction(0)) + amount
        one[1] = None if forgone is None or one[1] is None else one[1] + forgone
    return [
        Loss(
            customer,
            from_micros(ts),
            currency,
            in_major(mrr or Fraction(0), currency),
            None if forgone is None else in_major(forgone, currency),
        )
        for (ts, customer, currency), (mrr, forgone) in sorted(found.items())
    ]


def months_ahead(cost: Cost) -> list[Fraction | None]:
    """How many more months a customer would stay, by the months begun since the first payment; [] if nobody knows."""
    return _Book(cost.answer, cost.period).left("")[0]


def in_major(value: Fraction, currency: str) -> Fraction:
    """A line's money in major units, exactly."""
    return value / (SCALE * 1_000_000 * 10 ** exponent(currency))


def _customers(cost: Cost) -> pa.Table:
    import pyarrow as pa

    book = _Book(cost.answer, cost.period)
    found: dict[tuple[SegmentKey, str, str], dict[str, Any]] = {}
    for row in book.opening.losses(each=True):
        amount, currency, forgone = book.forgone(row)
        segment = book.read(row["seg"])
        key = (segment, currency, row["customer_id"])
        one = found.setdefault(key, {"mrr": Fraction(0), "forgone": Fraction(0), "ts": -1, "tenure": 0, "actor": 0})
        one["mrr"] += amount
        one["forgone"] = None if forgone is None or one["forgone"] is None else one["forgone"] + forgone
        if row["ts"] > one["ts"]:
            one |= {"ts": row["ts"], "tenure": int(row["tenure"]), "actor": int(row["actor"] or 0)}
    events: dict[tuple[SegmentKey, str], int] = {}
    for row in book.opening.events:
        if str(row["happened"]).startswith("churned_"):
            key_ = (book.read(row["seg"]), row["customer_id"])
            events[key_] = events.get(key_, 0) + 1
    known = names(cost.facts)
    order = sorted(found, key=lambda key: (str(key[0]), key[1], -found[key]["mrr"], key[2]))
    rows = []
    for segment, currency, customer in order:
        one = found[segment, currency, customer]
        cell = book.cell("cac", segment, currency)
        cac = None if cell is None or cell.value is None else cell.value * events.get((segment, customer), 0)
        rows.append(
            {
                "segment": None if segment is None else json.dumps(dict(segment), ensure_ascii=False),
                "customer_id": customer,
                "name": known.get(customer),
                "at": from_micros(one["ts"]),
                "how": states.ACTOR_NAMES[one["actor"]],
                "tenure_months": one["tenure"],
                "currency": currency,
                "mrr_lost": _major(one["mrr"], currency, 10),
                "arr_lost": _major(12 * one["mrr"], currency, 10),
                "forgone_value": None if one["forgone"] is None else _major(one["forgone"], currency, 10),
                "replacement_cost": None if cac is None else _major(cac, currency, 10),
            }
        )
    money = pa.decimal128(38, 10)
    types: dict[str, Any] = {
        "segment": pa.string(), "customer_id": pa.string(), "name": pa.string(), "at": pa.timestamp("us", tz="UTC"),
        "how": pa.string(), "tenure_months": pa.int64(), "currency": pa.string(), "mrr_lost": money, "arr_lost": money,
        "forgone_value": money, "replacement_cost": money,
    }  # fmt: skip
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})
