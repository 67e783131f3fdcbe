"""What were subscriptions, where nothing but their invoices tells? States rebuilt from invoice lines."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

import tenure
from tenure.errors import BadInput
from tenure.faces.cli.ending import run as command_line
from tenure.kernel.time import add_months
from tests.reference.builder import LONG_AFTER, Company, Facts, Shop, cents


def billed(facts: Facts, first: str, *amounts: int, months: int = 1, customer: str = "c1", **columns: Any) -> None:
    """A recurring line for each period of so many months from a day on; 0 is a period without a line."""
    columns = {"subscription_id": f"s-{customer}", "plan_id": "pro", "quantity": 1.0, **columns}
    for i, amount in enumerate(amounts):
        start = add_months(date.fromisoformat(first), months * i)
        end = add_months(date.fromisoformat(first), months * (i + 1))
        if amount:
            facts.line(
                start.isoformat(), service_end=end.isoformat(), amount_minor=amount, customer=customer, **columns
            )


def later(facts: Facts, day: str = "2026-06-01") -> None:
    """Somebody else's line, by which the export is seen to reach to that day."""
    billed(facts, day, 100, customer="others")


def rebuilt(company: Company, facts: Facts) -> Shop:
    """The company, once its history is rebuilt."""
    shop = company(facts)
    shop.workspace.rebuild()
    return shop


def states(shop: Shop, customer: str = "c1") -> list[tuple[str, str, str | None, int | None]]:
    """(day, status, plan, amount) of a customer's states as stored, in order of time."""
    engine = shop.workspace.engine()
    facts = shop.workspace.facts()
    st = facts.statement()
    step = facts.latest(st, "subscription_states", ("effective_at", "customer_id", "status", "plan_id", "amount_minor"))
    rows = engine.table(
        st.render(f"SELECT * FROM {step} WHERE customer_id = '{customer}' ORDER BY effective_at")
    ).to_pylist()
    day = [datetime.fromtimestamp(row["effective_at"] / 1e6, UTC).date().isoformat() for row in rows]
    return [(d, row["status"], row["plan_id"], row["amount_minor"]) for d, row in zip(day, rows, strict=True)]


# --- what lines tell --------------------------------------------------------------------------------------------------


