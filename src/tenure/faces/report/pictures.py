"""Which pictures does a story ask for, what does each say, and which numbers are behind it?

A `Picture` is its answer in a sentence, a chart for any width, and the table of its numbers. The page draws the chart,
the terminal has its own means; both tell the same sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tenure import charts
from tenure.app.story import (
    Activity,
    Causes,
    Cohorts,
    ComingDue,
    Hazard,
    Headline,
    Layer,
    Orders,
    Recurring,
    SegmentTable,
    Survival,
)
from tenure.charts.look import KINDS
from tenure.faces.report.quoting import NAME_LENGTH, quoted
from tenure.faces.report.sentences import Sentence, Teller, Told

# Rows of a table behind a picture: beyond that the page would be mostly table.
MOST_ROWS = 120
MOST_SEGMENTS = 12
MOST_COHORTS = 24


@dataclass(frozen=True)
class Picture:
    """One picture of the report.

    draw     width in pixels -> Altair chart; None where there is nothing to draw
    head, rows   the table behind it; the first column is text, the others are numbers as text
    """

    name: str
    title: str
    sentences: tuple[Sentence, ...]
    alt: str
    draw: Callable[[int], Any] | None
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Sentence, ...] = field(default=())


def pictures(teller: Teller) -> list[Picture]:
    """Every picture of the story, in the order shown."""
    story = teller.story
    found: list[Picture] = []
    for recurring in story.recurring:
        found.extend(_recurring(teller, recurring))
    if story.due and any(month.due for month in story.due.months):
        found.append(_due(teller, story.due))
    # One rate is drawn over time: the first that has a history with intervals (customer churn, as a rule).
    told = next((one for one in story.rates if sum(point.low is not None for point in one.history) > 2), None)
    if told:
        found.append(_rate(teller, told))
    for orders in story.orders:
        found.extend(_orders(teller, orders))
    found.extend(_cohorts(teller, cohorts) for cohorts in story.cohorts if cohorts.rows)
    found.extend(_survival(teller, survival) for survival in story.survival if survival.curves)
    if story.hazard and story.hazard.points:
        found.append(_hazard(teller, story.hazard))
    if story.causes and any(part.customers for part in story.causes.parts if part.cause != "unknown"):
        found.append(_verdict(teller, story.causes))
    if story.worse:
        found.extend(_segments(teller, table) for table in story.worse.tables if table.rows)
    return found


def _recurring(teller: Teller, recurring: Recurring) -> list[Picture]:
    words, code, currency = teller.language.words, teller.language.code, recurring.currency

    def money(value: Decimal, signed: bool = False) -> str:
        return teller.language.money(value, currency, signed, whole=False)

    found: list[Picture] = []
    moved = [line for line in recurring.lines if line.amount]
    if moved:
        most = max(moved, key=lambda line: abs(line.amount))
        is_whole = abs(recurring.closing) >= 10_000 or None
        answer = Sentence(
            teller.language.template("picture.waterfall"),
            {
                "opening": Told(teller.language.money(recurring.opening, currency, whole=is_whole)),
                "closing": Told(teller.language.money(recurring.closing, currency, whole=is_whole)),
                "kind": teller.language.named("in_sentence", most.kind),
                "amount": Told(teller.language.money(most.amount, currency, True, is_whole)),
            },
        )
        steps = [{"kind": "opening", "amount": recurring.opening}]
        steps += [{"kind": line.kind, "amount": line.amount} for line in recurring.lines]
        steps += [{"kind": "closing", "amount": recurring.closing}]
        rows = [
            (
                teller.language.named("kinds", str(step["kind"])),
                money(Decimal(str(step["amount"])), step["kind"] not in ("opening", "closing")),
            )
            for step in steps
        ]
        found.append(
            Picture(
                "waterfall",
                words("picture.waterfall_title"),
                (answer,),
                words("picture.waterfall_alt"),
                lambda width: charts.waterfall(steps, currency, code, width),
                (words("why.kind"), words("why.amount")),
                tuple(rows),
            )
        )
    stayed = [line for line in recurring.lines if line.kind in ("expansion", "contraction")]
    amounts = [(cause, amount) for line in stayed for cause, amount in line.causes if amount]
    if len(amounts) > 1:
        found.append(_causes(teller, recurring, amounts))
    if len(recurring.months) > 1:
        grew = sum(1 for one in recurring.months if one.closing > one.opening)
        kinds = [kind for kind in KINDS if any(one.amounts.get(kind) for one in recurring.months)]
        moves = [
            {"period": one.period.start, "kind": kind, "amount": amount}
            for one in recurring.months
            for kind, amount in one.amounts.items()
        ]
        grain = recurring.months[-1].period.grain
        count = len(recurring.months)
        values = {"grew": teller.count(grew), "count": teller.count(count)}
        found.append(
            Picture(
                "movements",
                words("picture.movements_title"),
                (Sentence(teller.language.template("picture.movements", count), values),),
                words("picture.movements_alt"),
                lambda width: charts.movements(moves, currency, code, grain, width),
                (
                    words("picture.period"),
                    words("picture.opening"),
                    *(teller.language.named("kinds", kind) for kind in kinds),
                    words("picture.closing"),
                ),
                tuple(
                    (
                        teller.period(one.period, short=True),
                        money(one.opening),
                        *(money(one.amounts.get(kind, Decimal(0)), True) for kind in kinds),
                        money(one.closing),
                    )
                    for one in recurring.months[-MOST_ROWS:]
                ),
            )
        )
    if several_cohorts(recurring.layers):
        found.append(_layers(teller, recurring.layers, currency, "layers"))
    return found


def _due(teller: Teller, due: ComingDue) -> Picture:
    words, code, currency = teller.language.words, teller.language.code, due.currency
    columns = {"renewed": "arr_due_renewed", "late": "arr_due_late", "undecided": "arr_due_undecided"}
    columns["lost"] = "arr_lost_at_renewal"
    bars = [
        {"period_start": month.period.start, **{columns[outcome]: arr for outcome, arr in month.arr.items()}}
        for month in due.months
    ]
    grain = due.months[-1].period.grain
    return Picture(
        "renewals",
        words("picture.renewals_title"),
        (teller.renewed(due),),
        words("picture.renewals_alt"),
        lambda width: charts.renewals_by_period(bars, currency, grain, code, width),
        (words("picture.period"), *(words(f"renewals.{outcome}") for outcome in columns)),
        tuple(
            (
                teller.period(month.period, short=True),
                *(teller.language.money(month.arr[outcome], currency, whole=False) for outcome in columns),
            )
            for month in due.months[-MOST_ROWS:]
        ),
    )


def _verdict(teller: Teller, causes: Causes) -> Picture:
    """Each cause's part in the leaving, the unknown as large as it is."""
    words, code = teller.language.words, teller.language.code
    bars = [
        {
            "label": teller.cause_of_leaving(part.cause),
            "share": part.customers,
            "low": part.low,
            "high": part.high,
            "unknown": part.cause == "unknown",
        }
        for part in causes.parts
        if part.customers is not None
    ]
    head, rows = teller.verdict_rows(causes)
    return Picture(
        "verdict",
        words("verdict.title"),
        tuple(teller.verdict(causes)[:1]),
        words("verdict.alt"),
        lambda width: charts.shares(bars, code, width),
        tuple(head),
        tuple(tuple(row) for row in rows),
    )


