"""What had happened to each customer in each week, and who decided to leave? What the verdict weighs, counted in the engine.

    counted = evidence(facts, definition, first, after)
    counted.cells          kinds of customer-weeks: how many there were, how many of them ended in a decision to leave
    counted.leavers        one row per decision, with the same columns: which evidence stood against it

The clock of a change starts when it was announced to the customer. Rules, all told in `EVIDENCE`: nothing that happens
after a week counts for it; a ticket counts from its opening; use is that of the four weeks before, set beside those who
use the same feature with as many seats. What grows with customers is counted in the engine; of kinds of customer-weeks
without a decision at most `MOST_CUSTOMERS` customers' are counted, each for as many as were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadPeriod
from tenure.explain.excess import Cells
from tenure.explain.months import Months
from tenure.explain.pauses import away
from tenure.kernel.time import midnight, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, micros
from tenure.measure.definition import Definition

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_CUSTOMERS = 20_000
MOST_WEEKS = 160
WEEK_US = 7 * DAY_US
# The cause that each kind of change speaks for.
CAUSE_OF = {
    "price": "price", "incident": "quality", "release": "quality", "removal": "change", "policy": "change",
    "campaign": "contact",
}  # fmt: skip
CHANGED = ("price", "quality", "change")
# Weeks since the announcement: about a month each; after the last a monthly customer has got over it.
AGES = (4, 9, 13, 18)
SLOW_HOURS, SLOWISH_HOURS = 24, 12
FRESH_WEEKS, STALE_WEEKS = 4, 13
BULK_DAYS, BULK_TIMES = 15, 2
SILENT_DAYS = 45
USED_WEEKS = 4
LOW_USE = (
    0.03,
    0.07,
    0.15,
    0.25,
    0.40,
)  # shares of customer-weeks with the least use; the rest is what they are held to
CHEAPER = 0.85  # of what the rival asked at first
TERMS = {"month": 0, "quarter": 1, "year": 2}
_MOST_VALUES = 12
_MOST_TRAITS = 4

EVIDENCE = {
    "price": "within about 18 weeks of the day on which a rise of the price was announced to the customer, or the first "
    "decision on a longer term since",
    "quality": "within about 18 weeks of an incident that touched the customer",
    "change": "within about 18 weeks of the announcement that something is removed or a policy changes, where it touched "
    "the customer",
    "support": f"a ticket of the last {STALE_WEEKS} weeks whose first answer took more than {SLOWISH_HOURS} hours",
    "experience": f"among the {LOW_USE[-1]:.0%} of customer-weeks with the least use in the {USED_WEEKS} weeks before, beside "
    "customers who use the same features with as many seats; who had paused meanwhile left out",
    "contact": f"the same play at least {BULK_TIMES} times in {BULK_DAYS} days, or nothing in {SILENT_DAYS} days and nobody in "
    "charge",
    "competition": f"weeks in which a rival asked at most {CHEAPER:.0%} of its first price; before and after, for all at once",
}


@dataclass(frozen=True, eq=False)
class Counted:
    """What was counted; see the module.

    cells: kinds of customer-weeks; leavers: one row per decision of `table` (customer_id, lost_us, decided_us and the
    columns of `names`); columns: those of the evidence by cause; segments: of those, by trait and value; missing: cause ->
    why there is no evidence; selection: evidence -> mean use of those who have it and of the others, and NPS.
    """

    cells: Cells
    leavers: Cells
    table: pa.Table
    columns: dict[str, list[int]]
    segments: dict[str, list[int]]
    missing: dict[str, str]
    levels: dict[str, list[str]]
    weeks: int
    sql: str
    months: Months

    @property
    def customer_ids(self) -> list[str]:
        """Of the decisions, in their order."""
        found: list[str] = self.table.column("customer_id").to_pylist()
        return found


def evidence(facts: Facts, definition: Definition, first: date, after: date) -> Counted:
    """Customer-weeks in [first, after) by what was known of them, and every decision; see the module.

    Raises BadPeriod where no week is over.
    """
    months = Months.of(facts, definition, first, after, lead=0)
    weeks = [
        week
        for week in periods(first, after, "week", facts.timezone)
        if week.end <= facts.known_before and week.end <= midnight(after, facts.timezone)
    ][-MOST_WEEKS:]
    if not weeks:
        raise BadPeriod(f"no week from {first} up to {after} is over; ask for a longer stretch")
    weekly = replace(months, cuts=tuple(weeks), unfinished=())
    weekly.lend()
    st = facts.statement()
    rows, missing, traits = _rows(st, facts, weekly)
    keys = [
        "plan",
        "tenure",
        "term",
        "channel",
        *(f"e_{name}" for name in _COLUMNS),
        *(f"s_{i}" for i in range(len(traits))),
    ]
    keyed = ", ".join(keys)
    share = st.step(
        "sampled",
        f"SELECT customer_id FROM (SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS place, count(*) OVER () AS "
        f"customers FROM (SELECT DISTINCT customer_id FROM {rows}) AS every) AS placed "
        f"WHERE customers <= {MOST_CUSTOMERS} OR "
        f"{facts.engine.dialect.div('place * ' + str(MOST_CUSTOMERS), 'customers')} <> "
        f"{facts.engine.dialect.div('(place - 1) * ' + str(MOST_CUSTOMERS), 'customers')}",
        says="all customers, or every so many-th",
    )
    sql = st.render(
        f"SELECT {keyed}, CAST(NULL AS {facts.engine.dialect.text}) AS customer_id, CAST(-1 AS BIGINT) AS cut, count(*) AS weeks, "
        f"CAST(0 AS BIGINT) AS gone FROM {rows} AS r JOIN {share} AS s ON s.customer_id = r.customer_id WHERE gone = 0 GROUP BY {keyed}\n"
        f"UNION ALL\nSELECT {keyed}, customer_id, cut, CAST(1 AS BIGINT), gone FROM {rows} WHERE gone = 1\n"
        f"UNION ALL\nSELECT '', '', '', '', {', '.join('0' for _ in _COLUMNS)}{''.join(', NULL' for _ in traits)}, NULL, CAST(-2 AS BIGINT), "
        f"count(*), CAST(0 AS BIGINT) FROM {rows} WHERE gone = 0"
    )
    return _counted(facts, weekly, sql, traits, missing)


# Evidence as whole numbers, in the order of the statement: a bucket, or how often.
_COLUMNS = ("price", "quality", "change", "slow", "stale", "slowish", "bulk", "silent", "low", "rival")


def customer_weeks(st: Statement, facts: Facts, weekly: Months) -> str:
    """The step `customer_weeks`: one row per live customer and week, with its evidence as e_NAME."""
    weekly.lend()
    return _rows(st, facts, weekly)[0]


def _rows(st: Statement, facts: Facts, weekly: Months) -> tuple[str, dict[str, str], list[str]]:
    """The step with one row per customer-week: the base's levels, the evidence, the traits."""
    missing: dict[str, str] = {}
    at_risk = weekly.at_risk(st)
    d = facts.engine.dialect
    near = terms(st, d)
    joins = [f"LEFT JOIN {near} AS t ON t.customer_id = r.customer_id AND t.cut = r.cut"]
    values: dict[str, str] = {}
    values |= _changes(st, facts, joins, missing)
    values |= _support(st, facts, joins, missing)
    values |= _contact(st, facts, joins, missing)
    values |= _use(st, facts, joins, missing)
    values |= _rivals(st, facts, missing)
    channel = "''"
    if facts.has("customers"):
        columns = ("customer_id", "channel", "owner")
        known = facts.counted(
            st, facts.latest(st, "customers", columns, step="known_customers"), columns, "counted_customers"
        )
        who = st.step(
            "who_they_are",
            f"SELECT customer_id, max(coalesce(channel, '')) AS channel, max(owner) AS owner FROM {known} GROUP BY customer_id",
        )
        joins.append(f"LEFT JOIN {who} AS who ON who.customer_id = r.customer_id")
        channel = "coalesce(who.channel, '')"
        values["silent"] = values["silent"].replace("OWNERLESS", "who.owner IS NULL")
    values["silent"] = values["silent"].replace("OWNERLESS", "TRUE")
    traits = _traits(facts)
    for i, trait in enumerate(traits):
        columns = ("customer_id", "trait", "value")
        known = facts.counted(
            st,
            facts.latest(st, "traits", ("customer_id", "trait", "value", "effective_at")),
            (*columns, "effective_at"),
            "counted_traits",
        )
        one = st.step(
            f"trait_{i}",
            f"SELECT customer_id, max(value) AS value FROM {known} WHERE trait = {d.literal(trait)} AND effective_at IS NULL GROUP BY customer_id",
        )
        joins.append(f"LEFT JOIN {one} AS s{i} ON s{i}.customer_id = r.customer_id")
    told = ", ".join(f"{values[name]} AS e_{name}" for name in _COLUMNS)
    of_traits = "".join(f", s{i}.value AS s_{i}" for i in range(len(traits)))
    rows = st.step(
        "customer_weeks",
        f"SELECT r.customer_id, r.cut, r.gone, r.plan, r.tenure, coalesce(t.term, 'month') AS term, {channel} AS channel, {told}{of_traits} "
        f"FROM {at_risk} AS r " + " ".join(joins),
        keep=True,
        says="one row per customer and week: what had happened",
    )
    return rows, missing, traits


