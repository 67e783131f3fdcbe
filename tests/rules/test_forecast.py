"""Do the months ahead come as `tenure forecast` says? Closed forms, a company whose future is known, and corners."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

import tenure
from tenure.app.workspace import Workspace
from tenure.charts.language import language
from tenure.errors import BadInput, CannotFit, UnknownName
from tenure.faces.cli.ending import run
from tenure.predict.forecast_book import Book, Newcomers
from tenure.predict.forecast_worlds import Projection, Worlds
from tenure.predict.new_business import MonthlyLevel
from tenure.predict.staying import Groups
from tenure.predict.staying_learned import fit
from tenure.predict.support_load import SupportLoad
from tenure.predict.what_if import FORMS, elasticity_of, read, read_all
from tests.reference.builder import Company, Facts
from tests.rules.made_up_company import made_up
from tests.rules.test_value import counted

Find = Callable[[str], Path]
NO_LOAD = SupportLoad(None, None, ())
HAZARD, PAYS, NEW = 0.05, 1_000.0, 20.0


def one_kind(customers: int, new: float | None, came: Any = (20.0,) * 24, months: int = 1, phase: int = 0) -> Book:
    """So many customers of one plan who pay 10 dollars a month each, leave at one rate, and newcomers like them."""
    staying = fit(counted(3_000, HAZARD), 24)
    staying.shock = staying.growth_unrest = 0.0
    staying.level, staying.of_money = 1.0, 1.0
    staying.notice[:] = 1.0
    place = staying.stratum("basic", months)

    def kind(tenure_: int) -> Groups:
        return Groups(*(np.array([value]) for value in (place, months, phase, tenure_, -1)))

    level = MonthlyLevel.of(np.array(came))
    newcomers = Newcomers(level, new, kind(0), np.ones(1), {"USD": np.array([PAYS])}, {"USD": 0.0}, 240)
    n = float(customers)
    return Book(
        staying, kind(6), np.array([n]), {"USD": np.array([n * PAYS])}, {"USD": np.array([n * PAYS**2])},
        {"USD": n * PAYS}, newcomers, np.array([n]), {"USD": np.array([n * PAYS])},
    )  # fmt: skip


def projected(book: Book, ahead: int = 12, load: SupportLoad = NO_LOAD, *asked: str, **options: Any) -> Projection:
    """The forecast of a book, or its what-if."""
    worlds = Worlds(book, ahead, load, seed=1, worlds=60)
    return worlds.projected([worlds.scenario(read_all(asked), **options)])[0]


# ----------------------------------------------------------------------------------------------------- closed forms


def test_one_rate_of_leaving_and_so_many_newcomers_a_month_come_to_the_geometric_sum() -> None:
    found = projected(one_kind(1_000, NEW))
    k = np.arange(1, 13)
    stays = 1 - HAZARD
    # N (1-h)^k + a (1 + (1-h) + ... + (1-h)^(k-1)): the newcomers of a month are counted at its end.
    by_hand = 1_000 * stays**k + NEW * (1 - stays**k) / HAZARD
    assert found.expected["end"] == pytest.approx(by_hand, rel=0.004)
    # The mean of all paths is what is expected; they differ by chance alone, about as a binomial does.
    assert found.expected["start"] + found.expected["came"] - found.expected["left"] == pytest.approx(
        found.expected["end"]
    )
    spread = (found.ends["end"][3] - found.ends["end"][0]) / (2 * 1.96)
    variance = 1_000 * stays**k * (1 - stays**k)
    for born in range(12):
        lag = np.maximum(np.arange(12) - born, 0)
        variance += NEW * stays**lag * (1 - stays**lag) * (np.arange(12) >= born)
    assert spread == pytest.approx(np.sqrt(variance), rel=0.25)
    # Everybody pays the same, and nobody comes to pay more.
    assert found.expected["mrr USD"] == pytest.approx(PAYS * found.expected["end"], rel=0.004)


def test_mrr_moves_by_who_comes_who_goes_and_what_who_stays_pays_more() -> None:
    found = projected(one_kind(500, NEW), 6, NO_LOAD, "price +10 %")
    mrr = found.expected["mrr USD"]
    before = np.concatenate([[500 * PAYS], mrr[:-1]])
    parts = {name: found.expected[f"mrr_{name} USD"] for name in ("new", "lost", "change")}
    assert before + parts["new"] - parts["lost"] + parts["change"] == pytest.approx(mrr)
    assert parts["new"] == pytest.approx(np.full(6, 1.1 * NEW * PAYS))
    # A tenth more of those who stay, once.
    assert parts["change"][0] == pytest.approx(0.1 * PAYS * 500 * (1 - HAZARD), rel=0.01)
    assert parts["change"][1:] == pytest.approx(np.zeros(5), abs=0.01 * PAYS)


def test_a_what_if_that_changes_nothing_is_the_forecast_itself() -> None:
    book = one_kind(300, None)
    worlds = Worlds(book, 6, NO_LOAD, seed=3, worlds=20)
    nothing = ["monthly churn +0 points", "price 0 %", "new customers +0 %"]
    base, other = worlds.projected([worlds.scenario(), worlds.scenario(read_all(nothing), elasticity=-0.5)])
    for name in base.expected:
        assert np.array_equal(base.expected[name], other.expected[name]), name
    for name in base.ends:
        assert np.array_equal(base.ends[name], other.ends[name]), name


def test_half_a_point_less_churn_is_half_a_point_less_churn() -> None:
    found = projected(one_kind(1_000, 0.0), 12, NO_LOAD, "monthly churn -0.5 points")
    assert found.expected["end"] == pytest.approx(1_000 * (1 - HAZARD + 0.005) ** np.arange(1, 13), rel=0.004)
    tenth = projected(one_kind(1_000, 0.0), 12, NO_LOAD, "monthly churn -10 %")
    assert tenth.expected["end"] == pytest.approx(found.expected["end"], rel=0.004)
    with pytest.raises(BadInput, match="cannot fall by 6 points"):
        projected(one_kind(1_000, 0.0), 12, NO_LOAD, "monthly churn -6 points")


def test_a_price_reaches_a_yearly_customer_at_his_next_term_and_an_elasticity_drives_some_away_once() -> None:
    yearly = one_kind(1_000, 0.0, months=12, phase=3)
    base = projected(yearly, 6)
    dearer = projected(yearly, 6, NO_LOAD, "price +20 %")
    ratio = dearer.expected["mrr USD"] / base.expected["mrr USD"]
    assert ratio == pytest.approx([1, 1, 1, 1.2, 1.2, 1.2])
    assert dearer.expected["end"] == pytest.approx(base.expected["end"])
    elastic = projected(yearly, 6, NO_LOAD, "price +20 %", elasticity=-0.5)
    # 20 % x 0.5 = a tenth of those who would have stayed leave as they first meet it.
    assert elastic.expected["end"] / base.expected["end"] == pytest.approx([1, 1, 1, 0.9, 0.9, 0.9])


def test_new_customers_and_tickets_follow_what_is_told_of_them() -> None:
    rate = MonthlyLevel.of([50.0, 60.0, 40.0, 50.0], [100.0] * 4)
    load = SupportLoad(rate, 25.0, ())
    base = projected(one_kind(400, 10.0), 3, load)
    more = projected(one_kind(400, 10.0), 3, load, "new customers +20 %")
    assert more.expected["came"] == pytest.approx([12.0] * 3)
    middle = (base.expected["start"] + base.expected["end"]) / 2
    assert base.expected["tickets"] == pytest.approx(rate.level * middle)
    assert base.expected["agents"] == pytest.approx(base.expected["tickets"] / 25)
    assert rate.level == pytest.approx(0.5, rel=0.05)
    assert (base.ends["tickets"][0] < base.expected["tickets"]).all()


def test_nobody_leaves_everybody_has_left_and_ten_customers() -> None:
    staying = fit(counted(50, 0.0), 24)
    book = one_kind(10, None)
    calm = Book(staying, book.groups, *(getattr(book, name) for name in (
        "customers", "contract", "squares", "paid", "newcomers", "history", "paid_history")))  # fmt: skip
    found = projected(calm)
    assert found.expected["left"].sum() < 0.5
    # Points on a churn of nothing are added: one in ten, then.
    assert projected(calm, 1, NO_LOAD, "monthly churn +10 points").expected["left"][0] == pytest.approx(1, rel=0.01)
    gone = projected(one_kind(0, 5.0), 3)
    assert gone.expected["end"] == pytest.approx([5, 5 * 1.95, 5 * (1 + 0.95 + 0.95**2)], rel=0.01)
    ten = projected(one_kind(10, 0.0), 12)
    assert ten.ends["end"][0][-1] <= 4 and ten.ends["end"][3][-1] >= 7
    assert (ten.ends["mrr USD"][0] >= 0).all()


# ------------------------------------------------------------------------------------------------------ new business


def test_steady_counts_stay_growing_ones_grow_on_and_wandering_ones_follow_the_last_months() -> None:
    rng = np.random.default_rng(2)
    steady = [MonthlyLevel.of(rng.poisson(40, 36)) for _ in range(60)]
    assert np.mean([one.level for one in steady]) == pytest.approx(40, rel=0.02)
    assert np.mean([one.expected(12) for one in steady], axis=0) == pytest.approx(np.full(12, 40), rel=0.04)
    growing = [MonthlyLevel.of(rng.poisson(100 * 1.02 ** np.arange(36))) for _ in range(20)]
    last = 100 * 1.02**35
    assert np.mean([one.level for one in growing]) == pytest.approx(last, rel=0.04)
    # Growth goes on, and fades: between half and all of two in a hundred a month.
    assert 1.10 < np.mean([one.expected(12)[-1] for one in growing]) / last < 1.02**12
    assert MonthlyLevel.of(rng.poisson(100 * 1.02 ** np.arange(36)), may_grow=False).growth == 0
    moved = np.concatenate([rng.poisson(20, 18), rng.poisson(80, 18)])
    assert MonthlyLevel.of(moved).level == pytest.approx(moved[-6:].mean(), rel=0.12)
    assert MonthlyLevel.of([]).level == 0.0
    assert MonthlyLevel.of([0, 0, 0, 0]).level == 0.0


def test_ninety_five_in_a_hundred_sums_of_the_next_year_lie_within_their_interval() -> None:
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(150):
        walk = 50 * np.exp(np.cumsum(rng.normal(0, 0.05, 36)))
        counts = rng.poisson(walk)
        level = MonthlyLevel.of(counts[:24])
        paths = level.counts(rng, level.paths(rng, 400, 12)).sum(axis=1)
        low, high = np.quantile(paths, (0.025, 0.975))
        inside += int(low <= counts[24:].sum() <= high)
    assert 0.88 <= inside / 150 <= 0.99


# ----------------------------------------------------------------------------------------------------------- grammar


@pytest.mark.parametrize("words", FORMS)
def test_every_form_that_an_error_lists_is_understood(words: str) -> None:
    assert read(words).by != 0


@pytest.mark.parametrize(
    "words",
    [
        "",
        "churn",
        "price 10 % on B",
        "monthly churn half",
        "price -100 %",
        "revenue +10 %",
        "churn -0.5",
        "price +9999 %",
    ],
)
def test_what_is_not_understood_is_refused_with_a_way_to_write_it(words: str) -> None:
    with pytest.raises(BadInput, match="--what-if"):
        read(words)


def test_one_thing_is_changed_once_and_an_elasticity_is_not_above_nothing() -> None:
    with pytest.raises(BadInput, match="twice"):
        read_all(["monthly churn -1 points", "churn +5 %"])
    with pytest.raises(BadInput, match="every plan"):
        read_all(["price +5 %", "price +10 % on B"])
    assert [one.plan for one in read_all(["price +5 % on A", "price -10 % on plan B b"])] == ["A", "B b"]
    with pytest.raises(BadInput, match="such as"):
        elasticity_of(0.5)


@given(some.text(max_size=40))
def test_no_words_end_in_anything_but_an_answer_or_bad_input(words: str) -> None:
    try:
        assert read(words).kind in ("churn", "price", "new")
    except BadInput as error:
        assert "--what-if" in str(error)


# ------------------------------------------------------------------------------------ a company whose future is known


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A made-up company of 24 months, of which the last six are the future."""
    with made_up(tmp_path_factory.mktemp("ahead") / "shop", customers=700, seed=5, months=24) as shop:
        yield shop


