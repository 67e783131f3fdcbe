"""What do we have? Tables, gaps, silent customers and months that may still change, of companies told by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tenure.measure.coverage import ARRIVING, NOT_LOADED, NOT_OVER, UNTOLD, Coverage
from tests.reference.builder import Company, Facts, Shop

FIRST = date(2025, 1, 1)


def looked(shop: Shop, known_on: str | None = None) -> Coverage:
    found: Coverage = shop.workspace.coverage(known_on=known_on or shop.known_on)
    return found


def busy(days: int = 180, silent: tuple[int, int] = (0, 0), last_of_tickets: int = 180) -> Facts:
    """Ann and Ben pay and use it every day, but for some; somebody asks for help every other day; Cy pays silently."""
    facts = Facts()
    for customer in ("ann", "ben", "cy"):
        facts.customer(customer, name=customer.title())
        facts.span("2025-01-01", customer=customer)
    for day in range(days):
        at = datetime(2025, 1, 1, 9, tzinfo=UTC) + timedelta(days=day)
        if not silent[0] <= day < silent[1]:
            for number in range(5):
                facts.use(
                    f"u{day}-{number}", at, customer="ann" if number else "ben", recorded_at=at + timedelta(days=2)
                )
        if day % 2 == 0 and day < last_of_tickets:
            facts.ticket(f"t{day}", at, customer="ann")
    return facts


def test_a_table_is_told_with_its_days_its_rhythm_and_its_gaps(company: Company) -> None:
    found = looked(company(busy(silent=(100, 110))))
    usage = next(table for table in found.tables if table.table == "usage")
    assert (usage.rows, usage.customers, usage.since, usage.until) == (850, 2, FIRST, date(2025, 6, 29))
    assert (usage.rhythm.unit, usage.late_days, usage.assumed, usage.derived) == ("day", 2, 0, 0)
    (gap,) = usage.rhythm.gaps
    assert (gap.first, gap.after, gap.expected) == (FIRST + timedelta(100), FIRST + timedelta(110), 50)
    assert found.until == date(2025, 6, 29)
    row: dict[str, Any] = usage.as_json()
    assert row["gaps"] == [
        {"from": gap.first, "to": gap.after, "days": 10, "expected": 50.0, "is_last": False},
    ]  # fmt: skip
    assert [table.table for table in found.tables] == ["customers", "subscription_spans", "usage", "tickets"]


def test_a_stream_that_stopped_while_others_go_on_has_a_gap_to_their_end(company: Company) -> None:
    found = looked(company(busy(last_of_tickets=90)))
    gaps = {table.table: table.rhythm.gaps for table in found.tables}
    assert not gaps["usage"]
    (gap,) = gaps["tickets"]
    assert gap.is_last and gap.after <= date(2025, 6, 30) and gap.first >= date(2025, 3, 31)


def test_what_was_not_recorded_yet_is_not_covered(company: Company) -> None:
    found = looked(company(busy()), "2025-03-10")
    usage = next(table for table in found.tables if table.table == "usage")
    assert usage.until == date(2025, 3, 8)  # rows come two days later


def test_customers_who_leave_no_trace_are_counted_and_listed(company: Company) -> None:
    facts = busy(days=30)
    facts.customer("gone")
    facts.span("2025-01-01", "2025-01-20", customer="gone")
    found = looked(company(facts))
    assert (found.customers, found.silent, found.traced) == (3, 1, ("usage", "tickets"))
    assert {table.table: table.without for table in found.tables if table.without is not None} == {
        "usage": 1, "tickets": 2,
    }  # fmt: skip
    (row,) = found.silent_customers().to_pylist()
    assert (row["customer_id"], row["name"], row["since"].date()) == ("cy", "Cy", FIRST)


def test_a_trace_under_another_name_is_a_trace(company: Company) -> None:
    facts = busy(days=30)
    facts.identity("helpdesk", "org-3", "cy")
    facts.ticket("t-cy", "2025-01-15", customer="org-3")
    assert looked(company(facts)).silent == 0


def test_where_nothing_leaves_traces_nobody_is_said_to_be_silent(company: Company) -> None:
    facts = Facts()
    facts.span("2025-01-01")
    found = looked(company(facts))
    assert (found.customers, found.silent, found.traced, found.until, found.provisional) == (None, None, (), None, [])
    assert found.silent_customers().num_rows == 0


def test_months_that_may_still_change_are_told_with_the_reason(company: Company) -> None:
    # Everything was loaded on 1 November 2026; usage ends on 29 June 2025 and comes two days late.
    shop = company(busy())
    told = [(months.first, months.last, months.reason) for months in looked(shop, "2026-12-15").provisional]
    assert told == [
        (date(2025, 7, 1), date(2026, 10, 1), UNTOLD),
        (date(2026, 11, 1), date(2026, 11, 1), NOT_OVER),
        (date(2026, 12, 1), date(2026, 12, 1), NOT_LOADED),
    ]
    # As known on 1 June, May's last rows have not come; on the 10th they have.
    assert [(m.first.month, m.reason) for m in looked(shop, "2025-06-01").provisional] == [(5, ARRIVING), (6, NOT_OVER)]
    assert [(m.first.month, m.reason) for m in looked(shop, "2025-06-10").provisional] == [(6, NOT_OVER)]


def test_rows_with_an_assumed_time_of_record_are_counted_and_tell_nothing_of_delay(company: Company) -> None:
    facts = busy(days=30)
    for row in facts.tables["usage"]:
        row["recorded_assumed"] = True
    usage = next(table for table in looked(company(facts)).tables if table.table == "usage")
    assert (usage.assumed, usage.late_days) == (150, None)
