"""A made-up company's story, written by hand and by a seed, to look at and to test what the report makes of it.

Nothing here is measured: the numbers agree with each other (the roll-forward adds up, rates match their parts), so that
a reader of the report sees something a real company could have.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from math import sqrt

from tenure.app.story import (
    About,
    Ahead,
    Amount,
    CausePart,
    Causes,
    Chosen,
    CohortRow,
    Cohorts,
    ComingDue,
    Comparison,
    Costs,
    CustomerRow,
    Definition,
    DueMonth,
    FactCoverage,
    Figure,
    Hazard,
    HazardPoint,
    Headline,
    Layer,
    Leavers,
    LeavesNext,
    Match,
    MovementLine,
    MovementPeriod,
    Note,
    Opened,
    OrderPeriod,
    Orders,
    Period,
    Point,
    Recurring,
    ScoredRow,
    SegmentRate,
    SegmentTable,
    ShareLine,
    Story,
    Survival,
    SurvivalCurve,
    SurvivalPoint,
    Trust,
    Worse,
)

NAMES = (
    "Acme Robotics",
    "Bluebird Dental",
    "บริษัท สยามน้ำทิพย์ จำกัด",
    "Café Łódź",
    "Delta & Söhne GmbH",
    "Edison Labs",
    "شركة النور",
    "Fjord Fitness",
    "Green Field Farms",
    "株式会社さくら",
    "Harbour Law",
    "Iris Optics",
)
COMMENTS = (
    "The new pricing doubled our bill and nobody told us why.",
    "ทีมเราเล็กลงเลยไม่คุ้มค่าแล้ว แต่ชอบโปรแกรมนี้มาก",
    "We moved to a rival: their import simply works.",
    "",
    "Support took nine days to answer. Nine.",
    "Project ended. Will be back 🙂",
    "التكامل لا يعمل معنا",
    "",
    "Too many features we never use.",
    "",
)
LOST = ("churn", "contraction", "pause")
REASONS = ("too expensive", "team got smaller", "moved to a rival", "", "slow support", "project ended", "", "", "", "")


def month(index: int, start: date = date(2023, 5, 1)) -> Period:
    """The month `index` months after `start`."""
    first = start.month - 1 + index
    after = first + 1
    return Period(
        date(start.year + first // 12, first % 12 + 1, 1), date(start.year + after // 12, after % 12 + 1, 1), "month"
    )


def wilson(lost: int, base: int) -> tuple[float, float]:
    """A 95 % interval good enough to look at."""
    z, share = 1.959964, lost / base
    middle = (share + z * z / (2 * base)) / (1 + z * z / base)
    half = z * sqrt(share * (1 - share) / base + z * z / (4 * base * base)) / (1 + z * z / base)
    return middle - half, middle + half


def rate(metric: str, lost: int, base: int, period: Period) -> Figure:
    """A rate of customers with its parts and interval."""
    low, high = wilson(lost, base)
    return Figure(metric, lost / base, "rate", period, "", low, high, 0.95, lost, base, base, is_small_base=base < 30)


def customers(count: int, kind: str, period: Period, seed: int = 1) -> tuple[CustomerRow, ...]:
    """Some customers, the largest first."""
    chance = random.Random(seed)
    rows = []
    for index in range(count):
        amount = Decimal(round(1900 / (index + 1.4), 2)).quantize(Decimal("0.01"))
        rows.append(
            CustomerRow(
                id=f"cus_{seed}{index:03d}",
                name=NAMES[(index + seed) % len(NAMES)],
                mrr=amount,
                currency="USD",
                change=None if kind in ("scheduled", "renewal", "revenue") else -amount if kind in LOST else amount,
                since=date(2023, 5 + index % 8, 3 + index),
                on=date(period.start.year, period.start.month, 1 + (index * 7) % 28),
                plan=("Business yearly", "Team monthly", "Starter monthly")[index % 3],
                channel=("search", "referral", "partner")[index % 3],
                how=("voluntary", "involuntary", "unknown")[chance.randrange(3)] if kind == "churn" else None,
                cause="seats" if kind in ("expansion", "contraction") else "",
                reason=REASONS[index % len(REASONS)] if kind == "churn" else "",
                comment=COMMENTS[index % len(COMMENTS)] if kind == "churn" else "",
            )
        )
    return tuple(rows)


def opened(count: int, kind: str, period: Period, seed: int = 1) -> Opened:
    """What a number opens to."""
    name = {"churn": "mrr_churn", "new": "mrr_new", "expansion": "mrr_expansion"}.get(kind, "mrr")
    shown = customers(min(count, 8), kind, period, seed)
    return Opened(shown, count, f"tenure metrics {name} --from 2025-10 --to 2025-10 --customers")


def movements(periods: int) -> tuple[MovementPeriod, ...]:
    """Months whose roll-forward adds up to the cent."""
    chance = random.Random(11)
    level = Decimal("148200.00")
    told = []
    for index in range(periods):
        amounts = {}
        for kind, size in (
            ("new", 9000 + 180 * index),
            ("reactivation", 700 + 20 * index),
            ("resume", 300),
            ("expansion", 3600 + 150 * index),
            ("contraction", -1700 - 60 * index),
            ("pause", -420),
            ("churn", -4300 - 230 * index),
            ("fx", chance.choice((-400, 250, 610))),
        ):
            amounts[kind] = Decimal(round(size * chance.uniform(0.75, 1.25) * 100)) / 100
        amounts["correction"] = Decimal(0)
        closing = level + sum(amounts.values())
        told.append(MovementPeriod(month(index), level, closing, amounts))
        level = closing
    return tuple(told)


def recurring() -> Recurring:
    """MRR, why it moved, and how it got here."""
    months = movements(30)
    last, before, year = months[-1], months[-2], months[-13]
    period = last.period
    counts = {"new": 62, "reactivation": 7, "resume": 3, "expansion": 88, "contraction": 41, "pause": 4, "churn": 61}
    causes = {
        "expansion": (("seats", Decimal("5200.10")), ("plan", Decimal("2100.00")), ("price", Decimal("311.50"))),
        "contraction": (("seats", Decimal("-2600.00")), ("plan", Decimal("-700.40"))),
    }
    lines = tuple(
        MovementLine(
            kind,
            amount,
            counts.get(kind),
            causes.get(kind, ()),
            opened(counts[kind], kind, period, index) if kind in counts else None,
        )
        for index, (kind, amount) in enumerate(last.amounts.items())
    )

    def figure(value: Decimal, at: Period) -> Figure:
        return Figure("mrr", value, "money", at, "USD", n=1512)

    headline = Headline(
        figure(last.closing, period),
        "higher",
        (
            Comparison("previous", figure(before.closing, before.period), last.closing - before.closing),
            Comparison("year_ago", figure(year.closing, year.period), last.closing - year.closing),
            Comparison("target", figure(Decimal("440000"), period), last.closing - Decimal("440000")),
        ),
        tuple(Point(one.period, one.closing) for one in months),
    )
    quarters = ["2023-Q1 and before", *[f"{y}-Q{q}" for y in (2023, 2024, 2025) for q in (1, 2, 3, 4)][1:12]]
    layers = []
    for index, one in enumerate(months):
        weights = [
            (1.9 if order == 0 else 1.0) * min(1.0, (index - (order * 3 - 4)) / 3) * 0.985 ** max(0, index - order * 3)
            if index >= order * 3 - 3
            else 0.0
            for order in range(len(quarters))
        ]
        total = sum(weights)
        for order, weight in enumerate(weights):
            if weight > 0:
                share = Decimal(round(weight / total, 6))
                layers.append(Layer(quarters[order], one.period, (one.closing * share).quantize(Decimal("0.01"))))
    return Recurring("USD", headline, last.opening, last.closing, lines, months, tuple(layers))


def headline_of_churn() -> Headline:
    """Customer churn: higher than last month by chance, higher than last year for sure."""
    now, before, year = rate("customer_churn_rate", 61, 1498, month(29)), None, None
    before = rate("customer_churn_rate", 55, 1471, month(28))
    year = rate("customer_churn_rate", 29, 1180, month(17))
    history = []
    chance = random.Random(3)
    for index in range(29):
        lost = round((0.028 + 0.0003 * index) * 1200 * chance.uniform(0.85, 1.15))
        point = rate("customer_churn_rate", lost, 1200, month(index))
        history.append(Point(month(index), point.value, point.low, point.high))
    history.append(Point(month(29), now.value, now.low, now.high))
    return Headline(
        now,
        "lower",
        (
            Comparison("previous", before, 61 / 1498 - 55 / 1471, -0.0107, 0.0174),
            Comparison("year_ago", year, 61 / 1498 - 29 / 1180, 0.0024, 0.0298),
            Comparison("target", Figure("customer_churn_rate", 0.03, "rate", month(29)), 61 / 1498 - 0.03),
        ),
        tuple(history),
        opened(61, "churn", month(29), 6),
    )


def headline_of(metric: str, value: float, before: float, year: float, target: float | None, width: float) -> Headline:
    """A revenue rate with all it is compared with."""
    period = month(29)
    chance = random.Random(metric)
    is_churn = "churn" in metric

    def figure(at: float, when: Period) -> Figure:
        base = Decimal("401200.00")
        part = (base * Decimal(str(at))).quantize(Decimal("0.01"))
        return Figure(metric, at, "rate", when, "", at - width, at + width, 0.95, part, base, 1466)

    comparisons = [
        Comparison(
            "previous", figure(before, month(28)), value - before, value - before - width, value - before + width
        ),
        Comparison("year_ago", figure(year, month(17)), value - year, value - year - width, value - year + width),
    ]
    if target is not None:
        comparisons.append(Comparison("target", Figure(metric, target, "rate", period), value - target))
    points = [
        Point(month(index), year + (before - year) * index / 28 + chance.uniform(-1, 1) * width / 3)
        for index in range(29)
    ]
    return Headline(
        figure(value, period), "lower" if is_churn else "higher", tuple(comparisons), (*points, Point(period, value))
    )


def segment_tables() -> tuple[SegmentTable, ...]:
    """Churn by plan and by channel."""
    period = month(29)
    tables = []
    for column, cells in (
        ("plan_id", (("Starter monthly", 41, 620), ("Team monthly", 16, 540), ("Business yearly", 4, 338))),
        ("channel", (("partner", 12, 210), ("search", 31, 760), ("referral", 17, 500), ("ร้านค้าปลีก", 1, 28))),
        ("cohort", (("2025-Q2", 14, 190), ("2024-Q4", 12, 260), ("2023-Q1 and before", 8, 410))),
    ):
        rows = []
        for name, lost, base in cells:
            own, rest = (
                rate("customer_churn_rate", lost, base, period),
                rate("customer_churn_rate", 61 - lost, 1498 - base, period),
            )
            difference = float(own.value or 0) - float(rest.value or 0)
            spread = 0.024 * sqrt(600 / base)
            rows.append(
                SegmentRate(
                    column,
                    name,
                    own,
                    rest,
                    difference,
                    difference - spread,
                    difference + spread,
                    Decimal(base * 271),
                    opened(lost, "churn", period, lost),
                )
            )
        rows.sort(key=lambda row: -float(row.rate.value or 0))
        tables.append(SegmentTable(column, tuple(rows), 2 if column == "channel" else 0))
    return tuple(tables)


def cohorts(measure: str = "customers", count: int = 16) -> Cohorts:
    """A triangle of monthly cohorts."""
    chance = random.Random(measure)
    rows = []
    for index in range(count):
        period = month(30 - count + index)
        values: list[float | None] = [1.0]
        for age in range(1, count):
            if age >= count - index:
                values.append(None)
            elif measure == "orders":
                values.append(0.14 + 0.08 * 0.8**age + chance.uniform(-0.02, 0.02))
            else:
                last = values[-1] or 0.0
                growth = 1.004 if measure == "revenue" else 1.0
                values.append(last * (growth - (0.055 * 0.88**age + 0.008) * chance.uniform(0.7, 1.3)))
        rows.append(CohortRow(f"{period.start:%Y-%m}", period.start, 48 + index * 3, tuple(values)))
    average: list[float | None] = []
    for age in range(count):
        seen = [row.values[age] for row in rows if row.values[age] is not None]
        average.append(sum(value for value in seen if value is not None) / len(seen) if seen else None)
    return Cohorts(measure, "month", tuple(rows), tuple(average))  # type: ignore[arg-type]


def survival(segments: tuple[tuple[str, float], ...]) -> Survival:
    """Curves by segment, or one for everybody."""
    curves = []
    for segment, hazard in segments:
        points, share, horizon = [], 1.0, 30
        for at in range(horizon + 1):
            spread = 0.004 + 0.0016 * at
            points.append(
                SurvivalPoint(float(at), share, max(0.0, share - spread), min(1.0, share + spread), 2400 - 70 * at)
            )
            share *= 1 - hazard * (1.6 if at < 3 else 1.0)
        median = next((point.at for point in points if point.survival <= 0.5), None)
        curves.append(
            SurvivalCurve(
                segment,
                tuple(points),
                2400,
                890,
                median,
                None if median is None else median - 1,
                None if median is None else median + 1,
                21.4,
                30.0,
            )
        )
    several = len(curves) > 1
    notes = (Note("survivors_only", {"until": date(2023, 5, 1)}),)
    return Survival(tuple(curves), "months", "plan_id" if several else "", 0.95, 3e-9 if several else None, None, notes)


def hazard() -> Hazard:
    """Early leavers, and a peak at the end of each yearly term."""
    points = []
    for at in range(30):
        share = 0.05 * 0.85**at + 0.017 + (0.022 if at in (12, 24) else 0.0)
        watched = 2400 - 70 * at
        low, high = wilson(round(share * watched), watched)
        points.append(HazardPoint(float(at), at + 1.0, share, low, high, round(share * watched), watched))
    return Hazard(tuple(points))


def orders() -> Orders:
    """A shop: revenue, who buys, who comes back."""
    chance = random.Random(5)
    months = []
    for index in range(18):
        period = month(12 + index)
        revenue = Decimal(round((38000 + 900 * index) * chance.uniform(0.9, 1.12), 2)).quantize(Decimal("0.01"))
        bought = round(540 * chance.uniform(0.9, 1.1)) + 6 * index
        months.append(OrderPeriod(period, revenue, bought + 90, bought, round(bought * 0.38), Decimal("912.40")))
    last, before = months[-1], months[-2]

    def figure(metric: str, value: Decimal | int, unit: str, at: Period) -> Figure:
        return Figure(metric, value, unit, at, "EUR" if unit == "money" else "")  # type: ignore[arg-type]

    revenue = Headline(
        figure("order_revenue", last.revenue, "money", last.period),
        "higher",
        (
            Comparison(
                "previous",
                figure("order_revenue", before.revenue, "money", before.period),
                last.revenue - before.revenue,
            ),
        ),
        tuple(Point(one.period, one.revenue) for one in months),
    )
    active = Headline(
        figure("order_customers", last.customers, "count", last.period),
        "higher",
        (
            Comparison(
                "previous",
                figure("order_customers", before.customers, "count", before.period),
                last.customers - before.customers,
            ),
        ),
        tuple(Point(one.period, one.customers) for one in months),
    )
    layers = []
    for index, one in enumerate(months):
        parts = [0.9 ** max(0, index - 3 * order) if index >= 3 * order else 0.0 for order in range(6)]
        for order, part in enumerate(parts):
            if part:
                share = Decimal(round(part / sum(parts), 6))
                name = f"2024-Q{order + 2}" if order < 3 else f"2025-Q{order - 2}"
                layers.append(Layer(name, one.period, (one.revenue * share).quantize(Decimal("0.01"))))
    return Orders(
        "EUR",
        revenue,
        active,
        Headline(rate("repeat_rate", last.customers - last.new_customers, last.customers, last.period), "higher"),
        tuple(months),
        cohorts("orders", 12),
        tuple(layers),
        Opened(customers(6, "revenue", last.period, 2), 611, "tenure metrics revenue --customers"),
        90,
        (Note("open_window", {"days": 90}),),
    )


def about(company: str = "Northwind Apps", is_made_up: bool = True) -> About:
    """Whose report."""
    return About(
        company,
        month(29),
        "UTC",
        "USD",
        datetime(2025, 11, 1, 0, 0, tzinfo=UTC),
        datetime(2025, 11, 2, 8, 30, tzinfo=UTC),
        "tenure",
        (
            ("Free trials", "not customers until the first payment is due"),
            ("Pauses", "keep the customer, take the MRR; after six months they count as leaving"),
            ("Discounts for some months", "do not lower MRR"),
        ),
        is_made_up,
        False,
        False,
        "0.1.0",
        "duckdb",
    )


def trust() -> Trust:
    """What the numbers rest on."""
    return Trust(
        (
            FactCoverage("customers", 2400, 2400, date(2023, 5, 1), date(2025, 10, 31)),
            FactCoverage("subscription_states", 9312, 2391, date(2023, 5, 1), date(2025, 10, 31), 41, 380, 12),
            FactCoverage("payments", 30210, 2388, date(2023, 6, 1), date(2025, 10, 31)),
            FactCoverage("tickets", 5120, 1204, date(2024, 1, 4), date(2025, 10, 30)),
            FactCoverage("usage", 0),
            FactCoverage("answers", 0),
        ),
        (Match("help desk", 1131, 1204), Match("product", 2377, 2400)),
        date(2023, 5, 1),
        4,
        (Note("undated_traits", {"traits": ["industry"]}),),
    )


def subscription_story() -> Story:
    """A whole report of a subscription business."""
    period = month(29)
    tables = segment_tables()
    leaving = customers(10, "churn", period, 6)
    return Story(
        about(),
        trust(),
        (recurring(),),
        Headline(
            Figure("customers", 1499, "count", period),
            "higher",
            (Comparison("previous", Figure("customers", 1498, "count", month(28)), 1),),
            tuple(Point(month(index), 620 + 30 * index) for index in range(30)),
        ),
        (
            headline_of_churn(),
            headline_of("gross_mrr_churn_rate", 0.0345, 0.0312, 0.0268, 0.03, 0.0061),
            headline_of("net_mrr_churn_rate", 0.0081, 0.0104, 0.0052, None, 0.0084),
            headline_of("nrr_12m", 1.031, 1.024, 1.062, 1.05, 0.022),
            headline_of("grr_12m", 0.842, 0.846, 0.871, 0.85, 0.014),
        ),
        Leavers(
            period,
            61,
            (Amount(Decimal("10873.55"), "USD"),),
            leaving,
            (
                ("too expensive", 19, Decimal("3911.00")),
                ("moved to a rival", 11, Decimal("2874.10")),
                ("slow support", 6, Decimal("640.00")),
            ),
            22,
            "tenure metrics customers_churned --from 2025-10 --to 2025-10 --customers",
        ),
        Chosen(
            period,
            (
                ShareLine("voluntary", 38, Decimal("7310.00"), 38 / 61, *wilson(38, 61)),
                ShareLine("involuntary", 15, Decimal("2201.10"), 15 / 61, *wilson(15, 61)),
                ShareLine("other", 2, Decimal("120.00"), 2 / 61, *wilson(2, 61)),
                ShareLine("unknown", 6, Decimal("1242.45"), 6 / 61, *wilson(6, 61)),
            ),
            "USD",
            (ShareLine("voluntary", 36, None, 36 / 55, *wilson(36, 55)),),
        ),
        Ahead(
            date(2025, 11, 1),
            Opened(customers(7, "scheduled", period, 3), 23, "tenure metrics customers --customers"),
            (Amount(Decimal("4120.00"), "USD"),),
            Opened(customers(8, "renewal", period, 4), 140, "tenure metrics customers --customers"),
            (Amount(Decimal("61200.00"), "USD"),),
        ),
        Worse("customer_churn_rate", period, tables, (tables[0].rows[0],), 10),
        (cohorts("customers"), cohorts("revenue")),
        (
            survival((("", 0.028),)),
            survival((("Starter monthly", 0.05), ("Team monthly", 0.028), ("Business yearly", 0.01))),
        ),
        hazard(),
        (),
        (
            Definition(
                "customer_churn_rate",
                "Customer churn rate",
                "Which share of the customers at the start had left by the end?",
                "customers at the start who are no customers at the end / customers at the start",
                "rate",
                "docs/explanation/movements.md",
            ),
            Definition("nrr_12m", "NRR, 12 months", "Is the base growing by itself?", "MRR now / MRR then", "rate"),
        ),
        due=coming_due(),
        costs=costs(),
        causes=causes(),
        leaves_next=leaves_next(),
    )


def causes() -> Causes:
    """Two causes stand, one is withheld, and most of it nothing explains."""
    parts = (
        CausePart("involuntary", 0.25, 0.25, 0.31, 0.2, 0.2, 0.26),
        CausePart("price", 0.15, 0.08, 0.21, 0.24, 0.12, 0.35, "event study"),
        CausePart("contact", 0.0, 0.0, 0.07, 0.0, 0.0, 0.08, "adjusted association", "cannot tell: chosen by mood"),
        CausePart("unknown", 0.6, 0.41, 0.67, 0.56, 0.31, 0.68),
    )
    return Causes(Period(month(18).start, month(29).end), 240, parts, "tenure why --from 2024-11 --to 2025-10")


def leaves_next() -> LeavesNext:
    """Two of 900 who are scored: one whose payments fail, one of whose worth nothing is known."""
    rows = (
        ScoredRow("c-17", "บริษัท ตัวอย่าง จำกัด", 0.724, 0.663, Decimal("78910.81"), Decimal("57131.43"), "THB"),
        ScoredRow("c-4", "<b>Bold & Sons</b>", 0.31),
    )
    return LeavesNext(date(2025, 11, 1), 90, 900, 61.4, rows, "at_stake", "tenure risk --horizon 90d --top 10")


def costs() -> Costs:
    """What a month's churn cost, without a known cost of winning customers."""
    lines = {
        "customers_lost": 61, "mrr_lost": Decimal("10874.00"), "arr_lost": Decimal("130488.00"),
        "forgone_value": Decimal("201450.10"), "replacement_cost": None, "arr_scheduled": Decimal("49440.00"),
        "arr_past_due": Decimal("12000.00"), "arr_at_risk": Decimal("61440.00"), "arr_saved": Decimal("0.00"),
        "arr_recovered": Decimal("5400.00"), "arr_won_back": Decimal("7200.00"),
    }  # fmt: skip
    return Costs("USD", month(29), lines, "tenure cost --from 2025-10")


