"""CDNOW, Online Retail and Complete Journey through `tenure buyers`: the figures that pandas gives another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tenure
from tenure.faces.cli.ending import run

Find = Callable[[str], Path]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tenure.Workspace]:
    """An empty workspace."""
    with tenure.open(tmp_path / "shop", create=True) as opened:
        yield opened


def asked(shop: tenure.Workspace, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What the command prints as JSON."""
    assert run(["-w", str(shop.folder), "buyers", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def same_as_pandas(
    shop: tenure.Workspace, capsys: pytest.CaptureFixture[str], sales: pd.DataFrame, months: tuple[str, str], last: str
) -> dict[str, Any]:
    """Compares gaps, window and roll-forward with a table of customer and day; answers what the gaps told."""
    days = sales[["customer", "day"]].drop_duplicates().sort_values(["customer", "day"])
    gaps = days.groupby("customer")["day"].diff().dt.days.dropna().astype(int)
    silent = (pd.Timestamp(last) - days.groupby("customer")["day"].max()).dt.days
    (told,) = asked(shop, capsys)
    assert (told["buyers"], told["gaps"], told["repeat_buyers"]) == (
        days["customer"].nunique(),
        len(gaps),
        int((days.groupby("customer").size() > 1).sum()),
    )
    for row in told["quantiles"]:
        assert row["gap_days"] == int(np.percentile(gaps, 100 * row["share"], method="inverted_cdf"))
    window = told["window"]["days"]
    assert window == int(np.percentile(gaps, 80, method="inverted_cdf"))
    assert told["window"]["share_within"] == pytest.approx(float((gaps <= window).mean()))
    assert told["window"]["came_back"] == int((gaps > window).sum())
    assert told["window"]["reached"] == int((gaps > window).sum() + (silent >= window).sum())

    answers: dict[str, dict[str, Any]] = {}
    for row in asked(shop, capsys, "churn", "--from", months[0], "--to", months[1]):
        answers.setdefault(row["period_start"], {})[row["metric"]] = row
    # At the start of a day a customer is active who bought in the window before it: sums over a calendar.
    calendar = pd.date_range(days["day"].min(), last)
    bought = days.assign(n=1).pivot(index="day", columns="customer", values="n").reindex(calendar).notna()
    so_far = np.vstack([np.zeros((1, bought.shape[1]), dtype=np.int32), bought.to_numpy(dtype=np.int32).cumsum(axis=0)])

    def active(day: pd.Timestamp) -> Any:
        place = min(max((day - calendar[0]).days, 0), len(calendar))
        return so_far[place] > so_far[max(place - window, 0)]

    for start, rows in answers.items():
        if rows["active_buyers"]["value"] is None:
            assert rows["active_buyers"]["reason"] == "no order is known of this time"
            continue
        after = pd.Timestamp(rows["active_buyers"]["period_end"])
        before, then = active(pd.Timestamp(start)), active(after)
        new = (days.groupby("customer")["day"].min().between(start, after, inclusive="left")).sum()
        assert rows["active_buyers_opening"]["value"] == int(before.sum())
        assert rows["active_buyers"]["value"] == int(then.sum())
        assert rows["buyers_new"]["value"] == int(new)
        assert rows["activity_churn_rate"]["numerator"] == int((before & ~then).sum())
        moved = rows["buyers_new"]["value"] + rows["buyers_returned"]["value"] - rows["buyers_lapsed"]["value"]
        assert int(before.sum()) + moved == int(then.sum())
    return dict(told)


def same_scores(
    shop: tenure.Workspace, capsys: pytest.CaptureFixture[str], sales: pd.DataFrame, money: pd.Series
) -> pd.DataFrame:
    """Compares every buyer's scores with ranks of pandas; answers the table that the command listed."""
    people = pd.DataFrame(asked(shop, capsys, "rfm", "--customers")).set_index("customer_id")
    buyers = sales.groupby("customer")["day"].agg(["max", "nunique"])
    assert set(people.index) == set(buyers.index)
    minor = (money.reindex(buyers.index) * 100).round().astype("int64")
    for name, values in (("r", buyers["max"]), ("f", buyers["nunique"]), ("m", minor)):
        score = 1 + (values.rank(method="min").astype(int) - 1) * 5 // len(buyers)
        pd.testing.assert_series_equal(people[name].sort_index(), score.sort_index(), check_names=False)
    assert (people["monetary"].astype(float) * 100).round().astype("int64").sort_index().equals(minor.sort_index())
    parts = asked(shop, capsys, "rfm")
    assert sum(row["customers"] for row in parts) == len(buyers)
    assert sum(Decimal(row["revenue"]) for row in parts) * 100 == int(minor.sum())
    assert {row["rfm_segment"]: row["customers"] for row in parts} == people["rfm_segment"].value_counts().to_dict()
    return people


def test_cdnow_buys_every_five_weeks_and_nobody_new_comes(
    shop: tenure.Workspace, shared_data: Find, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared_data("cdnow/CDNOW_master.txt")
    names = {"date": "ordered_at", "number_of_cds": "quantity", "dollar_value": "amount"}
    shop.load("orders", path, mapping=names, currency="USD")
    frame = pd.read_csv(path, sep=r"[\s,]+", engine="python", dtype={"customer_id": str})
    frame = frame.rename(columns={"customer_id": "customer", "dollar_value": "amount"})
    frame["day"] = pd.to_datetime(frame["date"].astype(str))
    told = same_as_pandas(shop, capsys, frame, ("1997-01", "1998-07"), "1998-06-30")
    assert (told["buyers"], told["gaps"], told["window"]["days"]) == (23_570, 44_021, 119)
    half = next(row for row in told["quantiles"] if row["share"] == 0.5)
    # Half of the gaps end within five weeks; of all silences only in three months, for half of them never end here.
    assert half["gap_days"] == 34 and half["all_days"] == 94
    people = same_scores(shop, capsys, frame, frame.groupby("customer")["amount"].sum())
    assert len(people) == 23_570


def test_online_retail_nets_returns_and_scores_nobody_who_only_brings_back(
    shop: tenure.Workspace, shared_data: Find, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared_data("onlineretail_uci/onlineretail.parquet")
    names = {
        "InvoiceNo": "order_id",
        "StockCode": "product_id",
        "InvoiceDate": "ordered_at",
        "UnitPrice": "unit_amount",
    }
    shop.load("order_lines", path, mapping=names, currency="GBP")
    frame = pd.read_parquet(path)
    frame["amount"] = (frame["Quantity"] * frame["UnitPrice"]).round(2)
    frame["day"] = pd.to_datetime(frame["InvoiceDate"]).dt.normalize()
    stored = shop.orders()[0]
    assert (stored.customers, stored.total) == (4_372, Decimal("9747747.93"))

    known = frame.dropna(subset=["CustomerID"]).copy()
    known["customer"] = known["CustomerID"].astype(str)
    back = (known["amount"] < 0) | known["InvoiceNo"].astype(str).str.startswith("C")
    sales = known[~back]
    told = same_as_pandas(shop, capsys, sales, ("2010-12", "2012-01"), "2011-12-09")
    assert told["buyers"] == 4_339 and told["window"]["days"] == 70
    same_scores(shop, capsys, sales, known.groupby("customer")["amount"].sum())

    (scored,) = shop.rfm()
    only_back = known[~known["customer"].isin(sales["customer"].unique())]
    assert scored.only_returned == (33, Decimal(str(round(only_back["amount"].sum(), 2))))
    nameless = Decimal(str(round(frame[frame["CustomerID"].isna()]["amount"].sum(), 2)))
    assert scored.unnamed == nameless
    assert scored.revenue + scored.only_returned[1] + scored.unnamed == Decimal("9747747.93")
    book = {row["line"]: row for row in asked(shop, capsys, "book", "--from", "2010-12", "--to", "2011-12")}
    assert sum(Decimal(row["amount"]) for row in book.values() if row["amount"]) == Decimal("9747747.93")
    assert "contract" not in book and book["company"]["closing"] == book["buyers"]["closing"] == 2_561


def test_complete_journey_buys_every_week_and_few_silences_are_final(
    shop: tenure.Workspace, shared_data: Find, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_data("completejourney_cc0")
    shop.load_export("complete-journey", folder)
    frame = pd.read_parquet(folder / "transactions_sample.parquet")
    frame["customer"] = frame["household_id"].astype(str).str.removesuffix(".0")
    frame["day"] = pd.to_datetime(frame["transaction_timestamp"]).dt.tz_localize(None).dt.normalize()
    told = same_as_pandas(shop, capsys, frame, ("2017-01", "2018-01"), str(frame["day"].max().date()))
    assert (told["buyers"], told["window"]["days"]) == (2_377, 20)
    # Who shops weekly is called lapsed by such a window and comes back: it is said beside it.
    assert told["window"]["share_came_back"] > 0.85
    same_scores(shop, capsys, frame, frame.groupby("customer")["sales_value"].sum())
