"""Did the company write to those who were unhappy already? Then what its messages do cannot be told from who got them.

    chosen_by_state(facts, counted)      {"bulk": Chosen(...), "silent": ...}

Customers in the weeks in which they have the evidence are set beside those who have not, by what was known before: how
much they use the product beside others like them, and what they answered to "would you recommend us". Sums are made in
the engine; the errors are clustered by customer. Whoever is sent more because he is worse off leaves more, whether the
mail does anything or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt

from tenure.explain.evidence import Counted, customer_weeks
from tenure.lake.facts import Facts

FLAGS = ("bulk", "silent")
DOUBT = 0.005  # below this p those who have the evidence were worse off before it


@dataclass(frozen=True, slots=True)
class Chosen:
    """One evidence: how much worse off those with it were, by each measure, with p; customers: with it."""

    measure: str
    difference: float
    p: float
    customers: int

    @property
    def is_doubtful(self) -> bool:
        """Whether those with the evidence were worse off already."""
        return self.p < DOUBT and self.difference < 0


def chosen_by_state(facts: Facts, counted: Counted) -> dict[str, list[Chosen]]:
    """For each evidence of FLAGS, what was different of those who have it; see the module."""
    found: dict[str, list[Chosen]] = {}
    st = facts.statement()
    rows = customer_weeks(st, facts, counted.months)
    flags = "r.customer_id, r.cut, r.e_bulk, r.e_silent"
    valued = []
    if facts.has("usage"):
        valued.append(
            f"SELECT 'use' AS measure, {flags}, u.place AS v FROM {rows} AS r JOIN use_ranked AS u ON u.customer_id = r.customer_id AND u.cut = r.cut"
        )
    if facts.has("answers"):
        columns = ("customer_id", "kind", "answered_at", "score")
        known = facts.counted(st, facts.latest(st, "answers", columns, step="known_scores"), columns, "counted_scores")
        valued.append(
            f"SELECT 'answers' AS measure, {flags}, CAST(a.score AS DOUBLE) AS v FROM {rows} AS r JOIN cuts AS c ON c.cut = r.cut "
            f"JOIN {known} AS a ON a.customer_id = r.customer_id AND a.kind = 'nps' AND a.score IS NOT NULL AND a.answered_at >= c.at_us AND a.answered_at < c.closes_us"
        )
    if not valued:
        return found
    # Both measures in one statement: what had happened in each week is the dearest thing to work out.
    step = st.step("valued_weeks", "\nUNION ALL\n".join(valued), keep=True)
    parts = []
    for flag in FLAGS:
        has = f"e_{flag} = 1"
        since = st.step(
            f"since_{flag}", f"SELECT measure, min(cut) AS first_cut FROM {step} WHERE {has} GROUP BY measure"
        )
        parts.append(
            f"SELECT '{flag}' AS flag, w.measure, w.customer_id, sum(CASE WHEN {has} THEN 1.0 ELSE 0.0 END) AS n1, sum(CASE WHEN {has} THEN v ELSE 0.0 END) AS s1, "
            f"sum(CASE WHEN {has} THEN 0.0 ELSE 1.0 END) AS n0, sum(CASE WHEN {has} THEN 0.0 ELSE v END) AS s0 FROM {step} AS w "
            f"JOIN {since} AS f ON f.measure = w.measure AND w.cut >= f.first_cut GROUP BY w.measure, w.customer_id"
        )
    each = st.step("by_customer", "\nUNION ALL\n".join(parts))
    products = [
        ("n1", "n1"),
        ("n1", "s1"),
        ("s1", "s1"),
        ("n0", "n0"),
        ("n0", "s0"),
        ("s0", "s0"),
        ("n1", "n0"),
        ("n1", "s0"),
        ("s1", "n0"),
        ("s1", "s0"),
    ]
    sums = ", ".join(
        [
            *(f"CAST(sum({name}) AS DOUBLE) AS {name}" for name in ("n1", "s1", "n0", "s0")),
            *(f"CAST(sum(CAST({a} AS DOUBLE) * CAST({b} AS DOUBLE)) AS DOUBLE) AS {a}_{b}" for a, b in products),
        ]
    )
    sql = st.render(
        f"SELECT flag, measure, {sums}, count(CASE WHEN n1 > 0 THEN 1 END) AS customers FROM {each} GROUP BY flag, measure ORDER BY flag, measure DESC"
    )
    for row in facts.engine.table(sql).to_pylist():
        if not row["n1"] or not row["n0"] or row["customers"] < 20:
            continue
        m1, m0 = row["s1"] / row["n1"], row["s0"] / row["n0"]
        a, b = 1 / row["n1"], 1 / row["n0"]
        # The sum over customers of ((s1 - m1 n1) / N1 - (s0 - m0 n0) / N0) squared, from its products.
        one = row["s1_s1"] - 2 * m1 * row["n1_s1"] + m1 * m1 * row["n1_n1"]
        other = row["s0_s0"] - 2 * m0 * row["n0_s0"] + m0 * m0 * row["n0_n0"]
        cross = row["s1_s0"] - m0 * row["s1_n0"] - m1 * row["n1_s0"] + m1 * m0 * row["n1_n0"]
        variance = a * a * one + b * b * other - 2 * a * b * cross
        if variance > 0:
            p = erfc(abs(m1 - m0) / sqrt(2 * variance))
            found.setdefault(row["flag"], []).append(Chosen(str(row["measure"]), m1 - m0, p, int(row["customers"])))
    return found
