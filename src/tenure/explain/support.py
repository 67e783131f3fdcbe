"""Does support drive customers away? What tickets are about, how they were answered, and who left later.

    found = support(facts, definition, first, after)
    found.times       first replies, solutions, reopenings and open tickets, of the whole and month by month
    found.topics      what tickets are about, by their typical words, and how they feel
    found.findings    customers with slow, reopened, open, angry ... tickets beside other customers with tickets

As each month begins, the tickets of the 90 days before count; leaving is looked for `lead` days later. Customers with a
slow ticket are compared with customers whose tickets were not slow, not with those who never needed help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tenure.explain.contrasts import Contrast, contrasted
from tenure.explain.findings import Finding
from tenure.explain.months import LEAD_DAYS, Months
from tenure.explain.stated import reader
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, from_day_number
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day
from tenure.text import Sentiment, Taxonomy, cleaned, topics
from tenure.text.topics import TEXTS_EACH

LOOK_BACK_DAYS = 90
SLOW_REPLY_HOURS = 48
SLOW_SOLUTION_DAYS = 7
MOST_TOPICS = 8
MOST_TEXTS = 100_000  # the latest; what older ones say is not read
_LETTERS = 8_000
_TITLE = 60
_OFTEN = 30  # tickets with one subject line, to be compared where texts are too alike for topics
_HOUR_US = DAY_US // 24
TEXTS = "texts_of_tickets"
FASTER = "an experiment: faster replies for some of the tickets, by chance"


@dataclass(frozen=True, slots=True)
class Times:
    """How tickets were answered. month: its first day, None for the whole; hours: medians and ninetieth percentiles."""

    month: date | None
    tickets: int
    reply_hours: float | None
    reply_hours_p90: float | None
    solution_hours: float | None
    solution_hours_p90: float | None
    slow: int
    reopened: int
    unresolved: int

    def as_json(self) -> dict[str, Any]:
        """The times as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Subject:
    """What some tickets are about: a topic's name, how many, how many of them feel negative."""

    name: str
    tickets: int
    negative: int

    def as_json(self) -> dict[str, Any]:
        """The subject as plain values."""
        return {"topic": self.name, "tickets": self.tickets, "negative": self.negative}


@dataclass(frozen=True, eq=False)
class Support:
    """What support did; see the module. causes: how many tickets were read as naming each cause; missing: what -> why."""

    findings: tuple[Finding, ...]
    times: tuple[Times, ...]
    topics: tuple[Subject, ...]
    causes: dict[str, int]
    missing: dict[str, str]
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en") -> Any:
        """A picture: each finding's difference with its interval."""
        from tenure.charts.explaining import differences

        rows = [
            {
                "label": one.subject(language),
                "value": one.estimate.value,
                "low": one.estimate.low,
                "high": one.estimate.high,
                "stands": one.stands,
            }
            for one in self.findings
        ]
        return differences(rows, language)


def support(
    facts: Facts,
    definition: Definition,
    first: date,
    after: date,
    *,
    lead: int = LEAD_DAYS,
    taxonomy: Taxonomy | None = None,
) -> Support:
    """What tickets say of who leaves, in the months that begin in [first, after); see the module."""
    if not facts.has("tickets"):
        nothing = {"tickets": "nothing of tickets is loaded (`tenure load tickets FILE`)"}
        return Support((), (), (), {}, nothing)
    months = Months.of(facts, definition, first, after, lead=lead)
    notes = list(months.notes)
    missing = {
        what: f"no ticket has {column}"
        for what, column in (
            ("slow_reply", "first_replied_at"),
            ("slow_solution", "resolved_at"),
            ("reopened", "reopened"),
        )
        if facts.lacks("tickets", column)
    }
    if "slow_solution" in missing:
        missing["unresolved"] = missing["slow_solution"]
    read = _read(facts, months, taxonomy, notes)
    st = facts.statement()
    rows = _with_tickets(st, months, len(read.names))
    findings, _, sql = contrasted("support", months, st, rows, list(_contrasts(missing, read.names, read.has_words)))
    return Support(findings, _times(facts, first, after), tuple(read.subjects), read.causes, missing, notes, sql)


