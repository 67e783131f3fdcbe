"""Who is who? Names of other systems, parents and children, mergers: companies small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tenure.errors import BadInput, UnknownName
from tenure.lake.identities import Ways, called_after, ways
from tests.reference.builder import Company, Facts, Shop


def rows_of(shop: Shop, table: str, *columns: str, known_on: str | None = None) -> list[tuple[Any, ...]]:
    """The rows of a table as metrics read them."""
    look = shop.workspace.facts(known_on or shop.known_on)
    st = look.statement()
    latest = look.latest(st, table, columns)
    order = ", ".join(str(i + 1) for i in range(len(columns)))
    found = look.engine.table(st.render(f"SELECT {', '.join(columns)} FROM {latest} ORDER BY {order}")).to_pylist()
    return [tuple(row[column] for column in columns) for row in found]


def used_by(shop: Shop, **more: Any) -> dict[str, str | None]:
    """Who each row of usage is of."""
    return dict(rows_of(shop, "usage", "usage_id", "customer_id", **more))


def two_customers() -> Facts:
    facts = Facts()
    for customer in ("ann", "ben"):
        facts.customer(customer)
        facts.span("2025-01-01", customer=customer)
    return facts


# --- names of other systems -------------------------------------------------------------------------------------------


def test_what_the_product_calls_a_customer_is_looked_up(company: Company) -> None:
    facts = two_customers()
    facts.identity("product", "ws-1", "ann")
    facts.use("u1", "2025-02-01", customer="ws-1")
    facts.use("u2", "2025-02-01", customer="ben")
    facts.use("u3", "2025-02-01", customer="ws-9")
    assert used_by(company(facts)) == {"u1": "ann", "u2": "ben", "u3": "ws-9"}


def test_a_name_means_whom_it_meant_at_the_rows_time(company: Company) -> None:
    facts = two_customers()
    facts.identity("product", "ws-1", "ann", valid_from="2025-02-01")
    facts.identity("product", "ws-1", "ben", valid_from="2025-04-01")
    facts.use("before", "2025-01-31", customer="ws-1")
    facts.use("then", "2025-02-01", customer="ws-1")
    facts.use("later", "2025-04-01", customer="ws-1")
    shop = company(facts)
    assert used_by(shop) == {"before": "ws-1", "then": "ann", "later": "ben"}
    assert used_by(shop, known_on="2025-03-31") == {"before": "ws-1", "then": "ann"}


def test_a_corrected_name_is_corrected_for_its_whole_time_and_one_taken_back_means_nobody(company: Company) -> None:
    facts = two_customers()
    facts.identity("product", "ws-1", "ann", valid_from="2025-02-01")
    facts.identity("product", "ws-1", "ben", valid_from="2025-02-01", recorded_at="2025-05-01")
    facts.identity("product", "ws-2", "ann", valid_from="2025-02-01")
    facts.identity("product", "ws-2", "ann", valid_from="2025-02-01", recorded_at="2025-05-01", retracted=True)
    facts.use("u1", "2025-03-01", customer="ws-1")
    facts.use("u2", "2025-03-01", customer="ws-2")
    shop = company(facts)
    assert used_by(shop) == {"u1": "ben", "u2": "ws-2"}
    assert used_by(shop, known_on="2025-04-30") == {"u1": "ann", "u2": "ann"}


def test_a_name_that_is_a_customers_own_is_not_looked_up(company: Company) -> None:
    facts = two_customers()
    facts.identity("product", "ann", "ben")
    facts.use("u1", "2025-02-01", customer="ann")
    facts.use("u2", "2025-02-01", customer="elsewhere")
    assert used_by(company(facts)) == {"u1": "ann", "u2": "elsewhere"}


def test_two_systems_may_use_one_name_for_two_customers(company: Company) -> None:
    facts = two_customers()
    facts.identity("product", "17", "ann")
    facts.identity("helpdesk", "17", "ben")
    facts.use("by the table", "2025-02-01", customer="17")
    facts.use("by the source", "2025-02-01", customer="17", source="exports/Help-Desk 2025.csv")
    facts.ticket("t1", "2025-02-01", customer="17")
    facts.answer("a1", "2025-02-01", customer="17")  # no survey gives names here, and the others do not agree
    shop = company(facts)
    assert used_by(shop) == {"by the table": "ann", "by the source": "ben"}
    assert rows_of(shop, "tickets", "customer_id") == [("ben",)]
    assert rows_of(shop, "answers", "customer_id") == [("17",)]


def test_where_all_systems_agree_any_of_them_will_do(company: Company) -> None:
    facts = two_customers()
    facts.identity("crm", "acme", "ann")
    facts.identity("billing", "acme", "ann")
    facts.answer("a1", "2025-02-01", customer="acme")
    assert rows_of(company(facts), "answers", "customer_id") == [("ann",)]


def test_a_source_is_called_after_the_longest_name_in_it() -> None:
    assert called_after("help_desk/2025.csv", ("desk", "helpdesk", "product")) == "helpdesk"
    assert called_after("usage.csv", ("helpdesk", "product")) == ""


def test_usage_that_names_a_subscription_alone_is_its_customers(company: Company) -> None:
    facts = two_customers()
    facts.use("u1", "2025-02-01", subscription="s-ann")
    facts.use("u2", "2025-02-01", subscription="s-nobody")
    facts.use("u3", "2025-02-01")
    assert used_by(company(facts)) == {"u1": "ann", "u2": None, "u3": None}


def test_a_subscription_that_changes_hands_is_each_customers_in_their_time(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-10", customer="ann", subscription="s")
    facts.state("2025-03-10", customer="ben", subscription="s")
    facts.use("early", "2025-01-01", subscription="s")
    facts.use("ann's", "2025-03-09 23:59", subscription="s")
    facts.use("ben's", "2025-03-10", subscription="s")
    assert used_by(company(facts)) == {"early": "ann", "ann's": "ann", "ben's": "ben"}


def test_subscriptions_that_billing_calls_otherwise_count_for_the_customer(company: Company) -> None:
    facts = Facts()
    facts.customer("ann", channel="ads")
    facts.identity("billing", "acct-1", "ann")
    facts.span("2025-01-01", "2025-03-01", customer="ann", subscription="s1")
    facts.span("2025-03-01", customer="acct-1", subscription="s2", amount_minor=15_000)
    shop = company(facts)
    assert shop.values("2025-03", "mrr", "customers", "customers_churned", "mrr_expansion") == [150, 1, 0, 50]
    assert shop.by("channel", "mrr", "2025-03") == {"ads": 150}
    rows = shop.workspace.metrics("mrr", since="2025-03", known_on=shop.known_on).customers().to_pylist()
    assert [row["customer_id"] for row in rows] == ["ann"]


def test_without_identities_and_with_every_customer_named_the_statement_is_what_it_was(company: Company) -> None:
    facts = two_customers()
    facts.use("u1", "2025-02-01", customer="ann", subscription="s-ann")
    shop = company(facts)
    look = shop.workspace.facts(shop.known_on)
    assert {ways(look, table) for table in ("usage", "subscription_spans", "tickets", "customers")} == {Ways()}
    plain = shop.workspace.metrics("mrr", "customer_churn_rate", since="2025-02", known_on=shop.known_on).sql()
    assert "system_names" not in plain and "known_customers" not in plain and "accounts" not in plain
    by_account = shop.workspace.metrics(
        "mrr", "customer_churn_rate", since="2025-02", known_on=shop.known_on, grain="account"
    )
    assert by_account.sql() == plain  # nobody has a parent


# --- parents and children ---------------------------------------------------------------------------------------------


def family() -> Facts:
    """Root pays 100 and has two children of 50 and 30, one of them with a child of 20; Lone pays 40."""
    facts = Facts()
    facts.customer("Root", channel="ads")
    facts.customer("One", parent_id="Root", channel="fairs")
    facts.customer("Two", parent_id="Root")
    facts.customer("Grandchild", parent_id="Two")
    facts.customer("Lone")
    facts.span("2025-01-10", customer="Root", amount_minor=10_000)
    facts.span("2025-02-10", "2025-04-10", customer="One", amount_minor=5_000)
    facts.span("2025-02-10", customer="Two", amount_minor=3_000)
    facts.span("2025-03-10", "2025-04-20", customer="Grandchild", amount_minor=2_000)
    facts.span("2025-01-10", "2025-04-15", customer="Lone", amount_minor=4_000)
    return facts


def test_by_account_a_child_that_comes_is_expansion_and_one_that_goes_is_contraction(company: Company) -> None:
    shop = company(family())
    names = ("mrr", "mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churn", "customers", "customers_churned")
    assert shop.values("2025-02", *names) == [220, 80, 0, 0, 0, 4, 0]
    assert shop.values("2025-02", *names, grain="account") == [220, 0, 80, 0, 0, 2, 0]
    # April: One (50), Grandchild (20) and Lone (40) go.
    assert shop.values("2025-04", *names) == [130, 0, 0, 0, 110, 2, 3]
    assert shop.values("2025-04", *names, grain="account") == [130, 0, 0, 70, 40, 1, 1]
    # Of 240 at the start, 130 are left; two accounts were there, one left.
    assert shop.values("2025-04", "nrr", "customer_churn_rate", grain="account") == [Fraction(13, 24), Fraction(1, 2)]


def test_an_account_has_the_columns_of_its_parent(company: Company) -> None:
    shop = company(family())
    assert shop.by("channel", "mrr", "2025-03", grain="account") == {"ads": 200, None: 40}
    assert shop.by("channel", "mrr", "2025-03") == {"ads": 100, "fairs": 50, None: 90}


def test_who_is_in_a_number_by_account_is_listed_by_account(company: Company) -> None:
    shop = company(family())
    answer = shop.workspace.metrics("mrr", since="2025-03", known_on=shop.known_on, grain="account")
    told = {row["customer_id"]: int(row["amount"]) for row in answer.customers().to_pylist()}
    assert told == {"Root": 200, "Lone": 40}
    assert answer.rows()[0]["grain"] == "account"
    assert answer.to_arrow().column("grain").to_pylist() == ["account"]


def test_cohorts_lives_costs_movements_and_bridges_can_be_asked_by_account(company: Company) -> None:
    shop = company(family())
    ask: dict[str, Any] = {"known_on": shop.known_on, "grain": "account"}
    moved = shop.workspace.movements(since="2025-01", until="2025-04", **ask).to_pylist()
    assert {(row["customer_id"], row["kind"]) for row in moved} == {
        ("Root", "new"), ("Root", "expansion"), ("Root", "contraction"), ("Lone", "new"), ("Lone", "churn"),
    }  # fmt: skip
    (cohorts,) = shop.workspace.cohorts(until="2025-04", **ask)
    assert cohorts.triangle.values[0] == (2, 2, 2, 1)
    (lives,) = shop.workspace.lives(until="2025-04", from_birth=True, **ask)
    assert int(lives.counts.events.sum()) == 1
    cost = shop.workspace.cost(since="2025-04", currency="USD", **ask)
    assert [row["customer_id"] for row in cost.customers().to_pylist() if row["mrr_lost"]] == ["Lone"]
    bridge = shop.workspace.bridge("customer_churn_rate", after="baremetrics", month="2025-04", currency="USD", **ask)
    assert bridge.start.value == Fraction(1, 2)


def test_a_child_whose_parent_is_merged_belongs_to_the_one_kept(company: Company) -> None:
    facts = Facts()
    facts.customer("kept", parent_id="top")
    facts.customer("gone", merged_into="kept", parent_id="elsewhere")
    facts.customer("child", parent_id="gone")
    for customer in ("kept", "gone", "child"):
        facts.span("2025-01-10", customer=customer)
    shop = company(facts)
    assert shop.values("2025-01", "mrr", "customers") == [300, 2]
    assert shop.values("2025-01", "mrr", "customers", grain="account") == [300, 1]
    rows = shop.workspace.metrics("mrr", since="2025-01", known_on=shop.known_on, grain="account").customers()
    assert rows.column("customer_id").to_pylist() == ["top"]


def test_a_child_that_only_tests_is_left_out_and_its_parent_is_not(company: Company) -> None:
    facts = Facts()
    facts.customer("parent")
    facts.customer("trial", parent_id="parent", is_test=True)
    for customer in ("parent", "trial"):
        facts.span("2025-01-10", customer=customer)
    shop = company(facts)
    for grain in ("customer", "account"):
        assert shop.values("2025-01", "mrr", "customers", grain=grain) == [100, 1]


def test_parents_count_as_they_are_known(company: Company) -> None:
    facts = Facts()
    facts.customer("parent")
    facts.customer("child")
    facts.customer("child", parent_id="parent", recorded_at="2025-06-01")
    for customer in ("parent", "child"):
        facts.span("2025-01-10", customer=customer)
    shop = company(facts)
    assert shop.value("customers", "2025-03", grain="account", known_on="2025-05-31") == 2
    assert shop.value("customers", "2025-03", grain="account") == 1


@pytest.mark.parametrize(
    ("column", "grain"), [("parent_id", "account"), ("merged_into", "customer"), ("merged_into", "account")]
)
def test_a_circle_is_refused_by_name(company: Company, column: str, grain: str) -> None:
    facts = Facts()
    for customer, other in (("a", "b"), ("b", "c"), ("c", "b")):
        facts.customer(customer, **{column: other})
    facts.span("2025-01-10", customer="a")
    shop = company(facts)
    with pytest.raises(BadInput, match=rf"in a circle by {column}: b -> c -> b; load one of them again"):
        shop.value("mrr", "2025-01", grain=grain)


def test_a_long_chain_of_parents_is_followed_to_its_end(company: Company) -> None:
    facts = Facts()
    for number in range(1, 80):
        facts.customer(f"c{number}", parent_id=f"c{number - 1}")
    facts.span("2025-01-10", customer="c79")
    facts.span("2025-01-10", customer="c0")
    shop = company(facts)
    answer = shop.workspace.metrics("mrr", "customers", since="2025-01", known_on=shop.known_on, grain="account")
    assert [row["value"] for row in answer.rows()] == [200, 1]
    assert set(answer.customers().column("customer_id").to_pylist()) == {"c0"}


def test_a_grain_that_is_none_is_named(company: Company) -> None:
    shop = company(family())
    with pytest.raises(UnknownName, match=r"no grain called 'acount'. Did you mean 'account'"):
        shop.value("mrr", "2025-01", grain="acount")


# --- mergers ----------------------------------------------------------------------------------------------------------


def test_a_merger_counts_from_the_day_it_is_known(company: Company) -> None:
    """Billing moves a customer's subscription to another account on 10 June; on 1 August we learn that they are one."""
    facts = Facts()
    facts.customer("old")
    facts.customer("new")
    facts.customer("old", merged_into="new", recorded_at="2025-08-01")
    facts.span("2025-05-10", "2025-06-10", customer="old", subscription="s1")
    facts.span("2025-06-10", customer="new", subscription="s2", amount_minor=12_000)
    shop = company(facts)
    names = ("mrr", "mrr_new", "mrr_churn", "mrr_expansion", "customers_new", "customers_churned")
    assert shop.values("2025-06", *names, known_on="2025-07-31") == [120, 120, 100, 0, 1, 1]
    assert shop.values("2025-06", *names) == [120, 0, 0, 20, 0, 0]
    (cohorts,) = shop.workspace.cohorts(until="2025-06", known_on=shop.known_on)
    assert cohorts.triangle.values == ((1, 1),)  # since May: the earlier of the two