def terms(st: Statement, d: Any) -> str:
    """A step (customer_id, cut, term, kind): whose decision of a longer term is how near."""
    weeks = d.div("(ends_us - at_us)", str(WEEK_US))
    stands = "i.ts < c.at_us AND coalesce(i.next_ts >= c.at_us, TRUE) AND i.begins_us < c.at_us AND coalesce(i.ends_us >= c.at_us, TRUE)"
    found = st.step(
        "longer_terms",
        "SELECT i.customer_id, c.cut, c.at_us, max(CASE WHEN i.interval = 'year' THEN 2 WHEN i.interval = 'quarter' OR "
        "(i.interval = 'month' AND coalesce(i.interval_count, 1) >= 3) THEN 1 ELSE 0 END) AS kind, "
        "min(CASE WHEN i.interval IN ('quarter', 'year') OR coalesce(i.interval_count, 1) >= 3 THEN coalesce(i.term_ends_at, i.period_end) END) "
        f"AS ends_us FROM live_items AS i JOIN cuts AS c ON {stands} GROUP BY i.customer_id, c.cut, c.at_us",
        says="when the longer terms end",
    )
    far = "ends_us IS NULL OR ends_us < at_us"
    return st.step(
        "terms",
        "SELECT customer_id, cut, kind, CASE WHEN kind = 0 THEN 'month' "
        f"WHEN kind = 1 THEN CASE WHEN {far} OR {weeks} > 4 THEN 'quarter' ELSE 'quarter near' END "
        f"WHEN {far} OR {weeks} > 13 THEN 'year' WHEN {weeks} > 8 THEN 'year 3' WHEN {weeks} > 4 THEN 'year 2' ELSE 'year 1' END AS term "
        f"FROM {found}",
    )


