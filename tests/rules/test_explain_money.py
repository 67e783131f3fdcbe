"""Money: causes, segments and customers add up to what churn cost, exactly; threats by hand; the picture."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import Workspace
from tenure.charts import svg
from tenure.explain.money import _together
from tenure.faces.cli.ending import run as command_line
from tests.reference.builder import Company, Facts
from tests.rules.simulated_shop import opened

PERIOD = {"since": "2026-Q1"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace, _ = opened(tmp_path_factory.mktemp("money") / "shop", customers=250, months=12, usage="none")
    yield workspace
    workspace.close()


@pytest.fixture(scope="module", params=["USD", "each"])
def asked(request: pytest.FixtureRequest, shop: Workspace) -> tuple[Any, Any, str]:
    """What was asked in dollars and in each currency, and what churn cost in the same."""
    found = shop.why("money", **PERIOD, currency=request.param)
    return found, shop.cost(**PERIOD, currency=request.param), request.param


def test_causes_and_segments_add_up_exactly_to_what_churn_cost(asked: tuple[Any, Any, str], shop: Workspace) -> None:
    found, cost, currency = asked
    rows = found.rows()
    assert found.currencies
    for unit in found.currencies:
        lost, forgone = (cost.line(name, unit) for name in ("mrr_lost", "forgone_value"))
        assert lost.value
        for parts, section in ((found.causes, "cause"), (found.segments, "segment")):
            mine = [one for one in parts if one.currency == unit]
            mrr = sum((one.mrr for one in mine), Fraction(0))
            assert Decimal(round(mrr * 10**12)) == Decimal(round(_major(lost.value, unit) * 10**12))
            if section == "cause" and forgone.value is not None:
                value = sum((one.forgone for one in mine), Fraction(0))
                assert value == _major(forgone.value, unit)
            shown = [row["mrr_lost"] for row in rows if row["section"] == section and row["currency"] == unit]
            assert sum(shown) == lost.shown()
        assert sum(one.mrr for one in found.hurt if one.currency == unit) == _major(lost.value, unit)
    answer = shop.metrics("mrr_churn", since="2026-Q1", period="quarter", currency=currency)
    metric = {row["currency"]: row["value"] for row in answer.rows() if row["value"]}
    whole = {
        unit: sum(row["mrr_lost"] for row in rows if row["section"] == "cause" and row["currency"] == unit)
        for unit in metric
    }
    assert whole == metric


def _major(value: Fraction, currency: str) -> Fraction:
    from tenure.measure.costs import in_major

    return in_major(value, currency)


def test_as_many_leave_for_all_causes_together_as_left(asked: tuple[Any, Any, str], shop: Workspace) -> None:
    found, _, currency = asked
    (left,) = (row["value"] for row in shop.metrics("customers_churned", since="2026-Q1", period="quarter").rows())
    heads = sum(one.customers for one in found.causes)
    # In each currency by itself, who paid nothing any more left without money of any.
    assert heads == pytest.approx(left) if currency == "USD" else heads <= left + 1e-9


def test_what_is_threatened_is_valued_as_what_was_lost(asked: tuple[Any, Any, str]) -> None:
    found, cost, _ = asked
    whole = {unit: cost.line("arr_at_risk", unit).value for unit in found.currencies}
    threats = [one for one in found.threats if one.kind != "scored"]
    for unit, arr in whole.items():
        mine = [one for one in threats if one.currency == unit]
        assert 12 * sum(one.mrr for one in mine) == (_major(arr, unit) if arr is not None else 0)
    valued = [one for one in threats if one.value]
    assert valued
    # The margin of at most five years' months.
    assert all(0 < one.value <= float(one.mrr * cost.assumed.margin) * 60 for one in valued)


def test_the_dearest_losses_come_first_and_say_why_as_far_as_known(asked: tuple[Any, Any, str]) -> None:
    found, cost, _ = asked
    values = [one.forgone or 0 for one in found.hurt]
    assert values == sorted(values, reverse=True)
    listed = cost.customers().to_pylist()
    assert {one.customer_id for one in found.hurt} == {row["customer_id"] for row in listed}
    assert all(0 < one.chance <= 1 for one in found.hurt)
    assert any(one.facts for one in found.hurt)
    assert all(one.cause == "unknown" for one in found.hurt if one.says is None and not one.facts)


def test_the_picture_names_causes_in_both_languages(asked: tuple[Any, Any, str]) -> None:
    found = asked[0]
    assert "Unknown" in svg(found.chart("en"))
    assert "ไม่ทราบ" in svg(found.chart("th"))


@given(st.lists(st.fractions(min_value=0, max_value=10_000), min_size=1, max_size=12), st.sampled_from(["USD", "JPY"]))
def test_rounded_parts_add_up_to_the_rounded_whole(parts: list[Fraction], currency: str) -> None:
    digits = 2 if currency == "USD" else 0
    found = _together(parts, currency)
    assert sum(found) == Decimal(round(sum(parts) * 10**digits)).scaleb(-digits)
    assert all(abs(Fraction(one) - part) < Fraction(1, 10**digits) for one, part in zip(found, parts, strict=True))


def test_threats_are_told_by_the_cause_that_was_named_with_them(
    company: Company, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = Facts()
    facts.state("2025-01-01", customer="gone")
    facts.state("2026-03-10", customer="gone", status="canceled", cancel_actor="customer")
    for name, told in (("dear", {"cancel_reason": "too_expensive"}), ("mute", {})):
        facts.state("2025-01-01", customer=name, amount_minor=3000)
        facts.state(
            "2026-03-20",
            customer=name,
            amount_minor=3000,
            cancel_at="2026-04-20",
            cancel_requested_at="2026-03-20",
            **told,
        )
    facts.state("2025-01-01", customer="owes", amount_minor=700)
    facts.state("2026-03-25", customer="owes", amount_minor=700, status="past_due")
    facts.state("2025-06-01", customer="year", amount_minor=12_000, interval="year", period_end="2026-06-01")
    shop = company(facts)
    file = tmp_path / "scores.csv"
    file.write_text(
        "model,customer_id,as_of,horizon,probability,value,recorded_at\n"
        "m,dear,2026-02-01,30d,0.9,900,2026-02-01\n"
        "m,dear,2026-03-30,30d,0.5,100,2026-03-30\nm,year,2026-03-30,30d,0.25,40,2026-03-30\n",
        encoding="utf-8",
    )
    (report,) = shop.workspace.load("scores", file)
    assert report.loaded == 3
    found = shop.workspace.why("money", since="2026-03", known_on="2026-12-31", by=())
    told = {(one.kind, one.cause): one for one in found.threats}
    assert {key: (one.customers, one.mrr) for key, one in told.items() if key[0] != "scored"} == {
        ("scheduled", "price"): (1, 30), ("scheduled", "unknown"): (1, 30), ("past_due", "involuntary"): (1, 7),
        ("renewal", None): (1, 10),
    }  # fmt: skip
    scored = told["scored", None]
    # The latest scores alone: 0.5 and 0.25 of two; 0.5 x 100 + 0.25 x 40.
    assert (scored.customers, scored.expected, scored.value, scored.horizon) == (2, 0.75, 60.0, "30d")
    cost = shop.workspace.cost(since="2026-03", known_on="2026-12-31")
    assert 12 * sum(one.mrr for one in found.threats if one.mrr is not None) == cost.line("arr_at_risk").shown()
    assert [(one.name, one.mrr) for one in found.causes] == [("unknown", 100)]
    assert found.segments == ()
    workspace = ["--workspace", str(shop.workspace.folder)]
    assert command_line(["why", "money", "--from", "2026-03", *workspace]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "expected by the scores 2 0.8 in 30d $60.00" in said


def test_where_nobody_left_nothing_is_lost_and_it_says_so(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    shop = company(facts)
    found = shop.workspace.why("money", since="2026-03", known_on=shop.known_on)
    assert found.causes == () and found.hurt == ()
    assert "Nobody left in this period." in found.notes
