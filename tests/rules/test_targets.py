"""How far is it to the target? Only what the target was set for is compared, and noise is not called a miss."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.errors import BadConfiguration
from tenure.faces.cli.ending import run
from tests.reference.builder import Facts, Shop

Built = Callable[..., Shop]


def twenty(leavers: int = 1) -> Facts:
    """Twenty customers at 100.00, of whom some leave in March 2025."""
    facts = Facts()
    for i in range(20):
        facts.state("2025-01-01", customer=f"c{i}")
        if i < leavers:
            facts.state("2025-03-10", customer=f"c{i}", status="canceled", cancel_actor="customer")
    facts.state("2025-05-02", customer="c19", quantity=2)
    return facts


def with_targets(shop: Shop, *lines: str) -> tenure.Workspace:
    """The same company with [targets] in its settings, read anew."""
    path = shop.workspace.folder / "tenure.toml"
    path.write_text(path.read_text() + "\n[targets]\n" + "\n".join(lines) + "\n")
    return tenure.open(shop.workspace.folder)


def target_of(shop: tenure.Workspace, name: str, **question: Any) -> Any:
    """What is told of one metric's target in March, None where nothing is."""
    question = {"since": "2025-03", "known_on": "2025-06-30", **question}
    return shop.metrics(name, **question).rows()[0].get("target")


def test_without_targets_no_row_has_a_key_more_than_was_promised(company: Built) -> None:
    shop = company(twenty())
    (row,) = shop.rows(("customer_churn_rate",), "2025-03")
    assert "target" not in row and list(row)[-1] == "reason"
    with with_targets(shop, "mrr = 2000") as aimed:
        (row,) = aimed.metrics("customer_churn_rate", since="2025-03").rows()
        assert "target" not in row


def test_a_rate_shows_its_distance_and_whether_the_interval_reaches_the_target(company: Built) -> None:
    with with_targets(company(twenty(1)), "customer_churn_rate = 0.02", "nrr = 1.05", "customers_churned = 2") as shop:
        # 1 of 20: 5 % (Wilson 0.9 to 23.6 %), 3 points above 2 %, which the interval holds.
        found = target_of(shop, "customer_churn_rate")
        assert found == {"value": 0.02, "distance": pytest.approx(0.03), "met": False, "more_than_noise": False}
        # A count is exact: 1 is one below 2, and fewer is better.
        found = target_of(shop, "customers_churned")
        assert found == {"value": 2, "distance": -1, "met": True, "more_than_noise": None}
        assert target_of(shop, "nrr")["met"] is False  # 0.95 of 1.05, and more is better


def test_a_distance_that_the_interval_does_not_reach_is_more_than_noise(company: Built) -> None:
    with with_targets(company(twenty(10)), "customer_churn_rate = 0.02") as shop:
        found = target_of(shop, "customer_churn_rate")  # 10 of 20: 30 to 70 %
        assert found["more_than_noise"] is True and found["met"] is False


def test_money_is_compared_exactly_and_in_the_currency_of_the_settings(company: Built) -> None:
    built = company(twenty(1), currency="USD")
    with with_targets(built, "mrr = 1900.10", "mrr_entering = 5") as shop:
        found = target_of(shop, "mrr")
        assert found["value"] == Decimal("1900.1") and found["distance"] == Decimal("-0.1") and found["met"] is False
        assert target_of(shop, "mrr_entering")["met"] is None  # neither more nor less of it is good
        assert target_of(shop, "mrr", currency="each")["met"] is False


def test_a_target_of_money_is_of_no_currency_in_a_book_of_several(company: Built) -> None:
    facts = twenty()
    facts.state("2025-01-01", customer="euro", currency="EUR")
    with with_targets(company(facts), "mrr = 1900") as shop:
        assert target_of(shop, "mrr") is None


def test_a_target_met_exactly_is_met(company: Built) -> None:
    with with_targets(company(twenty(1)), "customer_churn_rate = 0.05") as shop:
        assert target_of(shop, "customer_churn_rate")["met"] is True
        assert target_of(shop, "customer_churn_rate")["distance"] == 0


def test_a_target_of_a_month_is_not_compared_with_a_year_or_a_segment(company: Built) -> None:
    with with_targets(company(twenty(1)), "customer_churn_rate = 0.05", "customers = 25") as shop:
        assert target_of(shop, "customer_churn_rate", since="2025-Q1", period="quarter") is None
        assert target_of(shop, "customer_churn_rate", by="plan_id") is None
        # How many customers there are at an end does not hang on how long the period was.
        assert target_of(shop, "customers", since="2025-Q1", period="quarter")["distance"] == -6


def test_a_month_that_is_not_over_has_neither_met_nor_missed(company: Built) -> None:
    with with_targets(company(twenty(1)), "customers_churned = 2") as shop:
        found = target_of(shop, "customers_churned", known_on="2025-03-15")
        assert found["met"] is None and found["distance"] == -1


def test_a_target_of_no_metric_is_refused_with_the_name_that_is_near(company: Built) -> None:
    with pytest.raises(BadConfiguration, match=r"\[targets\]: .*'customer_chrun_rate'.*customer_churn_rate"):
        with_targets(company(twenty()), "customer_chrun_rate = 0.02")
    with pytest.raises(BadConfiguration, match="must be a number"):
        with_targets(company(twenty()), "nrr = nan")


def test_the_command_shows_target_and_distance_in_every_format(
    company: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    built = company(twenty(10))
    with_targets(built, "customer_churn_rate = 0.02", "customers_churned = 9.5").close()
    folder: Path = built.workspace.folder
    asked = ["-w", str(folder), "metrics", "customer_churn_rate", "customers_churned", "--from", "2025-03"]
    assert run(asked) == 0
    table = capsys.readouterr().out
    assert "target" in table and "+48.00 points, missed" in table and "+0.5, missed" in table
    assert run([*asked, "--format", "csv"]) == 0
    head, first, _ = capsys.readouterr().out.splitlines()
    assert head.endswith("reason,target.value,target.distance,target.met,target.more_than_noise")
    assert first.endswith("0.02,0.48,false,true")
    assert run([*asked, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["target"]["more_than_noise"] is True and rows[1]["target"]["distance"] == 0.5


def test_an_arrow_table_has_the_targets_in_columns_of_their_own(company: Built) -> None:
    with with_targets(company(twenty(1)), "customer_churn_rate = 0.02") as shop:
        table = shop.metrics("customer_churn_rate", "mrr", since="2025-03").to_arrow()
        assert table.column("target_met").to_pylist() == [False, None]
        assert table.column("target_distance").to_pylist() == [pytest.approx(0.03), None]
