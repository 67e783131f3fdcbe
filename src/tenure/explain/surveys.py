"""What do those who left say, and what did those who answer a survey do later? Weighted for who answers.

    found = surveys(facts, definition, first, after)
    found.reasons     of those who left by choice: the share that names each cause, of customers and of revenue
    found.scores      NPS, CSAT and CES of the period and of each month
    found.findings    from the unhappy to the happy: how leaving moves, adjusted for plan and tenure

Who answers is not a random draw: so each answer stands for the leavers of the same plan and tenure who did not, by one
over the share of them that answered. Cells in which fewer than five answered are joined, by plan, then all together. That
corrects for what plan and tenure tell; silence for reasons of one's own it cannot, and stated reasons are what people say,
not what made them leave. Source: Little & Rubin 2019, ch. 3 (weighting cells); Kish 1965 (effective size).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from tenure.explain.comparing import trended
from tenure.explain.contrasts import Contrast, contrasted
from tenure.explain.findings import Finding
from tenure.explain.leavers import Leaver, Left, leavers, money, summed
from tenure.explain.months import LEAD_DAYS, Months
from tenure.explain.stated import Stated, stated
from tenure.kernel.stats import Estimate, effective_size, holm, normal_quantile, wilson_effective
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, from_day_number
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day
from tenure.text import Taxonomy

FEWEST_ANSWERS = 5
SCORE_DAYS = 180
SCORES = ("nps", "csat", "ces")
_TITLES = {
    "nps": ("likely to recommend us, from detractors to promoters", "ความเต็มใจแนะนำ จากผู้ไม่แนะนำถึงผู้สนับสนุน"),
    "csat": ("satisfaction, from unhappy to happy", "ความพึงพอใจ จากไม่พอใจถึงพอใจ"),
    "ces": ("ease, from hard to easy", "ความง่ายในการใช้งาน จากยากถึงง่าย"),
}
_CAUSES = {"nps": None, "csat": None, "ces": "experience"}
ASK_THEM = "asking those who did not answer (`tenure why follow-up`), and an experiment on what they name"


@dataclass(frozen=True, slots=True)
class Reason:
    """How many of those who left by choice name a cause. raw: of the answers; share: weighted, of all of them.

    mrr_share: weighted, of the revenue they took along; None where money is told in several currencies.
    """

    cause: str
    said: int
    raw: float
    share: Estimate
    mrr_share: Estimate
    mrr_said: Fraction | None
    read_from_text: int

    def as_json(self) -> dict[str, Any]:
        """The reason as plain values."""
        return {
            "cause": self.cause, "said": self.said, "raw_share": self.raw, "customers_share": self.share.value,
            "low": self.share.low, "high": self.share.high, "mrr_share": self.mrr_share.value,
            "mrr_low": self.mrr_share.low, "mrr_high": self.mrr_share.high, "read_from_text": self.read_from_text,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """A survey's figure over a stretch: NPS (-100 to 100), or the share of CSAT or CES answers that are happy.

    month: its first day, None for the whole; trend_p: for the whole, that the share of happy answers does not move.
    """

    kind: str
    month: date | None
    answers: int
    value: Estimate
    trend_p: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The score as plain values."""
        return {
            "survey": self.kind, "month": self.month, "answers": self.answers, "value": self.value.value,
            "low": self.value.low, "high": self.value.high, "trend_p": self.trend_p,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Surveys:
    """What was said; see the module.

    by_choice: who left by choice, answered: of them, who said why; involuntary: lost to failed payments; trends: for each
    cause, the p (of all of them together, by Holm) that its share of the answers does not move, and whether it
    rises.
    """

    left: Left
    stated: tuple[Stated, ...]
    reasons: tuple[Reason, ...]
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    trends: dict[str, tuple[float, bool]]
    by_choice: int
    answered: int
    involuntary: int
    notes: list[str] = field(default_factory=list)

    def chart(self, language: str = "en") -> Any:
        """A picture: the weighted share of each cause, with its interval; who said nothing of why in grey."""
        from tenure.charts.explaining import shares
        from tenure.charts.language import language as language_of

        taxonomy = Taxonomy.load()
        rows = [
            {
                "label": taxonomy[one.cause].name(language),
                "share": one.share.value,
                "low": one.share.low,
                "high": one.share.high,
                "unknown": one.cause == "unknown",
            }
            for one in self.reasons
        ]
        return shares(rows, language, title=language_of(language).words("explain.customers"))


def surveys(
    facts: Facts,
    definition: Definition,
    first: date,
    after: date,
    *,
    currency: str | None = None,
    lead: int = LEAD_DAYS,
    taxonomy: Taxonomy | None = None,
) -> Surveys:
    """What leavers of [first, after) say, and scores against later leaving; see the module."""
    left = leavers(facts, definition, first, after, currency=currency)
    said = stated(facts, left.people, taxonomy)
    chosen = [(one, words) for one, words in zip(left.people, said, strict=True) if one.is_choice]
    weights = response_weights([one for one, _ in chosen], [words.cause is not None for _, words in chosen])
    reasons = _reasons(chosen, weights, left.currency)
    scores, findings, notes = _scores(facts, definition, first, after, lead)
    return Surveys(
        left,
        tuple(said),
        reasons,
        scores,
        findings,
        _trends(chosen, facts),
        len(chosen),
        sum(words.cause is not None for _, words in chosen),
        sum(one.how == "involuntary" for one in left.people),
        [*left.notes, *notes],
    )


def response_weights(people: Sequence[Leaver], answered: Sequence[bool]) -> list[float]:
    """For how many each answer stands: the leavers of its cell over those of it who answered; 0 for who did not.

    The weights sum to all leavers, if anybody answered. Cells are plan and tenure; see the module.
    """
    cells = [(one.plan, one.tenure) for one in people]
    joined: list[tuple[str, ...]] = list(cells)
    for coarser in (1, 0):
        counts = Counter(cell for cell, has in zip(joined, answered, strict=True) if has)
        joined = [cell if counts[cell] >= FEWEST_ANSWERS else cell[:coarser] for cell in joined]
    there, told = Counter(joined), Counter(cell for cell, has in zip(joined, answered, strict=True) if has)
    if not any(answered):
        return [0.0] * len(joined)
    # Of a cell in which nobody answered, everybody who did stands for a part.
    heard = sum(there[cell] for cell in told)
    scale = len(joined) / heard
    return [scale * there[cell] / told[cell] if has else 0.0 for cell, has in zip(joined, answered, strict=True)]


def _reasons(
    chosen: Sequence[tuple[Leaver, Stated]], weights: Sequence[float], currency: str | None
) -> tuple[Reason, ...]:
    total, squares = sum(weights), sum(weight * weight for weight in weights)
    whole = summed([one for one, _ in chosen], currency)
    paid = [0.0 if whole is None else float(one.mrr or 0) for one, _ in chosen]
    heavy = [weight * mrr for weight, mrr in zip(weights, paid, strict=True)]
    heavy_total, heavy_squares = sum(heavy), sum(part * part for part in heavy)
    rows: dict[str, list[int]] = defaultdict(list)
    for i, (_, words) in enumerate(chosen):
        if words.cause is not None:
            rows[words.cause].append(i)
    answered = sum(len(mine) for mine in rows.values())
    found = []
    for cause, mine in rows.items():
        share = sum(weights[i] for i in mine) / total
        of_customers = Estimate(share, *wilson_effective(share, effective_size(total, squares)))
        of_money = Estimate(None, None, None)
        if whole is not None and heavy_total:
            part = min(1.0, sum(heavy[i] for i in mine) / heavy_total)
            of_money = Estimate(part, *wilson_effective(part, effective_size(heavy_total, heavy_squares)))
        found.append(
            Reason(
                cause, len(mine), len(mine) / answered, of_customers, of_money,
                summed([chosen[i][0] for i in mine], currency), sum(chosen[i][1].is_text for i in mine),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.cause == "unknown", -(one.share.value or 0), one.cause)))