def _causes(teller: Teller, recurring: Recurring, amounts: list[tuple[str, Decimal]]) -> Picture:
    """Why those who stayed pay more or less."""
    words, code, currency = teller.language.words, teller.language.code, recurring.currency
    most, amount = max(amounts, key=lambda pair: abs(pair[1]))
    sentence = Sentence(
        teller.language.template("picture.causes"),
        {"cause": teller.cause(most), "amount": Told(teller.language.money(amount, currency, True))},
    )
    bars = [{"cause": cause, "amount": value} for cause, value in amounts]
    return Picture(
        "causes",
        words("picture.causes_title"),
        (sentence,),
        words("picture.causes_alt"),
        lambda width: charts.change_by_cause(bars, currency, code, width),
        (words("customer.cause"), words("why.amount")),
        tuple(
            (teller.cause(cause), teller.language.money(value, currency, True, whole=False)) for cause, value in amounts
        ),
    )


def _rate(teller: Teller, headline: Headline) -> Picture:
    words, code = teller.language.words, teller.language.code
    metric, unit = headline.figure.metric, headline.figure.unit
    known = [float(point.value) for point in headline.history if point.value is not None]
    target = next((one.then.value for one in headline.comparisons if one.against == "target"), None)
    grain = headline.figure.period.grain
    rows = [
        {"period": point.period.start, "value": point.value, "low": point.low, "high": point.high}
        for point in headline.history
    ]
    values: dict[str, Told | str] = {
        "metric": teller.title(metric),
        "now": teller.figure(headline.figure),
        "count": teller.count(len(known)),
        "low": Told(teller.value(min(known), unit)),
        "high": Told(teller.value(max(known), unit)),
    }
    return Picture(
        "rate",
        words("picture.rate_title", metric=teller.title(metric)),
        (Sentence(teller.language.template("picture.rate"), values),),
        words("picture.rate_alt"),
        lambda width: charts.rate_over_time(rows, None if target is None else float(target), code, grain, width),
        (words("picture.period"), teller.title(metric), words("kpi.interval")),
        tuple(
            (
                teller.period(point.period, short=True),
                teller.value(point.value, unit),
                _range(teller, point.low, point.high),
            )
            for point in headline.history[-MOST_ROWS:]
        ),
    )