def test_what_came_lies_within_the_interval_and_start_came_left_end_add_up(lived: Workspace) -> None:
    found = lived.forecast(as_of="2025-12-31", months=6)
    rows = found.rows()
    assert [row["month"] for row in rows] == [date(2026, month, 1) for month in range(1, 7)]
    for row, later in zip(rows, [*rows[1:], None], strict=True):
        assert row["start"] + row["came"] - row["left"] == pytest.approx(row["end"], abs=0.01)
        assert row["end_low"] <= row["end_low_80"] <= row["end"] <= row["end_high_80"] <= row["end_high"]
        assert row["mrr_low"] <= row["mrr_low_80"] <= row["mrr"] <= row["mrr_high_80"] <= row["mrr_high"]
        assert row["tickets_low"] < row["tickets"] < row["tickets_high"]
        assert later is None or later["start"] == row["end"]
    answer = lived.metrics("customers", "mrr", since="2025-12", until="2026-06", currency="USD", intervals=False)
    came = {(row["metric"], row["period_start"]): float(row["value"]) for row in answer.rows()}
    first = min(day for _, day in came)
    assert rows[0]["start"] == came[("customers", first)]
    last = rows[-1]
    customers, mrr = (came[(name, max(day for _, day in came))] for name in ("customers", "mrr"))
    assert last["end_low"] <= customers <= last["end_high"]
    assert float(last["mrr_low"]) <= mrr <= float(last["mrr_high"])