def _changes(st: Statement, facts: Facts, joins: list[str], missing: dict[str, str]) -> dict[str, str]:
    """Months since a change was announced to the customer: 0 none, 1 to 4, or 5 for the first longer decision since."""
    values = dict.fromkeys(CHANGED, "0")
    if not facts.has("changes") or not facts.has("change_exposures"):
        for cause in CHANGED:
            missing[cause] = (
                "nobody said which change touched whom (`tenure load changes` and `tenure load change_exposures`)"
            )
        return values
    changes = facts.latest(st, "changes", ("change_id", "kind"), step="known_changes")
    columns = ("customer_id", "change_id", "announced_at", "effective_at")
    told = facts.counted(
        st, facts.latest(st, "change_exposures", columns, step="known_touched"), columns, "counted_touched"
    )
    cases = " ".join(f"WHEN '{kind}' THEN '{cause}'" for kind, cause in CAUSE_OF.items())
    touched = st.step(
        "touched",
        f"SELECT e.customer_id, CASE c.kind {cases} END AS cause, e.announced_at AS told_us, coalesce(e.effective_at, e.announced_at) AS effective_us "
        f"FROM {told} AS e JOIN {changes} AS c ON c.change_id = e.change_id WHERE e.announced_at IS NOT NULL",
        keep=True,
    )
    d = facts.engine.dialect
    for cause in CHANGED:
        step = st.step(
            f"touched_{cause}",
            f"SELECT r.customer_id, r.cut, max(e.told_us) AS told_us, max(e.effective_us) AS effective_us FROM at_risk AS r "
            f"JOIN {touched} AS e ON e.customer_id = r.customer_id AND e.cause = '{cause}' AND e.told_us < r.at_us + {WEEK_US} "
            "GROUP BY r.customer_id, r.cut",
        )
        joins.append(
            f"LEFT JOIN {step} AS x_{cause} ON x_{cause}.customer_id = r.customer_id AND x_{cause}.cut = r.cut"
        )
        age = d.div(f"(r.at_us + {WEEK_US - 1} - x_{cause}.told_us)", str(WEEK_US))
        whens = " ".join(f"WHEN {age} < {limit} THEN {i + 1}" for i, limit in enumerate(AGES))
        values[cause] = (
            f"CASE WHEN x_{cause}.told_us IS NULL THEN 0 WHEN coalesce(t.kind, 0) > 0 THEN CASE WHEN t.term LIKE '% %' AND "
            f"(r.at_us < x_{cause}.effective_us OR {age} < {AGES[-1]}) THEN 5 ELSE 0 END {whens} ELSE 0 END"
        )
    return values