def test_rows_of_a_customer_that_was_merged_away_are_the_one_kept_whatever_they_call_it(company: Company) -> None:
    facts = Facts()
    facts.customer("kept")
    facts.customer("old", merged_into="kept")
    facts.identity("helpdesk", "org-1", "old")
    facts.span("2025-05-10", customer="kept")
    facts.answer("a1", "2025-05-15", customer="org-1", kind="nps", score=3.0)
    shop = company(facts)
    look = shop.workspace.facts(shop.known_on)
    st = look.statement()
    told = look.counted(st, look.latest(st, "answers", ("customer_id",)), ("customer_id",), "counted_answers")
    assert look.engine.table(st.render(f"SELECT * FROM {told}")).to_pylist() == [{"customer_id": "kept"}]


# --- match rates ------------------------------------------------------------------------------------------------------


def matched(shop: Shop, *tables: str) -> list[tuple[Any, ...]]:
    return [
        (m.table, m.system, m.rows, m.known, m.by_identity, m.by_subscription, m.unmatched, m.names_unmatched)
        for m in shop.workspace.matches(*tables, known_on=shop.known_on)
    ]


def mixed() -> Facts:
    """Seven rows of usage: two by own name, one by identity, one too early for it, one by subscription, two lost."""
    facts = two_customers()
    facts.identity("product", "ws-1", "ann", valid_from="2025-02-01")
    facts.identity("helpdesk", "org-1", "ben")
    facts.use("u1", "2025-02-01", customer="ann")
    facts.use("u2", "2025-02-02", customer="ann")
    facts.use("u3", "2025-02-03", customer="ws-1")
    facts.use("u4", "2025-01-31", customer="ws-1")
    facts.use("u5", "2025-02-05", subscription="s-ben")
    facts.use("u6", "2025-02-06", subscription="s-zoe")
    facts.use("u7", "2025-02-07", customer="ws-7")
    facts.ticket("t1", "2025-02-01", customer="org-1")
    facts.ticket("t2", "2025-02-01", customer="org-1", source="product")
    return facts