def _contrasts(missing: dict[str, str], names: list[str], has_words: bool) -> Iterator[Contrast]:
    among = "CASE WHEN {} > 0 THEN 1 WHEN opened > 0 THEN 0 END"
    yield Contrast(
        "opened", "quality", "asked for help", "เคยแจ้งปัญหา", "CASE WHEN opened > 0 THEN 1 ELSE 0 END", FASTER
    )
    told = (
        (
            "slow_reply",
            "support",
            f"waited over {SLOW_REPLY_HOURS} hours for a first reply",
            f"รอคำตอบแรกเกิน {SLOW_REPLY_HOURS} ชั่วโมง",
            "slow",
        ),
        (
            "slow_solution",
            "support",
            f"waited over {SLOW_SOLUTION_DAYS} days for a solution",
            f"รอการแก้ไขเกิน {SLOW_SOLUTION_DAYS} วัน",
            "longer",
        ),
        ("reopened", "support", "had a ticket reopened", "เรื่องถูกเปิดใหม่", "again"),
        ("unresolved", "support", "have a ticket open", "มีเรื่องที่ยังไม่เสร็จ", "still_open"),
    )
    for name, cause, en, th, column in told:
        if name not in missing:
            yield Contrast(name, cause, en, th, among.format(column), FASTER, more={"compared": "others with tickets"})
    if has_words:
        yield Contrast(
            "negative", "support", "wrote an angry or unhappy ticket", "เขียนด้วยความไม่พอใจ", among.format("negative"), FASTER,
            more={"compared": "others with tickets"},
        )  # fmt: skip
    for i, name in enumerate(names):
        yield Contrast(
            f"topic {name}", None, f"wrote about {name}", f"แจ้งเรื่อง {name}", among.format(f"topic_{i}"),
            "a change to what these tickets are about", more={"compared": "others with tickets", "topic": name},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Read:
    """What the texts say: the topics in order, what they come to, causes that were read, whether there were texts."""

    names: list[str]
    subjects: list[Subject]
    causes: dict[str, int]
    has_words: bool


def _known(st: Statement, facts: Facts) -> str:
    """A step with the tickets of the customers that count."""
    columns = ("customer_id", "ticket_id", "opened_at", "first_replied_at", "resolved_at", "reopened")
    return facts.counted(st, facts.latest(st, "tickets", columns, step="known_tickets"), columns, "counted_tickets")


def _read(facts: Facts, months: Months, taxonomy: Taxonomy | None, notes: list[str]) -> _Read:
    """Reads the tickets' texts: feelings, topics, causes; lends (ticket_id, topic, negative) to the engine."""
    import pyarrow as pa

    st = facts.statement()
    known = facts.latest(st, "tickets", ("ticket_id", "opened_at", "subject", "body"), step="written_tickets")
    since = months.cuts[0].start.timestamp() * 1e6 - LOOK_BACK_DAYS * DAY_US
    words = f"substr(concat(coalesce(subject, ''), ' ', coalesce(body, '')), 1, {_LETTERS})"
    sql = st.render(
        f"SELECT ticket_id, {words} AS words, substr(subject, 1, {_TITLE}) AS subject FROM {known} WHERE opened_at >= {int(since)} AND (subject IS NOT NULL OR body IS NOT NULL) "
        f"ORDER BY opened_at DESC, ticket_id LIMIT {MOST_TEXTS + 1}"
    )
    table = facts.engine.table(sql)
    texts = dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))
    if len(texts) > MOST_TEXTS:
        texts.popitem()
        notes.append(f"The latest {MOST_TEXTS:,} tickets were read; older ones count without their words.")
    # Tickets are often written alike, and each text is read once.
    distinct = list(dict.fromkeys(texts.values()))
    feels = (
        {text: one.label for text, one in zip(distinct, Sentiment().read(distinct), strict=True)} if distinct else {}
    )
    by_id = {f"tickets:{ticket}": text for ticket, text in texts.items()}
    of_ticket = _topics(by_id, dict(zip(by_id, table.column(2).to_pylist(), strict=False)))
    often = Counter(name for name in of_ticket.values() if name)
    names = [name for name, _ in sorted(often.items(), key=lambda item: (-item[1], item[0]))[:MOST_TOPICS]]
    reading = reader(facts, by_id, taxonomy)
    causes = {one.text_id: one.cause for one in reading.read({text: text for text in distinct})}
    counted: Counter[str] = Counter()
    for text_id, text in by_id.items():
        cause = reading.labelled[text_id].partition(".")[0] if text_id in reading.labelled else causes[text]
        counted[cause or "can't tell"] += 1
    places = {name: i for i, name in enumerate(names)}
    chosen = [of_ticket.get(f"tickets:{ticket}") for ticket in texts]
    negative = [int(feels[text] == "negative") for text in texts.values()]
    lent = pa.table(
        {
            "ticket_id": pa.array(list(texts), pa.string()),
            "topic": pa.array([-1 if name is None else places.get(name, -1) for name in chosen], pa.int64()),
            "negative": pa.array(negative, pa.int64()),
        }
    )
    facts.engine.lend(TEXTS, lent)
    of_topic = Counter(name for name in chosen if name is not None)
    angry = Counter(name for name, bad in zip(chosen, negative, strict=True) if name is not None and bad)
    subjects = [Subject(name, of_topic[name], angry[name]) for name in names]
    return _Read(names, subjects, dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))), bool(distinct))


def _topics(texts: dict[str, str], titles: dict[str, str | None]) -> dict[str, str | None]:
    """The topic of each ticket; where texts are too few or too alike to have any, the subject line of those that recur."""
    found = topics(texts) if len(set(texts.values())) >= TEXTS_EACH else None
    if found is not None and found.topics:
        return dict(found.of)
    lines = {text_id: cleaned(titles.get(text_id)) or None for text_id in texts}
    often = Counter(line for line in lines.values() if line)
    return {text_id: line if line and often[line] >= _OFTEN else None for text_id, line in lines.items()}


