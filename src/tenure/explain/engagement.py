"""Do customers lose their rhythm before they leave, how long before, and what do our messages have to do with it?

    found = engagement(facts, definition, first, after)
    found.findings     each sign, fatigue and neglect: how much more those leave, with plan, tenure and month the same
    found.signs        each sign: how many of those who left later showed it, how many who stayed (false alarms), how long before
    found.broken()     whose rhythm is broken as the last month begins: which sign, since when, his typical gap

Signs are read as each month begins (see rhythm); leaving is looked for `lead` days later. Message fatigue is many
messages that are no conversation, neglect is no call or meeting. Whoever is worse off is often written to more, so both
are set beside what was known before: if the side that leaves more was unhappier or out of rhythm already, the finding
points to no cause and says why.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tenure.explain.comparing import compared
from tenure.explain.contrasts import Contrast, contrasted
from tenure.explain.findings import Finding
from tenure.explain.months import LEAD_DAYS, STRATUM, Months
from tenure.explain.rhythm import SIGNS, rhythms
from tenure.kernel.stats import NO_ESTIMATE, Estimate, wilson
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, day_number, from_day_number, from_micros, micros
from tenure.measure.definition import Definition

if TYPE_CHECKING:
    import pyarrow as pa

MAIL_DAYS, MANY = 28, 4
CALL_DAYS = 90
UNHAPPY, ASKED_DAYS = 6, 180
DOUBT = 0.05
# Channels of a conversation with one customer; every other channel sends the same to many.
PERSONAL = ("call", "phone", "meeting", "visit", "video", "in-person", "in person", "chat")
_NOT_SENT = ("control", "holdout", "held out", "held_out")
ANY = "any"
EXPERIMENT = "an experiment that helps some, chosen by chance, of those whose rhythm breaks"
HOLD_OUT = "an experiment that leaves some, chosen by chance, without these messages"
CALL_SOME = "an experiment that calls some, chosen by chance, of those nobody calls"
TITLES = {
    "silence": ("fell silent for longer than their rhythm", "เงียบหายนานกว่าจังหวะเดิมของตน"),
    "falling": ("use fell to a lower level", "การใช้งานลดลงสู่ระดับที่ต่ำกว่าเดิม"),
    "narrower": ("use fewer features than they did", "ใช้ฟีเจอร์น้อยลงกว่าเดิม"),
    "champion": ("their champion left", "ผู้ผลักดันหลักในองค์กรออกไป"),
    ANY: ("any of these signs", "มีสัญญาณข้อใดข้อหนึ่ง"),
    "fatigue": (f"got {MANY} or more messages in {MAIL_DAYS} days", f"ได้รับข้อความ {MANY} ฉบับขึ้นไปใน {MAIL_DAYS} วัน"),
    "neglect": (f"nobody called in {CALL_DAYS} days", f"ไม่มีใครโทรหาหรือนัดพบใน {CALL_DAYS} วัน"),
}  # fmt: skip
_CAUSES = {"fatigue": "contact", "neglect": "contact"}
_SETTLES = {"fatigue": HOLD_OUT, "neglect": CALL_SOME}


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a broken rhythm, of all customer-months of which it is known.

    leavers, stayers: (with the sign, of whom it is known); difference: of the two shares, with month, plan and tenure
    the same; lead_days: from the break to the decision, lower quartile, median, upper quartile, of leavers with the sign.
    """

    name: str
    leavers: tuple[int, int]
    stayers: tuple[int, int]
    difference: Estimate
    lead_days: tuple[int, int, int] | None

    @property
    def caught(self) -> Estimate:
        """The share of leavers who showed it."""
        return _share(*self.leavers)

    @property
    def false_alarms(self) -> Estimate:
        """The share of those who stayed who showed it, too."""
        return _share(*self.stayers)

    def as_json(self) -> dict[str, Any]:
        """The sign as plain values."""
        caught, false = self.caught, self.false_alarms
        early = self.lead_days or (None, None, None)
        return {
            "sign": self.name, "leavers_with": self.leavers[0], "leavers": self.leavers[1], "caught": caught.value,
            "caught_low": caught.low, "caught_high": caught.high, "stayed_with": self.stayers[0],
            "stayed": self.stayers[1], "false_alarms": false.value, "false_low": false.low, "false_high": false.high,
            "difference": self.difference.value, "low": self.difference.low, "high": self.difference.high,
            "lead_days": early[1], "lead_days_low": early[0], "lead_days_high": early[2],
        }  # fmt: skip


def _share(part: int, whole: int) -> Estimate:
    if not whole:
        return NO_ESTIMATE
    low, high = wilson(part, whole)
    return Estimate(part / whole, low, high)


