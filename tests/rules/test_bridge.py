"""Does a bridge explain the whole difference between two definitions, and name who is behind each line?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest

from tenure.errors import BadInput, UnknownName
from tenure.faces.cli.ending import run as command_line
from tests.reference.builder import LONG_AFTER, Facts, Shop, open_company
from tests.rules.test_cases_by_profile import D, revenue


@pytest.mark.parametrize(("one", "other"), list(combinations([f"D{i}" for i in range(1, 10)], 2)))
def test_the_bridge_explains_each_pair_of_fixture_a_exactly(june: Shop, one: str, other: str) -> None:
    found = june.workspace.bridge(
        "customer_churn_rate", before=D[one][0], after=D[other][0], month="2025-06", known_on=LONG_AFTER
    )
    assert found.start.value is not None
    assert found.end.value is not None
    assert (f"{100 * float(found.start.value):.2f}", f"{100 * float(found.end.value):.2f}") == (D[one][1], D[other][1])
    assert sum((line.amount for line in found.lines), Fraction(0)) == found.end.value - found.start.value
    for profile, value in ((D[one][0], found.start.value), (D[other][0], found.end.value)):
        row = june.row("customer_churn_rate", "2025-06", profile=profile)
        assert float(value) == row["value"]


def test_from_stripe_to_chartmogul_the_lines_are_the_denominator_the_joiners_and_the_returns(june: Shop) -> None:
    found = june.workspace.bridge(
        "customer_churn_rate", before="stripe", after="chartmogul", month="2025-06", known_on=LONG_AFTER
    )
    moved = {line.name: line.amount for line in found.lines if line.amount}
    assert set(moved) == {"denominator", "same-period joiners", "same-period returns"}
    # By hand, over the six orders of three lines: 13/130 -> 8/100.
    v = {
        "": Fraction(13, 130), "d": Fraction(13, 100), "j": Fraction(10, 130), "r": Fraction(11, 130),
        "dj": Fraction(10, 100), "dr": Fraction(11, 100), "jr": Fraction(8, 130), "djr": Fraction(8, 100),
    }  # fmt: skip
    third, sixth = Fraction(1, 3), Fraction(1, 6)
    assert moved["denominator"] == (
        third * (v["d"] - v[""]) + sixth * (v["dj"] - v["j"] + v["dr"] - v["r"]) + third * (v["djr"] - v["jr"])
    )
    who = found.customers("same-period joiners").column("customer_id").to_pylist()
    assert who == ["new-0", "new-1", "new-2"]
    assert found.customers("same-period returns").column("customer_id").to_pylist() == ["base-0", "base-1"]
    # Leaving those who came out of the denominator concerns all thirty of them.
    assert len(found.customers("denominator")) == 30


def story() -> Facts:
    """One customer for each thing on which definitions differ."""
    facts = Facts()
    for number in range(20):
        facts.state("2025-01-10", customer=f"stays-{number}")
    facts.state("2025-01-10", customer="coupon", discount_limited_minor=2_000, discount_ends_at="2025-09-10")
    facts.state("2025-01-10", customer="listed", discount_forever_minor=5_000)
    facts.state("2025-01-10", customer="late")
    facts.state("2025-04-20", customer="late", status="past_due")
    facts.state("2025-01-10", customer="pauses")
    facts.state("2025-06-05", customer="pauses", status="paused")
    facts.state("2025-06-02", customer="unpaid")
    facts.invoice("i-unpaid", "2025-06-02", customer="unpaid")
    facts.state("2025-01-10", customer="asked")
    facts.state("2025-06-08", customer="asked", cancel_at="2025-07-15", cancel_requested_at="2025-06-08")
    facts.state("2025-01-10", customer="weekly", interval="week", amount_minor=1_000)
    facts.state("2025-01-10", customer="daily", interval="day", amount_minor=100)
    facts.state("2025-01-10", customer="euro", currency="EUR")
    facts.rate("2025-01-01", "EUR", "0.9")
    facts.rate("2025-06-20", "EUR", "0.8")
    facts.state("2025-01-10", customer="freed")
    facts.state("2025-06-12", customer="freed", amount_minor=0)
    facts.state("2025-06-03 10:00", customer="hour")
    facts.state("2025-06-03 10:30", customer="hour", amount_minor=20_000)
    facts.state("2025-01-10", customer="back")
    facts.state("2025-02-10", customer="back", status="canceled")
    facts.state("2025-06-10", customer="back")
    facts.state("2025-06-11", customer="brief")
    facts.state("2025-06-21", customer="brief", status="canceled", period_end="2025-07-11")
    facts.line("2025-05-01", subscription_id="s-stays-0", service_end="2025-06-01", amount_minor=9_000)
    facts.line("2025-06-01", subscription_id="s-stays-0", service_end="2025-07-01", amount_minor=9_000)
    facts.line("2025-06-16", subscription_id="s-stays-0", service_end="2025-07-01", amount_minor=-500, kind="credit")
    return facts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The story in a workspace."""
    opened = open_company(tmp_path_factory.mktemp("bridge") / "story", story())
    yield opened
    opened.close()


NUMBERS = ("mrr", "mrr_churn", "customer_churn_rate", "nrr")
PROFILES = ("stripe", "chartmogul", "baremetrics", "profitwell", "recurly", "chargebee", "maxio", "paddle")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_reached_exactly_for_every_kind_of_number(shop: Shop, profile: str) -> None:
    for name in NUMBERS:
        found = shop.workspace.bridge(name, after=profile, month="2025-06", currency="USD", known_on=LONG_AFTER)
        there = [
            next(
                iter(shop.workspace.metrics(name, since="2025-06", currency="USD", profile=p, known_on=LONG_AFTER))
            ).value
            for p in ("tenure", profile)
        ]
        assert [found.start.value, found.end.value] == there, name
        assert sum((line.amount for line in found.lines), Fraction(0)) == found.difference, name