def _with_tickets(st: Statement, months: Months, topics: int) -> str:
    """The step of months with each customer's tickets of the days before."""
    facts = months.facts
    at_risk = months.at_risk(st)
    known = _known(st, facts)
    waited = "least(coalesce(t.first_replied_at, c.at_us), coalesce(t.resolved_at, c.at_us), c.at_us) - t.opened_at"
    took = "least(coalesce(t.resolved_at, c.at_us), c.at_us) - t.opened_at"
    lately = f"t.opened_at >= c.at_us - {LOOK_BACK_DAYS * DAY_US}"
    of_topic = "".join(
        f", sum(CASE WHEN {lately} AND x.topic = {i} THEN 1 ELSE 0 END) AS topic_{i}" for i in range(topics)
    )
    counted = st.step(
        "tickets_then",
        f"SELECT t.customer_id, c.cut, sum(CASE WHEN {lately} THEN 1 ELSE 0 END) AS opened, "
        f"sum(CASE WHEN {lately} AND {waited} > {SLOW_REPLY_HOURS * _HOUR_US} THEN 1 ELSE 0 END) AS slow, "
        f"sum(CASE WHEN {lately} AND {took} > {SLOW_SOLUTION_DAYS * DAY_US} THEN 1 ELSE 0 END) AS longer, "
        f"sum(CASE WHEN {lately} AND t.reopened > 0 AND t.resolved_at < c.at_us THEN 1 ELSE 0 END) AS again, "
        f"sum(CASE WHEN coalesce(t.resolved_at >= c.at_us, TRUE) THEN 1 ELSE 0 END) AS still_open, "
        f"sum(CASE WHEN {lately} THEN coalesce(x.negative, 0) ELSE 0 END) AS negative{of_topic} FROM {known} AS t "
        f"LEFT JOIN {TEXTS} AS x ON x.ticket_id = t.ticket_id JOIN cuts AS c ON t.opened_at < c.at_us "
        f"AND ({lately} OR coalesce(t.resolved_at >= c.at_us, TRUE)) GROUP BY t.customer_id, c.cut",
        says="each customer's tickets before each month's beginning",
    )
    columns = ["opened", "slow", "longer", "again", "still_open", "negative", *(f"topic_{i}" for i in range(topics))]
    told = ", ".join(f"coalesce(n.{column}, 0) AS {column}" for column in columns)
    return st.step(
        "helped",
        f"SELECT r.*, {told} FROM {at_risk} AS r LEFT JOIN {counted} AS n ON n.customer_id = r.customer_id AND n.cut = r.cut",
        keep=True,
        says="who had asked for help, and how it went",
    )


def _times(facts: Facts, first: date, after: date) -> tuple[Times, ...]:
    """First replies and solutions of tickets opened in [first, after)."""
    st = facts.statement()
    d = facts.engine.dialect
    known = _known(st, facts)
    dated = st.step(
        "dated_tickets",
        f"SELECT *, {local_day(facts, 'opened_at')} AS day, (first_replied_at - opened_at) / CAST({_HOUR_US} AS DOUBLE) AS reply, "
        f"(resolved_at - opened_at) / CAST({_HOUR_US} AS DOUBLE) AS solution FROM {known}",
    )
    begins, ends = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (first, after))
    within = st.step(
        "tickets_within",
        f"SELECT *, year({d.date_of('day')}) * 12 + month({d.date_of('day')}) AS month FROM {dated} WHERE day >= {begins} AND day < {ends}",
        keep=True,
    )

    def middle(column: str, share: float) -> str:
        return f"percentile_disc({share}) WITHIN GROUP (ORDER BY {column})"

    told = (
        f"count(*) AS tickets, {middle('reply', 0.5)} AS reply, {middle('reply', 0.9)} AS reply_90, {middle('solution', 0.5)} AS solution, "
        f"{middle('solution', 0.9)} AS solution_90, sum(CASE WHEN reply > {SLOW_REPLY_HOURS} THEN 1 ELSE 0 END) AS slow, "
        "sum(CASE WHEN reopened > 0 THEN 1 ELSE 0 END) AS reopened, sum(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END) AS unresolved"
    )
    sql = st.render(
        f"SELECT -1 AS month, min(day) AS day, {told} FROM {within} UNION ALL SELECT month, min(day) AS day, {told} FROM {within} GROUP BY month ORDER BY month"
    )
    return tuple(
        Times(
            None if row["month"] == -1 else from_day_number(int(row["day"])).replace(day=1), int(row["tickets"]), row["reply"], row["reply_90"],
            row["solution"], row["solution_90"], int(row["slow"] or 0), int(row["reopened"] or 0), int(row["unresolved"] or 0),
        )
        for row in facts.engine.table(sql).to_pylist()
        if row["tickets"]
    )  # fmt: skip