def _layers(teller: Teller, layers: Sequence[Layer], currency: str, sentence: str) -> Picture:
    words, code = teller.language.words, teller.language.code
    periods = sorted({layer.period.start: layer.period for layer in layers}.values(), key=lambda period: period.start)
    last = periods[-1]
    amounts: dict[tuple[str, Any], Decimal] = {}
    for layer in layers:
        key = (layer.cohort, layer.period.start)
        amounts[key] = amounts.get(key, Decimal(0)) + layer.amount
    cohorts = sorted({layer.cohort for layer in layers})
    now = {cohort: amounts.get((cohort, last.start), Decimal(0)) for cohort in cohorts}
    total = sum(now.values(), Decimal(0))
    most = max(now, key=lambda cohort: now[cohort])
    values: dict[str, Told | str] = {
        "cohort": quoted(most, NAME_LENGTH),
        "amount": Told(teller.language.money(now[most], currency)),
        "share": Told(teller.language.percent(now[most] / total if total else 0, 0)),
    }
    if sentence == "layers_revenue":
        values["period"] = teller.period(last)
    rows = [{"period": key[1], "cohort": key[0], "amount": amount} for key, amount in amounts.items()]
    shown = periods[-13:]
    return Picture(
        sentence,
        words("picture.layers_title"),
        (Sentence(teller.language.template(f"picture.{sentence}"), values),),
        words("picture.layers_alt"),
        lambda width: charts.layer_cake(rows, currency, code, last.grain, width),
        (words("picture.cohort"), *(teller.period(period, short=True) for period in shown)),
        tuple(
            (
                quoted(cohort, NAME_LENGTH),
                *(
                    teller.language.money(amounts[cohort, period.start], currency, whole=False)
                    if (cohort, period.start) in amounts
                    else ""
                    for period in shown
                ),
            )
            for cohort in cohorts[-MOST_ROWS:]
        ),
    )