def _trends(chosen: Sequence[tuple[Leaver, Stated]], facts: Facts) -> dict[str, tuple[float, bool]]:
    """For each cause, whether its share of the answers moves from month to month."""
    told = [(one.left_at.astimezone(facts.timezone), words.cause) for one, words in chosen if words.cause is not None]
    months = sorted({(at.year, at.month) for at, _ in told})
    found: dict[str, tuple[float, bool]] = {}
    of_month = Counter((at.year, at.month) for at, _ in told)
    for cause in sorted({str(cause) for _, cause in told}):
        hits = Counter((at.year, at.month) for at, named in told if named == cause)
        scores = [12 * year + month for year, month in months]
        trend = trended([0] * len(months), scores, [hits[key] for key in months], [of_month[key] for key in months])
        if trend.p is not None and trend.slope.value is not None:
            found[cause] = (trend.p, trend.slope.value > 0)
    corrected = holm([p for p, _ in found.values()])
    return {cause: (p or 0.0, rises) for p, (cause, (_, rises)) in zip(corrected, found.items(), strict=True)}


# ------------------------------------------------------------------------------------------------------------- scores


def _scores(
    facts: Facts, definition: Definition, first: date, after: date, lead: int
) -> tuple[tuple[Score, ...], tuple[Finding, ...], list[str]]:
    if not facts.has("answers"):
        return (), (), ["No survey is loaded (`tenure load answers FILE`): there are no scores."]
    st = facts.statement()
    kinds = _kinds(facts, st)
    if not kinds:
        return (), (), ["No answer has a score of NPS, CSAT or CES."]
    scores = _by_month(facts, kinds, first, after)
    months = Months.of(facts, definition, first, after, lead=lead)
    st = facts.statement()
    rows = _latest_scores(st, months, kinds)
    contrasts = [
        Contrast(
            kind,
            _CAUSES[kind],
            *_TITLES[kind],
            f"feel_{kind}",
            ASK_THEM,
            2,
            of_whom="= 0",
            more={"compared": "unhappy to happy"},
        )
        for kind in kinds
    ]
    findings, _, _ = contrasted("surveys", months, st, rows, contrasts)
    return tuple(scores), findings, months.notes


