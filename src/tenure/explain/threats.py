"""Which revenue is threatened as a period ends, and by what, as far as anybody told?

    threats(facts, cost)       an end that is set, by the cause that was told with it; an open payment; a renewal ahead;
                               and what the latest scores expect to lose

The first three are `tenure cost`'s revenue at risk, each item counted once, by the month. A cause is what the customer
said when he asked for the end, and stays unknown where he said nothing; an open payment is involuntary. What scores
expect overlaps with all of them and is told beside them: the sum of chance times value, in each currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tenure.explain.leavers import Leaver
from tenure.explain.stated import stated
from tenure.kernel.money import exponent
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_micros, micros
from tenure.measure import at_risk, states
from tenure.measure.costs import Cost, in_major, months_ahead
from tenure.measure.currencies import day_before
from tenure.measure.lifetimes import months_begun
from tenure.measure.movements import movements
from tenure.measure.openings import Opening
from tenure.text import Taxonomy

SCORED = "scored"


@dataclass(frozen=True, slots=True)
class Threat:
    """What is threatened in one way for one cause: customers, MRR and lifetime value, in major units.

    kind: scheduled, past_due, renewal or scored; cause: None where nothing can be said (renewals, scores). expected: of
    scores, how many are expected to leave; mrr: None for scores; value: the margin these customers would still bring by
    how long customers of their tenure stay (as a loss is valued), None where that is not known; of scores, chance times
    lifetime value, summed.
    """

    kind: str
    cause: str | None
    currency: str | None
    customers: int
    mrr: Fraction | None
    expected: float | None = None
    value: float | None = None
    horizon: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The threat as plain values."""
        shown = None
        if self.mrr is not None and self.currency is not None:
            digits = exponent(self.currency)
            shown = Decimal(round(self.mrr * 10**digits)).scaleb(-digits)
        return {
            "name": self.kind, "cause": self.cause, "currency": self.currency, "customers": self.customers,
            "mrr_threatened": shown, "expected_customers": self.expected,
            "value_threatened": None if self.value is None else round(self.value, 2),
            "horizon": self.horizon,
        }  # fmt: skip


def threats(facts: Facts, cost: Cost, taxonomy: Taxonomy | None = None) -> list[Threat]:
    """What is threatened as the period of a cost closes; see the module."""
    if not states.tables(facts):
        return []
    risky, _ = at_risk.at_risk(facts, cost.definition, cost.period, None, each=True)
    opening = Opening(cost.answer)
    day = day_before(cost.period.after)
    told = _told(
        facts, [one.customer_id for one in risky if one.kind == "scheduled" and one.customer_id], cost, taxonomy
    )
    ahead, margin = months_ahead(cost), cost.assumed.margin
    months = _months(facts, cost, {one.customer_id for one in risky if one.customer_id})
    sums: dict[tuple[str, str | None, str], tuple[set[str], Fraction, Fraction | None]] = {}
    for one in risky:
        if one.currency is None or one.customer_id is None:
            continue
        cause = {"past_due": "involuntary", "scheduled": told.get(one.customer_id, "unknown")}.get(one.kind)
        amount, currency = opening.worth(one.mrr, one.currency, day)
        paid = in_major(Fraction(amount), currency)
        left = ahead[min(months.get(one.customer_id, 1), len(ahead) - 1)] if ahead else None
        who, mrr, value = sums.get((one.kind, cause, currency), (set(), Fraction(0), Fraction(0)))
        more = None if value is None or left is None else value + paid * margin * left
        sums[one.kind, cause, currency] = who | {one.customer_id}, mrr + paid, more
    order = {kind: i for i, kind in enumerate(at_risk.RISKS)}
    found = [
        Threat(kind, cause, currency, len(who), mrr, value=None if value is None else float(value))
        for (kind, cause, currency), (who, mrr, value) in sums.items()
    ]
    found.sort(
        key=lambda one: (order[one.kind], one.currency or "", one.cause == "unknown", -(one.mrr or 0), one.cause or "")
    )
    return [*found, *_scored(facts, cost)]


