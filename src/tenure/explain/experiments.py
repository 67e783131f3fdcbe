"""What have our experiments shown, and which one would settle each cause that none has asked about?

    found = experiments(facts, definition, first, after)
    found.findings      one per experiment and arm: leaving against the hold-out's, with a 95 % interval
    found.proposals     one per suspected cause without an experiment: whom, how many, how long, what to measure

Of those exposed before `after`, everybody counts as he was assigned, whatever he then did (intention to treat). Left is who
decided to go, by choice, within `WINDOW_DAYS` of being exposed, or, of those who were not customers yet, who is none by
then; who had left before, and whose window is not over, is not counted. The facts cannot tell whether chance decided: that
is the promise of who wrote `exposures`. All arms are corrected together (Holm); their 5 % is not that of the hunting
methods, because an experiment is planned.

A cause is suspected if the verdict gives it a share, withholds one, or leavers name it. The experiment proposed for it
removes half of what its evidence adds to the hazard (`AT_LEAST` of leaving where nothing tells how much that is) for half
of those with the evidence, and has 80 % power at a two-sided 5 %. Sources: Fleiss, Levin & Paik 2003, chapter 4 (sizes);
Newcombe 1998 (intervals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from math import ceil, exp
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, BadPeriod
from tenure.explain.attribution import CAUSES, Fitted, Verdict
from tenure.explain.findings import Finding, Strength, adjusted
from tenure.explain.months import LOST, Months
from tenure.explain.verdict import verdict
from tenure.kernel.stats import NO_ESTIMATE, Estimate, change_of_shares, normal_quantile, same_share_p
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, micros
from tenure.measure.definition import Definition

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW_DAYS = 90
POWER = 0.8
HALVES = 0.5  # of what the evidence adds, the part that acting on it is thought to remove
AT_LEAST = 0.2  # of leaving: the change that is looked for where nothing tells how much the cause adds
LONGEST_WEEKS = 104
HOLD_OUTS = ("control", "hold-out", "holdout", "hold_out", "baseline", "none", "off", "no")
# A word in an experiment's name -> the cause it asks about.
WORDS = {
    "onboarding": "experience", "checklist": "experience", "check-in": "experience", "training": "experience",
    "habit": "experience", "newsletter": "contact", "mail": "contact", "contact": "contact", "call": "contact",
    "price": "price", "pricing": "price", "discount": "price", "incident": "quality", "credit": "quality",
    "quality": "quality", "support": "support", "reply": "support", "ticket": "support", "fit": "fit",
    "segment": "fit", "competit": "competition", "rival": "competition", "removal": "change", "migration": "change",
    "change": "change",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Design:
    """How a cause is put to the test: on whom, doing what, and what must not get worse; for how many weeks one has the
    evidence once he has it."""

    whom: str
    what: str
    guardrail: str
    weeks: int


DESIGNS = {
    "experience": _Design(
        "customers whose use fell among the least", "a person helps them take the product up again",
        "hours of the team per customer; complaints about the call", 8,
    ),
    "contact": _Design(
        "customers with the same mail twice in two weeks, or nobody in touch", "one message a month and a named person",
        "MRR expansion from the mail that is not sent", 26,
    ),
    "price": _Design(
        "customers told of a rise of the price", "the rise is put off to the renewal after the next", "MRR per customer", 18,
    ),
    "quality": _Design(
        "customers touched by an incident", "a credit and a personal word after it", "credits given as a share of MRR", 18,
    ),
    "support": _Design(
        "customers whose ticket waits", "their tickets are answered first", "waiting time of all other tickets", 13,
    ),
    "fit": _Design(
        "customers of the segment that leaves more", "a set-up made for what they do", "hours of the team per customer", 26,
    ),
    "competition": _Design(
        "customers whose renewal comes near", "a comparison with rivals, and an offer to match",
        "MRR per customer; discounts given as a share of MRR", 26,
    ),
    "change": _Design(
        "customers touched by a removal or a new policy", "the old way is kept a quarter longer", "cost of keeping both", 18,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """An experiment for a cause that has none.

    customers: with the evidence now; leave, would_leave: the share who leave within the window as things are, and if the
    change looked for is true; size: customers in both arms together; weeks: to enrol them and see the last window to its
    end, None where it would take over two years (`reason` says what could be told then).
    """

    cause: str
    whom: str
    what: str
    customers: int
    leave: float
    would_leave: float
    size: int
    weeks: int | None
    metric: str
    guardrail: str
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The proposal as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, eq=False)
class Experiments:
    """What was shown, and what to ask next; see the module."""

    findings: tuple[Finding, ...]
    proposals: tuple[Proposal, ...]
    notes: list[str] = field(default_factory=list)
    sql: str = ""

    def chart(self, language: str = "en") -> Any:
        """A picture: each arm's leaving less that of the hold-out, with its interval."""
        from tenure.charts.explaining import differences
        from tenure.charts.language import language as language_of

        rows = [
            {"label": one.subject(language), "value": one.estimate.value, "low": one.estimate.low,
             "high": one.estimate.high, "stands": one.stands}
            for one in self.findings
        ]  # fmt: skip
        return differences(rows, language, title=language_of(language).words("explain.beside_hold_out"))


