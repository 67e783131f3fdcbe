"""Support: waits and counts by hand, a slow desk that drives customers away, and texts of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.reference.builder import Company, Facts, Shop, open_company
from tests.rules.test_explain_surveys import HOSTILE

HOUR = timedelta(hours=1)
WORDS = ["where is my invoice", "the export fails every day, this is terrible", "how do I add a user", "เข้าสู่ระบบไม่ได้"]


def told(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A third of the customers meet a slow desk; of those ten points more leave a month."""
    rng = np.random.default_rng(31)
    facts = Facts()
    for number in range(420):
        name, is_slow = f"c{number:03d}", number % 3 == 0
        facts.state("2024-06-10", customer=name, plan_id="team" if number % 2 else "basic")
        for month in range(1, 13):
            opened = datetime(2025, month, int(rng.integers(1, 28)), 9, tzinfo=UTC)
            replied = opened + (80 if is_slow and month % 2 else 2) * HOUR
            body = WORDS[int(rng.integers(4))]
            facts.ticket(
                f"{name}-{month}", told(opened), customer=name, first_replied_at=told(replied),
                resolved_at=told(replied + HOUR), reopened=int(rng.random() < 0.1), subject=body.split()[0], body=body,
            )  # fmt: skip
            if month > 2 and rng.random() < 0.015 + 0.1 * is_slow:
                facts.state(f"2025-{month:02d}-28", customer=name, status="canceled", cancel_actor="customer")
                break
    shop = open_company(tmp_path_factory.mktemp("support") / "shop", facts)
    yield shop
    shop.close()


def test_a_slow_desk_that_drives_customers_away_is_found_and_nothing_beside_it(slow: Shop) -> None:
    found = slow.workspace.why("support", since="2025-04", until="2025-12", lead=0, known_on=slow.known_on)
    standing = {one.name: one for one in found.findings if one.stands}
    assert set(standing) == {"slow_reply"}
    assert standing["slow_reply"].cause == "support"
    assert standing["slow_reply"].estimate.low < 0.1 < standing["slow_reply"].estimate.high + 0.03
    names = standing["slow_reply"].who().column(0).to_pylist()
    assert names and all(int(name[1:]) % 3 == 0 for name in names)
    assert "รอคำตอบแรก" in str(found.chart("th").to_dict())


def test_waits_are_as_counted_by_hand(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    for number, (reply, solution) in enumerate([(1, 5), (3, 10), (50, 60), (None, 400), (None, None)]):
        opened = datetime(2026, 3, 2 + number, tzinfo=UTC)
        facts.ticket(
            f"t{number}", told(opened), reopened=1 if number == 1 else 0,
            first_replied_at=None if reply is None else told(opened + reply * HOUR),
            resolved_at=None if solution is None else told(opened + solution * HOUR),
        )  # fmt: skip
    shop = company(facts)
    found = shop.workspace.why("support", since="2026-03", known_on=shop.known_on)
    whole = found.times[0]
    assert (whole.month, whole.tickets, whole.slow, whole.reopened, whole.unresolved) == (None, 5, 1, 1, 1)
    # Medians of 1, 3, 50 and of 5, 10, 60, 400: the lower one of two.
    assert (whole.reply_hours, whole.solution_hours) == (3.0, 10.0)
    assert found.topics == ()


def test_hostile_tickets_are_read_or_cannot_be_told_and_never_end_the_work(company: Company) -> None:
    facts = Facts()
    for number, text in enumerate(HOSTILE.values()):
        clean = text.encode("utf-8", "ignore").decode()
        facts.state("2025-01-01", customer=f"c{number}")
        facts.ticket(f"t{number}", "2026-03-05", customer=f"c{number}", subject=clean[:90], body=clean)
    facts.label("tickets", "t1", "support.slow", "2026-04-01")
    shop = company(facts)
    found = shop.workspace.why("support", since="2026-03", until="2026-05", known_on=shop.known_on)
    assert sum(found.causes.values()) == len(HOSTILE)
    assert found.causes["price"] >= 2
    # The one that a person corrected, and the megabyte about support.
    assert found.causes["support"] >= 2


def test_without_tickets_there_is_nothing_to_compare_and_it_says_so(company: Company) -> None:
    facts = Facts()
    facts.state("2025-01-01")
    shop = company(facts)
    found = shop.workspace.why("support", since="2026-03", known_on=shop.known_on)
    assert found.findings == ()
    assert "tenure load tickets" in found.missing["tickets"]