def _support(st: Statement, facts: Facts, joins: list[str], missing: dict[str, str]) -> dict[str, str]:
    """Tickets that waited: slow and fresh, slow and older, slowish and fresh; at most two of each count."""
    if not facts.has("tickets") or facts.lacks("tickets", "first_replied_at"):
        missing["support"] = "no ticket says when it was first answered (`tenure load tickets`)"
        return {"slow": "0", "stale": "0", "slowish": "0"}
    columns = ("customer_id", "opened_at", "first_replied_at")
    known = facts.counted(st, facts.latest(st, "tickets", columns, step="known_waits"), columns, "counted_waits")
    waited = f"coalesce(first_replied_at, {facts.horizon}) - opened_at"
    slow = st.step(
        "waited",
        f"SELECT customer_id, opened_at, CASE WHEN {waited} > {SLOW_HOURS * 3_600_000_000} THEN 1 ELSE 0 END AS slow FROM {known} "
        f"WHERE opened_at IS NOT NULL AND {waited} > {SLOWISH_HOURS * 3_600_000_000}",
    )
    fresh = f"w.opened_at >= r.at_us - {FRESH_WEEKS * WEEK_US}"
    step = st.step(
        "waits",
        f"SELECT r.customer_id, r.cut, sum(CASE WHEN w.slow = 1 AND {fresh} THEN 1 ELSE 0 END) AS slow, "
        f"sum(CASE WHEN w.slow = 1 AND NOT {fresh} THEN 1 ELSE 0 END) AS stale, sum(CASE WHEN w.slow = 0 AND {fresh} THEN 1 ELSE 0 END) AS slowish "
        f"FROM at_risk AS r JOIN {slow} AS w ON w.customer_id = r.customer_id AND w.opened_at < r.at_us + {WEEK_US} "
        f"AND w.opened_at >= r.at_us - {STALE_WEEKS * WEEK_US} GROUP BY r.customer_id, r.cut",
    )
    joins.append(f"LEFT JOIN {step} AS w ON w.customer_id = r.customer_id AND w.cut = r.cut")
    return {name: f"least(coalesce(w.{name}, 0), 2)" for name in ("slow", "stale", "slowish")}