def experiments(
    facts: Facts, definition: Definition, first: date, after: date, *, causes: Mapping[str, str] | None = None
) -> Experiments:
    """What past experiments showed, and proposals from what left in [first, after); see the module.

    causes: experiment -> the cause it asks about, where its name does not tell. Raises BadInput for a cause that is none.
    """
    told = dict(causes or {})
    for experiment, cause in told.items():
        if cause not in DESIGNS:
            raise BadInput(f"'{experiment}' cannot ask about '{cause}'; causes are {', '.join(DESIGNS)}")
    notes: list[str] = []
    findings, sql = _shown(facts, definition, first, after, told, notes)
    proposals: tuple[Proposal, ...] = ()
    try:
        judged = verdict(facts, definition, first, after)
        asked = {one.cause for one in findings if one.estimate.value is not None}
        proposals = tuple(_proposed(judged, asked))
        notes += [note for note in judged.notes if note.startswith("Nothing is said")]
    except BadPeriod as error:
        notes.append(f"Nothing is proposed: {error}")
    return Experiments(findings, proposals, notes, sql)


def cause_of(experiment: str, told: Mapping[str, str]) -> str | None:
    """The cause that an experiment asks about: as told, else by a word of its name; None where nothing tells."""
    if experiment in told:
        return told[experiment]
    name = experiment.lower().replace("_", "-")
    return next((cause for word, cause in WORDS.items() if word in name), None)


def _shown(
    facts: Facts, definition: Definition, first: date, after: date, told: Mapping[str, str], notes: list[str]
) -> tuple[tuple[Finding, ...], str]:
    """A finding for each arm of each experiment that is not its hold-out, and the statement."""
    if not facts.has("exposures"):
        notes.append("No experiment is known (`tenure load exposures`).")
        return (), ""
    try:
        months = Months.of(facts, definition, first, after, clock="lost")
    except BadPeriod as error:
        notes.append(str(error))
        return (), ""
    months.lend()
    st = facts.statement()
    step = _outcomes(st, months, after)
    sql = st.render(
        "SELECT experiment, arm, count(CASE WHEN counts = 1 THEN 1 END) AS people, CAST(sum(counts * gone) AS BIGINT) AS gone, "
        f"count(CASE WHEN counts = 1 AND is_new = 1 THEN 1 END) AS newcomers, count(CASE WHEN is_over = 0 THEN 1 END) AS unfinished "
        f"FROM {step} GROUP BY experiment, arm ORDER BY experiment, arm"
    )
    arms: dict[str, dict[str, dict[str, Any]]] = {}
    for row in facts.engine.table(sql).to_pylist():
        arms.setdefault(row["experiment"], {})[row["arm"]] = row
    found: list[Finding] = []
    for experiment, rows in arms.items():
        hold_out = next((arm for arm in rows if arm.lower() in HOLD_OUTS), None)
        for arm, row in rows.items():
            if arm != hold_out:
                against = None if hold_out is None else rows[hold_out]
                found.append(_finding(st, months, step, experiment, arm, row, against, cause_of(experiment, told)))
    corrected = adjusted([one.p for one in found])
    return tuple(replace(one, adjusted_p=p) for one, p in zip(found, corrected, strict=True)), sql