def _given(st: Statement, facts: Facts) -> str:
    """A step with every score that was given, by the customer who counts."""
    columns = ("customer_id", "answer_id", "kind", "answered_at", "score")
    known = facts.counted(st, facts.latest(st, "answers", columns), columns, "counted_answers")
    listed = ", ".join(f"'{kind}'" for kind in SCORES)
    return st.step(
        "given", f"SELECT * FROM {known} WHERE kind IN ({listed}) AND score IS NOT NULL AND answered_at IS NOT NULL"
    )


def _kinds(facts: Facts, st: Statement) -> dict[str, str]:
    """The surveys with scores, and SQL that calls an answer unhappy (0), neither (1) or happy (2).

    NPS: 0-6, 7-8, 9-10. CSAT and CES: by the scale that the highest answer shows (5, 7 or 10): up to 40 % of it, between,
    from 80 % on.
    """
    given = _given(st, facts)
    rows = facts.engine.table(
        st.render(f"SELECT kind, max(score) AS top FROM {given} GROUP BY kind ORDER BY kind")
    ).to_pylist()
    found = {}
    for row in rows:
        low, high = 6.0, 9.0
        if row["kind"] != "nps":
            top = next((scale for scale in (5, 7, 10) if row["top"] <= scale), 100)
            low, high = 0.4 * top, 0.8 * top
        found[row["kind"]] = f"CASE WHEN score <= {low} THEN 0 WHEN score >= {high} THEN 2 ELSE 1 END"
    return found


def _feel(kinds: dict[str, str]) -> str:
    return "CASE " + " ".join(f"WHEN kind = '{kind}' THEN {sql}" for kind, sql in kinds.items()) + " END"