def _contact(st: Statement, facts: Facts, joins: list[str], missing: dict[str, str]) -> dict[str, str]:
    """Bulk: one play too often; silent: nothing for long and nobody in charge."""
    if not facts.has("touches"):
        missing["contact"] = "no message is loaded (`tenure load touches`)"
        return {"bulk": "0", "silent": "0"}
    columns = ("customer_id", "play", "sent_at")
    known = facts.counted(st, facts.latest(st, "touches", columns), columns, "counted_touches")
    # A message of a week counts for its own week and those after it: rows times weeks, and no join of ranges.
    d = facts.engine.dialect
    cuts = "JOIN cuts AS c ON m.sent_at < c.at_us + " + str(WEEK_US)
    sent = st.step(
        "sent",
        f"SELECT m.customer_id, c.cut, m.play, sum(CASE WHEN m.sent_at >= c.at_us + {WEEK_US} - {BULK_DAYS * DAY_US} THEN 1 ELSE 0 END) AS times "
        f"FROM {known} AS m {cuts} AND m.sent_at >= c.at_us - {SILENT_DAYS * DAY_US} GROUP BY m.customer_id, c.cut, m.play",
    )
    step = st.step("messages", f"SELECT customer_id, cut, max(times) AS most FROM {sent} GROUP BY customer_id, cut")
    joins.append(f"LEFT JOIN {step} AS m ON m.customer_id = r.customer_id AND m.cut = r.cut")
    low = facts.snapshot("touches").minimum.get("sent_at")
    since = (micros(low) if hasattr(low, "tzinfo") else 0) + SILENT_DAYS * DAY_US  # type: ignore[arg-type]
    del d
    return {
        "bulk": f"CASE WHEN m.most >= {BULK_TIMES} THEN 1 ELSE 0 END",
        "silent": f"CASE WHEN m.most IS NULL AND OWNERLESS AND r.at_us >= {since} THEN 1 ELSE 0 END",
    }


def _use(st: Statement, facts: Facts, joins: list[str], missing: dict[str, str]) -> dict[str, str]:
    """In which part of the least use a customer-week lies: 1 the least, ...; 0 the others and where nothing is known."""
    if not facts.has("usage"):
        missing["experience"] = "no usage is loaded (`tenure load usage`)"
        return {"low": "0"}
    d = facts.engine.dialect
    columns = ("customer_id", "feature", "happened_at", "quantity")
    known = facts.counted(st, facts.latest(st, "usage", columns, step="known_use"), columns, "counted_use")
    week = st.step(
        "use_by_week",
        f"SELECT u.customer_id, u.feature, c.cut, sum(coalesce(u.quantity, 1)) AS q, min(u.happened_at) AS first_us FROM {known} AS u "
        f"JOIN cuts AS c ON u.happened_at >= c.at_us AND u.happened_at < c.closes_us GROUP BY u.customer_id, u.feature, c.cut",
        keep=True,
        says="use per customer, feature and week",
    )
    adopted = st.step(
        "adopted",
        f"SELECT customer_id, feature, min(cut) AS since FROM {week} GROUP BY customer_id, feature",
        keep=True,
    )
    # A week's use counts for the weeks after it.
    ahead = st.step(
        "use_ahead",
        f"SELECT customer_id, feature, cut + ahead AS cut, sum(q) AS q FROM (SELECT customer_id, feature, cut, q, {d.numbers('1', str(USED_WEEKS + 1))} AS ahead "
        f"FROM {week}) AS spread GROUP BY customer_id, feature, cut + ahead",
    )
    band = "CASE WHEN r.seats IS NULL OR r.seats <= 1 THEN 0 WHEN r.seats <= 2 THEN 1 WHEN r.seats <= 4 THEN 2 WHEN r.seats <= 8 THEN 3 WHEN r.seats <= 16 THEN 4 WHEN r.seats <= 32 THEN 5 ELSE 6 END"
    # Who paused meanwhile is not ranked, nor set beside others.
    paused = away(st, facts, USED_WEEKS * 7)
    join, there = "", ""
    if paused is not None:
        join = f" LEFT JOIN {paused} AS p ON p.customer_id = r.customer_id AND p.cut = r.cut"
        there = " WHERE p.cut IS NULL"
    scored = st.step(
        "use_scored",
        f"SELECT r.customer_id, r.cut, a.feature, {band} AS band, r.plan, ln(1 + coalesce(u.q, 0)) AS much FROM at_risk AS r "
        f"JOIN {adopted} AS a ON a.customer_id = r.customer_id AND a.since + {USED_WEEKS} <= r.cut "
        "LEFT JOIN use_ahead AS u ON u.customer_id = r.customer_id AND u.feature = a.feature AND u.cut = r.cut"
        f"{join}{there}",
    )
    beside = st.step(
        "use_beside",
        f"SELECT customer_id, cut, avg(away) AS score FROM (SELECT customer_id, cut, much - avg(much) OVER (PARTITION BY feature, plan, band) AS away "
        f"FROM {scored}) AS told GROUP BY customer_id, cut",
        says="use beside others with as many seats, over the features a customer has taken up",
    )
    del ahead
    step = st.step(
        "use_ranked",
        f"SELECT customer_id, cut, score, percent_rank() OVER (ORDER BY score) AS place FROM {beside}",
        keep=True,
    )
    joins.append(f"LEFT JOIN {step} AS u ON u.customer_id = r.customer_id AND u.cut = r.cut")
    whens = " ".join(f"WHEN u.place < {limit} THEN {i + 1}" for i, limit in enumerate(LOW_USE))
    return {"low": f"CASE WHEN u.place IS NULL THEN 0 {whens} ELSE 0 END"}


