"""Which behaviour goes with staying? Customers by tenths of what they do and pay, and who of them left later.

    found = behaviour(facts, definition, first, after, lead=7)
    found.findings     for each metric: how leaving moves from the lowest tenth to the highest, with the same plan, tenure
                       and month
    found.tenths       for each metric and tenth: customer-months, who left, the share with its interval

Metrics are taken as each month begins and look back; leaving is looked for `lead` days later, so that the quiet weeks
of somebody who has decided do not count as a reason; use is not told of who had paused meanwhile. What stands goes with leaving; it need not cause it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tenure.explain.contrasts import Contrast, contrasted
from tenure.explain.findings import Finding
from tenure.explain.months import LEAD_DAYS, Months
from tenure.explain.pauses import away
from tenure.kernel.stats import wilson
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day

USED_DAYS = 28
TICKET_DAYS = 90
_TENTHS = 10
EXPERIMENT = "an experiment that changes it for some by chance: `tenure why experiments` proposes one"


@dataclass(frozen=True, slots=True)
class Metric:
    """What customers do: its columns in the step, the tables it needs, among whom it is ranked, its names."""

    name: str
    cause: str | None
    sql: str
    needs: tuple[str, ...]
    en: str
    th: str
    unit: str
    among: str = "cut"
    fewer_leave: bool = False  # whom to look at are those with the least of it


METRICS = (
    Metric("use", "experience", "u.uses", ("usage",), f"usage in {USED_DAYS} days", f"การใช้งานใน {USED_DAYS} วัน", "quantity", fewer_leave=True),
    Metric("active_days", "experience", "u.days", ("usage",), f"days with usage of {USED_DAYS}", f"วันที่ใช้งานใน {USED_DAYS} วัน", "days", fewer_leave=True),
    Metric("breadth", "fit", "u.features", ("usage",), f"features used in {USED_DAYS} days", f"จำนวนฟีเจอร์ที่ใช้ใน {USED_DAYS} วัน", "features", fewer_leave=True),
    Metric(
        "seats_used", "fit", "CASE WHEN r.seats > 0 THEN CAST(u.people AS DOUBLE) / CAST(r.seats AS DOUBLE) END", ("usage",),
        "share of the seats that are used", "สัดส่วนที่นั่งที่มีคนใช้", "share", fewer_leave=True,
    ),
    Metric("tickets", "quality", "t.opened", ("tickets",), f"tickets in {TICKET_DAYS} days", f"จำนวนเรื่องที่แจ้งใน {TICKET_DAYS} วัน", "tickets"),
    Metric("spend", "price", "CAST(r.mrr AS DOUBLE) / 1000000", (), "what is paid a month", "ยอดที่จ่ายต่อเดือน", "minor units", "cut, currency"),
    Metric("discount", "price", "r.discount", (), "discount, share of the price", "ส่วนลดเทียบกับราคา", "share"),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Tenth:
    """Customer-months of one tenth of a metric: from which value to which, how many left; the share with its interval."""

    metric: str
    tenth: int
    lowest: float
    highest: float
    customer_months: int
    left: int

    def as_json(self) -> dict[str, Any]:
        """The tenth as plain values."""
        low, high = wilson(self.left, self.customer_months)
        return {
            "metric": self.metric, "tenth": self.tenth + 1, "lowest": self.lowest, "highest": self.highest,
            "customer_months": self.customer_months, "left": self.left, "churn": self.left / self.customer_months,
            "low": low, "high": high,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What goes with leaving; see the module. missing: metric -> why it is not told."""

    findings: tuple[Finding, ...]
    tenths: tuple[Tenth, ...]
    missing: dict[str, str]
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en") -> Any:
        """A picture: churn by tenth of each metric, those that stand first."""
        from tenure.charts.explaining import churn_by_tenth

        order = sorted(self.findings, key=lambda one: (not one.stands, one.p if one.p is not None else 2.0))
        names = {one.name: one.subject(language) for one in order}
        rows = [{**tenth.as_json(), "metric": names[tenth.metric]} for tenth in self.tenths if tenth.metric in names]
        stands = {one.subject(language) for one in order if one.stands}
        return churn_by_tenth(rows, list(names.values()), stands, language)


def behaviour(facts: Facts, definition: Definition, first: date, after: date, *, lead: int = LEAD_DAYS) -> Behaviour:
    """Tenths of every metric that can be told, and what came of them; see the module.

    Months begin in [first, after). A metric of which every customer has the same value has no tenths. Raises BadPeriod
    where no month can be compared.
    """
    months = Months.of(facts, definition, first, after, lead=lead)
    missing = {
        metric.name: f"nothing of {need} is loaded (`tenure load {need} FILE`)"
        for metric in METRICS
        for need in metric.needs
        if not facts.has(need)
    }
    metrics = [metric for metric in METRICS if metric.name not in missing]
    st = facts.statement()
    rows = _ranked(st, months, metrics)
    findings, groups, sql = contrasted(
        "behaviour", months, st, rows, [_contrast(i, one) for i, one in enumerate(metrics)]
    )
    tenths: list[Tenth] = []
    for metric, found in zip(metrics, groups, strict=True):
        if len(found) < 2:
            missing[metric.name] = "it is the same for every customer" if found else "it is not known of any customer"
            continue
        for tenth, one in sorted(found.items()):
            tenths.append(Tenth(metric.name, tenth, one.lowest or 0.0, one.highest or 0.0, one.people, one.gone))
    told = tuple(finding for finding in findings if finding.name not in missing)
    return Behaviour(told, tuple(tenths), missing, months.notes, sql)


