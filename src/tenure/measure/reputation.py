"""What do they say of us, and do they leave more who say it? Detractors and reviews beside churn.

The score of a period is made of the answers given in it. Churn is that of those who had spoken before it: each
customer's latest answer (or review) of the year before the period, and whether the customer of its start is one at its
end. What was said after leaving explains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tenure.kernel.time import STRETCH, Period
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, micros
from tenure.measure.definition import Definition
from tenure.measure.gathering import gather
from tenure.measure.segments import of_lent

LOOK_BACK_DAYS = 365
GROUPS = ("detractors", "passives", "promoters")
LOW_RATING = 2  # stars out of five, and under


@dataclass(frozen=True, slots=True)
class Said:
    """What was said in a period: how many of each group, and of those who had said so before it, how many are lost.

    counts: by group; lost: by group, (customers at the period's start, lost at its end). total: of ratings, the stars.
    """

    counts: dict[str, int]
    lost: dict[str, tuple[int, int]]
    total: float = 0.0


def promoters(facts: Facts, definition: Definition, period: Period) -> Said | None:
    """Promoters (9, 10), passives (7, 8) and detractors (0 to 6) by the answers of kind nps; None without any at all.

    Source: Reichheld 2003.
    """
    group = "CASE WHEN score >= 9 THEN 'promoters' WHEN score >= 7 THEN 'passives' ELSE 'detractors' END"
    return _said(facts, definition, period, "answers", "answered_at", "score", "kind = 'nps'", group)


def reviews(facts: Facts, definition: Definition, period: Period) -> Said | None:
    """Mentions with stars: low (one or two) and other; None without any at all."""
    group = f"CASE WHEN rating <= {LOW_RATING} THEN 'low' ELSE 'other' END"
    return _said(facts, definition, period, "mentions", "published_at", "rating", "TRUE", group)


def _said(
    facts: Facts, definition: Definition, period: Period, table: str, at: str, score: str, of: str, group: str
) -> Said | None:
    if not facts.has(table):
        return None
    start, end = micros(period.start), micros(period.end)
    columns = ("customer_id", at, score, *(("kind",) if table == "answers" else ()))
    d = facts.engine.dialect

    def rows(select: str) -> Any:
        st = facts.statement()
        latest = facts.latest(st, table, columns)
        if table == "mentions":
            # Most reviewers are nobody we know; they count, and belong to no customer.
            latest = st.step(
                "known_mentions", f"SELECT coalesce(customer_id, '') AS customer_id, {at}, {score} FROM {latest}"
            )
        counted = facts.counted(st, latest, columns, f"counted_{table}")
        spoken = st.step(
            "spoken",
            f"SELECT customer_id, {at} AS ts, {score} AS score, {group} AS seg FROM {counted} "
            f"WHERE {score} IS NOT NULL AND {at} IS NOT NULL AND {of}",
        )
        return facts.engine.table(st.render(select.format(spoken=spoken)))

    told = rows(
        f"SELECT seg, count(*) AS n, sum(score) AS total FROM {{spoken}} WHERE ts >= {start} AND ts < {end} "
        "GROUP BY seg ORDER BY seg"
    ).to_pylist()
    before = rows(
        f"SELECT customer_id, CAST(seg AS {d.text}) AS seg FROM (SELECT customer_id, seg, row_number() OVER "
        f"(PARTITION BY customer_id ORDER BY ts DESC, score) AS place FROM {{spoken}} WHERE ts < {start} "
        f"AND ts >= {start - LOOK_BACK_DAYS * DAY_US} AND customer_id <> '') AS latest_said WHERE place = 1"
    )
    lost: dict[str, tuple[int, int]] = {}
    if before.num_rows:
        lent = facts.engine.lend(f"spoke_in_{table}", before)
        there = gather(
            replace(facts, among=lent),
            definition,
            first=period.first,
            after=period.after,
            grain=STRETCH,
            segment=of_lent(lent),
            rates=False,
        )
        lost = {seg: (f.customers_open, f.lost) for (_, seg, money), f in there.found.items() if money is None and seg}
    if not told and not lost:
        return None
    return Said({row["seg"]: int(row["n"]) for row in told}, lost, float(sum(row["total"] for row in told)))