def _months(facts: Facts, cost: Cost, customers: set[str]) -> dict[str, int]:
    """The months that each of these customers has begun since the first payment, as the period closes."""
    import pyarrow as pa

    if not customers:
        return {}
    facts.engine.lend("threatened", pa.table({"customer_id": pa.array(sorted(customers), pa.string())}))
    st = facts.statement()
    moved = movements(st, facts, cost.definition, states.shape(facts, cost.definition), [cost.period])
    first = st.step(
        "first_days",
        f"SELECT m.customer_id, min(m.day) AS start_day FROM {moved} AS m JOIN threatened AS t ON t.customer_id = m.customer_id "
        "WHERE m.closes = 1 AND m.customer0 = 0 AND m.customer1 = 1 GROUP BY m.customer_id",
    )
    begun = months_begun(facts.engine.dialect, "start_day", str(day_number(cost.period.after)))
    rows = facts.engine.table(st.render(f"SELECT customer_id, greatest({begun}, 1) AS months FROM {first}")).to_pylist()
    return {row["customer_id"]: int(row["months"]) for row in rows}


def _told(facts: Facts, customers: Sequence[str], cost: Cost, taxonomy: Taxonomy | None) -> dict[str, str]:
    """What each customer whose end is set said of why, as a cause."""
    if not customers:
        return {}
    ends = micros(cost.period.end)
    st = facts.statement()
    wanted = ("customer_id", "subscription_id", "cancel_reason", "cancel_comment", "cancel_actor")
    every = states.all_states(st, facts, wanted)
    sql = st.render(
        f"SELECT customer_id, max_by(subscription_id, ts) AS subscription_id, max_by(cancel_reason, ts) AS reason, "
        f"max_by(cancel_comment, ts) AS comment, max(ts) AS ts FROM {every} WHERE ts < {ends} AND (cancel_reason IS NOT NULL OR "
        "cancel_comment IS NOT NULL) GROUP BY customer_id ORDER BY customer_id"
    )
    asked = set(customers)
    rows = [row for row in facts.engine.table(sql).to_pylist() if row["customer_id"] in asked]
    people = [
        Leaver(
            row["customer_id"], None, from_micros(row["ts"]), "voluntary", "", "", 0, None, None, row["reason"],
            row["comment"], f"cancellations:{row['subscription_id']}",
        )
        for row in rows
    ]  # fmt: skip
    known = stated(facts, people, taxonomy)
    return {one.customer_id: said.cause for one, said in zip(people, known, strict=True) if said.cause is not None}


def _scored(facts: Facts, cost: Cost) -> list[Threat]:
    """What the latest scores before the period's end expect, by model and currency."""
    if not facts.has("scores"):
        return []
    ends = micros(cost.period.end)
    st = facts.statement()
    columns = ("customer_id", "model", "as_of", "horizon", "probability", "value")
    known = facts.counted(st, facts.latest(st, "scores", columns), columns, "counted_scores")
    last = st.step(
        "last_scores", f"SELECT model, max(as_of) AS as_of FROM {known} WHERE as_of <= {ends} GROUP BY model"
    )
    every = states.all_states(st, facts, ("customer_id", "currency"))
    pays = st.step(
        "pays_in",
        f"SELECT customer_id, max_by(currency, ts) AS currency FROM {every} WHERE ts < {ends} GROUP BY customer_id",
    )
    sql = st.render(
        "SELECT s.model, s.horizon, p.currency, count(*) AS n, sum(CAST(round(s.probability * 1000000) AS BIGINT)) AS chance, "
        f"sum(CAST(round(s.probability * s.value * 10000) AS BIGINT)) AS value FROM {known} AS s JOIN {last} AS l ON l.model = s.model "
        f"AND l.as_of = s.as_of LEFT JOIN {pays} AS p ON p.customer_id = s.customer_id WHERE s.probability IS NOT NULL "
        "GROUP BY s.model, s.horizon, p.currency ORDER BY 1, 2, 3"
    )
    return [
        Threat(
            SCORED, None, row["currency"], int(row["n"]), None, int(row["chance"]) / 1_000_000,
            None if row["value"] is None else int(row["value"]) / 10_000, row["horizon"],
        )
        for row in facts.engine.table(sql).to_pylist()
    ]  # fmt: skip
