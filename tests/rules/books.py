"""A company that publishes its months: files of subscriptions as they come in, loaded by the real loader."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure import Workspace

HEADER = (
    "subscription_id,item_id,customer_id,plan_id,amount,currency,interval,interval_count,quantity,started_at,ended_at"
)


def span(
    customer: str,
    amount: int,
    started: str,
    ended: str = "",
    *,
    recorded: str = "",
    retracted: bool = False,
    currency: str = "USD",
) -> str:
    """A line of a file: the customer's one subscription, and when it was recorded (default: when it began)."""
    told = f"s-{customer},s-{customer},{customer},team,{amount},{currency},month,1,1,{started},{ended}"
    return f"{told},{recorded or started},{str(retracted).lower()}"


class Books:
    """A workspace and its incoming files."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.shop: Workspace = tenure.open(folder / "shop", create=True, **settings)
        self.files = 0

    def learn(self, *lines: str) -> None:
        """Loads a file of subscriptions with these lines; every row must be new."""
        self.files += 1
        path = self.folder / f"{self.files}.csv"
        path.write_text("\n".join([f"{HEADER},recorded_at,retracted", *lines]) + "\n")
        (report,) = self.shop.load("subscriptions", path)
        assert report.loaded == len(lines), report

    def value(self, name: str, month: str, **question: Any) -> Any:
        """One figure of one month."""
        return self.shop.metrics(name, since=month, **question).value()

    def exact(self, name: str, month: str, **question: Any) -> dict[str | None, Fraction | None]:
        """A figure by currency, exact."""
        rows = self.shop.metrics(name, since=month, **question).rows(exact=True)
        return {row["currency"]: row["value"] for row in rows}


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Ann, Ben and Chai pay 100, 50 and 30 dollars a month; Chai has left on 20 June 2025."""
    found = Books(tmp_path, currency="USD")
    found.learn(
        span("Ann", 100, "2025-01-05"),
        span("Ben", 50, "2025-01-08"),
        span("Chai", 30, "2025-05-08", "2025-06-20", recorded="2025-06-20"),
    )
    yield found
    found.shop.close()