def test_lines_that_follow_one_another_are_one_life_and_their_stop_is_its_end(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-10", 10_000, 10_000, 10_000)
    later(facts)
    shop = rebuilt(company, facts)
    assert states(shop) == [("2025-01-10", "active", "pro", 10_000), ("2025-04-10", "canceled", "pro", 10_000)]
    assert shop.values("2025-03", "mrr", "customers") == [100, 1]
    assert shop.values("2025-04", "mrr", "mrr_churn", "customers_churned") == [0, 100, 1]


@pytest.mark.parametrize(("months", "amount", "mrr"), [(1, 10_000, 100), (3, 30_000, 100), (12, 120_000, 100)])
def test_a_period_is_billed_by_its_length(company: Company, months: int, amount: int, mrr: int) -> None:
    facts = Facts()
    billed(facts, "2025-01-31", amount, amount, months=months)
    later(facts, "2025-03-03")
    assert rebuilt(company, facts).value("mrr", "2025-02") == mrr


def test_what_has_not_been_due_yet_still_runs(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-10", 120_000, months=12)
    later(facts, "2025-08-01")
    assert states(rebuilt(company, facts)) == [("2025-01-10", "active", "pro", 120_000)]


def test_a_gap_is_an_end_and_a_return_and_a_day_between_periods_is_none(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 0, 0, 10_000)
    # As exports write it whose periods end on their last day.
    for start, end in (("2025-01-01", "2025-01-31"), ("2025-02-01", "2025-02-28"), ("2025-03-01", "2025-03-31")):
        facts.line(start, service_end=end, amount_minor=5_000, customer="c2", subscription_id="s-c2")
    later(facts)
    shop = rebuilt(company, facts)
    assert shop.values("2025-02", "customers_churned", "mrr") == [1, 50]
    assert shop.value("customers_reactivated", "2025-04") == 1


def test_a_price_is_before_discount_and_its_tax_is_known(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, 10_000, discount_minor=1_000, tax_minor=588, tax_inclusive=True)
    later(facts)
    # 100.00 less 10.00 for ever, less the tax in it
    assert rebuilt(company, facts).value("mrr", "2025-02") == Fraction("84.12")


# 43
def test_a_proration_is_never_summed_and_its_price_is_what_the_next_whole_line_says(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-06-01", 10_000)
    facts.line(
        "2025-06-16", service_end="2025-07-01", amount_minor=12_500, subscription_id="s-c1", plan_id="big",
        is_proration=True, quantity=1.0,
    )  # fmt: skip
    facts.line(
        "2025-06-16", service_end="2025-07-01", amount_minor=-5_000, subscription_id="s-c1", plan_id="pro",
        is_proration=True, kind="credit", quantity=1.0,
    )  # fmt: skip
    billed(facts, "2025-07-01", 25_000, plan_id="big")
    later(facts, "2025-07-20")
    shop = rebuilt(company, facts)
    assert states(shop) == [("2025-06-01", "active", "pro", 10_000), ("2025-06-16", "active", "big", 25_000)]
    assert shop.values("2025-06", "mrr", "mrr_expansion", "mrr_new") == [250, 150, 100]


def test_a_proration_whose_price_no_whole_line_tells_is_made_whole(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-06-01", 10_000)
    told = {"service_end": "2025-07-01", "subscription_id": "s-c1", "plan_id": "pro", "is_proration": True}
    facts.line("2025-06-11", amount_minor=13_333, quantity=2.0, **told)  # 20 of 30 days of 200.00
    facts.line("2025-06-11", amount_minor=-6_667, quantity=1.0, kind="credit", **told)
    facts.line("2025-06-21", amount_minor=10_000, quantity=3.0, **told)  # 10 of 30 days of 300.00
    facts.line("2025-06-21", amount_minor=-6_667, quantity=2.0, kind="credit", **told)
    billed(facts, "2025-07-01", 30_000, quantity=3.0)
    later(facts, "2025-07-20")
    shop = rebuilt(company, facts)
    assert [(day, amount) for day, _, _, amount in states(shop)] == [
        ("2025-06-01", 10_000), ("2025-06-11", 20_000), ("2025-06-21", 30_000),
    ]  # fmt: skip


# 48
def test_a_credit_alone_in_mid_cycle_after_which_nothing_comes_is_the_end(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 120_000, months=12)
    facts.line(
        "2025-07-02", service_end="2026-01-01", amount_minor=-60_000, subscription_id="s-c1", plan_id="pro",
        is_proration=True, kind="credit",
    )  # fmt: skip
    later(facts)
    shop = rebuilt(company, facts)
    assert shop.values("2025-06", "mrr", "customers_churned") == [100, 0]
    assert shop.values("2025-07", "mrr", "customers_churned") == [0, 1]


def test_a_first_part_of_a_period_costs_what_the_next_whole_one_does(company: Company) -> None:
    facts = Facts()
    facts.line("2025-01-21", service_end="2025-02-01", amount_minor=3_548, subscription_id="s-c1", plan_id="pro")
    billed(facts, "2025-02-01", 10_000, 10_000, quantity=None)
    later(facts, "2025-02-20")
    shop = rebuilt(company, facts)
    assert states(shop) == [("2025-01-21", "active", "pro", 10_000)]
    assert shop.values("2025-02", "mrr_expansion", "mrr_contraction") == [0, 0]


def test_tiers_of_one_item_are_one_price_and_items_stay_apart(company: Company) -> None:
    facts = Facts()
    for month in ("2025-01", "2025-02"):
        start, end = f"{month}-01", add_months(date.fromisoformat(f"{month}-01"), 1).isoformat()
        line = {"service_end": end, "subscription_id": "s-c1", "invoice": f"bill-{month}"}
        facts.line(start, amount_minor=5_000, item_id="seats", plan_id="seats", quantity=5.0, **line)
        facts.line(start, amount_minor=3_000, item_id="seats", plan_id="seats", quantity=5.0, **line)
        facts.line(start, amount_minor=1_000, item_id="more", plan_id="more", **line)
    later(facts, "2025-02-10")
    shop = rebuilt(company, facts)
    assert shop.by("plan_id", "mrr", "2025-02") == {"seats": 80, "more": 10, "pro": 1}
    assert shop.by("quantity", "mrr", "2025-02")["10"] == 80


def test_lines_without_items_of_several_plans_at_once_are_several_items(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000)
    billed(facts, "2025-01-01", 2_000, plan_id="add-on")
    later(facts, "2025-02-20")
    shop = rebuilt(company, facts)
    assert shop.value("mrr", "2025-01") == 120
    assert shop.values("2025-02", "mrr_contraction", "customers_churned") == [20, 0]


# 50
def test_an_invoice_that_replaces_a_voided_one_counts_once_and_a_void_alone_ends_nothing(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, 10_000)
    billed(facts, "2025-02-01", 11_000, invoice="again")
    voided = facts.tables["invoice_lines"][1]["invoice_id"]
    facts.invoice(voided, "2025-02-01", status="void", recorded_at="2025-02-03")
    later(facts, "2025-03-20")
    shop = rebuilt(company, facts)
    assert shop.values("2025-02", "mrr", "customers_churned") == [110, 0]
    only = Facts()
    billed(only, "2025-01-01", 10_000, 10_000, 10_000)
    only.invoice(only.tables["invoice_lines"][1]["invoice_id"], "2025-02-01", status="void", recorded_at="2025-02-03")
    later(only, "2025-03-20")
    assert rebuilt(company, only).values("2025-02", "mrr", "customers_churned") == [100, 0]


def test_who_never_pays_the_last_invoice_left_when_it_was_given_up(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-10", 10_000, 10_000)
    bill = facts.tables["invoice_lines"][1]["invoice_id"]
    facts.invoice(bill, "2025-02-10")
    facts.invoice(bill, "2025-02-10", status="uncollectible", recorded_at="2025-02-25")
    later(facts)
    shop = rebuilt(company, facts)
    names = ("mrr", "customers_churned", "customers_churned_involuntary")
    assert shop.values("2025-02", *names) == [0, 1, 1]


def test_who_begins_with_a_renewal_was_there_the_period_before(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-03-01", 120_000, months=12)
    bill = facts.tables["invoice_lines"][0]["invoice_id"]
    facts.invoice(bill, "2025-03-01", status="paid", billing_reason="subscription_cycle")
    later(facts)
    shop = rebuilt(company, facts)
    assert shop.values("2024-06", "mrr", "customers") == [100, 1]
    assert shop.values("2025-03", "mrr_new", "mrr") == [0, 100]


def test_a_discount_that_ends_with_some_is_one_for_a_limited_time_with_all(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", *[10_000] * 3, customer="ended", discount_minor=2_500)
    billed(facts, "2025-04-01", *[10_000] * 3, customer="ended")
    billed(facts, "2025-05-01", *[10_000] * 2, customer="running", discount_minor=2_500)
    billed(facts, "2025-01-01", *[10_000] * 6, customer="other", discount_minor=1_000)
    billed(facts, "2024-01-01", *[10_000] * 18, customer="long", discount_minor=2_500)
    later(facts, "2025-06-20")
    shop = rebuilt(company, facts)

    def mrr(month: str, **question: Any) -> dict[str, float]:
        answer = shop.workspace.metrics("mrr", since=month, known_on=LONG_AFTER, **question)
        return {row["customer_id"]: float(row["amount"]) for row in answer.customers().to_pylist()}

    assert mrr("2025-05") == {"ended": 100, "running": 100, "other": 90, "long": 75}
    assert mrr("2025-03", profile="profitwell")["ended"] == 75
    assert mrr("2025-05", profile="profitwell")["running"] == 75


def test_what_is_charged_for_usage_at_least_is_the_minimum_commitment(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", *[10_000] * 5)
    for i, amount in enumerate((20_000, 31_000, 20_000, 26_000)):
        start = add_months(date(2025, 1, 1), i)
        facts.line(
            start.isoformat(), service_end=add_months(start, 1).isoformat(), amount_minor=amount, kind="usage",
            item_id="calls", plan_id="calls", subscription_id="s-c1",
        )  # fmt: skip
    later(facts)
    shop = rebuilt(company, facts)
    assert shop.value("mrr", "2025-03") == 300
    # Beyond it: (0 + 110 + 0) / 3
    assert cents(shop.value("mrr", "2025-03", revenue="total")) == "336.67"
    assert shop.value("mrr", "2025-06") == 0


# --- what it leaves alone ---------------------------------------------------------------------------------------------


def test_subscriptions_that_tell_of_themselves_are_left_alone(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, customer="told")
    billed(facts, "2025-01-01", 10_000, 10_000, customer="span")
    billed(facts, "2025-01-01", 10_000, 10_000, customer="c1")
    facts.state("2025-01-01", customer="told", amount_minor=7_000)
    facts.span("2025-01-01", None, customer="span", amount_minor=5_000)
    # Whose subscription is told may have lines that name none.
    billed(facts, "2025-01-01", 10_000, customer="told", subscription_id=None)
    later(facts, "2025-02-10")
    shop = company(facts)
    found = shop.workspace.rebuild()
    assert (found.subscriptions, found.left_alone) == (2, 2)
    assert shop.value("mrr", "2025-01") == 70 + 50 + 100
    assert [len(states(shop, who)) for who in ("told", "span", "c1")] == [1, 0, 1]


def test_a_second_run_writes_nothing_and_more_lines_only_what_they_add(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, 10_000)
    later(facts, "2025-04-20")
    shop = company(facts)
    first = shop.workspace.rebuild()
    assert (first.written, first.corrected, first.retracted) == (3, 0, 0)
    again = shop.workspace.rebuild()
    assert (again.written, again.corrected, again.retracted) == (0, 0, 0)
    assert shop.workspace.rebuild().subscriptions == 0
    # The renewal came late: the end is taken back, and a dearer month follows.
    file = shop.workspace.folder / "more.csv"
    file.write_text(
        "line_id,invoice_id,customer_id,subscription_id,plan_id,kind,quantity,amount,currency,service_start,service_end\n"
        "more-1,m1,c1,s-c1,pro,recurring,1,120,USD,2025-04-01,2025-05-01\n"
        "more-2,m2,others,s-others,pro,recurring,1,1,USD,2025-04-20,2025-05-20\n"
    )
    shop.workspace.load("invoice_lines", file)
    more = shop.workspace.rebuild()
    assert (more.written, more.corrected, more.retracted) == (0, 1, 0)
    assert states(shop) == [("2025-01-01", "active", "pro", 10_000), ("2025-04-01", "active", "pro", 12_000)]
    assert shop.workspace.rebuild().subscriptions == 0


def test_a_subscription_that_begins_to_tell_of_itself_keeps_what_was_rebuilt_of_the_time_before(
    company: Company,
) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, 10_000, 0, 10_000, item_id="seats")
    billed(facts, "2025-01-01", *[1_000] * 6, item_id="more", plan_id="more")
    later(facts, "2025-07-20")
    shop = rebuilt(company, facts)
    assert shop.value("mrr", "2025-02") == 110
    file = shop.workspace.folder / "sync.csv"
    file.write_text(
        "subscription_id,item_id,customer_id,status,plan_id,amount,currency,interval,effective_at\n"
        "s-c1,seats,c1,active,pro,200,USD,month,2025-03-15\n"
    )
    shop.workspace.load("subscription_states", file)
    found = shop.workspace.rebuild()
    # Taken back: seats' end and return and end, and the end of what the billing system does not know, set anew.
    assert (found.written, found.retracted) == (1, 4)
    months = ("2025-02", "2025-03", "2025-05")
    assert [shop.value("mrr", month, known_on=None) for month in months] == [110, 200, 200]
    assert shop.workspace.rebuild().subscriptions == 0


def test_spans_that_are_loaded_later_tell_of_everything(company: Company) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000, 10_000, 10_000)
    later(facts)
    shop = rebuilt(company, facts)
    file = shop.workspace.folder / "spans.csv"
    file.write_text(
        "subscription_id,customer_id,plan_id,amount,currency,interval,started_at,ended_at\n"
        "s-c1,c1,pro,30,USD,month,2024-12-01,\n"
    )
    shop.workspace.load("subscriptions", file)
    shop.workspace.rebuild()
    assert states(shop) == []
    assert shop.value("mrr", "2025-08", known_on=None) == 30


def test_rebuilt_states_say_that_they_are_derived_and_their_numbers_that_they_are_reconstructed(
    company: Company,
) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000)
    later(facts, "2025-01-20")
    shop = rebuilt(company, facts)
    folder = shop.workspace.lake.snapshot("subscription_states").files
    engine = shop.workspace.engine()
    rows = engine.table(f"SELECT DISTINCT source, recorded_assumed FROM read_parquet({list(folder)})").to_pylist()
    assert rows == [{"source": "derived", "recorded_assumed": True}]
    answer = shop.workspace.metrics("mrr", since="2025-01", known_on="2025-06-01")
    assert any("Reconstructed" in note for note in answer.notes)


def test_the_command_says_what_it_wrote(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    facts = Facts()
    billed(facts, "2025-01-01", 10_000)
    later(facts, "2025-01-20")
    folder = str(company(facts).workspace.folder)
    assert command_line(["rebuild", "-w", folder, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"subscriptions": 2, "written": 2, "corrected": 0, "retracted": 0, "left_alone": 0}
    assert command_line(["rebuild", "-w", folder]) == 0
    assert "Nothing to rebuild" in capsys.readouterr().out


def test_without_invoice_lines_there_is_nothing_to_rebuild_from(company: Company) -> None:
    with pytest.raises(BadInput, match="there are no invoice lines to rebuild from"):
        company(Facts()).workspace.rebuild()


# --- against a company whose truth we chose ---------------------------------------------------------------------------

# About what a unit of each is worth, to add them up.
_WEIGHTS = {"USD": Decimal(1), "EUR": Decimal("1.1"), "THB": Decimal("0.03"), "JPY": Decimal("0.0066")}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A simulated company that invoices every change of price: by its states, by its invoice lines, and its tables."""
    from tenure.simulate.company import Company, simulate

    told: dict[str, list[pa.Table]] = defaultdict(list)
    for name, rows in simulate(Company(customers=10_000, usage="none", mistakes=0.0, prorates_all=True)):
        told[name].append(rows)
    tables = {name: pa.concat_tables(parts) for name, parts in told.items()}
    loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    shops = []
    for names in (("customers", "subscription_states"), ("customers", "invoices", "invoice_lines")):
        shop = tenure.open(tmp_path_factory.mktemp("rebuilt") / "shop", create=True)
        for name in names:
            table = tables[name].append_column("loaded_at", pa.repeat(loaded, tables[name].num_rows))
            assert shop.lake.append_arrow(name, table, load_id=name)
        shops.append(shop)
    shops[1].rebuild()
    yield (*shops, tables)
    for shop in shops:
        shop.close()


def balances(shop: tenure.Workspace) -> dict[tuple[date, str, str], Decimal]:
    """Each customer's MRR at each month's end."""
    rows = shop.metrics("mrr", since="2024-01", until="2026-06", currency="each").customers().to_pylist()
    return {(row["period_start"], row["customer_id"], row["currency"]): row["amount"] for row in rows}


def test_the_simulators_invoice_lines_give_back_its_mrr_of_every_month_within_half_a_percent(simulated: Any) -> None:
    _, by_lines, tables = simulated
    truth: dict[date, Decimal] = defaultdict(Decimal)
    for row in tables["truth_mrr"].to_pylist():
        digits = 0 if row["currency"] == "JPY" else 2
        truth[row["month"]] += row["mrr_minor"].scaleb(-digits) * _WEIGHTS[row["currency"]]
    found: dict[date, Decimal] = defaultdict(Decimal)
    for (month, _, currency), amount in balances(by_lines).items():
        found[month] += amount * _WEIGHTS[currency]
    # Who was billed for a year before the first invoice and left at its end has no line at all: that year is left out.
    known = [month for month in truth if month >= date(2025, 1, 1)]
    assert len(known) == 18
    off = {month.isoformat(): float(found[month] / truth[month] - 1) for month in known}
    assert max(abs(error) for error in off.values()) < 0.005, off


def test_they_give_it_back_exactly_where_nothing_changed_in_mid_cycle(simulated: Any) -> None:
    by_states, by_lines, tables = simulated
    lines = tables["invoice_lines"].to_pylist()
    edges = set()
    # How much is committed, lines tell only where little was used, and not before the first.
    unsure = {row["customer_id"] for row in tables["subscription_states"].to_pylist() if row["is_metered"]}
    last_discount: dict[tuple[str, str], tuple[datetime, int]] = {}
    for line in lines:
        if line["kind"] == "recurring" and not line["is_proration"]:
            for end in ("service_start", "service_end"):
                edges.add((line["subscription_id"], line[end]))
            item = (line["customer_id"], line["item_id"])
            now = (line["service_start"], line["discount_minor"])
            last_discount[item] = max(last_discount.get(item, now), now)
    # Whether a discount that still runs has an end, nobody can know.
    unsure |= {customer for (customer, _), (_, discount) in last_discount.items() if discount}
    moves = by_states.movements(since="2023-12", until="2026-06").to_pylist()
    in_mid_cycle = {row["customer_id"] for row in moves if (row["subscription_id"], row["at"]) not in edges}
    plain = {row["customer_id"] for row in moves} - in_mid_cycle - unsure
    assert len(plain) > 600
    true, found = balances(by_states), balances(by_lines)
    compared = [key for key in {*true, *found} if key[1] in plain]
    assert len(compared) > 5_000
    assert [(key, true.get(key), found.get(key)) for key in compared if true.get(key) != found.get(key)] == []