def test_match_rates_are_told_by_table_and_system(company: Company) -> None:
    shop = company(mixed())
    assert matched(shop) == [
        ("subscription_spans", "", 2, 2, 0, 0, 0, 0),
        ("usage", "product", 7, 2, 1, 1, 3, 3),
        ("tickets", "helpdesk", 1, 0, 1, 0, 0, 0),
        ("tickets", "product", 1, 0, 1, 0, 0, 0),
    ]
    assert [match.rate for match in shop.workspace.matches("usage", known_on=shop.known_on)] == [4 / 7]


def test_what_is_unmatched_is_listed_with_the_reason(company: Company) -> None:
    shop = company(mixed())
    listed = shop.workspace.unmatched(known_on=shop.known_on).to_pylist()
    assert [(row["name"], row["rows"], str(row["since"]), row["reason"]) for row in listed] == [
        ("ws-1", 1, "2025-01-31", "an identity tells whose name this is from a later day on"),
        ("ws-7", 1, "2025-02-07", "no identity tells whose name this is"),
        (None, 1, "2025-02-06", "the rows name only a subscription that is not loaded"),
    ]


def test_without_any_identities_match_rates_are_told_all_the_same(company: Company) -> None:
    facts = two_customers()
    facts.use("u1", "2025-02-01", customer="ann")
    facts.use("u2", "2025-02-01", customer="zoe")
    facts.use("u3", "2025-02-01")
    shop = company(facts)
    assert matched(shop, "usage") == [("usage", "", 3, 1, 0, 0, 2, 2)]
    reasons = [row["reason"] for row in shop.workspace.unmatched("usage", known_on=shop.known_on).to_pylist()]
    assert reasons == ["no identity tells whose name this is", "the rows name nobody"]


