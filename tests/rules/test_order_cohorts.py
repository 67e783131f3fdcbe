"""Does a shop with orders alone get its cohorts, and a clear word where a question needs contracts?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

import tenure
from tenure.errors import BadInput, UnknownName
from tenure.faces.cli.ending import run
from tenure.measure.orders import nobody_new_since

ORDERS = """order_id,customer_id,ordered_at,amount,currency
o1,Ann,2026-01-05,10.00,USD
o2,Bo,2026-01-08,20.00,USD
o3,Ann,2026-02-05,10.00,EUR
o4,Cy,2026-02-07,15.00,USD
o5,Ann,2026-03-05,-3.00,USD
o6,Bo,2026-03-09,5.00,USD
o7,Dee,2026-01-20,-9.00,USD
o8,Dee,2026-02-20,1.00,USD
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tenure.Workspace]:
    """Four customers: Ann and Bo come in January, Cy and Dee in February; Dee first brings back something older."""
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS, encoding="utf-8")
    with tenure.open(tmp_path / "shop", create=True) as opened:
        opened.load("orders", path)
        yield opened


def test_a_cohort_of_orders_is_who_first_bought_in_a_month_and_who_buys_again(shop: tenure.Workspace) -> None:
    (found,) = shop.cohorts()
    assert (found.of, found.measure, found.currency) == ("orders", "customers", None)
    assert [cohort.label for cohort in found.cohorts] == ["2026-01", "2026-02"]
    # Ann buys in February, in euros, and brings something back in March; Bo buys in March.
    assert found.triangle.values == ((2, 1, 1), (2, 0, None))
    assert found.triangle.shares == ((1, 0.5, 0.5), (1, 0, None))


def test_revenue_of_cohorts_is_net_of_returns_and_by_currency(shop: tenure.Workspace) -> None:
    tables = {table.currency: table for table in shop.cohorts("revenue")}
    assert tables["USD"].triangle.values == ((30, 0, 2), (16, 0, None))
    assert tables["EUR"].triangle.values[0][:2] == (0, 10)


def test_revenue_of_cohorts_is_converted_at_the_rate_of_each_day(shop: tenure.Workspace, tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,per_usd\n2026-01-01,EUR,0.8\n2026-02-05,EUR,0.5\n", encoding="utf-8")
    shop.load("rates", rates)
    (found,) = shop.cohorts("revenue", currency="USD")
    assert found.triangle.values == ((30, 20, 2), (16, 0, None))


def test_cohorts_of_orders_are_split_by_what_belongs_to_the_customer(shop: tenure.Workspace, tmp_path: Path) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text("customer_id,channel\nAnn,ads\nBo,shop\nCy,ads\n", encoding="utf-8")
    shop.load("customers", customers)
    tables = {str((table.segment or {})["channel"]): table.triangle for table in shop.cohorts(by="channel")}
    assert tables["ads"].values == ((1, 1, 0), (1, 0, None))
    assert tables["shop"].values == ((1, 0, 1),)
    assert set(tables) == {"ads", "shop", "None"}
    with pytest.raises(BadInput, match="belongs to the customer"):
        shop.cohorts(by="size")


def test_a_dated_trait_is_that_of_the_first_purchase(shop: tenure.Workspace, tmp_path: Path) -> None:
    traits = tmp_path / "traits.csv"
    lines = "customer_id,trait,value,effective_at\nAnn,tier,small,2026-01-01\nAnn,tier,large,2026-01-20\n"
    traits.write_text(lines + "Bo,tier,large,2026-01-08\n", encoding="utf-8")
    shop.load("traits", traits)
    tables = {(table.segment or {})["tier"]: table.triangle.values for table in shop.cohorts(by="tier")}
    assert tables["small"] == ((1, 1, 0),) and tables["large"] == ((1, 0, 1),)


def test_a_number_of_subscriptions_says_what_works_with_orders_alone(shop: tenure.Workspace) -> None:
    with pytest.raises(BadInput, match=r"mrr is a number of subscriptions.*`tenure cohorts`.*`tenure report`"):
        shop.metrics("mrr", since="2026-01")
    with pytest.raises(BadInput, match=r"nobody says when a customer has left.*`tenure cohorts`"):
        shop.lives()
    with pytest.raises(UnknownName, match="'mrr'"):
        shop.metrics("mmr", since="2026-01")


def test_the_command_line_shows_who_buys_again(shop: tenure.Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-w", str(shop.folder), "cohorts"]) == 0
    said = capsys.readouterr().out
    assert "Customers who buy, % of the cohort's first month, by months since the first order" in said
    assert ["2026-01", "2", "100", "50", "50"] in [line.split() for line in said.splitlines()]
    assert run(["-w", str(shop.folder), "cohorts", "--measure", "money"]) == 2
    assert "customers or revenue" in capsys.readouterr().err
    assert run(["-w", str(shop.folder), "cohorts", "--to", "2025-12"]) == 2
    assert "orders begin on 2026-01-05" in capsys.readouterr().err
    assert run(["-w", str(shop.folder), "survival"]) == 2


def test_a_panel_says_since_when_nobody_new_is_seen(
    tmp_path: Path, shared_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with tenure.open(tmp_path / "cdnow", create=True, currency="USD") as shop:
        names = {"date": "ordered_at", "number_of_cds": "quantity", "dollar_value": "amount"}
        shop.load("orders", shared_data("cdnow/CDNOW_master.txt"), mapping=names)
        assert nobody_new_since(shop.facts()) == date(1997, 3, 25)
        (orders,) = shop.story().orders
        assert [(note.code, note.values["since"]) for note in orders.notes] == [("nobody_new", date(1997, 3, 25))]
        (found,) = shop.cohorts()
    assert found.triangle.sizes == (7846, 8476, 7248)
    assert run(["-w", str(tmp_path / "cdnow"), "cohorts", "--period", "quarter"]) == 0
    assert "Nobody new is seen after 1997-03-25." in capsys.readouterr().out
    assert run(["-w", str(tmp_path / "cdnow"), "report"]) == 0
    assert "Nobody new is seen after 25 Mar 1997" in " ".join(capsys.readouterr().out.split())


def test_a_shop_that_still_wins_customers_is_not_called_a_panel(shop: tenure.Workspace) -> None:
    assert nobody_new_since(shop.facts()) is None


def test_the_cohorts_are_the_same_on_spark(shop: tenure.Workspace, spark: object) -> None:
    assert shop.cohorts(engine="spark")[0].triangle == shop.cohorts()[0].triangle
