"""Who leaves next: a model is learned, judged, stored and put into service, and everybody is scored by it, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenure
from tenure.app.backtesting import Backtest, reached
from tenure.app.fitting import Fitted
from tenure.app.model_files import ModelFiles
from tenure.app.risks import Risks
from tenure.errors import BadInput, CannotFit, Damaged
from tenure.faces.cli.ending import run
from tenure.kernel.lots import drawn
from tenure.lake.portable import micros
from tenure.simulate.hazards import Causes
from tests.reference.builder import Company, Facts
from tests.rules.simulated_shop import opened

DAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    # Who stops using it leaves, far more than by default: a small company in which there is something to learn.
    place = tmp_path_factory.mktemp("next") / "shop"
    workspace, _ = opened(place, customers=1_000, months=18, causes=Causes(experience=8, support=4))
    workspace.close()
    with (place / "tenure.toml").open("a", encoding="utf-8") as file:
        file.write("\ncontact_cost = 2\noffer_cost = 12.5\ncontacts_a_month = 20\n")
    workspace = tenure.open(place)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def fitted(shop: tenure.Workspace) -> Fitted:
    (found,) = shop.fit(horizons=("30d",), threads=1)
    return found


@pytest.fixture(scope="module")
def risks(shop: tenure.Workspace, fitted: Fitted) -> Risks:
    return shop.risk(threads=1)


@pytest.fixture(scope="module")
def rows(risks: Risks) -> list[dict[str, Any]]:
    return risks.rows()


def test_a_model_that_beats_both_baselines_is_put_into_service(shop: tenure.Workspace, fitted: Fitted) -> None:
    assert fitted.in_service, fitted.reason
    assert fitted.as_of == DAY  # the last day that facts tell of
    assert ModelFiles(shop.folder).in_service() == {"leaving-30d": fitted.version}
    assert fitted.as_json()["auc"] > 0.6
    assert {"model", "base rate", "recency only"} == set(fitted.figures)


def test_a_stored_model_says_what_the_trained_one_says(shop: tenure.Workspace, fitted: Fitted) -> None:
    stored = ModelFiles(shop.folder).read("leaving-30d", fitted.version)
    assert [each.name for each in stored.features] == [each.name for each in fitted.trained.features]
    from tenure.predict.features_training import matrix

    table = fitted.trained.rows.table
    X, period = matrix(table, stored.features), table.column("period").to_numpy()
    assert np.array_equal(stored.model.predict(X, period), fitted.trained.model.predict(X, period))
    told = stored.facts
    assert told["since"] and told["until"] and told["libraries"]["lightgbm"]
    assert {row["figure"] for row in told["figures"]["model"]} >= {"auc", "brier", "log_loss"}


def test_a_model_file_that_was_changed_is_refused(shop: tenure.Workspace, fitted: Fitted, tmp_path: Path) -> None:
    files = ModelFiles(tmp_path)
    place = shop.folder / "models" / "leaving-30d" / f"{fitted.version}.json"
    other = tmp_path / "models" / "leaving-30d" / place.name
    other.parent.mkdir(parents=True)
    outer = json.loads(place.read_text(encoding="utf-8"))
    outer["content"] = outer["content"].replace('"gap": 0', '"gap": 7')
    other.write_text(json.dumps(outer), encoding="utf-8")
    with pytest.raises(Damaged, match="not what was written"):
        files.read("leaving-30d", fitted.version)
    with pytest.raises(BadInput, match="no model is called"):
        files.read("../leaving-30d", fitted.version)


def test_causes_add_up_to_the_chance_and_the_riskiest_come_first(rows: list[dict[str, Any]]) -> None:
    scored = [row for row in rows if row["state"] == "scored"]
    assert len(scored) > 300
    for row in scored:
        assert row["probability"] == pytest.approx(row["voluntary"] + row["involuntary"] + row["unknown"])
    chances = [row["probability"] for row in scored]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 3 * chances[len(chances) // 2]


def test_what_is_at_stake_is_what_tenure_value_says_of_the_customer(
    shop: tenure.Workspace, rows: list[dict[str, Any]]
) -> None:
    told = {row["customer_id"]: row["value"] for row in shop.value(as_of=DAY).people() if row["currency"] == "USD"}
    dollars = [row for row in rows if row["state"] == "scored" and row["currency"] == "USD" and row["mrr"] > 10]
    assert len(dollars) > 100
    for row in dollars:
        assert abs(row["value"] - told[row["customer_id"]]) <= Decimal("0.01")
        loss = float(row["value"]) * row["probability"]
        assert float(row["expected_loss"]) == pytest.approx(loss, rel=1e-6, abs=1.0)


def test_the_day_to_act_by_lies_a_week_before_the_renewal_or_the_end_of_the_horizon(
    rows: list[dict[str, Any]],
) -> None:
    scored = [row for row in rows if row["state"] == "scored"]
    assert {DAY <= row["act_by"] <= DAY + timedelta(days=23) for row in scored} == {True}
    assert len({row["act_by"] for row in scored}) > 5


def test_the_change_in_a_week_is_that_of_the_same_model_a_week_before(
    shop: tenure.Workspace, rows: list[dict[str, Any]]
) -> None:
    before = shop.risk(as_of="2026-06-23", save=False, threads=1)
    then = {row["customer_id"]: row["probability"] for row in before.rows() if row["state"] == "scored"}
    assert any("came after" in says for says in before.says)
    known = [row for row in rows if row["state"] == "scored" and row["customer_id"] in then]
    assert len(known) > 300
    for row in known:
        assert row["change_7d"] == pytest.approx(row["probability"] - then[row["customer_id"]], abs=1e-12)
    new = [row for row in rows if row["state"] == "scored" and row["customer_id"] not in then]
    assert all(row["change_7d"] is None for row in new)


def test_who_has_said_that_he_leaves_is_listed_as_leaving_and_has_no_score(rows: list[dict[str, Any]]) -> None:
    leaving = [row for row in rows if row["state"] == "leaving"]
    assert leaving
    assert all(row["probability"] is None and not row["reasons"] for row in leaving)
    assert all(row["ends_on"] is None or row["ends_on"] > DAY for row in leaving)


def test_three_facts_that_move_the_score_are_told_in_english_and_thai(risks: Risks) -> None:
    english, thai = risks.rows(30), risks.rows(30, "th")
    for one, other in zip(english, thai, strict=True):
        if one["state"] == "leaving":
            continue
        assert 1 <= len(one["reasons"]) <= 3
        sizes = [abs(each["contribution"]) for each in one["reasons"]]
        assert sizes == sorted(sizes, reverse=True)
        for a, b in zip(one["reasons"], other["reasons"], strict=True):
            assert a["contribution"] == b["contribution"]
            assert "{" not in a["reason"] and not any("฀" <= letter <= "๿" for letter in a["reason"])
            assert any("฀" <= letter <= "๿" for letter in b["reason"])


def test_the_hold_out_is_marked_and_drawn_by_lot(rows: list[dict[str, Any]]) -> None:
    scored = [row for row in rows if row["state"] == "scored"]
    lots = drawn([row["customer_id"] for row in scored], "never treated")
    assert [row["held_out"] for row in scored] == [lot < 0.1 for lot in lots]
    share = sum(row["held_out"] for row in scored) / len(scored)
    assert abs(share - 0.1) < 4 * (0.09 / len(scored)) ** 0.5


def test_scores_are_facts_and_the_same_question_writes_nothing_new(shop: tenure.Workspace, risks: Risks) -> None:
    before = shop.lake.snapshot("scores").rows
    assert before == risks.table.num_rows
    again = shop.risk(order="loss", threads=1)
    assert shop.lake.snapshot("scores").rows == before
    assert again.table.num_rows == risks.table.num_rows
    facts = shop.facts()
    st = facts.statement()
    step = facts.latest(st, "scores", ("customer_id", "probability", "voluntary", "horizon", "model", "model_version"))
    stored = {row["customer_id"]: row for row in facts.engine.table(st.render(f"SELECT * FROM {step}")).to_pylist()}
    for row in risks.rows(20)[:20]:
        assert stored[row["customer_id"]]["probability"] == row["probability"]
        assert stored[row["customer_id"]]["horizon"] == "30d"
        assert stored[row["customer_id"]]["model"] == "leaving-30d"


def test_the_list_by_loss_has_what_is_at_stake_in_one_currency(shop: tenure.Workspace, risks: Risks) -> None:
    first = shop.risk(order="loss", save=False, threads=1).rows(200)
    dollars = [row["expected_loss"] for row in first if row["currency"] == "USD" and row["state"] == "scored"]
    assert dollars == sorted(dollars, reverse=True)
    with pytest.raises(BadInput, match="probability or loss"):
        shop.risk(order="alphabet")


@pytest.fixture(scope="module")
def replayed(shop: tenure.Workspace, fitted: Fitted) -> Backtest:
    return shop.backtest(step=5, draws=100, threads=1)


def test_a_replay_tells_every_figure_of_model_and_baselines_with_its_interval(replayed: Backtest) -> None:
    rows = replayed.rows()
    assert {row["said_by"] for row in rows} == {"model", "base rate", "recency only"}
    figures = {row["figure"] for row in rows}
    assert figures >= {"observed_to_expected", "calibration_slope", "log_loss", "brier", "auc", "pr_auc", "empc"}
    assert {"top_decile_lift", "saved_0.01", "saved_0.1"} <= figures
    of_model = {row["figure"]: row for row in rows if row["said_by"] == "model"}
    assert of_model["auc"]["low"] <= of_model["auc"]["value"] <= of_model["auc"]["high"]
    assert of_model["log_loss"]["low"] < of_model["log_loss"]["value"] < of_model["log_loss"]["high"]
    assert of_model["empc"]["currency"] == "USD" and of_model["auc"]["currency"] is None


def test_costs_and_the_number_of_contacts_are_those_of_the_settings(replayed: Backtest) -> None:
    assert (replayed.campaign.contact_cost, replayed.campaign.offer_cost) == (2.0, 12.5)
    looks, months = len(replayed.replayed.left), len(replayed.by_month())
    share = round(20 * months / looks, 4)
    own = [row for row in replayed.rows() if row["figure"] == f"saved_{share:g}"]
    assert len(own) == 3 and all(row["currency"] == "USD" for row in own)
    assert any("20 contacts a month" in note for note in replayed.says)


def test_no_model_of_a_replay_is_judged_on_a_time_that_it_could_know(replayed: Backtest) -> None:
    told = replayed.replayed
    firsts = [micros(origin.cut_off) for origin in told.origins]
    assert len(firsts) >= 2 and told.cut_off.min() >= firsts[0]
    assert told.gap == 7  # lead_days of the settings
    months = replayed.by_month()
    assert sum(month["customers"] for month in months) == len(told.left)
    assert all(month["expected"] > 0 for month in months)


def test_a_replay_is_one_table_and_one_picture(
    shop: tenure.Workspace, replayed: Backtest, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.charts import svg
    from tenure.faces.cli.predicting import backtest_text

    text = backtest_text(replayed, replayed.rows())
    for words in ("lift of the first tenth", "saved, 10% contacted", "base rate", "recency only", "from day 7 on"):
        assert words in text
    assert svg(replayed.chart("th")).startswith("<svg")
    assert run(["-w", str(shop.folder), "backtest", "--as-of", "2025-02", "--format", "json"]) == 1
    assert "load more history" in capsys.readouterr().err


def test_leavers_reached_rise_from_none_to_all_and_a_score_for_all_reaches_as_chance_does(replayed: Backtest) -> None:
    rows = reached(replayed.replayed)
    for name in ("model", "base rate", "recency only"):
        line = [row["reached"] for row in rows if row["said"] == name]
        assert line[0] == 0.0 and line[-1] == pytest.approx(1.0)
        assert line == sorted(line)
    same = replace(replayed.replayed, said={"base rate": np.full(len(replayed.replayed.left), 0.1)})
    assert [row["reached"] for row in reached(same)] == pytest.approx([i / 50 for i in range(51)])


def test_the_command_prints_the_list_for_people_and_programs(
    shop: tenure.Workspace, risks: Risks, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["-w", str(shop.folder), "risk", "--top", "5", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    wanted = {
        "customer_id", "as_of", "horizon", "probability", "voluntary", "involuntary", "change_7d", "mrr", "currency",
        "value", "expected_loss", "act_by", "reasons",
    }  # fmt: skip
    assert wanted <= set(rows[0])
    assert [row["state"] for row in rows[:6]] == ["scored"] * 5 + ["leaving"]
    chart = tmp_path / "risk.svg"
    assert run(["-w", str(shop.folder), "risk", "--top", "5", "--no-save", "--chart", str(chart)]) == 0
    text = capsys.readouterr().out
    assert "Leaving already, and not scored" in text and "act by" in text
    assert chart.read_text(encoding="utf-8").startswith("<svg")


# --- too little to learn from -----------------------------------------------------------------------------------------


def few(leavers: int, customers: int = 10) -> Facts:
    """Customers of one plan since January 2025, some of whom leave from July on, one a week."""
    facts = Facts()
    for n in range(customers):
        facts.state("2025-01-10", customer=f"c{n}", quantity=n + 1)
    for n in range(leavers):
        end = date(2025, 7, 6) + timedelta(days=7 * n)
        asked = {"cancel_requested_at": str(end - timedelta(days=12)), "cancel_actor": "customer", "status": "canceled"}
        facts.state(str(end), customer=f"c{n}", **asked)
    return facts


@pytest.mark.parametrize(
    ("leavers", "why"), [(0, "nobody left"), (3, "only 3 left"), (10, "nobody left|everybody left")]
)
def test_ten_customers_get_the_simplest_answer_that_holds_and_the_reason(
    company: Company, capsys: pytest.CaptureFixture[str], leavers: int, why: str
) -> None:
    workspace = company(few(leavers)).workspace
    options = {"as_of": "2025-12-31"}
    (found,) = workspace.fit(horizons=("30d",), threads=1, **options)
    assert not found.in_service
    assert found.trained.model.chosen_ == "base rate by tenure"
    assert ModelFiles(workspace.folder).in_service() == {}
    if leavers < 10:
        import re

        assert re.search(why, " ".join([found.reason, *found.trained.model.why_]))
        told = workspace.risk(threads=1, **options)
        assert not told.in_service and "No model is in service" in told.says[0]
        assert told.table.num_rows == 10 - leavers
        assert all(0 < each < 0.5 for each in told.table.column("probability").to_pylist())
    else:
        told = workspace.risk(threads=1, **options)
        assert told.table.num_rows == 0 and told.rows() == []
    assert run(["-w", str(workspace.folder), "fit", "--horizon", "30d", "--as-of", "2025-12-31"]) == 0
    assert "NOT IN SERVICE" in capsys.readouterr().out


def test_without_any_model_and_for_days_ahead_the_answer_says_what_to_do(company: Company) -> None:
    workspace = company(few(2)).workspace
    with pytest.raises(CannotFit, match="tenure fit"):
        workspace.risk()
    with pytest.raises(BadInput, match="lies ahead"):
        workspace.fit(as_of="2099-01-01")
    with pytest.raises(BadInput, match="30d, 90d, renewal"):
        workspace.risk(horizon="14d")


def test_facts_dated_ahead_neither_move_the_day_nor_the_scores(company: Company) -> None:
    plain = company(few(2)).workspace
    ahead = few(2)
    ahead.use("later", "2031-05-01", customer="c5", recorded_at="2025-12-30")
    # A planned end lies ahead too, and is known: its customer is leaving, and nobody else is touched by it.
    other = company(ahead).workspace
    for workspace in (plain, other):
        workspace.fit(horizons=("30d",), as_of="2025-12-31", threads=1)
    one, two = (each.risk(as_of="2025-12-31", threads=1).table for each in (plain, other))
    assert one.column("probability").to_pylist() == two.column("probability").to_pylist()


def test_what_is_at_stake_where_nobody_left_is_an_extrapolation_and_it_is_said(company: Company) -> None:
    facts = Facts()
    for n in range(4):
        facts.state("2025-10-10", customer=f"c{n}")
    workspace = company(facts).workspace
    workspace.fit(horizons=("30d",), as_of="2026-02-28", threads=1)
    told = workspace.risk(as_of="2026-02-28", threads=1)
    worth = {row["customer_id"]: row["value"] for row in workspace.value(as_of="2026-02-28").people()}
    assert {row["customer_id"]: row["value"] for row in told.rows()} == worth
    assert any("that everybody stays is an extrapolation" in says for says in told.says)