def coming_due() -> ComingDue:
    """Two years of yearly terms."""
    months = []
    for index in range(24):
        counts = {"renewed": 20 + index, "late": index % 3, "undecided": 0 if index else 2, "lost": 5}
        arr = {outcome: Decimal(count * 1_200) for outcome, count in counts.items()}
        months.append(DueMonth(month(index), counts, arr))
    came = sum(one.counts["renewed"] + one.counts["late"] for one in months)
    decided = came + sum(one.counts["lost"] for one in months)
    low, high = wilson(came, decided)
    promised = (Decimal("310000.00"), Decimal("4100.00"), Decimal("2600.50"))
    return ComingDue("USD", tuple(months), *promised, 12, came / decided, low, high)


def order_story() -> Story:
    """A whole report of a business that sells orders."""
    return Story(
        about("Green Mug Shop"),
        Trust((FactCoverage("orders", 20110, 6120, date(2024, 5, 2), date(2025, 10, 31)),)),
        orders=(orders(),),
    )


def bare_story() -> Story:
    """The least a story can be: nothing has been loaded."""
    period = month(0)
    unknown = Figure("mrr", None, "money", period, "USD", reason="no subscriptions have been loaded")
    return Story(
        About("", period, "UTC", "", datetime(2023, 6, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)),
        Trust((FactCoverage("customers", 0),)),
        (Recurring("USD", Headline(unknown), Decimal(0), Decimal(0), ()),),
    )