def _cohorts(teller: Teller, cohorts: Cohorts) -> Picture:
    words, code = teller.language.words, teller.language.code
    measure = cohorts.measure
    names = {row.cohort: cohort_name(teller, row.cohort, row.start, cohorts.grain) for row in cohorts.rows}
    shown = cohorts.rows[-MOST_COHORTS:]
    oldest = max((len(row.values) for row in shown), default=0)
    unit = words(f"units.{cohorts.grain}s")
    seen = [age for age in range(1, len(cohorts.average)) if cohorts.average[age] is not None]
    # Twelve periods if they have been seen by enough cohorts, else the middle of what has.
    year = {"month": 12, "quarter": 4, "week": 52, "year": 1}.get(cohorts.grain, 12)
    preferred = (1,) if measure == "orders" else (year, year // 2, 3, 1)
    age = next((age for age in preferred if age in seen), seen[-1] if seen else None)
    if age is None:
        answer = Sentence(teller.language.template("picture.cohorts_none"))
    else:
        values: dict[str, Told | str] = {
            "age": Told(str(age)),
            "share": Told(teller.language.percent(cohorts.average[age] or 0.0, 0)),
            "unit": teller.units(1, cohorts.grain) if measure == "orders" else teller.units(age, cohorts.grain),
        }
        answer = Sentence(teller.language.template(f"picture.cohorts_{measure}"), values)
    cells = [
        {"cohort": names[row.cohort], "age": at, "value": value}
        for row in shown
        for at, value in enumerate(row.values)
        if value is not None
    ]
    head = (words("picture.cohort"), words("picture.size"), *(str(at) for at in range(oldest)))
    number = teller.language.number

    def cell(value: float | None) -> str:
        return "" if value is None else teller.language.percent(value, 0)

    rows = [
        (
            names[row.cohort],
            teller.language.money(row.size, cohorts.currency, whole=True)
            if isinstance(row.size, Decimal)
            else number(row.size),
            *(cell(row.values[at] if at < len(row.values) else None) for at in range(oldest)),
        )
        for row in shown
    ]
    if cohorts.average:
        averages = (cell(cohorts.average[at] if at < len(cohorts.average) else None) for at in range(oldest))
        rows.append((words("picture.average"), "", *averages))
    return Picture(
        f"cohorts_{measure}",
        words(f"picture.cohorts_{measure}_title"),
        (answer,),
        words("picture.cohorts_alt") + f" ({unit})",
        lambda width: charts.cohort_heatmap(cells, measure, code, cohorts.grain, width),
        head,
        tuple(rows),
        _notes(teller, cohorts.notes),
    )


def _survival(teller: Teller, survival: Survival) -> Picture:
    words, code = teller.language.words, teller.language.code
    unit = survival.unit
    level = teller.language.percent(survival.level, 0)
    number = teller.language.number
    answers: list[Sentence] = []
    template = teller.language.template
    if len(survival.curves) == 1:
        curve = survival.curves[0]
        if not curve.points:
            answers.append(Sentence(template("picture.survival_none")))
        elif curve.median is None:
            last = curve.points[-1]
            values: dict[str, Told | str] = {
                "horizon": Told(number(last.at, 0)),
                "unit": teller.units(last.at, unit[:-1]),
                "share": Told(teller.language.percent(last.survival, 0)),
            }
            answers.append(Sentence(template("picture.survival_long"), values))
        else:
            digits = 0 if curve.median == int(curve.median) else 1
            values = {"median": Told(number(curve.median, digits)), "unit": teller.units(curve.median, unit[:-1])}
            has_interval = curve.median_low is not None and curve.median_high is not None
            if has_interval:
                values["level"] = level
                values["low"] = Told(number(curve.median_low or 0, digits))
                values["high"] = Told(number(curve.median_high or 0, digits))
            answers.append(Sentence(template(f"picture.survival_median{'_interval' if has_interval else ''}"), values))
        if curve.points and curve.restricted_mean is not None and curve.horizon is not None:
            values = {
                "horizon": Told(number(curve.horizon)),
                "unit": teller.units(curve.horizon, unit[:-1]),
                "mean": Told(number(curve.restricted_mean, 1)),
            }
            answers.append(Sentence(template("picture.survival_mean"), values))
    else:
        told = [curve for curve in survival.curves if curve.points]
        if len(told) > 1:
            watched = min(curve.points[-1].at for curve in told)
            at = next((at for at in (24, 12, 6) if unit == "months" and at <= watched), watched)
            shares = {curve.segment: share_at(curve.points, at) for curve in told}
            best, worst = max(shares, key=lambda name: shares[name]), min(shares, key=lambda name: shares[name])
            answers.append(
                Sentence(
                    template("picture.survival_curves"),
                    {
                        "at": Told(number(at, 0)),
                        "unit": teller.units(at, unit[:-1]),
                        "best": f"“{quoted(best, NAME_LENGTH)}”",
                        "worst": f"“{quoted(worst, NAME_LENGTH)}”",
                        "best_share": Told(teller.language.percent(shares[best], 0)),
                        "worst_share": Told(teller.language.percent(shares[worst], 0)),
                    },
                )
            )
        if survival.p_value is not None:
            key = "real" if survival.p_value < 1 - survival.level else "noise"
            p = "< 0.001" if survival.p_value < 0.001 else f"= {number(survival.p_value, 3)}"
            answers.append(Sentence(template(f"picture.survival_{key}"), {"p": Told(p)}))
    points = [
        {
            "segment": quoted(curve.segment, NAME_LENGTH),
            "at": point.at,
            "survival": point.survival,
            "low": point.low,
            "high": point.high,
        }
        for curve in survival.curves
        for point in curve.points
    ]
    column = teller.column(survival.column) if survival.column else ""
    head = (words("picture.tenure"), words("picture.survivors"), words("kpi.interval"), words("picture.at_risk"))
    several = len(survival.curves) > 1
    return Picture(
        "survival_by" if several else "survival",
        words("picture.survival_by_title", column=column) if several else words("picture.survival_title"),
        tuple(answers),
        words("picture.survival_alt"),
        lambda width: charts.survival(points, unit, code, width),
        (words("picture.segment"), *head) if several else head,
        tuple(
            (
                *((quoted(curve.segment, NAME_LENGTH),) if several else ()),
                f"{number(point.at, 0 if point.at == int(point.at) else 1)} {teller.units(point.at, unit[:-1])}",
                teller.language.percent(point.survival),
                _range(teller, point.low, point.high),
                "" if point.at_risk is None else number(point.at_risk),
            )
            for curve in survival.curves
            for point in _thinned(curve.points, MOST_ROWS // max(1, len(survival.curves)))
        ),
        _notes(teller, survival.notes),
    )


def _hazard(teller: Teller, hazard: Hazard) -> Picture:
    words, code, number = teller.language.words, teller.language.code, teller.language.number
    grain = hazard.unit[:-1]
    # Few customers make wild rates: the peak is where the lower end of the interval is highest, 30 being watched.
    watched = [point for point in hazard.points if point.at_risk >= 30] or list(hazard.points)
    peak = max(watched, key=lambda point: point.hazard if point.low is None else point.low)
    if peak.hazard <= 0:
        answer = Sentence(teller.language.template("picture.hazard_none"))
    else:
        values: dict[str, Told | str] = {
            "at": Told(number(int(peak.start) + 1)),
            "hazard": Told(teller.language.percent(peak.hazard), _range(teller, peak.low, peak.high)),
        }
        key = f"picture.hazard_{grain}"
        if peak.end - peak.start != 1:
            key = "picture.hazard_span"
            values["start"], values["end"] = Told(number(peak.start)), Told(number(peak.end))
            values["unit"] = teller.units(peak.end, grain)
        answer = Sentence(teller.language.template(key), values)
    rows = [
        {"start": one.start, "end": one.end, "hazard": one.hazard, "low": one.low, "high": one.high}
        for one in hazard.points
    ]
    return Picture(
        "hazard",
        words("picture.hazard_title"),
        (answer,),
        words("picture.hazard_alt"),
        lambda width: charts.hazard(rows, hazard.unit, code, width),
        (
            words("picture.tenure"),
            words("picture.hazard_column"),
            words("kpi.interval"),
            words("picture.left"),
            words("picture.at_risk"),
        ),
        tuple(
            (
                f"{number(one.start)}–{number(one.end)} {teller.units(one.end, grain)}",
                teller.language.percent(one.hazard),
                _range(teller, one.low, one.high),
                number(one.left),
                number(one.at_risk),
            )
            for one in hazard.points[:MOST_ROWS]
        ),
        _notes(teller, hazard.notes),
    )


def _segments(teller: Teller, table: SegmentTable) -> Picture:
    words, code, number = teller.language.words, teller.language.code, teller.language.number
    column = teller.column(table.column)
    known = sorted(
        (row for row in table.rows if row.rate.value is not None), key=lambda row: float(row.rate.value or 0)
    )
    answers: list[Sentence] = []
    if known:
        values: dict[str, Told | str] = {
            "worst": f"“{quoted(teller.band(table.column, known[-1].segment), NAME_LENGTH)}”",
            "worst_rate": teller.figure(known[-1].rate),
        }
        if len(known) > 1:
            values["best"] = f"“{quoted(teller.band(table.column, known[0].segment), NAME_LENGTH)}”"
            values["best_rate"] = teller.figure(known[0].rate)
        key = "segments" if len(known) > 1 else "segments_one"
        answers.append(Sentence(teller.language.template(f"picture.{key}"), values))
    worst = {(row.column, row.segment) for row in teller.story.worse.worst} if teller.story.worse else set()
    if teller.story.worse:
        answers.extend(teller.counted(teller.story.worse))
    overall = rate_of_all(table)
    rows = [
        {
            "segment": quoted(teller.band(table.column, row.segment), NAME_LENGTH) or words("page.unknown"),
            "rate": row.rate.value,
            "low": row.rate.low,
            "high": row.rate.high,
            "is_worse": (row.column, row.segment) in worst,
        }
        for row in table.rows[:MOST_SEGMENTS]
    ]
    left_out = table.left_out + max(0, len(table.rows) - MOST_SEGMENTS)
    if left_out:
        told = {"count": Told(number(left_out))}
        answers.append(Sentence(teller.language.template("worse.left_out", left_out), told))
    return Picture(
        "segments",
        words("picture.segments_title", column=column),
        tuple(answers),
        words("picture.segments_alt"),
        (lambda width: charts.churn_by_segment(rows, overall, code, width)) if known else None,
        (
            words("worse.segment"),
            words("worse.rate"),
            words("kpi.interval"),
            words("worse.rest"),
            words("worse.difference"),
            words("worse.base"),
        ),
        tuple(
            (
                quoted(teller.band(table.column, row.segment), NAME_LENGTH) or words("page.unknown"),
                teller.value(row.rate.value, "rate"),
                _range(teller, row.rate.low, row.rate.high),
                teller.value(row.rest.value, "rate") if row.rest else "",
                _difference(teller, row.difference, row.low, row.high),
                "" if row.rate.n is None else number(row.rate.n),
            )
            for row in table.rows[:MOST_ROWS]
        ),
        tuple(teller.small_segments(table)),
    )


def _orders(teller: Teller, orders: Orders) -> list[Picture]:
    words, code, number = teller.language.words, teller.language.code, teller.language.number
    found: list[Picture] = []
    if len(orders.months) > 1:
        grain = orders.months[-1].period.grain
        best = max(orders.months, key=lambda one: one.revenue)
        last = orders.months[-1]
        count = len(orders.months)
        revenue = [{"period": one.period.start, "revenue": one.revenue} for one in orders.months]
        bought = [
            {"period": one.period.start, "customers": one.customers, "new_customers": one.new_customers}
            for one in orders.months
        ]
        head = (
            words("picture.period"),
            words("picture.revenue_column"),
            words("picture.orders"),
            words("picture.customers"),
            words("picture.new_customers"),
        )
        rows = tuple(
            (
                teller.period(one.period, short=True),
                teller.language.money(one.revenue, orders.currency, whole=False),
                number(one.orders),
                number(one.customers),
                number(one.new_customers),
            )
            for one in orders.months[-MOST_ROWS:]
        )
        found.append(
            Picture(
                "revenue",
                words("picture.revenue_title"),
                (
                    Sentence(
                        teller.language.template("picture.revenue"),
                        {
                            "count": teller.count(count),
                            "period": teller.period(best.period),
                            "amount": Told(teller.language.money(best.revenue, orders.currency)),
                        },
                    ),
                ),
                words("picture.revenue_alt"),
                lambda width: charts.revenue_by_period(revenue, orders.currency, code, grain, width),
                head,
                rows,
            )
        )
        share = (last.customers - last.new_customers) / last.customers if last.customers else 0.0
        values: dict[str, Told | str] = {
            "share": Told(teller.language.percent(share, 0)),
            "period": teller.period(last.period),
        }
        found.append(
            Picture(
                "active",
                words("picture.active_title"),
                (Sentence(teller.language.template("picture.active"), values),),
                words("picture.active_alt"),
                lambda width: charts.customers_by_period(bought, code, grain, width),
                (head[0], *head[2:]),
                tuple((row[0], *row[2:]) for row in rows),
            )
        )
    if orders.activity:
        found.append(_activity(teller, orders.activity))
    if several_cohorts(orders.layers):
        found.append(_layers(teller, orders.layers, orders.currency, "layers_revenue"))
    if orders.cohorts and orders.cohorts.rows:
        found.append(_cohorts(teller, orders.cohorts))
    return found


def _activity(teller: Teller, activity: Activity) -> Picture:
    words, code, headline = teller.language.words, teller.language.code, activity.churn
    rows = [
        {"period": point.period.start, "value": point.value, "low": point.low, "high": point.high}
        for point in headline.history
        if point.value is not None
    ]
    sentences = [teller.stopped(activity)]
    days = teller.count(activity.window_days)
    if activity.is_chosen and activity.within is not None:
        within = Told(teller.language.percent(activity.within, 0))
        sentences.append(Sentence(teller.language.template("picture.window"), {"days": days, "share": within}))
    else:
        sentences.append(Sentence(teller.language.template("picture.window_set"), {"days": days}))
    if activity.came_back is not None:
        back = Told(teller.language.percent(activity.came_back, 0))
        values: dict[str, Told | str] = {"count": teller.count(activity.reached), "share": back}
        sentences.append(Sentence(teller.language.template("picture.came_back", activity.reached), values))
    return Picture(
        "activity",
        words("picture.activity_title"),
        tuple(sentences),
        words("picture.rate_alt"),
        (lambda width: charts.rate_over_time(rows, None, code, "month", width)) if len(rows) > 2 else None,
        (words("picture.period"), teller.title(headline.figure.metric), words("kpi.interval")),
        tuple(
            (
                teller.period(point.period, short=True),
                teller.value(point.value, "rate"),
                _range(teller, point.low, point.high),
            )
            for point in headline.history[-MOST_ROWS:]
            if point.value is not None
        ),
    )


def cohort_name(teller: Teller, cohort: str, start: Any, grain: str) -> str:
    """A cohort as people say it: the month in words where the cohort is named by its month, else its own name."""
    if grain == "month" and cohort == f"{start:%Y-%m}":
        name, year = teller.language.tick(start, "month")
        return f"{name} {year}"
    return quoted(cohort, NAME_LENGTH)


def rate_of_all(table: SegmentTable) -> float | None:
    """The rate of all segments together, from their own parts; None where the table does not hold them all."""
    parts = [(row.rate.numerator, row.rate.denominator) for row in table.rows]
    if table.left_out or any(numerator is None or denominator is None for numerator, denominator in parts):
        return None
    base = sum(float(denominator or 0) for _, denominator in parts)
    return sum(float(numerator or 0) for numerator, _ in parts) / base if base else None


def several_cohorts(layers: Sequence[Layer]) -> bool:
    """Is there more than one layer to compare?"""
    return len({layer.cohort for layer in layers}) > 1


def share_at(points: Sequence[Any], at: float) -> float:
    """The value of a step curve at tenure `at`: 1 before its first point."""
    share = 1.0
    for point in points:
        if point.at > at:
            break
        share = point.survival
    return share


def _thinned(points: Sequence[Any], most: int) -> Sequence[Any]:
    step = -(-len(points) // max(1, most))
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def _range(teller: Teller, low: Any, high: Any) -> str:
    if low is None or high is None:
        return ""
    return teller.language.words(
        "page.interval_short", low=teller.language.percent(low), high=teller.language.percent(high)
    )


def _difference(teller: Teller, difference: float | None, low: float | None, high: float | None) -> str:
    if difference is None:
        return ""
    text = teller.language.points(difference)
    if low is not None and high is not None:
        text += f" ({teller.language.points(low)} … {teller.language.points(high)})"
    return text


def _notes(teller: Teller, notes: Sequence[Any]) -> tuple[Sentence, ...]:
    return tuple(told for told in (teller.note(note) for note in notes) if told is not None)