def _contrast(place: int, metric: Metric) -> Contrast:
    of_whom = "<= 2" if metric.fewer_leave else ">= 7"
    return Contrast(
        metric.name, metric.cause, metric.en, metric.th, f"tenth_{place}", EXPERIMENT, _TENTHS - 1, f"value_{place}", of_whom,
        {"compared": "lowest tenth to highest"},
    )  # fmt: skip


def _ranked(st: Statement, months: Months, metrics: Sequence[Metric]) -> str:
    """The step with each metric and its tenth beside who was there and who left."""
    facts, d = months.facts, months.facts.engine.dialect
    at_risk = months.at_risk(st)
    joins = ""
    if any("usage" in metric.needs for metric in metrics):
        joins += f" LEFT JOIN {used(st, facts)} AS u ON u.customer_id = r.customer_id AND u.cut = r.cut"
    paused = away(st, facts, USED_DAYS) if joins else None
    if paused is not None:
        joins += f" LEFT JOIN {paused} AS p ON p.customer_id = r.customer_id AND p.cut = r.cut"
    if any("tickets" in metric.needs for metric in metrics):
        joins += f" LEFT JOIN {_opened(st, facts)} AS t ON t.customer_id = r.customer_id AND t.cut = r.cut"
    since = {
        table: _since(facts, table, column) for table, column in (("usage", "happened_at"), ("tickets", "opened_at"))
    }
    values = []
    for i, metric in enumerate(metrics):
        sql = f"CAST({metric.sql} AS DOUBLE)"
        if metric.needs:
            table = metric.needs[0]
            days = USED_DAYS if table == "usage" else TICKET_DAYS
            sql = sql if "CASE" in metric.sql else f"coalesce({sql}, 0.0)"
            # Before anything was told, nobody knows that there was nothing.
            there = " AND p.cut IS NULL" if paused is not None and table == "usage" else ""
            sql = f"CASE WHEN r.at_us >= {since[table] + days * DAY_US}{there} THEN {sql} END"
        values.append(f"{sql} AS value_{i}")
    valued = st.step("behaving", f"SELECT r.*, {', '.join(values)} FROM {at_risk} AS r{joins}")
    ranks = [
        f"CASE WHEN value_{i} IS NOT NULL THEN {d.div(f'{_TENTHS} * (rank() OVER (PARTITION BY {metric.among} ORDER BY value_{i} NULLS LAST) - 1)', f'count(value_{i}) OVER (PARTITION BY {metric.among})')} END AS tenth_{i}"
        for i, metric in enumerate(metrics)
    ]
    return st.step(
        "in_tenths", f"SELECT *, {', '.join(ranks)} FROM {valued}", keep=True, says="every metric, by tenths"
    )


def _since(facts: Facts, table: str, column: str) -> int:
    """From when on a table tells anything, in microseconds; 0 where it holds nothing."""
    if not facts.has(table):
        return 0
    st = facts.statement()
    known = facts.latest(st, table, (column,), step=f"first_{table}")
    found = facts.engine.table(st.render(f"SELECT min({column}) AS since FROM {known}")).column(0)[0].as_py()
    return int(found or 0)


def used(st: Statement, facts: Facts) -> str:
    """A step (customer_id, cut, uses, days, features, people): usage in the days before each month's beginning."""
    columns = ("customer_id", "happened_at", "feature", "contact_id", "quantity")
    known = facts.counted(st, facts.latest(st, "usage", columns), columns, "counted_usage")
    by = "customer_id, cut, day, feature, contact_id"
    daily = st.step(
        "usage_before",
        f"SELECT {by}, sum(coalesce(quantity, 1)) AS uses FROM (SELECT u.customer_id, c.cut, {local_day(facts, 'u.happened_at')} AS day, "
        f"u.feature, u.contact_id, u.quantity FROM {known} AS u JOIN cuts AS c ON u.happened_at < c.at_us "
        f"AND u.happened_at >= c.at_us - {USED_DAYS * DAY_US} WHERE u.customer_id IS NOT NULL) AS dated GROUP BY {by}",
        says="usage before each month's beginning, by day, feature and person",
    )
    return st.step(
        "used",
        "SELECT customer_id, cut, sum(uses) AS uses, count(DISTINCT day) AS days, count(DISTINCT feature) AS features, "
        f"nullif(count(DISTINCT contact_id), 0) AS people FROM {daily} GROUP BY customer_id, cut",
    )


def _opened(st: Statement, facts: Facts) -> str:
    """A step (customer_id, cut, opened): tickets in the days before each month's beginning."""
    columns = ("customer_id", "opened_at")
    known = facts.counted(st, facts.latest(st, "tickets", columns), columns, "counted_tickets")
    return st.step(
        "tickets_before",
        f"SELECT t.customer_id, c.cut, count(*) AS opened FROM {known} AS t JOIN cuts AS c ON t.opened_at < c.at_us "
        f"AND t.opened_at >= c.at_us - {TICKET_DAYS * DAY_US} GROUP BY t.customer_id, c.cut",
    )
