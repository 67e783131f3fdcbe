"""Surveys: who left and what was lost, one stated reason each, weights for who answers, scores, and hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction

import numpy as np
import pytest

from tenure.explain.leavers import Leaver, leavers
from tenure.explain.stated import stated
from tenure.explain.surveys import response_weights
from tests.reference.builder import Company, Facts, Shop, open_company

AT = datetime(2026, 3, 5, tzinfo=UTC)
RIGHT_TO_LEFT = "\u202e\u2066too expensive\u2069\u202c"
HOSTILE = {
    "markup": "<script>alert('x')</script><b>too expensive for us</b>",
    "emoji": "😡😡😡👎",
    "right to left": RIGHT_TO_LEFT,
    "zero width": "t\u200bo\u200bo e\u200bx\u200bpensive",
    "long": "support never answered our ticket. " * 30_000,
    "empty": "",
    "blank": "   \n\t ",
    "unknown language": "Քանի որ մենք այլեւս դրա կարիքը չունենք",
    "surrogate": "too expensive \ud800",
    "nul": "too\x00 expensive",
    "digits": "0123456789" * 20,
}


def leaver(plan: str, tenure: str = "0-3 months", how: str = "voluntary") -> Leaver:
    return Leaver("c", None, AT, how, plan, tenure, 30, Fraction(10), "USD", None, None, "cancellations:s")


def exits(company: Company) -> Shop:
    """Six leavers in March: by code, by exit survey, by words, by failed payment, silent, and 'other'."""
    facts = Facts()
    for name, plan in zip("abcdefg", ["basic", "basic", "team", "team", "basic", "team", "team"], strict=True):
        facts.state("2025-01-01", customer=name, plan_id=plan, amount_minor=1000 if plan == "basic" else 5000)
    gone = {"status": "canceled", "amount_minor": 1000}
    facts.state("2026-03-02", customer="a", cancel_actor="customer", cancel_reason="too_expensive", **gone)
    facts.state("2026-03-03", customer="b", cancel_actor="customer", cancel_reason="other", **gone)
    facts.answer("x1", "2026-03-01", customer="b", kind="exit", choice="switched_service", competitor="Rivalry")
    facts.state(
        "2026-03-04",
        customer="c",
        cancel_actor="customer",
        cancel_reason="other",
        cancel_comment="We are closing the business.",
        **gone,
    )
    facts.state("2026-03-05", customer="d", cancel_actor="dunning", cancel_reason="too_expensive", **gone)
    facts.state("2026-03-06", customer="e", cancel_actor="customer", **gone)
    facts.state(
        "2026-03-07", customer="f", cancel_actor="customer", cancel_reason="other", cancel_comment="qwerty", **gone
    )
    return company(facts)


def test_leavers_and_what_was_lost_are_those_of_the_metrics(company: Company) -> None:
    shop = exits(company)
    found = leavers(
        shop.workspace.facts(shop.known_on), shop.workspace.definition(), date(2026, 3, 1), date(2026, 4, 1)
    )
    assert [one.customer_id for one in found.people] == list("abcdef")
    assert len(found.people) == shop.value("customers_churned", "2026-03")
    assert found.total == shop.value("mrr_churn", "2026-03")
    assert [one.mrr for one in found.people] == [10, 10, 50, 50, 10, 50]
    assert [one.how for one in found.people] == [*["voluntary"] * 3, "involuntary", *["voluntary"] * 2]


def test_each_leaver_has_the_reason_he_told_last_and_most_plainly(company: Company) -> None:
    shop = exits(company)
    facts = shop.workspace.facts(shop.known_on)
    people = leavers(facts, shop.workspace.definition(), date(2026, 3, 1), date(2026, 4, 1)).people
    found = {one.customer_id: said for one, said in zip(people, stated(facts, people), strict=True)}
    assert (found["a"].cause, found["a"].reason, found["a"].by) == ("price", "price.too_expensive", "cancellation")
    assert (found["b"].cause, found["b"].by, found["b"].competitor) == ("competition", "exit", "Rivalry")
    assert (found["c"].cause, found["c"].by, found["c"].text_ids) == ("circumstance", "text", ("cancellations:s-c",))
    assert (found["d"].cause, found["d"].by) == ("involuntary", "payment")
    assert found["e"].cause is None
    assert found["f"].cause == "unknown"


def test_what_a_person_corrects_is_what_counts_from_then_on(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    facts.state("2026-03-02", status="canceled", cancel_actor="customer", cancel_comment="Far too expensive for us")
    facts.label("cancellations", "s-c1", "fit.missing_feature", "2026-05-01")
    shop = company(facts)

    def cause(known_on: str) -> tuple[str | None, str]:
        known = shop.workspace.facts(known_on)
        people = leavers(known, shop.workspace.definition(), date(2026, 3, 1), date(2026, 4, 1)).people
        (said,) = stated(known, people)
        return said.cause, said.by

    assert cause("2026-04-30") == ("price", "text")
    assert cause("2026-05-02") == ("fit", "correction")


def test_an_interview_outweighs_what_was_picked_when_leaving(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    facts.state("2026-03-02", status="canceled", cancel_actor="customer", cancel_reason="too_expensive")
    facts.answer("i1", "2026-04-20", kind="interview", choice="support.slow", comment="Waited a week for every answer")
    shop = company(facts)
    found = shop.workspace.why("surveys", since="2026-03", known_on=shop.known_on)
    assert [(one.cause, one.by) for one in found.stated] == [("support", "interview")]


def test_an_answer_stands_for_the_silent_of_its_plan_and_tenure() -> None:
    # Basic: 10 left, 5 said why. Team: 8 left, all spoke. Solo: 2 left, none did, so that all stand for them.
    people = [leaver("basic")] * 10 + [leaver("team")] * 8 + [leaver("solo")] * 2
    answered = [True] * 5 + [False] * 5 + [True] * 8 + [False] * 2
    found = response_weights(people, answered)
    assert sum(found) == pytest.approx(20)
    assert [found[0] / found[10], found[5], found[18]] == pytest.approx([2 / 1, 0, 0])
    assert response_weights(people, [False] * 20) == [0.0] * 20


def test_weighting_finds_the_share_that_the_answers_alone_get_wrong() -> None:
    # Truth: of basic leavers 60 % name price, of team 10 %; team answers four times as often.
    rng = np.random.default_rng(21)
    raw_error, errors = [], []
    for _ in range(200):
        plans = rng.random(600) < 0.5
        names_price = rng.random(600) < np.where(plans, 0.6, 0.1)
        answered = rng.random(600) < np.where(plans, 0.2, 0.8)
        weights = np.array(response_weights([leaver("basic" if one else "team") for one in plans], list(answered)))
        truth = names_price.mean()
        errors.append(weights[names_price].sum() / weights.sum() - truth)
        raw_error.append(names_price[answered].mean() - truth)
    assert abs(np.mean(raw_error)) > 0.12
    assert abs(np.mean(errors)) < 0.01


def test_intervals_of_the_shares_cover_what_all_leavers_would_have_said() -> None:
    from tenure.explain.surveys import _reasons

    rng = np.random.default_rng(22)
    covered, seen = 0, 0
    from tenure.explain.stated import NOTHING, Stated

    for _ in range(150):
        plans = rng.integers(0, 3, 400)
        people = [leaver(f"p{plan}") for plan in plans]
        answered = rng.random(400) < np.array([0.2, 0.5, 0.8])[plans]
        causes = np.where(rng.random(400) < np.array([0.5, 0.3, 0.1])[plans], "price", "fit")
        said = [
            Stated(str(c), None, "exit", "", ()) if has else NOTHING for c, has in zip(causes, answered, strict=True)
        ]
        weights = response_weights(people, list(answered))
        truth = 0.3
        (price,) = (
            one for one in _reasons(list(zip(people, said, strict=True)), weights, "USD") if one.cause == "price"
        )
        covered += price.share.low <= truth <= price.share.high
        seen += 1
    assert 0.91 <= covered / seen <= 1.0


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    facts = Facts()
    for number, text in enumerate(HOSTILE.values()):
        name = f"h{number:02d}"
        facts.state("2025-01-01", customer=name)
        clean = text.encode("utf-8", "ignore").decode()
        facts.state("2026-03-02", customer=name, status="canceled", cancel_actor="customer", cancel_comment=clean)
        facts.answer(f"n{number}", "2026-02-01", customer=name, kind="nps", score=float(number % 11), comment=clean)
    shop = open_company(tmp_path_factory.mktemp("hostile") / "shop", facts)
    yield shop
    shop.close()


def test_hostile_texts_are_labelled_or_cannot_be_told_and_never_end_the_work(hostile: Shop) -> None:
    found = hostile.workspace.why("surveys", since="2026-03", known_on=hostile.known_on)
    causes = dict(zip(HOSTILE, [one.cause for one in found.stated], strict=True))
    assert causes["markup"] == causes["right to left"] == causes["zero width"] == causes["nul"] == "price"
    assert causes["long"] == "support"
    assert causes["empty"] is None
    assert causes["emoji"] in (None, "unknown")
    assert causes["unknown language"] == "unknown"
    assert found.answered + sum(one.cause is None for one in found.stated) == len(HOSTILE)


def test_scores_are_as_counted_by_hand(company: Company) -> None:
    facts = Facts()
    for number, score in enumerate([10, 9, 9, 8, 7, 3, 0]):
        facts.state("2025-01-01", customer=f"c{number}")
        facts.answer(f"n{number}", "2026-03-10", customer=f"c{number}", kind="nps", score=float(score))
        facts.answer(f"s{number}", "2026-03-11", customer=f"c{number}", kind="csat", score=float(1 + number % 5))
    shop = company(facts)
    found = shop.workspace.why("surveys", since="2026-03", known_on=shop.known_on)
    whole = {one.kind: one for one in found.scores if one.month is None}
    # Three promoters, two detractors of seven; of 1 2 3 4 5 1 2 two are at least 4.
    assert whole["nps"].value.value == pytest.approx(100 * 1 / 7)
    assert whole["csat"].value.value == pytest.approx(2 / 7)
    assert [one.month for one in found.scores if one.month] == [date(2026, 3, 1)] * 2
    assert found.reasons == ()


def test_a_chart_is_drawn_in_both_languages(company: Company) -> None:
    found = exits(company).workspace.why("surveys", since="2026-03", known_on="2026-10-31")
    thai = str(found.chart("th").to_dict())
    assert "ราคา" in thai
    assert "Price" in str(found.chart("en").to_dict())
