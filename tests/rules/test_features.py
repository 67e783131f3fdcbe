"""Is every feature what was known on the day, and nothing else? A company worked by hand, and facts that come later."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tenure.errors import BadInput
from tenure.predict.features import Told, features
from tenure.predict.features_catalogue import BY_NAME, FEATURES, GROUPS
from tests.reference.builder import Company, Facts, Shop, open_company

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def by_hand() -> Facts:
    """Ann has everything; Ben a yearly contract and an add-on; Fay pauses; the others are leaving, gone or not yet."""
    facts = Facts()
    ann = {"customer": "ann", "plan_id": "basic"}
    facts.state("2025-03-01", **ann, amount_minor=10_000, quantity=2)
    facts.state("2025-12-15", **ann, amount_minor=12_000, quantity=2)
    facts.state(
        "2026-01-10",
        **ann,
        amount_minor=18_000,
        quantity=3,
        discount_limited_minor=1_800,
        discount_ends_at="2026-03-31",
    )
    card = date(2026, 5, 31)
    facts.payment("i0", "2025-11-10", customer="ann", outcome="failed", card_expires_on=date(2025, 12, 31))
    facts.payment("i1", "2026-01-10", customer="ann", card_expires_on=card)
    facts.payment("i2", "2026-02-10", customer="ann", outcome="failed", card_expires_on=card)
    facts.payment("i2", "2026-02-13", customer="ann", outcome="failed", card_expires_on=card)
    for n, (day, feature, quantity, contact) in enumerate(
        (
            ("2026-01-01", "a", 4.0, None),
            ("2026-01-11", "a", 6.0, None),
            ("2026-01-21", "b", 5.0, None),
            ("2026-02-10", "a", 3.0, "x"),
            ("2026-02-10 18:00", "b", 2.0, "y"),
        )
    ):
        facts.use(f"u{n}", day, customer="ann", feature=feature, quantity=quantity, contact=contact)
    facts.ticket(
        "t1",
        "2026-02-01 10:00",
        customer="ann",
        first_replied_at="2026-02-04 10:00",
        resolved_at="2026-02-05",
        csat=2.0,
    )
    facts.ticket("t2", "2026-02-20", customer="ann")
    facts.ticket(
        "t3", "2025-10-01", customer="ann", first_replied_at="2025-10-01 09:00", resolved_at="2026-03-05", csat=5.0
    )
    facts.answer("a1", "2025-12-01", customer="ann", kind="nps", score=9.0)
    facts.answer("a2", "2026-02-19", customer="ann", kind="nps", score=4.0)
    facts.answer("a3", "2026-02-25", customer="ann", kind="nps", score=0.0, answered_at="2026-03-02")
    facts.answer("a4", "2026-01-01", customer="ann", kind="csat", score=3.0)
    for day, size in (("2025-06-01", 10.0), ("2026-02-01", 25.0), ("2026-04-01", 99.0)):
        facts.trait("size", f"{size:g}", day, customer="ann", number=size, recorded_at="2025-06-01")
    facts.trait("industry", "bank", customer="ann", is_dated=True)
    facts.trait("mood", "bad", customer="ann")
    facts.trait("Name", "Ann", "2025-06-01", customer="ann")
    facts.change("dearer", "price", "2026-01-01")
    facts.change("dearer-again", "price", "2026-02-15")
    facts.exposed("dearer", "2026-01-01", "2026-01-30", customer="ann")
    facts.exposed("dearer-again", "2026-02-15", "2026-03-15", customer="ann")

    year = {"interval": "year", "term_ends_at": "2026-09-01", "auto_renews": False, "currency": "EUR"}
    facts.state("2025-09-01", customer="ben", plan_id="team", amount_minor=120_000, **year)
    facts.state("2026-02-14", customer="ben", item="extra", plan_id="extra", amount_minor=1_000, currency="EUR")

    facts.state("2025-01-01", customer="cid")
    facts.state("2026-02-01", customer="cid", status="non_renewing", cancel_at="2026-03-20")
    facts.state("2025-01-01", customer="dot")
    facts.state("2026-01-01", customer="dot", status="canceled")
    facts.state("2026-02-20", customer="eve", status="trialing", trial_ends_at="2026-03-06")
    facts.state("2025-12-20", customer="fay", plan_id="basic")
    facts.state("2026-01-15", customer="fay", plan_id="basic", status="paused")
    facts.state("2026-03-05", customer="gus")
    facts.span("2025-11-01", "2026-04-01", customer="hal", cancel_requested_at="2026-02-25")
    facts.span("2026-02-09", "2026-04-01", customer="ian", plan_id="basic", amount_minor=5_000)
    return facts


# As of 1 March 2026; ninety days before is 1 December, 28 days 1 February, 56 days 4 January.
NOTHING: dict[str, Any] = {
    "items": 1, "renewal_off": None, "paused": 0, "mrr_change_90d": None, "price_rise_days": None, "discount_share": 0,
    "discount_ends_days": None, "seats": 1, "seats_change_90d": None, "past_due": 0, "failed_payments_90d": 0,
    "failures_in_a_row": 0, "card_expires_days": None, "use_28d": 0, "active_days_28d": 0, "use_trend": None,
    "usual_gap_days": None, "silence_ratio": None, "breadth_28d": 0, "people_28d": None, "seat_use": None,
    "tickets_90d": 0, "open_tickets": 0, "oldest_open_days": None, "slow_tickets_90d": 0, "ticket_csat": None,
    "nps": None, "nps_days": None, "csat": None, "changes_90d": 0, "change_days": None, "price_change_in_days": None,
    "interval_days": 30, "currency": "USD", "trait:size": None, "trait:industry": None, "customer:channel": None,
}  # fmt: skip
WORKED: dict[str, dict[str, Any]] = {
    "ann": {
        "tenure_days": 365,
        "plan": "basic",
        "currency": "USD",
        "mrr": 18_000,
        "items": 1,
        "interval_days": 30,
        # Twelve months have passed since 1 March 2025; the thirteenth ends on 1 April.
        "renewal_days": 31,
        "renewal_off": None,
        "paused": 0,
        "mrr_change_90d": 18_000 / 10_000 - 1,
        # 50 a seat became 60 on 15 December: 16 + 31 + 28 + 1 days ago. A third seat at 60 is no rise.
        "price_rise_days": 76,
        "discount_share": 0.1,
        "discount_ends_days": 30,
        "seats": 3,
        "seats_change_90d": 1,
        "past_due": 0,
        # That of November lies more than 90 days back.
        "failed_payments_90d": 2,
        "failures_in_a_row": 2,
        "card_expires_days": 91,
        "use_28d": 5,
        "active_days_28d": 1,
        "use_trend": (5 - 11) / (5 + 11),
        # 1, 11, 21 January and 10 February: three gaps in 40 days.
        "usual_gap_days": 40 / 3,
        "silent_days": 19,
        "silence_ratio": 19 / (40 / 3),
        "breadth_28d": 2,
        "people_28d": 2,
        "seat_use": 2 / 3,
        "tickets_90d": 2,
        # t2, and t3, which is resolved on 5 March only.
        "open_tickets": 2,
        "oldest_open_days": 151,
        "slow_tickets_90d": 2,
        "ticket_csat": 2,
        "nps": 4,
        "nps_days": 10,
        "csat": 3,
        "changes_90d": 1,
        "change_days": 30,
        "price_change_in_days": 14,
        "trait:size": 25,
        "trait:industry": "bank",
        "customer:channel": "ads",
    },
    "ben": {
        **NOTHING,
        "tenure_days": 181,
        "plan": "team",
        "currency": "EUR",
        # 1,200 a year is 100 a month, and 10 for the add-on.
        "mrr": 11_000,
        "items": 2,
        "interval_days": 365,
        # The contract's term ends in 184 days, the add-on's month on 14 March.
        "renewal_days": 13,
        "renewal_off": 1,
        "mrr_change_90d": 0.1,
        "seats": 2,
        "seats_change_90d": 1,
        # Nothing is told of him, and usage is told of since 1 January.
        "silent_days": 59,
    },
    "fay": {
        **NOTHING,
        "tenure_days": 71,
        "plan": "basic",
        "mrr": 10_000,
        "renewal_days": 19,
        "paused": 1,
        "silent_days": 59,
    },
    # His end in April has not happened, and nobody has asked for it.
    "ian": {**NOTHING, "tenure_days": 20, "plan": "basic", "mrr": 5_000, "renewal_days": 8, "silent_days": 20},
}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    facts = by_hand()
    facts.customer("ann", channel="ads")
    shop = open_company(tmp_path_factory.mktemp("features") / "shop", facts)
    yield shop
    shop.close()


def told(shop: Shop, as_of: datetime = MARCH, **options: Any) -> Told:
    workspace = shop.workspace
    return features(workspace.facts(shop.known_on), as_of, workspace.definition(), **options)


def rows_of(found: Told) -> dict[str, dict[str, Any]]:
    return {row.pop("customer_id"): row for row in found.table.to_pylist()}


@pytest.mark.parametrize("customer", sorted(WORKED))
def test_every_feature_is_what_is_worked_out_by_hand(worked: Shop, customer: str) -> None:
    found = rows_of(told(worked, static=["channel"]))
    assert set(found) == set(WORKED)
    row, expected = found[customer], WORKED[customer]
    assert set(row) == set(expected)
    for name, value in expected.items():
        assert row[name] == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value), name


def test_the_hand_worked_company_knows_every_feature_of_the_catalogue() -> None:
    assert {feature.name for feature in FEATURES} <= set(WORKED["ann"])


def test_who_has_said_that_he_leaves_is_listed_with_the_day_and_not_scored(worked: Shop) -> None:
    leaving = told(worked).leaving.select(["customer_id", "ends_at"]).to_pylist()
    assert leaving == [
        {"customer_id": "cid", "ends_at": datetime(2026, 3, 20, tzinfo=UTC)},
        {"customer_id": "hal", "ends_at": None},
    ]


def test_an_undated_trait_or_column_is_a_feature_only_where_it_is_declared_static(worked: Shop) -> None:
    found = told(worked)
    assert "trait:mood" not in found.table.column_names
    assert "--static mood" in found.missing["trait:mood"]
    assert "declare it static" in found.missing["customer:channel"]
    assert "names" in found.missing["trait:Name"]
    with pytest.raises(BadInput, match="only country, language, channel"):
        told(worked, static=["email"])


def test_a_missing_table_removes_its_features_and_says_so(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    found = told(company(facts))
    assert not {"use_28d", "nps", "failed_payments_90d", "tickets_90d"} & set(found.table.column_names)
    assert "load usage" in found.missing["silent_days"]
    assert found.missing["seat_use"] == found.missing["use_28d"]
    assert found.table.num_rows == 1


def test_a_table_that_was_learned_of_later_was_missing_then(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    facts.answer("a", "2026-01-01", kind="nps", score=3.0, recorded_at="2026-04-01")
    found = told(company(facts))
    assert "nps" not in found.table.column_names
    assert "answers" in found.missing["nps"]


def test_a_day_after_what_is_known_or_without_a_zone_is_refused(worked: Shop) -> None:
    with pytest.raises(BadInput, match="after what is known"):
        told(worked, datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(BadInput, match="time zone"):
        told(worked, datetime(2026, 1, 1))


def test_before_anything_is_known_the_reason_is_told(worked: Shop) -> None:
    with pytest.raises(BadInput, match="nothing was known"):
        told(worked, datetime(2020, 1, 1, tzinfo=UTC))


def test_days_are_those_of_the_companys_own_zone(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    # In Bangkok both are 12 February, and the last is the 13th.
    for n, at in enumerate(("2026-02-11 18:00", "2026-02-12 10:00", "2026-02-12 17:30")):
        facts.use(f"u{n}", at, customer="c1")
    midnight = datetime(2026, 2, 28, 17, tzinfo=UTC)
    assert rows_of(told(company(facts), midnight))["c1"]["active_days_28d"] == 2
    row = rows_of(told(company(facts, timezone="Asia/Bangkok"), midnight))["c1"]
    assert (row["active_days_28d"], row["silent_days"]) == (2, 16)


# --- nothing that is recorded later changes anything ---

LATER = some.datetimes(datetime(2026, 3, 1), datetime(2026, 9, 1)).map(lambda at: at.replace(tzinfo=UTC))
ANY_TIME = some.datetimes(datetime(2025, 1, 1), datetime(2026, 9, 1)).map(lambda at: at.replace(tzinfo=UTC))
WHO = some.sampled_from(["ann", "ben", "cid", "dot", "fay", "hal", "ian", "new"])


@some.composite
def later_fact(draw: Any) -> tuple[str, dict[str, Any]]:
    """A fact of any time that is recorded at or after the cut-off: a new one, or a correction of an old one."""
    kind = draw(
        some.sampled_from(["state", "span", "payment", "use", "ticket", "answer", "trait", "exposed", "customer"])
    )
    who, at, recorded = draw(WHO), draw(ANY_TIME), draw(LATER)
    more: dict[str, Any] = {"customer": who, "recorded_at": recorded}
    if kind == "state":
        status = draw(some.sampled_from(["active", "canceled", "paused", "non_renewing"]))
        amount = draw(some.integers(0, 50_000))
        at = draw(some.sampled_from([at, datetime(2025, 3, 1, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC)]))
        return kind, {"effective_at": at, "status": status, "amount_minor": amount, "cancel_at": at, **more}
    if kind == "span":
        return kind, {"started_at": at, "ended_at": at + timedelta(days=40), "cancel_requested_at": at, **more}
    if kind == "payment":
        return kind, {
            "invoice": "i9",
            "attempted_at": at,
            "outcome": "failed",
            "card_expires_on": date(2026, 1, 1),
            **more,
        }
    if kind == "use":
        usage = draw(some.sampled_from(["u0", "u3", "u9"]))
        return kind, {"usage": usage, "happened_at": at, "feature": "z", "quantity": 50.0, "contact": "q", **more}
    if kind == "ticket":
        ticket = draw(some.sampled_from(["t1", "t2", "t9"]))
        return kind, {"ticket": ticket, "opened_at": at, "resolved_at": at + timedelta(days=5), "csat": 1.0, **more}
    if kind == "answer":
        answer = draw(some.sampled_from(["a1", "a2", "a9"]))
        return kind, {"answer": answer, "asked_at": at, "kind": "nps", "score": 1.0, **more}
    if kind == "trait":
        trait = draw(some.sampled_from(["size", "industry", "why_left"]))
        return kind, {"trait": trait, "value": "word", "effective_at": f"{at:%Y-%m-%d}", **more}
    if kind == "exposed":
        change = draw(some.sampled_from(["dearer", "other"]))
        return kind, {"change": change, "announced_at": f"{at:%Y-%m-%d}", "effective_at": f"{at:%Y-%m-%d}", **more}
    return kind, {"channel": "other", "is_test": draw(some.booleans()), **more}


@given(added=some.lists(later_fact(), min_size=1, max_size=12))
def test_no_fact_recorded_after_the_cut_off_changes_a_feature(
    added: list[tuple[str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    facts = by_hand()
    facts.customer("ann", channel="ads")
    for kind, columns in added:
        getattr(facts, kind)(**columns)
    shop = open_company(tmp_path_factory.mktemp("later") / "shop", facts)
    try:
        found = told(shop, static=["channel"])
        assert rows_of(found).keys() == WORKED.keys()
        for customer, row in rows_of(found).items():
            expected = WORKED[customer]
            assert row.keys() == expected.keys()
            for name, value in expected.items():
                same = math.isclose(row[name], value, rel_tol=1e-9) if isinstance(value, float) else row[name] == value
                assert same, (customer, name, row[name], value)
        assert [row["customer_id"] for row in found.leaving.to_pylist()] == ["cid", "hal"]
    finally:
        shop.close()


# --- the catalogue ---


def test_every_feature_has_a_group_a_unit_and_sentences_in_both_languages() -> None:
    values = {feature.name: "7" for feature in FEATURES}
    for feature in FEATURES:
        assert feature.group in GROUPS
        assert feature.unit
        assert feature.definition
        assert feature.direction in (-1, 0, 1)
        assert "{" not in feature.sentence("en", values) + feature.sentence("th", values)
        assert any("\u0e00" <= letter <= "\u0e7f" for letter in feature.th), feature.name


def test_silence_is_told_beside_what_is_usual() -> None:
    sentence = BY_NAME["silent_days"].sentence("en", {"silent_days": "19", "usual_gap_days": "2"})
    assert sentence == "no login for 19 days; usually every 2"


def test_one_statement_reads_each_table_once(worked: Shop, tmp_path: Path) -> None:
    statement = told(worked).statement
    for table in ("payments", "usage", "tickets", "answers", "change_exposures"):
        assert statement.count(f"raw_{table} AS ") == 1
