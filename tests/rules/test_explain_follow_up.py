"""Follow-up: a sample that covers money, plan and reason unknown, the same for everybody who asks, and the way back."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.charts import svg
from tenure.errors import BadInput
from tenure.explain.follow_up import SHEET, _places
from tenure.explain.leavers import Leaver
from tenure.faces.cli import main
from tests.reference.builder import Company, Facts, Shop

AT = datetime(2026, 3, 5, tzinfo=UTC)


def told(reverse: bool = False) -> Facts:
    """Sixty who left in March: one in four said why, one in ten paid ten times as much, one in ten did not pay."""
    facts = Facts()
    for i in sorted(range(60), reverse=reverse):
        name, plan = f"c{i:02d}", ["basic", "team", "pro"][i % 3]
        price = {"plan_id": plan, "amount_minor": 1000 * (1 + i % 5) * (10 if i % 10 == 0 else 1)}
        facts.customer(name, name=f"Firm {i}")
        facts.state("2025-01-01", customer=name, **price)
        actor = "dunning" if i % 10 == 9 else "customer"
        reason = {"cancel_reason": "too_expensive"} if i % 4 == 0 else {"cancel_reason": "other"} if i % 4 == 1 else {}
        facts.state(
            f"2026-03-{1 + i % 28:02d}", customer=name, status="canceled", cancel_actor=actor, **price, **reason
        )
    return facts


def sample(shop: Shop, size: int) -> list[str]:
    found = shop.workspace.why("follow-up", since="2026-03", size=size, known_on=shop.known_on)
    return [one.leaver.customer_id for one in found.calls]


@pytest.fixture
def shop(company: Company) -> Shop:
    return company(told())


def test_the_sample_covers_money_plans_and_reason_unknown_and_says_why(shop: Shop) -> None:
    found = shop.workspace.why("follow-up", since="2026-03", size=20, known_on=shop.known_on)
    # 60 less 6 lost to payments; 15 named a reason, all of them by choice.
    assert (found.chosen_from, found.unknown) == (54, 54 - 15)
    assert len(found.calls) == 20
    assert Counter(one.known for one in found.calls) == {False: 10, True: 10}
    assert {one.third for one in found.calls} == {"low", "middle", "high"}
    assert {one.leaver.plan for one in found.calls} == {"basic", "team", "pro"}
    # A third of the customers with most of the money has more places than a third with little.
    assert sum(one.third == "high" for one in found.calls) > sum(one.third == "low" for one in found.calls)
    assert all(one.leaver.how != "involuntary" for one in found.calls)
    first = found.sheet()[0]
    assert first["why_chosen"].startswith("reason unknown; top third of MRR; plan ")
    assert first["choice"] is None and first["kind"] == "interview" and first["name"].startswith("Firm")
    stands = sum(one.stands_for for one in found.calls)
    drawn = {(one.known, one.third, one.leaver.plan): one.of_kind for one in found.calls}
    assert stands == pytest.approx(sum(drawn.values()))
    assert "Reason unknown" in svg(found.chart("en")) and "ไม่ทราบเหตุผล" in svg(found.chart("th"))


def test_the_same_question_draws_the_same_customers_whatever_the_order_of_the_facts(
    shop: Shop, company: Company
) -> None:
    assert sample(shop, 12) == sample(shop, 12) == sample(company(told(reverse=True)), 12)
    assert len(sample(shop, 500)) == 54
    with pytest.raises(BadInput, match="from 1 to"):
        sample(shop, 0)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from("lmh"), st.sampled_from("ab"), st.integers(0, 900)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 60),
)
def test_places_add_up_and_no_kind_gets_more_than_it_has(rows: list[tuple[bool, str, str, int]], size: int) -> None:
    people = [
        Leaver("c", None, AT, "voluntary", plan, "", 1, Fraction(mrr), "USD", None, None, "")
        for _, _, plan, mrr in rows
    ]
    kinds: dict[tuple[bool, str, str], list[int]] = {}
    for i, (known, third, plan, _) in enumerate(rows):
        kinds.setdefault((known, third, plan), []).append(i)
    size = min(size, len(rows))
    found = _places(kinds, people, size)
    assert sum(found.values()) == size
    assert all(0 <= found[kind] <= len(mine) for kind, mine in kinds.items())
    unknown = sum(len(mine) for kind, mine in kinds.items() if not kind[0])
    called = sum(n for kind, n in found.items() if not kind[0])
    assert called >= min(unknown, size // 2)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_what_was_said_on_the_phone_comes_back_and_counts_in_surveys_and_the_verdict(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(shop.workspace.folder)
    asked = ("-w", folder, "why", "follow-up", "--from", "2026-03", "--size", "6", "--format", "csv")
    assert run(*asked) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert tuple(rows[0]) == SHEET and len(rows) == 6
    coded, noted = rows[0]["customer_id"], rows[1]["customer_id"]
    rows[0] |= {
        "answered_at": "2026-04-02",
        "choice": "support.slow",
        "comment": "Waited a week",
        "competitor": "Rivalry",
    }
    rows[1] |= {"answered_at": "2026-04-03", "comment": "We are closing the business."}
    file = tmp_path / "calls.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, SHEET)
        writer.writeheader()
        writer.writerows(rows)
    before = shop.workspace.why("surveys", since="2026-03")
    assert run("-w", folder, "load", "interviews", str(file)) == 0
    told_ = capsys.readouterr().out
    assert "left out" in told_ and "traits" not in told_
    found = shop.workspace.why("surveys", since="2026-03")
    said = {one.customer_id: words for one, words in zip(found.left.people, found.stated, strict=True)}
    assert (said[coded].cause, said[coded].reason, said[coded].by) == ("support", "support.slow", "interview")
    assert (said[noted].cause, said[noted].by) == ("circumstance", "text")
    assert found.answered == before.answered + sum(row["said_cause"] == "" for row in rows[:2])
    verdict = shop.workspace.why("verdict", since="2026-03")
    assert verdict.says["support"] == 1
    (each,) = (row for row in verdict.customers() if row["customer_id"] == coded)
    assert each["says"] == "support"
    assert "says: Waited a week" in str(each["causes"])
    (rival,) = shop.workspace.why("competition", since="2026-03").rivals
    assert (rival.name, rival.said) == ("Rivalry", 1)
    again = shop.workspace.why("follow-up", since="2026-03", size=54)
    assert again.interviewed == 2
    assert {coded, noted}.isdisjoint(one.leaver.customer_id for one in again.calls)
    # The same sheet again changes nothing.
    assert run("-w", folder, "load", "interviews", str(file), "--format", "csv") == 0
    assert ",0,6,0" in capsys.readouterr().out
