"""Who do they leave for? Rivals that are named at exit, in tickets and in reviews, and what they ask beside us.

    found = competition(facts, definition, first, after, currency="USD")
    found.rivals      each rival: who named it when leaving, the share of leavers and of lost revenue, tickets, reviews
    found.offers      what each rival asked at first, at the least and last, and which features he tells that we lack
    found.plans       what we ask: the usual price of each plan

Named at exit is what an exit survey or an interview says, or what the cancellation's or the survey's words name. Shares
are of those who left by choice: an answer stands for the silent of the same plan and tenure, as in surveys. Somebody may
name two rivals, so shares need not sum to one. A name is said, not proven: that a rival drew him away is another claim.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Any

from tenure.explain.comparing import trended
from tenure.explain.findings import Finding, Strength
from tenure.explain.leavers import Leaver, Left, leavers, money, summed
from tenure.explain.rival_offers import Offer, Plan, offers, plans
from tenure.explain.rivals import Known, Rivals
from tenure.explain.stated import INTERVIEW_DAYS, NEAR_DAYS, Stated, stated
from tenure.explain.surveys import response_weights
from tenure.kernel.stats import NO_ESTIMATE, Estimate, effective_size, holm, wilson_effective
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, micros
from tenure.measure.definition import Definition
from tenure.text import Taxonomy

MOST_TEXTS = 100_000  # the latest of tickets, and of reviews; what older ones say is not read
_LETTERS = 8_000
MOVES = 0.05
SETTLES = "exit interviews (`tenure why follow-up`), and an offer for some, chosen by chance"


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival and who names it.

    said: leavers by choice who named it; share, mrr_share: of all of them, weighted; mrr_said: what those who named it
    paid a month; tickets, ticket_customers, ticket_left: tickets that name it, of how many customers, who of them left;
    reviews, rating: reviews that name it and their mean stars; trend_p: that its share does not move from month to month
    (all rivals taken together), rises: which way it moves.
    """

    name: str
    said: int
    share: Estimate
    mrr_share: Estimate
    mrr_said: Fraction | None
    tickets: int
    ticket_customers: int
    ticket_left: int
    reviews: int
    rating: float | None
    trend_p: float | None
    rises: bool

    def as_json(self) -> dict[str, Any]:
        """The rival as plain values, without money."""
        return {
            "rival": self.name, "said": self.said, "customers_share": self.share.value, "low": self.share.low,
            "high": self.share.high, "mrr_share": self.mrr_share.value, "mrr_low": self.mrr_share.low,
            "mrr_high": self.mrr_share.high, "tickets": self.tickets, "ticket_customers": self.ticket_customers,
            "ticket_customers_left": self.ticket_left, "reviews": self.reviews, "rating": self.rating,
            "trend_p": self.trend_p, "rises": self.rises if self.trend_p is not None else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Naming:
    """Somebody who left and named a rival: where, and in which words."""

    leaver: Leaver
    rivals: tuple[str, ...]
    where: str
    words: str


@dataclass(frozen=True, eq=False)
class Competition:
    """Who is named; see the module. by_choice: who left by choice, spoke: of them, who said anything of why."""

    left: Left
    rivals: tuple[Rival, ...]
    offers: tuple[Offer, ...]
    plans: tuple[Plan, ...]
    namings: tuple[Naming, ...]
    by_choice: int
    spoke: int
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each rival that leavers named, as a finding; stated, never tested."""
        return tuple(
            Finding(
                "competition", one.name, "competition", f"named {one.name} when leaving", f"เอ่ยถึง {one.name} ตอนเลิกใช้",
                one.share, "share", one.said, Strength.stated, settles=SETTLES, who=partial(self._who, one.name),
            )
            for one in self.rivals
            if one.said
        )  # fmt: skip

    def _who(self, name: str) -> Any:
        import pyarrow as pa

        return pa.table({"customer_id": [one.leaver.customer_id for one in self.namings if name in one.rivals]})

    def chart(self, language: str = "en") -> Any:
        """A picture: the weighted share of leavers who name each rival, with its interval."""
        from tenure.charts.explaining import shares
        from tenure.charts.language import language as language_of

        rows = [
            {"label": one.name, "share": one.share.value, "low": one.share.low, "high": one.share.high}
            for one in self.rivals
            if one.said
        ]
        return shares(rows, language, title=language_of(language).words("explain.named"))


def competition(
    facts: Facts,
    definition: Definition,
    first: date,
    after: date,
    *,
    currency: str | None = None,
    taxonomy: Taxonomy | None = None,
    rivals: Mapping[str, Known] | None = None,
) -> Competition:
    """Which rivals leavers of [first, after) name, and what rivals ask; see the module. rivals: spellings that are known."""
    left = leavers(facts, definition, first, after, currency=currency)
    says = stated(facts, left.people, taxonomy)
    names = Rivals.of(_seen(facts), rivals or {})
    notes = list(left.notes)
    if not names.names:
        notes.append("No rival is named in any column: list them in rivals.toml, or load competitor_offers.")
    namings = _namings(facts, left.people, says, names)
    chosen = [i for i, one in enumerate(left.people) if one.is_choice]
    people = [left.people[i] for i in chosen]
    spoke = [says[i].cause is not None or i in namings for i in chosen]
    weights = response_weights(people, spoke)
    tickets = _tickets(facts, names, first, after, notes)
    reviews = _reviews(facts, names, first, after, notes)
    gone = {one.customer_id for one in left.people}
    found = []
    trends = _trends(facts, people, spoke, [namings.get(i) for i in chosen])
    for name in names.names:
        mine = [place for place, i in enumerate(chosen) if i in namings and name in namings[i].rivals]
        share, mrr_share = _shares(left, chosen, weights, mine)
        of_tickets = tickets.get(name, [])
        customers = {customer for customer in of_tickets if customer is not None}
        stars = [rating for rating in reviews.get(name, []) if rating is not None]
        p, rises = trends.get(name, (None, False))
        found.append(
            Rival(
                name, len(mine), share, mrr_share, summed([people[place] for place in mine], left.currency),
                len(of_tickets), len(customers), len(customers & gone), len(reviews.get(name, [])),
                sum(stars) / len(stars) if stars else None, p, rises,
            )
        )  # fmt: skip
    told = [one for one in found if one.said or one.tickets or one.reviews]
    order = sorted(told, key=lambda one: (-(one.share.value or 0), -one.said, -one.tickets - one.reviews, one.name))
    asked, asking = offers(facts, names, after), plans(facts, after)
    return Competition(left, tuple(order), asked, asking, tuple(namings.values()), len(chosen), sum(spoke), notes)


def _shares(
    left: Left, chosen: Sequence[int], weights: Sequence[float], mine: Sequence[int]
) -> tuple[Estimate, Estimate]:
    """The weighted share of leavers by choice, and of their revenue."""
    total, squares = sum(weights), sum(weight * weight for weight in weights)
    if not total:
        return NO_ESTIMATE, NO_ESTIMATE
    share = min(1.0, sum(weights[place] for place in mine) / total)
    of_customers = Estimate(share, *wilson_effective(share, effective_size(total, squares)))
    if summed([left.people[i] for i in chosen], left.currency) is None:
        return of_customers, NO_ESTIMATE
    heavy = [weight * float(left.people[i].mrr or 0) for weight, i in zip(weights, chosen, strict=True)]
    whole = sum(heavy)
    if not whole:
        return of_customers, NO_ESTIMATE
    part = min(1.0, sum(heavy[place] for place in mine) / whole)
    return of_customers, Estimate(part, *wilson_effective(part, effective_size(whole, sum(one * one for one in heavy))))


# ---------------------------------------------------------------------------------------------------------- who is named


def _seen(facts: Facts) -> set[str]:
    """Every rival that a column names."""
    found: set[str] = set()
    for table in ("competitor_offers", "answers", "mentions"):
        if facts.has(table) and not facts.lacks(table, "competitor"):
            st = facts.statement()
            known = facts.latest(st, table, ("competitor",), step="known_names")
            sql = st.render(f"SELECT DISTINCT competitor FROM {known} WHERE competitor IS NOT NULL")
            found |= {row["competitor"] for row in facts.engine.table(sql).to_pylist()}
    return found


def _namings(facts: Facts, people: Sequence[Leaver], says: Sequence[Stated], names: Rivals) -> dict[int, Naming]:
    """Who named a rival when he left, by his place among the people: in a column, else in his words."""
    words: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    if facts.has("answers"):
        st = facts.statement()
        columns = ("customer_id", "answer_id", "kind", "answered_at", "comment")
        known = facts.counted(st, facts.latest(st, "answers", columns), columns, "counted_answers")
        sql = st.render(
            f"SELECT customer_id, kind, answered_at, comment FROM {known} WHERE kind IN ('exit', 'interview') AND comment IS NOT NULL "
            "AND answered_at IS NOT NULL ORDER BY answered_at, answer_id"
        )
        for row in facts.engine.table(sql).to_pylist():
            last = INTERVIEW_DAYS if row["kind"] == "interview" else NEAR_DAYS
            words[row["customer_id"]].append((int(row["answered_at"]), last, row["comment"]))
    found = {}
    for i, (one, said) in enumerate(zip(people, says, strict=True)):
        if not one.is_choice:
            continue
        told: dict[str, str] = {}
        column = names.counted_as(said.competitor)
        if column is not None:
            told[column] = "survey"
        for at, last, comment in words.get(one.customer_id, ()):
            if -NEAR_DAYS <= (at - micros(one.left_at)) / DAY_US <= last:
                for name in names.named(comment):
                    told.setdefault(name, "survey's words")
        for name in names.named(one.comment):
            told.setdefault(name, "cancel comment")
        if told:
            text = one.comment or said.said
            found[i] = Naming(one, tuple(told), ", ".join(dict.fromkeys(told.values())), text)
    return found


def _window(facts: Facts, first: date, after: date) -> tuple[int, int]:
    return micros(midnight(first, facts.timezone)), micros(midnight(after, facts.timezone))


def _tickets(facts: Facts, names: Rivals, first: date, after: date, notes: list[str]) -> dict[str, list[str | None]]:
    """For each rival, the customer of each ticket that names it."""
    if not facts.has("tickets"):
        return {}
    begins, ends = _window(facts, first, after)
    st = facts.statement()
    columns = ("customer_id", "ticket_id", "opened_at", "subject", "body")
    known = facts.counted(st, facts.latest(st, "tickets", columns, step="written_tickets"), columns, "counted_tickets")
    sql = st.render(
        f"SELECT customer_id, substr(concat(coalesce(subject, ''), ' ', coalesce(body, '')), 1, {_LETTERS}) AS words FROM {known} "
        f"WHERE opened_at >= {begins} AND opened_at < {ends} ORDER BY opened_at DESC, ticket_id LIMIT {MOST_TEXTS + 1}"
    )
    rows = facts.engine.table(sql)
    return _by_name(rows.column("words").to_pylist(), rows.column("customer_id").to_pylist(), names, "tickets", notes)


def _reviews(facts: Facts, names: Rivals, first: date, after: date, notes: list[str]) -> dict[str, list[Any]]:
    """For each rival, the stars of each review that names it, in its column or its words."""
    if not facts.has("mentions"):
        return {}
    begins, ends = _window(facts, first, after)
    st = facts.statement()
    columns = ("mention_id", "published_at", "rating", "text", "competitor")
    known = facts.latest(st, "mentions", columns)
    sql = st.render(
        f"SELECT concat(coalesce(competitor, ''), ' ', substr(coalesce(text, ''), 1, {_LETTERS})) AS words, competitor, rating FROM {known} "
        f"WHERE published_at >= {begins} AND published_at < {ends} ORDER BY published_at DESC, mention_id LIMIT {MOST_TEXTS + 1}"
    )
    rows = facts.engine.table(sql)
    found = _by_name(rows.column("words").to_pylist(), rows.column("rating").to_pylist(), names, "reviews", notes)
    # A name that is not looked for in words counts where a column tells it.
    for column, rating in zip(rows.column("competitor").to_pylist(), rows.column("rating").to_pylist(), strict=True):
        name = names.counted_as(column)
        if name is not None and name not in names.in_texts:
            found.setdefault(name, []).append(rating)
    return found


def _by_name(
    texts: Sequence[str], values: Sequence[Any], names: Rivals, what: str, notes: list[str]
) -> dict[str, list[Any]]:
    """The values of the texts that name each rival; every different text is read once."""
    if len(texts) > MOST_TEXTS:
        notes.append(f"The latest {MOST_TEXTS:,} {what} were read for names; older ones were not.")
        texts, values = texts[:MOST_TEXTS], values[:MOST_TEXTS]
    read = {text: names.named(text) for text in dict.fromkeys(texts)}
    found: dict[str, list[Any]] = {}
    for text, value in zip(texts, values, strict=True):
        for name in read[text]:
            found.setdefault(name, []).append(value)
    return found


def _trends(
    facts: Facts, people: Sequence[Leaver], spoke: Sequence[bool], namings: Sequence[Naming | None]
) -> dict[str, tuple[float, bool]]:
    """For each rival, whether its share of those who spoke moves from month to month."""
    months = [one.left_at.astimezone(facts.timezone) for one in people]
    scores = [12 * at.year + at.month for at in months]
    of_month = Counter(score for score, has in zip(scores, spoke, strict=True) if has)
    order = sorted(of_month)
    hits: dict[str, Counter[int]] = defaultdict(Counter)
    for score, one in zip(scores, namings, strict=True):
        for name in one.rivals if one is not None else ():
            hits[name][score] += 1
    found = {}
    for name in sorted(hits):
        trend = trended(
            [0] * len(order), order, [hits[name][score] for score in order], [of_month[score] for score in order]
        )
        if trend.p is not None and trend.slope.value is not None:
            found[name] = (trend.p, trend.slope.value > 0)
    corrected = holm([p for p, _ in found.values()])
    return {name: (p or 0.0, rises) for p, (name, (_, rises)) in zip(corrected, found.items(), strict=True)}


def rows_of(found: Competition) -> list[dict[str, Any]]:
    """Everything as rows: rivals with what those who named them paid, offers, plans."""
    unit = found.left.currency
    rows = [
        {"section": "rival", **one.as_json(), "mrr_said": money(one.mrr_said, unit), "currency": unit}
        for one in found.rivals
    ]
    rows += [{"section": "offer", **one.as_json()} for one in found.offers]
    return rows + [{"section": "plan", **one.as_json()} for one in found.plans]