def _rivals(st: Statement, facts: Facts, missing: dict[str, str]) -> dict[str, str]:
    """Weeks in which a rival asks clearly less than at first."""
    if not facts.has("competitor_offers"):
        missing["competition"] = "no rival's prices are loaded (`tenure load competitor_offers`)"
        return {"rival": "0"}
    st_ = facts.statement()
    columns = ("competitor", "product", "currency", "interval", "observed_at", "price_minor")
    known = facts.latest(st_, "competitor_offers", columns, step="known_offers")
    rows = facts.engine.table(
        st_.render(f"SELECT {', '.join(columns)} FROM {known} ORDER BY 1, 2, 3, 4, 5")
    ).to_pylist()
    spans: list[tuple[int, int]] = []
    first: dict[tuple[Any, ...], int] = {}
    open_: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in columns[:4])
        price, at = row["price_minor"], row["observed_at"]
        if price is None or at is None:
            continue
        is_low = price <= CHEAPER * first.setdefault(key, price)
        if is_low:
            open_.setdefault(key, at)
        elif key in open_:
            spans.append((open_.pop(key), at))
    spans += [(at, facts.horizon) for at in open_.values()]
    if not spans:
        missing["competition"] = f"no rival asked less than {CHEAPER:.0%} of its first price"
        return {"rival": "0"}
    inside = " OR ".join(f"(r.at_us >= {low} AND r.at_us < {high})" for low, high in sorted(set(spans)))
    return {"rival": f"CASE WHEN {inside} THEN 1 ELSE 0 END"}


def _traits(facts: Facts) -> list[str]:
    """Traits without a date, of few values: what a customer is."""
    if not facts.has("traits"):
        return []
    st = facts.statement()
    known = facts.latest(st, "traits", ("customer_id", "trait", "value", "effective_at"))
    sql = f"SELECT trait, count(DISTINCT value) AS n FROM {known} WHERE effective_at IS NULL AND value IS NOT NULL GROUP BY trait ORDER BY trait"
    found = facts.engine.table(st.render(sql)).to_pylist()
    return [row["trait"] for row in found if 2 <= row["n"] <= _MOST_VALUES][:_MOST_TRAITS]


