"""Does the report say what the facts say, for every kind of business that brings its data?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import tenure
from tenure.app import demo
from tenure.app.story import Recurring, Story
from tenure.faces.report import write

Data = Callable[[str], Path]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tenure.Workspace, Story]]:
    shop = demo.run(tmp_path_factory.mktemp("demo") / "shop", customers=400)
    yield shop, shop.story()
    shop.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tenure.Workspace]:
    with tenure.open(tmp_path / "shop", create=True, currency="USD") as workspace:
        yield workspace


def test_every_month_of_the_report_rolls_forward_to_the_cent_as_shown(made_up: tuple[tenure.Workspace, Story]) -> None:
    _, story = made_up
    (recurring,) = story.recurring
    assert isinstance(recurring, Recurring)
    assert len(recurring.months) == 24
    for month in recurring.months:
        assert month.opening + sum(month.amounts.values()) == month.closing, month.period
    assert recurring.opening + sum(line.amount for line in recurring.lines) == recurring.closing
    for before, after in zip(recurring.months, recurring.months[1:], strict=False):
        assert before.closing == after.opening


def test_the_leavers_of_the_report_are_those_of_the_metric(made_up: tuple[tenure.Workspace, Story]) -> None:
    shop, story = made_up
    answer = shop.metrics("customers_churned", "mrr_churn", since="2026-06")
    assert story.leavers is not None and story.chosen is not None
    assert story.leavers.customers == answer.value("customers_churned")
    assert sum(line.customers for line in story.chosen.lines) == story.leavers.customers
    assert abs(story.leavers.mrr[0].value - answer.value("mrr_churn")) <= Decimal("0.05")


def test_what_churn_cost_in_the_report_is_what_the_command_says(made_up: tuple[tenure.Workspace, Story]) -> None:
    shop, story = made_up
    assert story.costs is not None
    assert story.costs.lines["arr_lost"]
    told = shop.cost(since="2026-06", currency=story.costs.currency)
    for name, value in story.costs.lines.items():
        assert told.line(name).shown() == value, name


def test_a_made_up_company_says_so_in_every_output(made_up: tuple[tenure.Workspace, Story], tmp_path: Path) -> None:
    shop, story = made_up
    assert story.about.is_made_up
    for language, words in (("en", "Made-up"), ("th", "บริษัทสมมติ")):
        page = tmp_path / f"{language}.html"
        write(shop, page, language=language)
        assert words in page.read_text(encoding="utf-8")


def test_running_the_demo_again_changes_no_number(made_up: tuple[tenure.Workspace, Story]) -> None:
    shop, _ = made_up
    before = shop.lake.snapshot("subscription_states").rows, shop.metrics("mrr", since="2026-06").value()
    again = demo.run(shop.folder, customers=400)
    assert (again.lake.snapshot("subscription_states").rows, again.metrics("mrr", since="2026-06").value()) == before
    again.close()


def test_a_spreadsheet_of_months_becomes_a_report(shop: tenure.Workspace, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("customer,2026-03,2026-04,2026-05\nAda,100,100,120\nBen,50,50,\nCai,,30,30\n", encoding="utf-8")
    (report,) = shop.load("mrr", sheet, mapping={"customer": "customer_id"})
    assert report.loaded == 3
    story = shop.story()
    assert story.about.period.start.isoformat() == "2026-05-01"
    (recurring,) = story.recurring
    # 180 at the end of April; Ada + 20, Ben - 50; 150 at the end of May.
    assert (recurring.opening, recurring.closing) == (Decimal("180.00"), Decimal("150.00"))
    # Ada and Cai are left of Ada, Ben and Cai, who paid 180: 150 / 180, and without Ada's 20 more 130 / 180.
    answer = shop.metrics("nrr", "grr", "customer_churn_rate", since="2026-05")
    assert answer.value("nrr") == pytest.approx(150 / 180)
    assert answer.value("grr") == pytest.approx(130 / 180)
    assert answer.value("customer_churn_rate") == pytest.approx(1 / 3)


def test_a_snapshot_is_told_as_one_month_of_leavers(shop: tenure.Workspace, shared_data: Data) -> None:
    file = shared_data("telco_ibm_v1/Telco-Customer-Churn.csv")
    shop.load("snapshot", file, mapping={"customerID": "customer_id", "Churn": "left", "MonthlyCharges": "amount"})
    story = shop.story()
    assert story.leavers is not None and story.leavers.customers == 1_869
    codes = [note.code for curve in story.survival for note in curve.notes]
    assert codes == ["snapshot_one_period", "survivors_only"]
    arithmetic = {point.at: point for point in story.survival[0].curves[0].points}
    expected = {12: 0.8432, 24: 0.7887, 48: 0.7088, 72: 0.5928}
    assert {at: round(arithmetic[at].survival, 4) for at in expected} == expected
    # The twelve-month rates would look back to a time of which no leaver is known.
    assert not {"nrr_12m", "grr_12m"} & {headline.figure.metric for headline in story.rates}


def test_ravenstack_has_the_mrr_that_its_open_subscriptions_add_up_to(
    shop: tenure.Workspace, shared_data: Data
) -> None:
    folder = shared_data("ravenstack")
    renamed = {
        "account_id": "customer_id",
        "start_date": "started_at",
        "end_date": "ended_at",
        "plan_tier": "plan_id",
        "seats": "quantity",
        "mrr_amount": "amount",
    }
    shop.load("subscriptions", folder / "ravenstack_subscriptions.csv", mapping=renamed)
    shop.load(
        "usage",
        folder / "ravenstack_feature_usage.csv",
        mapping={"usage_date": "happened_at", "feature_name": "feature", "usage_count": "quantity"},
    )
    shop.load(
        "tickets",
        folder / "ravenstack_support_tickets.csv",
        mapping={"account_id": "customer_id", "submitted_at": "opened_at", "closed_at": "resolved_at"},
    )
    story = shop.story()
    (recurring,) = story.recurring
    assert recurring.closing == Decimal("10159608.00")
    loaded = {fact.table: fact.rows for fact in story.trust.facts}
    assert (loaded["subscription_spans"], loaded["tickets"]) == (5_000, 2_000)


def test_cdnow_is_a_report_of_orders(shop: tenure.Workspace, shared_data: Data) -> None:
    renamed = {"date": "ordered_at", "number_of_cds": "quantity", "dollar_value": "amount"}
    shop.load("orders", shared_data("cdnow/CDNOW_master.txt"), mapping=renamed)
    (history,) = shop.orders()
    assert (history.customers, history.buyers, history.total) == (23_570, 23_570, Decimal("2500315.63"))
    story = shop.story()
    assert story.recurring == () and len(story.orders) == 1
    assert story.orders[0].revenue.figure.value == Decimal("76109.30")
    assert [row.size for row in story.orders[0].cohorts.rows] == [7_846, 8_476, 7_248]  # type: ignore[union-attr]


def test_online_retail_nets_its_returns(shop: tenure.Workspace, shared_data: Data) -> None:
    renamed = {
        "InvoiceNo": "order_id",
        "StockCode": "product_id",
        "Quantity": "quantity",
        "InvoiceDate": "ordered_at",
        "UnitPrice": "unit_amount",
        "CustomerID": "customer_id",
    }
    (report,) = shop.load(
        "order_lines", shared_data("onlineretail_uci/onlineretail.parquet"), mapping=renamed, currency="GBP"
    )
    assert report.rows == 541_909
    (history,) = shop.orders()
    assert history.customers == 4_372
    assert history.customers - history.buyers == 33  # returns and nothing else
    assert history.total == Decimal("9747747.93")


def test_every_chart_of_the_report_becomes_a_file_that_stands_alone(
    made_up: tuple[tenure.Workspace, Story], tmp_path: Path
) -> None:
    from tenure.faces.report import draw
    from tenure.faces.report.pictures import pictures
    from tenure.faces.report.sentences import Teller, report_language

    _, story = made_up
    files = draw(story, tmp_path / "new" / "charts", language="th", endings=("svg",))
    shown = [picture for picture in pictures(Teller(story, report_language("th"))) if picture.draw]
    assert [file.name.partition("-")[0] for file in files] == [f"{n:02}" for n in range(1, len(shown) + 1)]
    for file, picture in zip(files, shown, strict=True):
        text = file.read_text(encoding="utf-8")
        assert picture.title in text
        assert "บริษัทสมมติ" in text, "a picture of a made-up company says so"
        assert "font-face" in text, "it carries its font"


def test_the_command_draws_the_charts_as_png_and_svg(
    made_up: tuple[tenure.Workspace, Story], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.faces.cli.ending import run

    shop, _ = made_up
    assert run(["-w", str(shop.folder), "report", "--charts", str(tmp_path / "charts")]) == 0
    names = sorted(path.name for path in (tmp_path / "charts").iterdir())
    assert {"01-waterfall.png", "01-waterfall.svg", "02-causes.png", "03-movements.png"} <= set(names)
    assert f"The charts: {len(names)} files in" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "charts" / "01-waterfall.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert run(["-w", str(shop.folder), "report", "--charts", str(tmp_path / "file")]) == 2
    assert "name a folder for the charts" in " ".join(capsys.readouterr().err.split())