def _outcomes(st: Statement, months: Months, after: date) -> str:
    """A step with one row per customer and experiment: his arm, whether he counts, and whether he left."""
    facts = months.facts
    columns = ("experiment", "customer_id", "arm", "exposed_at")
    known = facts.counted(
        st, facts.latest(st, "exposures", columns, step="known_exposures"), columns, "counted_exposures"
    )
    window, end = WINDOW_DAYS * DAY_US, min(micros(midnight(after, facts.timezone)), facts.horizon)
    items = months.items(st)
    begun = st.step(
        "began",
        f"SELECT customer_id, min(begins_us) AS first_us FROM {items} WHERE (mrr > 0 OR coalesce(is_metered, FALSE)) "
        "AND coalesce(next_ts > begins_us, TRUE) AND coalesce(ends_us > begins_us, TRUE) GROUP BY customer_id",
        says="since when each pays; a trial that ends without a payment is none",
    )
    each = st.step(
        "each_exposed",
        f"SELECT e.experiment, e.customer_id, min(e.arm) AS arm, min(e.exposed_at) AS at_us FROM {known} AS e "
        f"WHERE e.exposed_at < {end} GROUP BY e.experiment, e.customer_id HAVING count(DISTINCT e.arm) = 1",
        says="who was exposed, those in one arm only",
    )
    losses = st.step(
        "losses_around",
        f"SELECT e.experiment, e.customer_id, max(CASE WHEN l.lost_us <= e.at_us OR (l.is_choice = 1 AND l.decided_us <= e.at_us) THEN 1 ELSE 0 END) AS before, "
        f"max(CASE WHEN l.decided_us > e.at_us AND l.decided_us <= e.at_us + {window} AND l.is_choice = 1 THEN 1 ELSE 0 END) AS later "
        f"FROM {each} AS e JOIN {LOST} AS l ON l.customer_id = e.customer_id GROUP BY e.experiment, e.customer_id",
    )
    over = f"e.at_us + {window} <= {facts.horizon}"
    return st.step(
        "exposed_outcomes",
        f"SELECT e.experiment, e.customer_id, e.arm, CASE WHEN {over} THEN 1 ELSE 0 END AS is_over, "
        f"CASE WHEN {over} AND coalesce(l.before, 0) = 0 THEN 1 ELSE 0 END AS counts, "
        "CASE WHEN b.first_us IS NULL OR b.first_us > e.at_us THEN 1 ELSE 0 END AS is_new, "
        f"CASE WHEN b.first_us IS NULL OR b.first_us > e.at_us + {window} OR coalesce(l.later, 0) = 1 THEN 1 ELSE 0 END AS gone "
        f"FROM {each} AS e LEFT JOIN {begun} AS b ON b.customer_id = e.customer_id LEFT JOIN {losses} AS l "
        "ON l.customer_id = e.customer_id AND l.experiment = e.experiment",
        keep=True,
        says="what came of each within the window",
    )


def _finding(
    st: Statement, months: Months, step: str, experiment: str, arm: str, row: dict[str, Any],
    against: dict[str, Any] | None, cause: str | None,
) -> Finding:  # fmt: skip
    people, gone = int(row["people"]), int(row["gone"] or 0)
    newcomers = 2 * int(row["newcomers"]) > people
    en = f"{experiment}: {arm}, " + ("not customers" if newcomers else "left") + f" within {WINDOW_DAYS} days"
    th = f"{experiment}: {arm} " + ("ยังไม่เป็นลูกค้า" if newcomers else "เลิกใช้") + f"ภายใน {WINDOW_DAYS} วัน"
    estimate, p, reason = NO_ESTIMATE, None, None
    more: dict[str, Any] = {
        "experiment": experiment, "arm": arm, "people": people, "left": gone, "unfinished": int(row["unfinished"]),
    }  # fmt: skip
    if against is None:
        reason = f"no arm is a hold-out (one of: {', '.join(HOLD_OUTS)})"
    else:
        k, n = int(against["gone"] or 0), int(against["people"])
        more |= {"hold_out": against["arm"], "people_hold_out": n, "left_hold_out": k}
        if people and n:
            change = change_of_shares(k, n, gone, people)
            estimate, p = Estimate(change.difference, change.low, change.high), same_share_p(k, n, gone, people)
        else:
            reason = f"of nobody in one of the arms the {WINDOW_DAYS} days are over"
    d = months.facts.engine.dialect

    def who() -> pa.Table:
        months.lend()
        where = f"experiment = {d.literal(experiment)} AND arm = {d.literal(arm)} AND counts = 1"
        return months.facts.engine.table(
            st.render(f"SELECT DISTINCT customer_id FROM {step} WHERE {where} ORDER BY customer_id")
        )

    return Finding(
        "experiments", f"{experiment}: {arm}", cause, en, th, estimate, "points", people, strength=Strength.experiment,
        p=p, settles="it is settled, as far as the interval reaches", reason=reason, who=who, more=more,
    )  # fmt: skip


