"""Are customers worth what `tenure value` says? Against a company whose future is known, real shops, and arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import tenure
from tenure.app.workspace import Workspace
from tenure.errors import BadInput
from tenure.faces.cli.ending import run
from tenure.predict.customer_months import customer_months, people
from tenure.predict.own_chance import ends_of_lives, own_chance
from tenure.predict.staying import Groups
from tenure.predict.staying_learned import fit
from tests.reference.builder import Company, Facts
from tests.rules.made_up_company import made_up, paid_later

Find = Callable[[str], Path]
CUT = date(2025, 7, 1)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A made-up company of 30 months, of which the last twelve are the future."""
    with made_up(tmp_path_factory.mktemp("lived") / "shop", customers=1_500, seed=7) as shop:
        yield shop


def counted(n: int, churn: float, months: int = 24, after: float = 1.0) -> pa.Table:
    """Monthly customers of one plan who leave at one rate, as the engine would count them."""
    rng = np.random.default_rng(5)
    rows: dict[str, list[Any]] = {name: [] for name in ("w", "tenure", "customers", "lost")}
    for w in range(months):
        for tenure_ in range(0, 30):
            rows["w"].append(w)
            rows["tenure"].append(tenure_)
            rows["customers"].append(n)
            rows["lost"].append(int(rng.binomial(n, churn)))
    size = len(rows["w"])
    customers, lost = np.array(rows["customers"]), np.array(rows["lost"])
    stayed = (customers - lost) * 1_000 * 1_000_000
    plain = {name: pa.array(values, pa.int64()) for name, values in rows.items()}
    same = {"months": 1, "phase": 0, "notice": 0, "goes": 0}
    return pa.table(
        plain
        | {name: pa.array([value] * size, pa.int64()) for name, value in same.items()}
        | {"plan_id": pa.array(["basic"] * size), "currency": pa.array(["USD"] * size)}
        | {
            "before": pa.array(customers * 1_000 * 1_000_000), "stayed": pa.array(stayed),
            "after": pa.array((stayed * after).astype(np.int64)), "paid": pa.array(customers * 1_000 * 1_000_000),
            "squares": pa.array((customers - lost) * 1e6), "squared_change": pa.array(np.zeros(size)),
        }
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- contracts, by hand


def test_months_are_counted_as_one_would_by_hand(company: Company) -> None:
    facts = Facts()
    terms = {"amount_minor": 1_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
    # Ann from January on; Ben announced on 20 March that he ends on 10 April; Cid has a year from February.
    facts.state("2026-01-10", customer="ann", status="active", **terms)
    facts.state("2026-01-10", customer="ben", status="active", **terms)
    asked = {"cancel_at": "2026-04-10", "cancel_requested_at": "2026-03-20"}
    facts.state("2026-03-20", customer="ben", status="active", **asked, **terms)
    facts.state("2026-04-10", customer="ben", status="canceled", cancel_requested_at="2026-03-20", **terms)
    yearly = terms | {"interval": "year", "amount_minor": 12_000, "term_ends_at": "2027-02-05"}
    facts.state("2026-02-05", customer="cid", status="active", **yearly)
    # Ann takes more in April, and pauses in May: she still has a contract.
    facts.state("2026-04-15", customer="ann", status="active", **terms | {"amount_minor": 1_500})
    facts.state("2026-05-20", customer="ann", status="paused", **terms | {"amount_minor": 1_500})
    shop = company(facts, known_on="2026-05-31")
    found = customer_months(shop.workspace.facts("2026-05-31"), shop.workspace.definition(), cut=date(2026, 6, 1))
    # Ben is the only one who ever left: from April on leavers are known at all, or all of history where that is sooner.
    rows = {
        (found.month(row["w"])[0].month, row["months"], row["notice"], row["goes"]): row
        for row in found.past.to_pylist()
    }
    april = rows[4, 1, 1, 1]
    assert (april["customers"], april["lost"], april["tenure"], april["phase"]) == (1, 1, 2, 0)  # Ben, told in March
    stays = rows[4, 1, 0, 0]
    assert (stays["customers"], stays["lost"], stays["before"], stays["after"]) == (1, 0, 10**9, 15 * 10**8)  # Ann
    year = rows[4, 12, 0, 0]
    assert (year["customers"], year["phase"], year["before"]) == (1, 10, 10**9)  # Cid: ten months to the term's end
    now = {row["months"]: row for row in found.now.to_pylist()}
    assert (now[1]["contract"], now[1]["paid"], now[1]["tenure"]) == (15 * 10**8, 0, 4)  # Ann has paused
    assert (now[12]["contract"], now[12]["phase"], now[12]["ahead"]) == (10**9, 8, -1)


def test_a_scheduled_end_ends_the_value(company: Company) -> None:
    facts = Facts()
    terms = {"amount_minor": 10_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
    for i in range(60):
        facts.state(f"2025-{i % 6 + 1:02}-10", customer=f"c{i}", status="active", **terms)
        if i % 3 == 0:
            facts.state(f"2025-{i % 6 + 5:02}-10", customer=f"c{i}", status="canceled", **terms)
    facts.state("2025-01-10", customer="going", status="active", **terms)
    facts.state("2025-12-20", customer="going", status="active", cancel_at="2026-02-10", **terms)
    shop = company(facts).workspace
    worth = {row["customer_id"]: row for row in shop.value(as_of="2025-12-31", months=12).people()}
    # 1 January and 1 February are still paid: 80 % of $100 each. One in a hundred changes his mind.
    paid = 0.8 * 100 * (1 + 1.1 ** (-1 / 12))
    assert 0.9 * paid < float(worth["going"]["value"]) <= 1.06 * paid
    assert float(worth["c1"]["value"]) > 3 * paid


def test_without_churn_value_is_an_annuity_and_the_note_says_what_it_rests_on() -> None:
    learned = fit(counted(50, 0.0), 24)
    group = Groups(*(np.array([value]) for value in (learned.stratum("basic", 1), 1, 0, 5, -1)))
    survival = learned.survival(group, 12)
    assert survival[0, -1] > 0.99
    assert any("nobody left" in note for note in learned.notes)


@pytest.mark.parametrize("churn", [0.02, 0.10])
def test_a_known_rate_of_leaving_is_found_and_kept_up_beyond_the_data(churn: float) -> None:
    learned = fit(counted(200, churn), 24)
    group = Groups(*(np.array([value]) for value in (learned.stratum("basic", 1), 1, 0, 12, -1)))
    survival = learned.survival(group, 37)[0]
    # 36 months carry a rate's error along: 36 x standard error, relative to what stays.
    error = 36 * (churn * (1 - churn) / 144_000) ** 0.5 / (1 - churn)
    assert survival[36] == pytest.approx((1 - churn) ** 36, rel=3 * error + 0.02)


def test_a_plan_nobody_knew_is_seen_as_all_are() -> None:
    learned = fit(counted(200, 0.05), 24)
    groups = Groups(*(np.array([value]) for value in (learned.stratum("new", 1), 1, 0, 0, -1)))
    assert learned.survival(groups, 13)[0, 12] == pytest.approx(0.95**12, rel=0.08)
    assert learned.payments(groups, 3).tolist() == [[1.0, 1.0, 1.0]]


def test_the_variance_of_one_customers_payments_is_that_of_many_simulated_ones() -> None:
    rng = np.random.default_rng(3)
    hazard, unrest, months = 0.1, 0.2, 12
    survival = (1 - hazard) ** np.arange(months)[None, :]
    weights = 1.02 ** np.arange(months)[None, :] * 0.99 ** np.arange(months)
    n = 400_000
    reached = np.minimum(rng.geometric(hazard, n), months)
    steps = 1 + unrest * rng.normal(size=(n, months - 1))
    path = np.concatenate([np.ones((n, 1)), np.cumprod(steps, axis=1)], axis=1) * weights
    paid = np.where(np.arange(months) < reached[:, None], path, 0).sum(axis=1)
    assert own_chance(survival, weights, unrest)[0] == pytest.approx(paid.var(), rel=0.03)
    plain = np.where(np.arange(months) < reached[:, None], weights, 0).sum(axis=1)
    low, high = ends_of_lives(survival, weights)
    assert low[0] == pytest.approx(np.quantile(plain, 0.025))
    assert high[0] == pytest.approx(np.quantile(plain, 0.975))


# ------------------------------------------------------------------------------- contracts, whose future is known


def test_everybodys_value_is_within_a_tenth_of_what_they_really_paid(lived: Workspace) -> None:
    found = lived.value(as_of=CUT - timedelta(days=1), months=12)
    assert found.contract is not None
    st, there = people(found.contract.months)
    ids = found.facts.engine.table(st.render(f"SELECT DISTINCT customer_id FROM {there}"))
    later = paid_later(lived, set(ids.column(0).to_pylist()), CUT, 12)
    v = 1.1 ** (-1 / 12)
    truth = 0.8 * float(later @ v ** np.arange(12))
    (line,) = found.lines
    assert float(line.mrr) == pytest.approx(later[0], rel=1e-6)
    assert float(line.value) == pytest.approx(truth, rel=0.10)
    assert float(line.low) <= truth <= float(line.high)
    # What stands of each customer adds up to the line.
    rows = found.people()
    assert sum(float(row["value"]) for row in rows) == pytest.approx(float(line.value), rel=1e-4)
    assert len(rows) == line.customers


def test_segments_add_up_and_a_newcomers_value_stands_beside_the_cost_of_winning_one(lived: Workspace) -> None:
    whole = lived.value(as_of=CUT - timedelta(days=1), months=24)
    parts = lived.value(as_of=CUT - timedelta(days=1), months=24, by="channel")
    assert sum(line.customers for line in parts.lines) == whole.lines[0].customers
    assert sum(float(line.value) for line in parts.lines) == pytest.approx(float(whole.lines[0].value), rel=1e-6)
    by = {line.segment["channel"]: line for line in parts.lines if line.segment}
    assert by["organic"].ltv_to_cac > by["ads"].ltv_to_cac > 1  # as the company was made
    for line in parts.lines:
        assert line.ltv_to_cac == pytest.approx(float(line.value_of_newcomer) / float(line.cac))
    (plans,) = {tuple(line.segment or {}) for line in lived.value(as_of="2025-06-30", months=6, by="plan").lines}
    assert plans == ("plan_id",)


def test_what_money_of_later_counts_and_how_far_one_looks_are_told_and_obeyed(lived: Workspace) -> None:
    near, far = (lived.value(as_of="2025-06-30", months=months, discount=0.0).lines[0].value for months in (1, 24))
    plain = lived.value(as_of="2025-06-30", months=1, discount=0.0, margin=1.0).lines[0]
    # The first month is paid today: margin aside it is MRR, less or more the contracts on a pause just now.
    assert float(plain.value) == pytest.approx(float(plain.mrr), rel=0.02)
    assert float(near) == pytest.approx(0.8 * float(plain.value), rel=1e-4)
    assert 10 * near < far < 24 * near
    for wrong in ({"months": 0}, {"discount": 2.0}, {"margin": 0.0}, {"by": "tenure"}, {"as_of": "2999-01-01"}):
        with pytest.raises(BadInput):
            lived.value(**({"as_of": "2025-06-30"} | wrong))


def test_the_command_prints_lines_customers_and_models(lived: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(lived.folder)
    assert run(["-w", folder, "value", "--as-of", "2025-06", "--top", "3"]) == 0
    shown = capsys.readouterr().out
    assert "customers are worth $" in shown
    assert "A newcomer is worth $" in shown
    assert run(["-w", folder, "value", "--as-of", "2025-06", "--top", "3", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [tuple(row) for row in rows] == [
        ("customer_id", "as_of", "currency", "value", "low", "high", "alive", "expected_purchases", "model")
    ] * 3
    assert float(rows[0]["low"]) <= float(rows[0]["value"]) <= float(rows[0]["high"])
    assert run(["-w", folder, "value", "--as-of", "2025-06", "--by", "channel", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("segment.channel,currency,customers,")
    assert run(["-w", folder, "value", "--as-of", "2025-06", "--models", "--format", "json"]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert sum(row["chosen"] for row in tried) == 2  # one for monthly, one for longer contracts
    best = {row["of"]: row["score"] for row in tried if row["chosen"]}
    assert {row["of"] for row in tried} == set(best)
    assert all(row["score"] is None or row["score"] <= best[row["of"]] for row in tried)
    assert best["monthly contracts"] is not None
    assert run(["-w", folder, "value", "--by", "tenure"]) == 2
    assert "tenure changes" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- shops without contracts


def opened(folder: Path, sales: pd.DataFrame, currency: str) -> Workspace:
    """A workspace with these orders: order_id, customer, day, amount."""
    shop = tenure.open(folder, create=True, currency=currency)
    file = folder / "orders.csv"
    told = sales.rename(columns={"customer": "customer_id", "day": "ordered_at"}).assign(currency=currency)
    told[["order_id", "customer_id", "ordered_at", "amount", "currency"]].to_csv(file, index=False)
    shop.load("orders", file)
    return shop


@pytest.fixture(scope="module")
def cdnow(shared_data: Find, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, pd.DataFrame]]:
    """CDNOW's published sample in a workspace, and as a table."""
    names = ["order_id", "customer", "day", "cds", "amount"]
    sales = pd.read_csv(shared_data("cdnow/CDNOW_sample.txt"), sep=r"\s+", names=names, dtype={"customer": str})
    sales["day"] = pd.to_datetime(sales["day"].astype(str)).dt.strftime("%Y-%m-%d")
    sales["order_id"] = range(len(sales))
    with opened(tmp_path_factory.mktemp("cdnow") / "shop", sales, "USD") as shop:
        yield shop, sales


def test_thirty_nine_weeks_of_cdnow_are_foreseen(cdnow: tuple[Workspace, pd.DataFrame]) -> None:
    shop, sales = cdnow
    found = shop.value(as_of="1997-09-30", months=9, margin=1.0, discount=0.0)
    told = pd.DataFrame(found.people()).set_index("customer_id")
    assert len(told) == found.lines[0].buyers == 2357
    later = sales[(sales["day"] > "1997-09-30") & (sales["day"] <= "1998-06-30")]
    happened = later.drop_duplicates(["customer", "day"]).groupby("customer").size().reindex(told.index).fillna(0)
    assert happened.sum() == 1882
    expected = told["expected_purchases"]
    assert expected.sum() == pytest.approx(1882, rel=0.15)
    bought = sales[sales["day"] <= "1997-09-30"].drop_duplicates(["customer", "day"])
    age = (pd.Timestamp("1997-09-30") - pd.to_datetime(bought.groupby("customer")["day"].min())).dt.days
    naive = ((bought.groupby("customer").size() - 1) / age * 273).reindex(told.index)
    assert (expected - happened).abs().mean() == pytest.approx(0.79, abs=0.02)
    assert (naive - happened).abs().mean() == pytest.approx(1.02, abs=0.02)
    # In money: a sixth too little, and half of it with the tenth that is said to be worth most.
    money = later.groupby("customer")["amount"].sum().reindex(told.index).fillna(0)
    worth = told["value"].astype(float)
    assert worth.sum() == pytest.approx(money.sum(), rel=0.17)
    assert money[worth.nlargest(236).index].sum() / money.sum() > 0.45


def test_the_published_parameters_come_out_of_a_workspace(cdnow: tuple[Workspace, pd.DataFrame]) -> None:
    shop, _ = cdnow
    found = shop.value(as_of="1997-09-30", months=9)
    (book,) = found.buyers.values()
    assert book.name == "BG/NBD"  # MBG/NBD is as good, and the first of the good ones is taken
    assert [round(x, 3) for x in book.model.parameters_.values()] == [0.243, 4.414, 0.793, 2.426]
    assert book.model.log_likelihood_ == pytest.approx(-9582.429, abs=1e-3)
    assert book.money is not None
    assert [round(x, 2) for x in (book.money.p_, book.money.q_, book.money.v_ / 100)] == [6.25, 3.74, 15.44]
    assert any("how much is spent goes with how often by 0.11" in note for note in found.notes)
    # The sum over customers is that of the line, and nobody's value is less than nothing.
    rows = found.people()
    assert sum(float(row["value"]) for row in rows) == pytest.approx(float(found.lines[0].value), rel=1e-4)
    assert min(float(row["value"]) for row in rows) >= 0
    assert found.lines[0].alive == pytest.approx(sum(row["alive"] for row in rows), rel=1e-9)


def test_chance_gives_one_buyer_what_the_model_expects(cdnow: tuple[Workspace, pd.DataFrame]) -> None:
    from tenure.predict.buyer_value import futures, made

    shop, _ = cdnow
    (book,) = shop.value(as_of="1997-09-30", months=6, discount=0.0).buyers.values()
    h = book.histories
    rows = np.argsort(-h.frequency)[[0, 5, 50, 400]]
    for name in ("BG/NBD", "MBG/NBD", "Pareto/NBD"):
        from tenure.predict.buyer_value import grouped

        model = made(name).fit_histories(grouped(h))
        x, t_x, T = h.frequency[rows], h.recency[rows], h.age[rows]
        lives = futures(model, x, t_x / 7, T / 7, np.ones(6), np.random.default_rng(1), 20_000)
        expected = model.conditional_expected_purchases(6 * 365.25 / 84, x, t_x / 7, T / 7)
        assert lives.mean(axis=1) == pytest.approx(expected, rel=0.04)


def test_who_buys_and_has_a_contract_is_one_customer_worth_both(company: Company, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    facts = Facts()
    terms = {"amount_minor": 5_000, "currency": "USD", "interval": "month", "plan_id": "basic"}
    for i in range(40):
        facts.state(f"2024-{i % 12 + 1:02}-05", customer=f"c{i}", status="active", **terms)
        if i % 4 == 0:
            facts.state(f"2025-{i % 12 + 1:02}-05", customer=f"c{i}", status="canceled", **terms)
    shop = company(facts).workspace
    days = [
        (f"c{i}", date(2024, 1, 1) + timedelta(days=int(day)))
        for i in range(20, 120)
        for day in rng.choice(700, size=rng.integers(1, 9), replace=False)
    ]
    sales = pd.DataFrame(days, columns=["customer_id", "ordered_at"])
    sales = sales.assign(order_id=range(len(sales)), amount=rng.integers(10, 90, len(sales)), currency="USD")
    sales.to_csv(tmp_path / "orders.csv", index=False)
    shop.load("orders", tmp_path / "orders.csv")
    found = shop.value(as_of="2025-12-31", months=12)
    (line,) = found.lines
    assert (line.contracts, line.buyers) == (30, 100)
    assert line.customers == 115  # c20 to c39 did both, five of them have left
    rows = {row["customer_id"]: row for row in found.people()}
    assert len(rows) == 115
    both = rows["c21"]
    assert ";" in both["model"] and both["expected_purchases"] is not None
    assert sum(float(row["value"]) for row in rows.values()) == pytest.approx(float(line.value), rel=1e-4)
    # A segment of the plan keeps them apart: who buys has none.
    apart = shop.value(as_of="2025-12-31", by="plan").lines
    by = {line.segment["plan_id"]: line.customers for line in apart if line.segment}
    assert by == {"basic": 30, None: 100}


def test_too_few_who_bought_again_are_valued_at_nothing_and_it_is_said(tmp_path: Path) -> None:
    sales = pd.DataFrame({"order_id": range(5), "customer": list("abcde"), "day": ["2025-01-01"] * 5, "amount": 10})
    with opened(tmp_path / "shop", sales, "USD") as shop:
        found = shop.value(as_of="2025-06-30")
        assert found.lines == []
        assert any("0 customers bought again" in note for note in found.notes)


def test_a_workspace_without_facts_says_what_to_load(tmp_path: Path) -> None:
    with tenure.open(tmp_path / "shop", create=True) as shop, pytest.raises(BadInput, match="load"):
        shop.value()