def _counted(facts: Facts, weekly: Months, sql: str, traits: Sequence[str], missing: dict[str, str]) -> Counted:
    """The statement's answer as cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = facts.engine.table(sql)
    cut = np.asarray(table.column("cut"), dtype=np.int64)
    whole = float(np.asarray(table.column("weeks"))[cut == -2].sum())
    table = table.filter(pa.array(cut != -2))
    cut = cut[cut != -2]
    left = np.asarray(table.column("gone"), dtype=np.float64)
    weeks = np.asarray(table.column("weeks"), dtype=np.float64)
    stayed = weeks[left == 0].sum()
    weeks = np.where(left == 0, weeks * (whole / stayed if stayed else 1.0), weeks)
    base, levels, nearness = _base(table, weeks)
    raw = {name: np.asarray(table.column(f"e_{name}"), dtype=np.int64) for name in _COLUMNS}
    columns: dict[str, list[int]] = {}
    parts: list[NDArray[np.float64]] = []

    def add(cause: str, values: NDArray[Any]) -> None:
        columns.setdefault(cause, []).append(len(parts))
        parts.append(values.astype(np.float64))

    for cause in CHANGED:
        for age in range(1, len(AGES) + 2):
            if (raw[cause] == age).any():
                add(cause, raw[cause] == age)
    for name in ("slow", "stale", "slowish"):
        add("support", raw[name])
    add("contact", raw["bulk"])
    add("contact", raw["silent"])
    for part in range(1, len(LOW_USE) + 1):
        # One within the other, so that their sum weighs the least use most.
        add("experience", (raw["low"] > 0) & (raw["low"] <= part))
    add("competition", raw["rival"])
    segments: dict[str, list[int]] = {}
    for i, trait in enumerate(traits):
        values = table.column(f"s_{i}").to_pylist()
        for value in sorted({value for value in values if value is not None}):
            segments[f"{trait} = {value}"] = [len(parts)]
            parts.append(np.array([one == value for one in values], dtype=np.float64))
    columns = {cause: [c for c in held if parts[c].any()] for cause, held in columns.items()}
    for cause in [cause for cause, held in columns.items() if not held]:
        columns.pop(cause)
        missing.setdefault(cause, "nobody has this evidence")
    kind = pc.list_element(pc.split_pattern(table.column("term").combine_chunks(), " "), 0).to_pylist()
    term = np.array([TERMS[name] for name in kind], dtype=np.int64)
    cells = Cells(base, np.column_stack(parts), term, weeks, left, nearness)
    gone = np.flatnonzero(left == 1)
    leavers = Cells(base[gone], cells.evidence[gone], term[gone], weeks[gone], left[gone], nearness)
    return Counted(
        cells, leavers, table.take(pa.array(gone)).select(["customer_id", "cut", "plan", "tenure", "term", *(f"e_{n}" for n in _COLUMNS)]),
        columns, segments, missing, levels, len(weekly.cuts), sql, weekly,
    )  # fmt: skip


def _base(
    table: pa.Table, weeks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], dict[str, list[str]], tuple[int, ...]]:
    """Columns of 0 and 1 for the levels of the base (the commonest level of each has none), and which are of the term."""
    columns, levels = [np.ones(table.num_rows)], {"": ["all"]}
    nearness: tuple[int, ...] = ()
    plan, channel = table.column("plan").to_pylist(), table.column("channel").to_pylist()
    factors = {
        "tenure": table.column("tenure").to_pylist(),
        "term": table.column("term").to_pylist(),
        "plan and channel": [f"{one}, {other}" for one, other in zip(plan, channel, strict=True)],
    }
    for name, values in factors.items():
        found, place = np.unique(np.array(values, dtype=str), return_inverse=True)
        much = np.bincount(place, weights=weeks)
        order = [int(i) for i in np.argsort(-much, kind="stable")]
        levels[name] = [str(found[i]) for i in order[1:40]]
        if name == "term":
            nearness = tuple(range(len(columns), len(columns) + len(order[1:40])))
        columns += [(place == i).astype(np.float64) for i in order[1:40]]
    return np.column_stack(columns), levels, nearness