@dataclass(frozen=True, eq=False)
class Engagement:
    """Signs, fatigue and neglect; see the module. missing: what -> why it is not told."""

    findings: tuple[Finding, ...]
    signs: tuple[Sign, ...]
    missing: dict[str, str]
    broken: Callable[[], pa.Table] = field(repr=False)
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en") -> Any:
        """A picture: of each sign, how many leavers showed it, how many others, and how long before."""
        from tenure.charts.rhythms import signs

        rows = [{**one.as_json(), "label": title(one.name, language)} for one in self.signs]
        return signs(rows, language)


def title(name: str, language: str = "en") -> str:
    """What a sign or finding is about."""
    return TITLES[name][1 if language == "th" else 0]


def engagement(facts: Facts, definition: Definition, first: date, after: date, *, lead: int = LEAD_DAYS) -> Engagement:
    """Broken rhythms, message fatigue and neglect in the months that begin in [first, after); see the module."""
    months = Months.of(facts, definition, first, after, lead=lead)
    st = facts.statement()
    rows, missing = _rows(st, months)
    contrasts = [
        Contrast(name, _CAUSES.get(name, "experience"), *TITLES[name], name, _SETTLES.get(name, EXPERIMENT))
        for name in (*SIGNS, "fatigue", "neglect")
        if name not in missing
    ]
    findings, _, sql = contrasted("engagement", months, st, rows, contrasts)
    findings = tuple(replace(one, who=_listed(months, st, rows, one.name)) for one in findings)
    asked = [name for name in SIGNS if name not in missing]
    told, doubts = _told(months, st, rows, asked, [one.name for one in contrasts if one.name in _CAUSES])
    findings = tuple(_doubted(one, doubts.get(one.name, {})) for one in findings)
    return Engagement(findings, told, missing, _listed(months, st, rows, "any_sign"), months.notes, sql)


def _rows(st: Statement, months: Months) -> tuple[str, dict[str, str]]:
    """The step with at_risk's rows, the signs, fatigue, neglect, and who said before that he is unhappy."""
    facts = months.facts
    rhythm, missing = rhythms(st, months)
    values = {"fatigue": "CAST(NULL AS BIGINT)", "neglect": "CAST(NULL AS BIGINT)", "unhappy": "CAST(NULL AS BIGINT)"}
    joins = ""
    if facts.has("touches"):
        joins += f" LEFT JOIN {_touched(st, facts)} AS t ON t.customer_id = r.customer_id AND t.cut = r.cut"
        since = _first_touch(facts)
        # Before anything was sent, nobody knows what was not.
        values["fatigue"] = (
            f"CASE WHEN r.at_us >= {since + MAIL_DAYS * DAY_US} THEN CASE WHEN t.mails >= {MANY} THEN 1 WHEN t.mails >= 1 THEN 0 END END"
        )
        values["neglect"] = (
            f"CASE WHEN r.at_us >= {since + CALL_DAYS * DAY_US} THEN CASE WHEN t.calls >= 1 THEN 0 ELSE 1 END END"
        )
    else:
        missing |= dict.fromkeys(_CAUSES, "no message is loaded (`tenure load touches FILE`)")
    if facts.has("answers"):
        joins += f" LEFT JOIN {_felt(st, facts)} AS a ON a.customer_id = r.customer_id AND a.cut = r.cut"
        values["unhappy"] = f"CASE WHEN a.score IS NOT NULL THEN CASE WHEN a.score <= {UNHAPPY} THEN 1 ELSE 0 END END"
    told = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
    rows = st.step(
        "engaged",
        f"SELECT r.*, {told} FROM {rhythm} AS r{joins}",
        keep=True,
        says="signs of a broken rhythm, messages and feelings as each month begins",
    )
    return rows, missing


def _first_touch(facts: Facts) -> int:
    low = facts.snapshot("touches").minimum.get("sent_at")
    return micros(low) if hasattr(low, "tzinfo") else 0  # type: ignore[arg-type]