def _by_month(facts: Facts, kinds: dict[str, str], first: date, after: date) -> list[Score]:
    st = facts.statement()
    given = _given(st, facts)
    day = local_day(facts, "answered_at")
    d = facts.engine.dialect
    dated = st.step(
        "dated_scores",
        f"SELECT kind, year({d.date_of('day')}) * 12 + month({d.date_of('day')}) - 1 AS month, day, {_feel(kinds)} AS feel FROM "
        f"(SELECT *, {day} AS day FROM {given}) AS g",
    )
    begins, ends = (day_ - _EPOCH_ORDINAL for day_ in (first.toordinal(), after.toordinal()))
    sql = st.render(
        f"SELECT kind, month, min(day) AS first_day, sum(CASE WHEN feel = 0 THEN 1 ELSE 0 END) AS low, sum(CASE WHEN feel = 2 THEN 1 ELSE 0 END) AS high, "
        f"count(*) AS n FROM {dated} WHERE day >= {begins} AND day < {ends} GROUP BY kind, month ORDER BY kind, month"
    )
    rows = facts.engine.table(sql).to_pylist()
    found = []
    for kind in kinds:
        mine = [row for row in rows if row["kind"] == kind]
        if not mine:
            continue
        trend = trended(
            [0] * len(mine),
            [row["month"] for row in mine],
            [int(row["high"]) for row in mine],
            [int(row["n"]) for row in mine],
        )
        low, high, n = (sum(int(row[name]) for row in mine) for name in ("low", "high", "n"))
        found.append(Score(kind, None, n, _figure(kind, low, high, n), trend.p))
        for row in mine:
            counts = int(row["low"]), int(row["high"]), int(row["n"])
            month = from_day_number(int(row["first_day"])).replace(day=1)
            found.append(Score(kind, month, counts[2], _figure(kind, *counts)))
    return found


_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def _figure(kind: str, low: int, high: int, n: int) -> Estimate:
    """NPS with its interval, or the share of happy answers."""
    if kind != "nps":
        share = high / n
        return Estimate(share, *wilson_effective(share, n))
    up, down = high / n, low / n
    # One imaginary answer each way, so that a month in which all agree still has an interval.
    error = ((up + down - (up - down) ** 2) * n + 1) / (n * (n + 1))
    reach = normal_quantile(0.95) * error**0.5
    value = up - down
    return Estimate(100 * value, 100 * max(-1.0, value - reach), 100 * min(1.0, value + reach))


def _latest_scores(st: Statement, months: Months, kinds: dict[str, str]) -> str:
    """The step of months with each customer's latest answer before the month began, as a feeling."""
    at_risk = months.at_risk(st)
    given = _given(st, months.facts)
    latest = st.step(
        "scores_before",
        f"SELECT g.customer_id, c.cut, g.kind, max_by({_feel(kinds)}, g.answered_at) AS feel FROM {given} AS g JOIN cuts AS c "
        f"ON g.answered_at < c.at_us AND g.answered_at >= c.at_us - {SCORE_DAYS * DAY_US} GROUP BY g.customer_id, c.cut, g.kind",
    )
    wide = ", ".join(f"max(CASE WHEN kind = '{kind}' THEN feel END) AS feel_{kind}" for kind in kinds)
    by = st.step("feelings", f"SELECT customer_id, cut, {wide} FROM {latest} GROUP BY customer_id, cut")
    told = ", ".join(f"f.feel_{kind}" for kind in kinds)
    return st.step(
        "feeling",
        f"SELECT r.*, {told} FROM {at_risk} AS r JOIN {by} AS f ON f.customer_id = r.customer_id AND f.cut = r.cut",
        keep=True,
        says="who had answered by each month's beginning, and how",
    )


def lost_by_cause(found: Surveys) -> list[dict[str, Any]]:
    """What each cause's answers are about, as rows: the reason's values, and the revenue of those who named it."""
    return [
        {**one.as_json(), "mrr_said": money(one.mrr_said, found.left.currency), "currency": found.left.currency}
        for one in found.reasons
    ]