def test_the_replay_holds_forecasts_against_what_came_beside_naive_ones(
    lived: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = lived.forecast_replay(as_of="2026-06-30", months=3, step=5)
    rows = {(row["figure"], row["months_ahead"]): row for row in replayed.rows()}
    assert set(rows) == {(figure, ahead) for figure in ("customers", "mrr") for ahead in (1, 3, None)}
    for row in rows.values():
        assert row["cut_offs"] >= 2 and 0 < row["mape"] < 0.25 and 0 < row["mape_level"] < 0.5
        assert 0 <= row["inside_80"] <= row["inside_95"] <= 1
    # One month ahead, saying that all stays as it is errs by the month's change, which the metrics know.
    counts = lived.metrics("customers", since="2024-07", until="2026-06", intervals=False).rows()
    by_day = {str(row["period_start"])[:10]: row["value"] for row in counts}
    months = sorted(by_day)
    for held in replayed.held:
        if held.figure == "customers" and held.ahead == 1:
            place = months.index(held.cut.isoformat())
            assert held.came == by_day[months[place]]
            assert held.level == by_day[months[place - 1]]
    assert len(replayed.verdict()) == 2
    asked = ["-w", str(lived.folder), "forecast", "--backtest", "--as-of", "2026-06", "--months", "1", "--step", "20"]
    assert run(asked) == 0
    assert "too few cut-offs tell" in " ".join(capsys.readouterr().out.split())


def test_the_command_prints_months_what_ifs_and_a_picture(
    lived: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["-w", str(lived.folder), "forecast", "--as-of", "2026-06", "--months", "2"]
    picture = tmp_path / "fan.svg"
    what = ["--what-if", "price +10 % on plan team", "--elasticity", "-0.3", "--new", "9"]
    assert run([*asked, *what, "--chart", str(picture), "--language", "th"]) == 0
    shown = capsys.readouterr().out
    assert "What if price +10 % on plan team" in shown and "Elasticity -0.3" in shown
    assert "9 customers a month, as told" in shown
    assert language("th").words("forecast.what_if") in picture.read_text(encoding="utf-8")
    assert run([*asked, "--what-if", "monthly churn -0.2 points", "--format", "csv", "--currency", "each"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("scenario,month,until,currency,start,came,left,end")
    told = pd.DataFrame([line.split(",") for line in lines[1:]], columns=lines[0].split(","))
    counts, money = told[told["currency"] == ""], told[told["currency"] != ""]
    assert (counts["mrr"] == "").all() and (money["start"] == "").all()
    assert set(money["currency"]) == {"USD", "EUR", "THB", "JPY"}
    assert run([*asked, "--what-if", "price +10 % on plan gold"]) == 2
    assert "no plan called 'gold'" in capsys.readouterr().err
    assert run([*asked, "--backtest", "--new", "3"]) == 2
    assert "leave out" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------- corners


def few(count: int = 10) -> Facts:
    """Ten monthly customers of two currencies over a year, two of whom left."""
    facts = Facts()
    for i in range(count):
        currency = "USD" if i % 3 else "EUR"
        terms = {"amount_minor": 1_000, "currency": currency, "interval": "month", "plan_id": "basic"}
        facts.state(f"2025-{i % 6 + 1:02}-10", customer=f"c{i}", status="active", **terms)
        if i in (2, 5):
            facts.state(f"2025-{i % 6 + 6:02}-12", customer=f"c{i}", status="canceled", **terms)
    return facts


def test_what_is_recorded_later_changes_nothing(company: Company) -> None:
    later = few()
    for i in (1, 4, 7):
        terms = {"amount_minor": 1_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
        later.state("2026-02-03", customer=f"c{i}", status="canceled", **terms)
        later.state("2026-03-03", customer=f"n{i}", status="active", **terms)
    asked: dict[str, Any] = {"as_of": "2025-12-31", "months": 2, "currency": "each"}
    known, then = (company(facts).workspace.forecast(**asked) for facts in (few(), later))
    assert known.rows() == then.rows()
    assert {row["currency"] for row in then.rows()} == {None, "EUR", "USD"}


def test_ten_customers_without_tickets_or_rates_have_wide_intervals_and_are_told_what_is_missing(
    company: Company,
) -> None:
    shop = company(few()).workspace
    found = shop.forecast(as_of="2025-12-31", months=3, currency="USD")
    assert any("8 customers are few" in said for said in found.assumed)
    assert any("no tickets are loaded" in said for said in found.missing)
    assert any("no exchange rate for EUR" in said for said in found.missing)
    (row, *_) = found.rows()
    assert row["tickets"] is None and row["agents"] is None
    assert float(row["mrr"]) < 8 * 10
    with pytest.raises(BadInput, match="tickets is not forecast"):
        found.lines("tickets")
    with pytest.raises(UnknownName):
        found.lines("profit")
    for wrong in ({"months": 0}, {"months": 99}, {"new": -1}, {"as_of": "2999-01-01"}, {"elasticity": 2.0}):
        with pytest.raises(BadInput):
            shop.forecast(**({"as_of": "2025-12-31"} | wrong))
    with pytest.raises(CannotFit, match="a replay needs more than"):
        shop.forecast_replay(as_of="2025-08-31")


def test_an_elasticity_is_measured_by_what_followed_a_price_rise_or_the_reason_is_told(company: Company) -> None:
    facts = Facts()
    terms = {"amount_minor": 1_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
    facts.change("dearer", "price", "2025-03-03")
    for i in range(300):
        name = f"c{i:03}"
        facts.state(f"2024-06-{i % 27 + 1:02}", customer=name, status="active", **terms)
        gone = None
        if i < 150:
            facts.exposed("dearer", customer=name, announced_at="2025-03-03", effective_at="2025-04-01")
            facts.state("2025-04-01", customer=name, status="active", **terms | {"amount_minor": 1_200})
            gone = f"2025-0{4 + i % 3}-15" if i < 45 else None
        elif i < 165:
            gone = f"2025-0{4 + i % 3}-15"
        if gone:
            facts.state(gone, customer=name, status="canceled", **terms)
    shop = company(facts).workspace
    asked: dict[str, Any] = {"as_of": "2025-08-31", "months": 2, "what_if": "price +10 % on plan basic"}
    found = shop.forecast(**asked, elasticity="measured")
    # 45 of 150 told left and 15 of 150 others: 20 more of 100, for a price 20 % higher.
    assert any("20 % higher" in said and "'dearer'" in said for said in found.assumed)
    (told,) = (float(said.split()[1]) for said in found.assumed if "is measured by" in said)
    assert told == pytest.approx(-1.0, abs=0.15)
    away = found.scenarios["what if"].expected["end"][0] / found.scenarios["forecast"].expected["end"][0]
    assert away == pytest.approx(1 - 0.1 * -told, abs=0.003)
    plain = shop.forecast(**asked)
    assert any("Nobody is taken to leave" in said for said in plain.assumed)
    with pytest.raises(BadInput, match="no change of a price"):
        company(few()).workspace.forecast(**asked | {"as_of": "2025-12-31"}, elasticity="measured")


def test_all_have_left_and_no_history_at_all(company: Company) -> None:
    facts = Facts()
    terms = {"amount_minor": 1_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
    for i in range(5):
        facts.state("2023-01-10", customer=f"c{i}", status="active", **terms)
        facts.state(f"2023-0{i + 2}-10", customer=f"c{i}", status="canceled", **terms)
    shop = company(facts).workspace
    with pytest.raises(CannotFit, match="--new N"):
        shop.forecast(as_of="2025-12-31")
    told = shop.forecast(as_of="2025-12-31", new=3, months=2).rows()
    assert [row["came"] for row in told] == [3, 3] and told[0]["start"] == 0
    with pytest.raises(BadInput):
        company(Facts()).workspace.forecast()


def test_a_shop_of_orders_is_forecast_by_purchases_and_what_is_not_told_is_said(
    shared_data: Find, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["order_id", "customer_id", "ordered_at", "cds", "amount"]
    sales = pd.read_csv(shared_data("cdnow/CDNOW_sample.txt"), sep=r"\s+", names=names, dtype=str)
    sales["ordered_at"] = pd.to_datetime(sales["ordered_at"]).dt.strftime("%Y-%m-%d")
    sales["order_id"] = range(len(sales))
    file = tmp_path / "orders.csv"
    sales.drop(columns="cds").assign(currency="USD").to_csv(file, index=False)
    with tenure.open(tmp_path / "cdnow", create=True, currency="USD") as shop:
        shop.load("orders", file)
        asked = ["-w", str(shop.folder), "forecast", "--as-of", "1997-09-30"]
        assert run([*asked, "--months", "9", "--new", "0", "--format", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        later = sales[(sales["ordered_at"] > "1997-09-30") & (sales["ordered_at"] <= "1998-06-30")]
        days = len(later.drop_duplicates(["customer_id", "ordered_at"]))
        # Nobody came after the first quarter. BG/NBD expects 1,653 purchase days of 39 weeks, as published; 1,882 came.
        assert sum(row["purchases"] for row in rows) == pytest.approx(1_660, rel=0.05)
        assert sum(row["purchases_low"] for row in rows) < days < sum(row["purchases_high"] for row in rows)
        assert rows[0]["mrr"] is None
        assert run(["-w", str(shop.folder), "forecast", "--what-if", "price +10 %"]) == 2
        assert "there are only orders" in capsys.readouterr().err
        assert run([*asked, "--months", "2"]) == 0
        assert "nobody is under contract" in capsys.readouterr().out