def _touched(st: Statement, facts: Facts) -> str:
    """A step (customer_id, cut, mails, calls): what was sent and who was called before each month's beginning."""
    columns = ("customer_id", "channel", "sent_at", "arm")
    known = facts.counted(st, facts.latest(st, "touches", columns), columns, "counted_touches")
    personal = ", ".join(f"'{name}'" for name in PERSONAL)
    held = ", ".join(f"'{name}'" for name in _NOT_SENT)
    is_call = f"lower(coalesce(m.channel, '')) IN ({personal})"
    return st.step(
        "messages_before",
        f"SELECT m.customer_id, c.cut, sum(CASE WHEN NOT ({is_call}) AND m.sent_at >= c.at_us - {MAIL_DAYS * DAY_US} THEN 1 ELSE 0 END) AS mails, "
        f"sum(CASE WHEN {is_call} THEN 1 ELSE 0 END) AS calls FROM {known} AS m JOIN cuts AS c ON m.sent_at < c.at_us "
        f"AND m.sent_at >= c.at_us - {CALL_DAYS * DAY_US} WHERE lower(coalesce(m.arm, '')) NOT IN ({held}) GROUP BY m.customer_id, c.cut",
        says="messages and calls before each month's beginning",
    )


def _felt(st: Statement, facts: Facts) -> str:
    """A step (customer_id, cut, score): the latest answer to "would you recommend us" before each month's beginning."""
    columns = ("customer_id", "kind", "answered_at", "score")
    known = facts.counted(st, facts.latest(st, "answers", columns), columns, "counted_answers")
    return st.step(
        "felt_before",
        f"SELECT a.customer_id, c.cut, max_by(a.score, a.answered_at) AS score FROM {known} AS a JOIN cuts AS c ON a.answered_at < c.at_us "
        f"AND a.answered_at >= c.at_us - {ASKED_DAYS * DAY_US} WHERE a.kind = 'nps' AND a.score IS NOT NULL GROUP BY a.customer_id, c.cut",
    )


# --------------------------------------------------------------------------------- leavers beside stayers, and lead times


def _told(
    months: Months, st: Statement, rows: str, signs: Sequence[str], messages: Sequence[str]
) -> tuple[tuple[Sign, ...], dict[str, dict[str, Any]]]:
    """Each sign among leavers and stayers with its lead times; and how those with messages were off before."""
    if signs:
        signs = [*signs, ANY]
    pairs = [(flag, measure) for flag in messages for measure in ("unhappy", "any_sign")]
    nobody = f"CAST(NULL AS {months.facts.engine.dialect.text})", "CAST(NULL AS BIGINT)"

    def part(name: str, gone: str, flag: str, rest: str, kind: str = "counted", who: tuple[str, str] = nobody) -> str:
        by = f"GROUP BY {STRATUM}, {gone}, {flag}" if kind == "counted" else ""
        n = "count(*)" if kind == "counted" else "1"
        return (
            f"SELECT '{kind}' AS part, '{name}' AS name, {STRATUM}, {gone} AS gone, {flag} AS flag, {n} AS n, {who[0]} AS customer_id, "
            f"{who[1]} AS day FROM {rows} WHERE {flag} IS NOT NULL AND {rest} {by}"
        )

    parts = [part(name, "gone", _flag(name), "TRUE") for name in signs]
    parts += [
        part(
            name,
            "gone",
            _flag(name),
            f"gone = 1 AND {_flag(name)} = 1",
            "leaver",
            ("customer_id", f"{_flag(name)}_day"),
        )
        for name in signs
    ]
    parts += [part(f"{flag} {measure}", measure, flag, f"{measure} IS NOT NULL") for flag, measure in pairs]
    if not parts:
        return (), {}
    months.lend()
    found = months.facts.engine.table(st.render("\nUNION ALL\n".join(parts))).to_pylist()
    decided = _decisions(months)
    told = []
    for name in signs:
        counts: dict[tuple[int, int], int] = {}
        strata: dict[tuple[Any, ...], list[int]] = {}
        early = []
        for row in found:
            if row["name"] != name:
                continue
            if row["part"] == "leaver":
                day = decided(row["customer_id"], int(row["cut"]))
                if day is not None:
                    early.append(day - int(row["day"]))
                continue
            gone, flag, n = int(row["gone"]), int(row["flag"]), int(row["n"])
            counts[gone, flag] = counts.get((gone, flag), 0) + n
            side = strata.setdefault(_stratum(row), [0, 0, 0, 0])
            side[1 if gone else 3] += n
            side[0 if gone else 2] += n * flag
        a, n1, b, n0 = ([side[i] for side in strata.values()] for i in range(4))
        left, stayed = (
            (counts.get((gone, 1), 0), sum(counts.get((gone, flag), 0) for flag in (0, 1))) for gone in (1, 0)
        )
        told.append(Sign(name, left, stayed, compared(a, n1, b, n0).difference, _quartiles(early)))
    return tuple(told), _before([row for row in found if " " in row["name"]])


def _flag(name: str) -> str:
    return "any_sign" if name == ANY else name