@pytest.mark.parametrize(
    ("choice", "metric", "who"),
    [
        ("limited_discount=lowers", "mrr", {"coupon"}),
        ("forever_discount=ignored", "mrr", {"listed"}),
        ("past_due_days=30", "mrr", {"late"}),
        ("pause=keeps", "mrr", {"pauses"}),
        ("first_payment=needed", "mrr", {"unpaid"}),
        ("churn_at=request", "mrr_churn", {"asked"}),
        ("week=433/100", "mrr", {"weekly"}),
        ("day=30", "mrr", {"daily"}),
        ("fx=purchase", "mrr", {"euro"}),
        ("customer=paying, pause=churn", "customers", {"freed", "pauses"}),
        ("grouping_minutes=0", "mrr_new", {"hour"}),
        ("reactivation_days=90", "mrr_new", {"back"}),
        ("churn_at=paid_until", "mrr_churn", {"brief"}),
    ],
)
def test_a_line_names_those_and_only_those_whom_it_changes(shop: Shop, choice: str, metric: str, who: set[str]) -> None:
    found = shop.workspace.bridge(
        metric, after=f"tenure, {choice}", month="2025-06", currency="USD", known_on=LONG_AFTER
    )
    line = found.lines[0] if len(found.lines) == 1 else next(one for one in found.lines if one.name == "free")
    if len(found.lines) > 1:
        assert sum(one.amount for one in found.lines) == found.difference
        assert {row["customer_id"] for row in found.customers(line.name).to_pylist()} == who
        return
    assert line.amount == line.alone == found.difference != 0
    assert line.touched is not None
    assert line.touched >= len(who)
    people = found.customers(line.name).to_pylist()
    assert {row["customer_id"] for row in people} == who
    shown = sum(row["change"] for row in people)
    assert shown == pytest.approx(float(found.shown(found.difference)))


def test_a_definition_bridged_to_itself_has_no_line(june: Shop) -> None:
    found = june.workspace.bridge("customer_churn_rate", after="tenure", month="2025-06", known_on=LONG_AFTER)
    assert found.lines == []
    assert found.difference == 0


def test_what_cannot_be_bridged_says_why(shop: Shop) -> None:
    bridge = shop.workspace.bridge
    with pytest.raises(BadInput, match="add --currency"):
        bridge("mrr", after="stripe", month="2025-06", known_on=LONG_AFTER)
    with pytest.raises(UnknownName, match="stripe"):
        bridge("mrr", after="strype", month="2025-06", currency="USD")
    with pytest.raises(BadInput, match="there is no customer_churn_rate"):
        bridge("customer_churn_rate", after="stripe", month="2020-06", known_on=LONG_AFTER)
    with pytest.raises(BadInput, match="it has: denominator"):
        bridge("customer_churn_rate", after="tenure, churn_base=end", month="2025-06", known_on=LONG_AFTER).customers(
            "x"
        )


def test_the_command_prints_a_table_that_adds_up_and_draws_the_waterfall(
    june: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "-w",
        str(june.workspace.folder),
        "bridge",
        "--to-profile",
        "stripe",
        "--metric",
        "customer_churn_rate",
    ]
    arguments += ["--month", "2025-06", "--known-on", LONG_AFTER]
    picture = tmp_path / "bridge.svg"
    assert command_line([*arguments, "--chart", str(picture), "--language", "th"]) == 0
    out = capsys.readouterr().out
    assert "8.00 %" in out
    assert "10.00 %" in out
    assert "churn_base start -> start_and_new (customers at the start, and those who came)" in out.replace(
        "\n    ", " "
    )
    svg = picture.read_text("utf-8")
    assert svg.startswith("<svg")
    assert "ตัวหาร" in svg
    assert command_line([*arguments, "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert sum(line["amount"] for line in told["lines"]) == pytest.approx(told["to_value"] - told["from_value"])
    assert command_line([*arguments, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("line,amount,alone,touched,choices\n")
    assert command_line([*arguments, "--customers", "same-period joiners"]) == 0
    assert "new-0" in capsys.readouterr().out
    assert command_line([*arguments, "--chart", "bridge.gif"]) == 2
    assert ".svg" in capsys.readouterr().err


def test_money_on_a_bridge_adds_up_as_it_is_printed(shop: Shop) -> None:
    found = shop.workspace.bridge("mrr", after="profitwell", month="2025-06", currency="USD", known_on=LONG_AFTER)
    told = found.as_json()
    assert sum(line["amount"] for line in told["lines"]) == told["to_value"] - told["from_value"]


def test_lines_of_a_rate_of_revenue_are_its_formula(tmp_path: Path) -> None:
    company = open_company(tmp_path / "shop", revenue())
    found = company.workspace.bridge(
        "net_mrr_churn_rate", before="chartmogul", after="baremetrics", month="2025-06", known_on=LONG_AFTER
    )
    moved = {line.name: line.amount for line in found.lines if line.amount}
    assert moved == {"reactivation": Fraction(5, 100)}
    company.close()


def test_retention_per_subscription_is_reached_where_states_and_spans_tell_of_items(tmp_path: Path) -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="told-by-states", subscription="one")
    facts.state("2025-06-10", customer="told-by-states", subscription="one", amount_minor=6_000)
    facts.span("2025-01-10", customer="told-by-spans", subscription="two")
    company = open_company(tmp_path / "shop", facts)
    found = company.workspace.bridge("grr", after="chargebee", month="2025-06", known_on=LONG_AFTER)
    assert found.start.value == found.end.value == Fraction(160, 200)
    company.close()
