"""What came due and what became of it, what is promised, and why those who stay pay more: companies worked by hand."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tenure.app import settings as settings_file
from tenure.charts import change_by_cause, movements_by_cause, svg
from tenure.errors import BadConfiguration, BadInput, BadPeriod, UnknownName
from tenure.faces.cli.ending import run as command_line
from tests.parity.test_openings import differences
from tests.reference.builder import LONG_AFTER, Company, Facts, Shop

YEARLY: dict[str, Any] = {"interval": "year", "amount_minor": 120_000}
OUTCOMES = ("renewed", "late", "undecided", "lost")
COUNTS = tuple(f"renewals_{outcome}" for outcome in OUTCOMES)


def outcomes(shop: Shop, text: str, **question: Any) -> dict[str, str]:
    """{customer: what became of the renewal} in a month, one renewal each."""
    question.setdefault("known_on", shop.known_on)
    return {row["customer_id"]: row["outcome"] for row in shop.workspace.renewals(since=text, **question).each()}


def only(shop: Shop, text: str, **question: Any) -> dict[str, Any]:
    """The one renewal of a stretch of time."""
    question.setdefault("known_on", shop.known_on)
    (row,) = shop.workspace.renewals(since=text, **question).each()
    return row


@pytest.fixture
def june(company: Company) -> Shop:
    """Six yearly customers who come due on 10 June 2025."""
    facts = Facts()
    for name in ("on-time", "paid-late", "never-paid", "left", "grew", "new-contract"):
        facts.state("2024-06-10", customer=name, **YEARLY)
    facts.state("2025-06-10", customer="paid-late", status="past_due", **YEARLY)
    facts.state("2025-06-25", customer="paid-late", **YEARLY)
    facts.state("2025-06-10", customer="never-paid", status="past_due", **YEARLY)
    facts.state("2025-06-10", customer="left", status="canceled")
    facts.state("2025-06-10", customer="grew", **{**YEARLY, "amount_minor": 180_000})
    facts.state("2025-06-10", customer="new-contract", status="canceled")
    facts.state("2025-06-20", customer="new-contract", subscription="second", interval="year", amount_minor=60_000)
    return company(facts)


# case 85
def test_what_came_due_is_renewed_late_undecided_or_lost_in_count_and_in_arr(june: Shop) -> None:
    assert outcomes(june, "2025-06") == {
        "on-time": "renewed",
        "grew": "renewed",
        "paid-late": "late",
        "new-contract": "late",
        "never-paid": "lost",
        "left": "lost",
    }
    assert june.values("2025-06", "renewals_due", *COUNTS) == [6, 2, 2, 0, 2]
    money = ("arr_due", "arr_due_renewed", "arr_due_late", "arr_due_undecided", "arr_lost_at_renewal")
    assert june.values("2025-06", *money) == [7_200, 2_400, 2_400, 0, 2_400]
    # 1,200 + 1,800 + 1,200 + 600: uplift 600 of the one that grew, downsell 600 of the new contract
    again = ("arr_renewed", "arr_renewal_uplift", "arr_renewal_downsell")
    assert june.values("2025-06", *again) == [4_800, 600, 600]


def test_rates_per_renewal_are_of_what_is_decided(june: Shop) -> None:
    row = june.row("renewal_rate", "2025-06")
    assert (row["numerator"], row["denominator"]) == (4, 6)
    assert row["low"] < 4 / 6 < row["high"]
    gross, net = (june.row(name, "2025-06") for name in ("arr_renewal_rate", "arr_net_renewal_rate"))
    assert (gross["numerator"], gross["denominator"]) == (Decimal("4200.00"), Decimal("7200.00"))  # 1200 x 3 + 600
    assert (net["numerator"], net["denominator"]) == (Decimal("4800.00"), Decimal("7200.00"))
    assert gross["low"] < 4_200 / 7_200 < gross["high"]
    assert net["low"] < 4_800 / 7_200 < net["high"]
    assert june.row("renewal_rate", "2025-05")["reason"] == "no renewal is decided"


def test_until_the_grace_is_over_who_has_not_renewed_is_undecided(june: Shop) -> None:
    early = outcomes(june, "2025-06", known_on="2025-06-15")
    assert {name for name, outcome in early.items() if outcome == "undecided"} == {
        "paid-late", "new-contract", "never-paid", "left",
    }  # fmt: skip
    assert set(outcomes(june, "2025-06", known_on="2025-06-01").values()) == {"undecided"}  # it lies ahead
    reason = june.row("renewal_rate", "2025-06", known_on="2025-06-30")["reason"]
    assert "2 of 6 not decided yet" in reason
    assert outcomes(june, "2025-06", known_on="2025-07-10")["left"] == "lost"


def test_grace_days_say_how_late_a_renewal_may_come(june: Shop) -> None:
    assert outcomes(june, "2025-06", grace=15)["paid-late"] == "late"  # on the 25th
    assert outcomes(june, "2025-06", grace=14)["paid-late"] == "lost"
    assert outcomes(june, "2025-06", grace=0)["new-contract"] == "lost"
    assert outcomes(june, "2025-06", grace=0)["on-time"] == "renewed"


def test_a_term_that_was_made_longer_early_is_due_on_its_first_day_with_what_it_paid_before(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", term_ends_at="2025-06-10", amount_minor=10_000)
    facts.state("2025-05-02", term_ends_at="2026-06-10", amount_minor=15_000)
    row = only(company(facts), "2025-06")
    assert (row["due_on"], row["outcome"], row["length"]) == (date(2025, 6, 10), "renewed", "year")
    assert (row["arr_due"], row["arr_renewed"]) == (1_200, 1_800)
    shop = company(facts)
    assert shop.workspace.renewals(since="2025-05", known_on=shop.known_on).each() == []


def test_a_term_without_a_new_one_is_followed_by_intervals_from_its_end(company: Company) -> None:
    facts = Facts()
    facts.state("2024-01-15", term_ends_at="2025-01-15", **YEARLY)
    shop = company(facts)
    due = [row["due_on"] for row in shop.workspace.renewals(since="2024", until="2026", known_on=LONG_AFTER).each()]
    assert due == [date(2025, 1, 15), date(2026, 1, 15)]


def test_who_ends_before_the_term_is_over_was_not_due(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", **YEARLY)
    facts.state("2025-03-01", status="canceled")
    facts.state("2024-06-10", customer="last-day", **YEARLY)
    facts.state("2025-06-09", customer="last-day", status="canceled")  # an export that writes the last day
    assert outcomes(company(facts), "2025-06") == {"last-day": "lost"}


def test_an_unpaid_renewal_is_not_due_again(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-31", amount_minor=5_000)
    facts.state("2025-03-31", status="past_due", amount_minor=5_000)
    facts.state("2025-06-15", amount_minor=5_000)
    shop = company(facts)
    told = shop.workspace.renewals(since="2025-02", until="2025-07", known_on=LONG_AFTER).each()
    assert [(row["due_on"].isoformat(), row["outcome"]) for row in told] == [
        ("2025-02-28", "renewed"), ("2025-03-31", "lost"), ("2025-06-30", "renewed"), ("2025-07-31", "renewed"),
    ]  # fmt: skip


def test_who_pauses_as_the_grace_ends_is_undecided(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", **YEARLY)
    facts.state("2025-06-10", status="paused", **YEARLY)
    assert outcomes(company(facts), "2025-06") == {"c1": "undecided"}


def test_of_several_items_that_end_each_new_one_stands_in_for_one(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", subscription="dear", interval="year", amount_minor=240_000)
    facts.state("2024-06-10", subscription="cheap", interval="year", amount_minor=60_000)
    for name in ("dear", "cheap"):
        facts.state("2025-06-10", subscription=name, status="canceled")
    facts.state("2025-06-10", subscription="both", interval="year", amount_minor=270_000)
    shop = company(facts)
    told = {row["subscription_id"]: row for row in shop.workspace.renewals(since="2025-06", known_on=LONG_AFTER).each()}
    assert (told["dear"]["outcome"], told["dear"]["arr_renewed"], told["dear"]["by_another"]) == (
        "renewed",
        2_700,
        True,
    )
    assert told["cheap"]["outcome"] == "lost"


def test_only_terms_of_one_length_are_shown_when_asked(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", customer="yearly", **YEARLY)
    facts.state("2024-06-10", customer="monthly", amount_minor=1_000)
    facts.state("2024-06-10", customer="quarterly", interval="month", interval_count=3)
    facts.state("2024-06-10", customer="contract", term_ends_at="2025-06-10", amount_minor=1_000)
    shop = company(facts)
    assert set(outcomes(shop, "2025-06", annual=True)) == {"yearly", "contract"}
    assert set(outcomes(shop, "2025-06", interval="quarter")) == {"quarterly"}
    assert set(outcomes(shop, "2025-06", interval="month")) == {"monthly"}
    assert shop.row("annual_plan_renewal_rate", "2025-06")["denominator"] == 2
    with pytest.raises(UnknownName, match="fortnight"):
        outcomes(shop, "2025-06", interval="fortnight")
    with pytest.raises(BadInput, match="two lengths"):
        outcomes(shop, "2025-06", interval="month", annual=True)


def test_a_renewal_counts_at_the_rate_of_its_day_so_that_rates_make_no_uplift(company: Company) -> None:
    facts = Facts()
    facts.state("2024-06-10", currency="EUR", **YEARLY)
    facts.rate("2024-01-01", "EUR", "0.8")
    facts.rate("2025-06-11", "EUR", "1")
    shop = company(facts)
    (row,) = shop.workspace.renewals(since="2025-06", currency="USD", known_on=LONG_AFTER).rows()
    assert (row["arr_due"], row["arr_renewed"], row["arr_renewal_uplift"]) == (1_500, 1_500, 0)


def test_renewals_by_plan_and_by_what_moves_add_up_to_their_customers(june: Shop) -> None:
    names = ("renewals_due", "arr_due", "arr_renewed", "renewal_rate", "arr_renewal_rate", "arr_net_renewal_rate")
    for by in ("plan_id", "tenure", "size"):
        answer = june.workspace.metrics(
            *names, since="2025-05", until="2025-07", by=by, known_on=LONG_AFTER, currency="USD"
        )
        assert differences(answer) == []
        due = [row["value"] for row in answer.rows() if row["metric"] == "renewals_due"]
        assert sum(due) == 6


# --- case 30 ---------------------------------------------------------------------------------


@pytest.fixture
def promised(company: Company) -> Shop:
    """100 MRR that goes on, 50 whose end is set, 30 that shrinks, 40 signed; known as June 2025 ends."""
    facts = Facts()
    facts.state("2025-01-01", customer="stays")
    facts.state("2025-01-01", customer="goes", amount_minor=5_000, cancel_at="2025-09-01")
    facts.state("2025-01-01", customer="shrinks", amount_minor=3_000)
    facts.state("2025-08-01", customer="shrinks", amount_minor=1_000, recorded_at="2025-06-05")
    facts.state("2025-06-20", customer="signed", amount_minor=4_000, status="scheduled", period_start="2025-10-01")
    facts.state("2025-06-20", customer="far", amount_minor=9_000, status="scheduled", period_start="2027-01-01")
    facts.state("2025-08-01", customer="later", amount_minor=7_000, recorded_at="2025-07-15")
    facts.state("2025-06-20", customer="tries", amount_minor=6_000, status="trialing", trial_ends_at="2025-07-04")
    return company(facts)


# 30
def test_committed_mrr_adds_what_is_signed_and_takes_off_what_is_known_to_go(promised: Shop) -> None:
    names = ("mrr", "cmrr_signed", "cmrr_leaving", "cmrr")
    # leaving: 50 that end, and 20 of the 30; nobody knew of `later` yet
    assert promised.values("2025-06", *names) == [180, 40, 70, 150]
    assert promised.values("2025-05", *names) == [180, 0, 50, 130]
    answer = promised.workspace.metrics("cmrr", "cmrr_signed", "cmrr_leaving", since="2025-06", known_on=LONG_AFTER)
    assert differences(answer) == []
    told = {(row["metric"], row["customer_id"]): (row["amount"], row["what"]) for row in answer.customers().to_pylist()}
    assert told["cmrr_leaving", "goes"] == (50, "leaving")
    assert told["cmrr", "shrinks"] == (10, "balance, leaving")
    assert told["cmrr_signed", "signed"] == (40, "signed")


def test_how_far_ahead_committed_mrr_looks_is_a_setting(company: Company, promised: Shop) -> None:
    folder = promised.workspace.folder
    (folder / settings_file.FILE).write_text("committed_months = 2\ngrace_days = 5\n")
    import tenure

    with tenure.open(folder) as shop:
        told = shop.metrics("cmrr_signed", "cmrr_leaving", since="2025-06", known_on=LONG_AFTER).rows()
        assert [row["value"] for row in told] == [0, 20]  # September and October lie further away
        assert shop.renewals(since="2025-06", known_on=LONG_AFTER).book.grace == 5


@pytest.mark.parametrize(
    "line", ["grace_days = 366", "grace_days = -1", "committed_months = 0", "committed_months = 61"]
)
def test_a_setting_that_cannot_be_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / settings_file.FILE).write_text(line)
    with pytest.raises(BadConfiguration, match=line.split(" ")[0]):
        settings_file.read(tmp_path)


def test_a_span_that_will_end_is_leaving_and_one_that_will_begin_is_signed(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-01", "2025-09-01", customer="goes", amount_minor=5_000, cancel_requested_at="2025-05-20")
    facts.span("2025-08-01", None, customer="signed", amount_minor=2_000, recorded_at="2025-05-05")
    shop = company(facts)
    assert shop.values("2025-05", "mrr", "cmrr_signed", "cmrr_leaving", "cmrr") == [50, 20, 50, 20]
    assert shop.values("2025-04", "mrr", "cmrr_signed", "cmrr_leaving", "cmrr") == [50, 0, 0, 50]


# --- causes ---------------------------------------------------------------------------------

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "seats": ({"quantity": 2}, {"quantity": 3, "amount_minor": 15_000}),
    "plan": ({"plan_id": "basic"}, {"plan_id": "pro", "amount_minor": 15_000}),
    "price": ({}, {"amount_minor": 15_000}),
    "discount_end": ({"discount_forever_minor": 5_000}, {}),
    "interval": ({"interval": "month"}, {"interval": "year", "amount_minor": 180_000}),
    "commitment": (
        {"is_metered": True, "minimum_commit_minor": 1_000, "amount_minor": 0},
        {"is_metered": True, "minimum_commit_minor": 6_000, "amount_minor": 0},
    ),
}


@pytest.fixture
def grown(company: Company) -> Shop:
    """A customer for each cause, each of whom pays 50 more from 10 March 2025 on; one shrinks by two seats."""
    facts = Facts()
    for cause, (before, after) in CHANGES.items():
        facts.state("2025-01-10", customer=cause, **before)
        facts.state("2025-03-10", customer=cause, **after)
    facts.state("2025-01-10", customer="add_on")
    facts.state("2025-03-10", customer="add_on", item="extra", amount_minor=5_000)
    facts.state("2025-01-10", customer="fewer", quantity=3, amount_minor=30_000)
    facts.state("2025-03-10", customer="fewer", quantity=1, amount_minor=10_000)
    return company(facts)


def test_expansion_and_contraction_are_told_by_cause_and_add_up(grown: Shop) -> None:
    assert grown.by("cause", "mrr_expansion", "2025-03") == dict.fromkeys((*CHANGES, "add_on"), 50)
    assert grown.by("cause", "mrr_contraction", "2025-03") == {"seats": 200}
    assert grown.value("mrr_expansion", "2025-03") == 350
    answer = grown.workspace.metrics(
        "mrr_expansion",
        "mrr_contraction",
        "mrr_net_new",
        since="2025-01",
        until="2025-04",
        by="cause",
        known_on=LONG_AFTER,
    )
    assert differences(answer) == []
    listed = {
        row["customer_id"]: json.loads(row["segment"])["cause"]
        for row in answer.customers().to_pylist()
        if row["metric"] == "mrr_expansion"
    }
    assert listed == {cause: cause for cause in (*CHANGES, "add_on")}


def test_a_number_that_is_no_sum_of_movements_has_no_causes(grown: Shop) -> None:
    for names, by, words in (
        (("mrr",), "cause", "no sum of movements"),
        (("mrr_expansion",), ("cause", "plan_id"), "stands alone"),
    ):
        with pytest.raises(BadInput, match=words):
            grown.workspace.metrics(*names, since="2025-03", by=by)
    with pytest.raises(BadInput, match="usage_change"):
        grown.workspace.metrics("mrr_expansion", since="2025-03", by="cause", revenue="total")


# --- the command line, charts ---------------------------------------------------------------------------------


def test_the_command_line_tells_renewals_in_words_tables_and_lists(
    june: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = ["-w", str(june.workspace.folder), "renewals", "--from", "2025-06", "--known-on", LONG_AFTER]
    assert command_line(place) == 0
    said = capsys.readouterr().out
    assert said.startswith("6 renewals came due in 2025-06, $7,200.00 of ARR: 2 renewed, 2 late, 0 undecided, 2 lost")
    assert "A renewal may come up to 30 days late." in said
    assert command_line([*place, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["due"], row["arr_due"], row["renewal_rate"]) == (6, "7200.00", pytest.approx(4 / 6))
    assert command_line([*place, "--customers", "--format", "csv", "--chart", str(tmp_path / "due.svg")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("period_start,segment,due_on,customer_id") and len(lines) == 7
    assert "Renewed late" in (tmp_path / "due.svg").read_text()
    assert command_line([*place, "--customers"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[1] in ("left", "never-paid")
    assert command_line([*place, "--sql"]) == 0
    assert "every renewal and what became of it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [[], ["--from", "2025-06", "--grace", "366"], ["--from", "2025-06", "--chart", "due.txt"]], ids=str
)
def test_the_command_line_refuses_what_it_cannot_answer(june: Shop, wrong: list[str]) -> None:
    assert command_line(["-w", str(june.workspace.folder), "renewals", *wrong]) == 2


def test_a_stretch_of_time_that_ends_before_it_begins_is_refused(june: Shop) -> None:
    with pytest.raises(BadPeriod, match="ends"):
        june.workspace.renewals(since="2025-06", until="2025-05")


@pytest.mark.parametrize(("language", "lost", "seats"), [("en", "Lost", "Seats"), ("th", "ไม่ต่ออายุ", "จำนวนที่นั่ง")])
def test_charts_of_renewals_and_causes_speak_both_languages(june: Shop, language: str, lost: str, seats: str) -> None:
    told = june.workspace.renewals(since="2025-05", until="2025-07", known_on=LONG_AFTER)
    assert lost in svg(told.chart(language))
    moved = [
        {"period": date(2025, 3, 1), "cause": "seats", "amount": Decimal(50)},
        {"period": date(2025, 4, 1), "cause": "seats", "amount": Decimal(-20)},
    ]
    assert seats in svg(movements_by_cause(moved, "USD", language=language))
    assert seats in svg(change_by_cause(moved, "USD", language))


def test_renewals_are_an_arrow_table_and_a_frame_too(june: Shop) -> None:
    told = june.workspace.renewals(since="2025-05", until="2025-06", known_on=LONG_AFTER)
    table = told.to_arrow()
    assert table.column("due").to_pylist() == [0, 6]
    assert table.column("arr_lost_at_renewal").to_pylist() == [0.0, 2_400.0]
    assert told.customers().num_rows == 6
    assert json.loads(told.to_json())[1]["arr_due"] == "7200.00"