def _proposed(judged: Verdict, asked: set[str | None]) -> list[Proposal]:
    """A proposal for each suspected cause of which no experiment asks, the largest share first."""
    found = []
    for one in judged.causes:
        suspected = (one.customers.value or 0) > 0 or one.withheld is not None or judged.says.get(one.cause, 0) > 0
        if one.cause in DESIGNS and one.cause not in asked and suspected and judged.fit is not None:
            found.append(_proposal(one.cause, judged.fit))
    return found


def _proposal(cause: str, fit: Fitted) -> Proposal:
    design = DESIGNS[cause]
    cells, counted = fit.counted.cells, fit.counted
    columns = list(counted.columns.get(cause, []))
    if cause == "fit":
        columns = [column for name in fit.segments for column in counted.segments[name]]
    exposed = (cells.evidence[:, columns] != 0).any(axis=1) if columns else cells.weeks > 0
    weeks, left = float(cells.weeks[exposed].sum()), float(cells.left[exposed].sum())
    # Decisions are cells of their own and not among the customer-weeks without one.
    customers = (weeks + left) / counted.weeks
    hazard = left / max(weeks, 1.0)
    slopes = [
        one.slope for one in fit.excess.tried if (one.cause if one.cause in CAUSES else "fit") == cause and one.stands
    ]
    added = max(slopes, default=0.0)
    cut = HALVES * min(added, hazard) if added > 0 and columns else AT_LEAST * hazard
    window = WINDOW_DAYS / 7
    now, then = 1 - exp(-hazard * window), 1 - exp(-(hazard - cut) * window)
    size = 2 * sample_size(now, then)
    inflow = customers / design.weeks
    wait = max(0.0, (size - customers) / inflow) if inflow > 0 else float("inf")
    length = ceil(wait + window) if wait <= LONGEST_WEEKS else None
    reason = None
    if length is None:
        able = int(customers + inflow * LONGEST_WEEKS)
        least = detectable(now, able // 2)
        reason = f"too few: about {able:,} such customers in two years, who tell " + (
            f"no change from {now:.1%}" if least is None else f"a fall from {now:.1%} to {least:.1%} or less"
        )
    elif not columns:
        reason = "nothing tells who has it, so it is asked of all customers"
    return Proposal(
        cause, design.whom, design.what, int(customers), now, then, size, length,
        f"share who decide to leave within {WINDOW_DAYS} days", design.guardrail, reason,
    )  # fmt: skip


def sample_size(share: float, other: float, power: float = POWER, level: float = 0.05) -> int:
    """Customers in each of two arms, so that shares this far apart are told apart with this power (two-sided level).

    >>> sample_size(0.10, 0.05)
    435
    """
    if not 0 <= other < share <= 1:
        raise BadInput(f"from a share of {share} a smaller one is looked for, not {other}")
    mean = (share + other) / 2
    a = normal_quantile(1 - level) * (2 * mean * (1 - mean)) ** 0.5
    b = normal_quantile(2 * power - 1) * (share * (1 - share) + other * (1 - other)) ** 0.5
    return ceil((a + b) ** 2 / (share - other) ** 2)


def detectable(share: float, each: int, power: float = POWER) -> float | None:
    """The largest smaller share that arms of so many customers tell apart from `share`; None where none is.

    >>> round(detectable(0.10, 435), 3)
    0.05
    """
    low, high = 0.0, share
    if share <= 0 or each < 1 or sample_size(share, 0.0, power) > each:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if sample_size(share, middle, power) <= each:
            low = middle
        else:
            high = middle
    return low