def _stratum(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["cut"], row["plan"], row["pays_yearly"], row["tenure"]


def _decisions(months: Months) -> Callable[[str, int], int | None]:
    """The day of the decision that ended a customer's stay after a month's beginning."""
    by: dict[str, list[tuple[int, int]]] = {}
    columns = (months.losses.column(name).to_pylist() for name in ("customer_id", "lost_us", "decided_us"))
    for customer, lost, decision in zip(*columns, strict=True):
        by.setdefault(customer, []).append((lost, decision))
    for of_one in by.values():
        of_one.sort()
    tz = months.facts.timezone

    def day(customer: str, cut: int) -> int | None:
        mine = by.get(customer, [])
        place = bisect_left(mine, (micros(months.cuts[cut].start), -1))
        if place == len(mine):
            return None
        return day_number(from_micros(mine[place][1]).astimezone(tz).date())

    return day


def _quartiles(days: Iterable[int]) -> tuple[int, int, int] | None:
    order = sorted(days)
    if not order:
        return None
    low, middle, high = (order[(len(order) - 1) * part // 4] for part in (1, 2, 3))
    return low, middle, high


def _before(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For fatigue and neglect, what sets those apart who have it, by what was known before: name -> measure -> estimate, p."""
    found: dict[str, dict[str, Any]] = {}
    sides: dict[str, dict[tuple[Any, ...], list[int]]] = {}
    for row in rows:
        side = sides.setdefault(row["name"], {}).setdefault(_stratum(row), [0, 0, 0, 0])
        place = 0 if int(row["flag"]) else 2
        side[place + 1] += int(row["n"])
        side[place] += int(row["n"]) * int(row["gone"])
    for name, strata in sides.items():
        flag, measure = name.split(" ")
        a, n1, b, n0 = ([side[i] for side in strata.values()] for i in range(4))
        result = compared(a, n1, b, n0)
        found.setdefault(flag, {})[measure] = result
    return found


def _doubted(one: Finding, before: dict[str, Any]) -> Finding:
    """A finding on messages, with what was known before; where it stands and the worse side leaves more, without a cause."""
    if one.name not in _CAUSES or one.estimate.value is None:
        return one
    more = {**one.more, **{f"{measure}_before": result.difference.value for measure, result in before.items()}}
    if not one.stands:
        return replace(one, more=more)
    for measure, result in before.items():
        value = result.difference.value
        if result.p is not None and value is not None and result.p < DOUBT and value * one.estimate.value > 0:
            what = "unhappier" if measure == "unhappy" else "out of their rhythm more often"
            reason = f"cannot tell: the side that leaves more was {what} already (p {result.p:.2g})"
            return replace(one, cause=None, reason=reason, more={**more, "worse_off_before": True})
    if "unhappy" not in before:
        reason = "nobody asked customers how they feel, so who was unhappy already is not known"
        return replace(one, reason=one.reason or reason, more=more)
    return replace(one, more={**more, "worse_off_before": False})


# ------------------------------------------------------------------------------------------------------ who, since when


def _listed(months: Months, st: Statement, rows: str, name: str) -> Callable[[], pa.Table]:
    """Lists the customers of a sign or finding as the last month began: customer_id, sign, broke_on, and their rhythm."""

    def who() -> pa.Table:
        import pyarrow as pa

        months.lend()
        days = ", ".join(f"{sign}_day" for sign in SIGNS)
        sql = st.render(
            f"SELECT customer_id, typical_gap_days, last_day, {days} FROM {rows} WHERE cut = {len(months.cuts) - 1} AND {name} = 1 ORDER BY customer_id"
        )
        listed = []
        for row in months.facts.engine.table(sql).to_pylist():
            since = {sign: int(row[f"{sign}_day"]) for sign in SIGNS if row[f"{sign}_day"] is not None}
            broke = min(since.values(), default=None)
            gap = row["typical_gap_days"]
            listed.append(
                {
                    "customer_id": row["customer_id"],
                    "signs": "; ".join(
                        f"{sign} {from_day_number(day)}"
                        for sign, day in sorted(since.items(), key=lambda item: item[1])
                    ),
                    "broke_on": None if broke is None else from_day_number(broke),
                    "typical_gap_days": None if gap is None else round(float(gap), 2),
                    "last_active_on": None if row["last_day"] is None else from_day_number(int(row["last_day"])),
                }
            )
        return pa.Table.from_pylist(listed, schema=_schema())

    return who


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("customer_id", pa.string()),
            ("signs", pa.string()),
            ("broke_on", pa.date32()),
            ("typical_gap_days", pa.float64()),
            ("last_active_on", pa.date32()),
        ]
    )
