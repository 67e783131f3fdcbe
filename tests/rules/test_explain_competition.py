"""Competition: names in texts of every kind, who named whom by hand, prices beside ours, a rival's offer that drew."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.charts import svg
from tenure.errors import BadConfiguration
from tenure.explain.rivals import Known, Rivals, load
from tenure.faces.cli import main
from tenure.simulate.hazards import Causes
from tests.reference.builder import Company, Facts, Shop
from tests.rules.simulated_shop import opened
from tests.rules.test_explain_surveys import HOSTILE

NAMES = Rivals.of(
    ["Rivalry", "C3"],
    {
        "Made-Up": Known(("Made Up Inc.", "เมดอัป")),
        "กาแฟดี": Known(()),
        "Monday": Known((), in_texts=False),
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We moved to Rivalry.", ("Rivalry",)),
        ("RIVALRY, then rivalry again", ("Rivalry",)),
        ("There is some rivalrys here, and arivalry", ()),
        ("<b>Riv</b>alry does it", ()),  # two words, as a reader of the page sees "Riv alry"
        ("Riv\u200bal\u200bry \U0001f621", ("Rivalry",)),
        ("\u202erivalry\u202c", ("Rivalry",)),
        ("we use C3 now", ("C3",)),
        ("row C32 and AC3", ()),
        ("made-up or Made  Up Inc.?", ("Made-Up",)),
        ("ย้ายไปRivalryแล้วค่ะ", ("Rivalry",)),
        ("เปลี่ยนมาใช้เมดอัปแทน และกาแฟดีด้วย", ("Made-Up", "กาแฟดี")),
        ("เมดอัปปี้น่ารัก", ("Made-Up",)),  # Thai has no spaces: a longer word that begins so cannot be told apart
        ("ร้านเกาแฟดี", ()),  # the vowel before belongs to the name's first letter: another syllable
        ("กาแฟดีี", ()),  # a mark changes the last syllable
        ("See you on Monday", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_a_name_is_found_where_it_is_a_word(text: str | None, expected: tuple[str, ...]) -> None:
    assert NAMES.named(text) == expected


def test_spellings_are_counted_under_one_name() -> None:
    assert NAMES.counted_as("  MADE-UP ") == "Made-Up"
    assert NAMES.counted_as("Nobody Knows") == "Nobody Knows"
    assert NAMES.counted_as(None) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_that_stands_alone_is_found_in_any_text_and_no_text_ends_the_work(before: str, after: str) -> None:
    assert set(NAMES.named(before + after)) <= set(NAMES.names)
    assert "Rivalry" in NAMES.named(f"x {before.replace('<', '').replace('&', '')} . rivalry") or len(before) > 250


def test_hostile_and_very_long_texts_are_read_in_one_pass() -> None:
    for text in HOSTILE.values():
        assert NAMES.named(text) == ()
    assert NAMES.named("เมดอัป " * 150_000) == ("Made-Up",)
    assert NAMES.named("Rivalr" * 200_000) == ()


def test_the_workspaces_own_spellings_are_read_and_a_wrong_file_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "rivals.toml"
    file.write_text('[Rivalry]\nalso = ["ไรวัลรี"]\n\n[Monday]\nin_texts = false\n', encoding="utf-8")
    assert load(file) == {"Rivalry": Known(("ไรวัลรี",)), "Monday": Known((), False)}
    for wrong in ("[Rivalry", "Rivalry = 3", "[Rivalry]\nalias = []", '[Rivalry]\nalso = "x"'):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(BadConfiguration, match=r"rivals\.toml"):
            load(file)


def told() -> Facts:
    """Six leavers in March who paid 10 or 50, and where each names a rival; tickets and reviews that name one."""
    facts = Facts()
    for name, plan in zip("abcdefg", ["basic", "basic", "team", "team", "basic", "team", "team"], strict=True):
        price = 1000 if plan == "basic" else 5000
        facts.state("2025-01-01", customer=name, plan_id=plan, amount_minor=price, quantity=1)
    gone = {"status": "canceled", "amount_minor": 1000, "cancel_actor": "customer"}
    facts.state("2026-03-02", customer="a", **gone)
    facts.answer("x1", "2026-03-01", customer="a", kind="exit", choice="switched_service", competitor="rivalry")
    facts.state("2026-03-03", customer="b", cancel_comment="ย้ายไปใช้เมดอัปดีกว่า", **gone)
    facts.state("2026-03-04", customer="c", cancel_comment="Rivalry and Made-Up both cost less", **gone)
    facts.state("2026-03-05", customer="d", cancel_reason="too_complex", **gone)
    facts.state("2026-03-06", customer="e", cancel_comment="No particular reason", **gone)
    facts.answer("x2", "2026-06-01", customer="e", kind="interview", comment="In the end they went to Rivalry")
    facts.state("2026-03-07", customer="f", **{**gone, "cancel_actor": "dunning"}, cancel_comment="Rivalry is better")
    facts.ticket("t1", "2026-03-01", customer="a", subject="Import", body="Can we import from RIVALRY?")
    facts.ticket("t2", "2026-03-09", customer="g", subject="made-up exports", body="")
    facts.ticket("t3", "2026-02-20", customer="g", subject="Rivalry", body="")
    facts.mention("m1", "2026-03-10", rating=2.0, text="Rivalry answers faster", competitor="Rivalry")
    facts.mention("m2", "2026-03-11", rating=4.0, text="better than Monday", competitor="Monday")
    facts.offer("Rivalry", "Rivalry small", "2026-01-05", price_minor=900, features="reports; magic")
    facts.offer("Rivalry", "Rivalry small", "2026-02-05", price_minor=600, features="reports; magic")
    facts.offer("Rivalry", "Rivalry small", "2026-03-05", price_minor=800, features="Reports; magic; sync")
    facts.use("u1", "2026-02-01", customer="a", feature="reports")
    return facts


@pytest.fixture
def shop(company: Company) -> Shop:
    made = company(told())
    spelled = '[Made-Up]\nalso = ["เมดอัป"]\n[Monday]\nin_texts = false\n'
    (made.workspace.folder / "rivals.toml").write_text(spelled, encoding="utf-8")
    return made


def test_who_named_whom_is_as_read_by_hand(shop: Shop) -> None:
    found = shop.workspace.why("competition", since="2026-03", known_on=shop.known_on)
    by = {one.name: one for one in found.rivals}
    assert {one.leaver.customer_id: one.rivals for one in found.namings} == {
        "a": ("Rivalry",), "b": ("Made-Up",), "c": ("Rivalry", "Made-Up"), "e": ("Rivalry",),
    }  # fmt: skip
    assert (found.by_choice, found.spoke) == (5, 5)
    assert (by["Rivalry"].said, by["Made-Up"].said) == (3, 2)
    # All five said something, so each stands for himself: 3 and 2 of 5; 10 + 50 + 10 and 10 + 50 of 130.
    assert [by[name].share.value for name in ("Rivalry", "Made-Up")] == pytest.approx([0.6, 0.4])
    assert [by[name].mrr_share.value for name in ("Rivalry", "Made-Up")] == pytest.approx([70 / 130, 60 / 130])
    assert [by[name].mrr_said for name in ("Rivalry", "Made-Up")] == [Fraction(70), Fraction(60)]
    assert by["Rivalry"].share.low < 0.6 < by["Rivalry"].share.high
    assert (by["Rivalry"].tickets, by["Rivalry"].ticket_left, by["Rivalry"].reviews) == (1, 1, 1)
    assert (by["Made-Up"].tickets, by["Made-Up"].ticket_customers, by["Made-Up"].ticket_left) == (1, 1, 0)
    assert (by["Monday"].reviews, by["Monday"].rating, by["Monday"].said) == (1, 4.0, 0)
    (finding,) = (one for one in found.findings if one.name == "Rivalry")
    assert finding.who().column(0).to_pylist() == ["a", "c", "e"]
    assert finding.strength.words == "stated" and not finding.stands


def test_prices_and_features_stand_beside_ours(shop: Shop) -> None:
    found = shop.workspace.why("competition", since="2026-03", known_on=shop.known_on)
    (offer,) = found.offers
    assert (offer.first, offer.least, offer.latest) == (Decimal("9.00"), Decimal("6.00"), Decimal("8.00"))
    assert (offer.least_on, offer.latest_on) == (date(2026, 2, 5), date(2026, 3, 5))
    assert offer.lacking == ("magic", "sync")
    assert [(one.plan, one.price, one.customers) for one in found.plans] == [("team", Decimal("50.00"), 1)]
    # As known before the interview nobody knew what it says.
    early = shop.workspace.why("competition", since="2026-03", known_on="2026-05-01")
    assert {one.name: one.said for one in early.rivals}["Rivalry"] == 2


def code_of(arguments: list[str]) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_the_command_lists_who_named_a_rival_and_draws_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-w", str(shop.workspace.folder), "why", "competition", "--from", "2026-03", "--known-on", "2026-12"]
    assert code_of(arguments) == 0
    assert "Most name Rivalry: 60 %" in capsys.readouterr().out
    assert code_of([*arguments, "--customers", "Rivalry", "--format", "csv"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["customer_id", "a", "c", "e"]
    assert code_of([*arguments, "--customers", "Nobody"]) == 2
    found = shop.workspace.why("competition", since="2026-03", known_on=shop.known_on)
    assert "Rivalry" in svg(found.chart("en")) and "คู่แข่ง" in svg(found.chart("th"))


def test_the_rival_whose_offer_drew_customers_away_is_named_most_and_more_from_then_on(tmp_path: Path) -> None:
    strong = replace(Causes.none(), competition=8.0)
    workspace, _ = opened(
        tmp_path / "drawn", customers=1500, months=24, late=0, mistakes=0, usage="none", causes=strong
    )
    found = workspace.why("competition", since="2025-01", until="2026-06", currency="USD")
    facts = workspace.facts()
    sql = facts.statement()
    known = facts.latest(sql, "answers", ("customer_id", "kind", "competitor", "answered_at"))
    rows = facts.engine.table(
        sql.render(f"SELECT DISTINCT customer_id, competitor FROM {known} WHERE competitor IS NOT NULL")
    )
    workspace.close()
    by = {one.name: one for one in found.rivals}
    assert found.rivals[0].name == "Madeupify"
    assert by["Madeupify"].share.low > by["Pretendly"].share.high
    assert by["Madeupify"].trend_p < 0.05 and by["Madeupify"].rises
    in_columns = pc.sum(pc.equal(rows.column("competitor"), "Pretendly")).as_py()
    # Nobody writes of Pretendly, so its count is that of the column, less those still here as the period ends.
    assert 0.6 * in_columns <= by["Pretendly"].said <= in_columns