def test_where_no_customers_are_loaded_subscriptions_tell_who_is_one(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-01", customer="ann")
    facts.identity("product", "ws-1", "ann")
    facts.use("u1", "2025-02-01", customer="ann")
    facts.use("u2", "2025-02-01", customer="ws-1")
    shop = company(facts)
    assert used_by(shop) == {"u1": "ann", "u2": "ann"}
    assert [match.rate for match in shop.workspace.matches(known_on=shop.known_on)] == [1.0, 1.0]


def test_a_table_that_names_no_customers_is_refused(company: Company) -> None:
    shop = company(two_customers())
    with pytest.raises(UnknownName, match="no table that names customers called 'rates'"):
        shop.workspace.matches("rates")


def test_ravenstacks_usage_comes_to_its_customers_by_subscription_alone(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Once by the mapping that ships, once by hand, without any customer in the usage file."""
    import tenure

    folder = shared_data("ravenstack")
    shop = tenure.open(tmp_path / "by-mapping", create=True, currency="USD")
    shop.load_export("ravenstack", folder)
    by_mapping = {match.table: match for match in shop.matches()}
    assert by_mapping["usage"].rows == by_mapping["usage"].known == 25_000
    assert {match.rate for match in by_mapping.values()} == {1.0}
    alone = tenure.open(tmp_path / "by-hand", create=True, currency="USD")
    (bills,) = alone.load(
        "subscriptions",
        folder / "ravenstack_subscriptions.csv",
        mapping={
            "account_id": "customer_id", "start_date": "started_at", "end_date": "ended_at", "mrr_amount": "amount",
            "=month": "interval",
        },
    )  # fmt: skip
    assert not bills.quarantined
    (loaded,) = alone.load(
        "usage",
        folder / "ravenstack_feature_usage.csv",
        mapping={"usage_date": "happened_at", "feature_name": "feature", "usage_count": "quantity", "usage_id": "code"},
    )
    assert loaded.loaded == 25_000
    (match,) = alone.matches("usage")
    assert (match.rows, match.by_subscription, match.unmatched, match.rate) == (25_000, 25_000, 0, 1.0)
    look, other = alone.facts(), shop.facts()
    told = []
    for facts in (look, other):
        st = facts.statement()
        used = facts.latest(st, "usage", ("customer_id", "quantity"))
        sql = f"SELECT customer_id, sum(quantity) AS q FROM {used} GROUP BY customer_id ORDER BY customer_id"
        told.append(facts.engine.table(st.render(sql)).to_pylist())
    assert told[0] == told[1] and len(told[0]) > 400
    shop.close()
    alone.close()


# --- people behind customers ------------------------------------------------------------------------------------------


def staffed() -> Facts:
    """Ann pays for 10 seats and an add-on of 50 on the same subscription, Ben for 4, Cy for none that is told."""
    facts = Facts()
    facts.state("2025-01-10", customer="ann", subscription="s1", item="seats", quantity=10)
    facts.state("2025-01-10", customer="ann", subscription="s1", item="storage", quantity=50, is_metered=True)
    facts.state("2025-01-10", customer="ann", subscription="s1", item="support", quantity=1, amount_minor=2_000)
    facts.state("2025-01-10", customer="ben", subscription="s2", quantity=6)
    facts.state("2025-03-05", customer="ben", subscription="s2", quantity=4)  # at the same price
    facts.state("2025-01-10", customer="cy", subscription="s3", quantity=None)
    facts.contact("a1", "2025-01-10", customer="ann", role="champion", left_at="2025-03-20")
    facts.contact("a2", "2025-01-10", customer="ann")
    facts.contact("a3", "2025-04-02", customer="ann", role="Champion")
    facts.contact("b1", "2025-01-10", customer="ben", role="champion", left_at="2025-02-10")
    facts.contact("b2", "2025-01-10", customer="ben", left_at="2025-04-01")
    facts.contact("c1", "2025-01-10", customer="cy", role="admin")
    return facts


PEOPLE = ("seats_paid", "seats_used", "seat_utilization", "champions_left", "customers_without_champion")


def test_seats_and_champions_by_hand(company: Company) -> None:
    shop = company(staffed())
    # January: 10 + 6 seats; a1, a2 and b1, b2 are there; both champions too.
    assert shop.values("2025-01", *PEOPLE) == [16, 4, Fraction(4, 16), 0, 0]
    # March: 10 + 4; a1 left on the 20th, b1 in February; b2 leaves as April begins. Nobody champions Ann or Ben.
    assert shop.values("2025-03", *PEOPLE) == [14, 2, Fraction(2, 14), 1, 2]
    # April: a2 and a3, and nobody of Ben's.
    assert shop.values("2025-04", *PEOPLE) == [14, 2, Fraction(2, 14), 0, 1]


def test_people_of_a_number_are_listed_by_customer(company: Company) -> None:
    shop = company(staffed())
    answer = shop.workspace.metrics(*PEOPLE, since="2025-03", known_on=shop.known_on)
    listed = [
        (r["metric"], r["customer_id"], r["amount"], r["base"], r["what"]) for r in answer.customers().to_pylist()
    ]
    assert listed == [
        ("seats_paid", "ann", 10, None, "seats"),
        ("seats_paid", "ben", 4, None, "seats"),
        ("seats_used", "ann", 1, None, "1 of 10 seats used"),
        ("seats_used", "ben", 1, None, "1 of 4 seats used"),
        ("seat_utilization", "ann", 1, 10, "1 of 10 seats used"),
        ("seat_utilization", "ben", 1, 4, "1 of 4 seats used"),
        ("champions_left", "ann", 1, None, "champion left"),
        ("customers_without_champion", "ann", 1, None, "champion left"),
        ("customers_without_champion", "ben", 1, None, "champion left"),
    ]


def test_where_usage_names_people_seats_are_used_by_who_used_it_within_thirty_days(company: Company) -> None:
    facts = staffed()
    facts.identity("product", "ws-ann", "ann")
    for number, (day, person) in enumerate(
        [
            ("2025-01-15", "a1"),
            ("2025-03-01 23:59", "a2"),
            ("2025-03-02", "a1"),
            ("2025-03-30", "a1"),
            ("2025-03-31", "x"),
        ]
    ):
        facts.use(f"u{number}", day, customer="ws-ann", contact=person)
    facts.use("u9", "2025-03-31", subscription="s3", contact="c1")  # Cy's, whose seats nobody told
    shop = company(facts)
    assert shop.values("2025-03", "seats_used", "seat_utilization") == [2, Fraction(2, 14)]
    row = shop.row("seats_used", "2025-01")
    assert (row["value"], row["reason"]) == (
        None, "usage is known from 2025-01-15 on, and seats used need 30 days of it",
    )  # fmt: skip


def test_seats_by_segment_and_by_account(company: Company) -> None:
    facts = staffed()
    facts.customer("ann", channel="ads")
    facts.customer("ben", channel="ads", parent_id="ann")
    facts.customer("cy", channel="fairs")
    shop = company(facts)
    assert shop.by("channel", "seats_paid", "2025-03") == {"ads": 14, "fairs": 0}
    answer = shop.workspace.metrics(
        "seats_paid", "champions_left", since="2025-02", known_on=shop.known_on, grain="account"
    )
    assert [(row["customer_id"], row["amount"]) for row in answer.customers().to_pylist()] == [("ann", 16), ("ann", 1)]
    row = shop.rows(("seats_used",), "2025-03", by=("quantity",))[0]
    assert (row["value"], row["reason"]) == (None, "people belong to customers and are not told by quantity")


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        (None, "no subscription tells how many seats it has"),
        (1, "every subscription has one seat: nothing is priced by seat"),
    ],
)
def test_where_nothing_is_priced_by_seat_there_are_no_seats(
    company: Company, quantity: int | None, reason: str
) -> None:
    facts = Facts()
    facts.state("2025-01-10", quantity=quantity)
    shop = company(facts)
    told = {row["metric"]: (row["value"], row["reason"]) for row in shop.rows(PEOPLE, "2025-02")}
    assert told["seats_paid"] == told["seat_utilization"] == (None, reason)
    assert told["champions_left"] == (None, "no contacts are loaded (`tenure load contacts FILE`)")


def test_the_interval_of_seat_utilization_is_that_of_a_bootstrap_over_customers(company: Company) -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    facts = Facts()
    paid, used = rng.integers(2, 40, 60), []
    for number, seats in enumerate(paid.tolist()):
        facts.state("2025-01-10", customer=f"c{number}", quantity=seats)
        used.append(int(rng.binomial(seats, 0.7)))
        for person in range(used[-1]):
            facts.contact(f"p{number}-{person}", "2025-01-10", customer=f"c{number}")
    row = company(facts).row("seat_utilization", "2025-02")
    assert row["numerator"] == sum(used) and row["denominator"] == paid.sum() and row["n"] == 60
    picks = rng.integers(0, 60, (4_000, 60))
    again = np.array(used)[picks].sum(axis=1) / paid[picks].sum(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    # One imaginary customer widens it a little; see kernel.stats.ratio_interval.
    assert row["low"] < low < row["value"] < high < row["high"]
    assert row["high"] - row["low"] < 2.5 * (high - low)
