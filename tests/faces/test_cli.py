"""Every command answers in three formats, says what it did, and ends with the code it promises."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenure.faces.cli.ending import run
from tests.reference.builder import Facts, open_workspace

KEYS = [
    "metric", "profile", "revenue", "period_start", "period_end", "segment", "currency", "unit", "value", "low", "high",
    "numerator", "denominator", "n", "reason",
]  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


Tenure = Callable[..., Said]


@pytest.fixture
def tenure(capsys: pytest.CaptureFixture[str]) -> Tenure:
    """The command line, in this process."""

    def call(*arguments: str | Path) -> Said:
        code = run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Said(code, told.out, told.err)

    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three customers in dollars: one upgrades in February, one leaves in March, one comes in April."""
    facts = Facts()
    facts.span("2026-01-05", "2026-02-10", customer="Ann", plan_id="basic", amount_minor=2_000)
    facts.span("2026-02-10", None, customer="Ann", plan_id="pro", amount_minor=5_000)
    facts.span("2026-01-10", "2026-03-15", customer="Ben", plan_id="basic", amount_minor=2_000)
    facts.span("2026-04-02", None, customer="Chai", plan_id="basic", amount_minor=2_050)
    facts.customer("Ann", channel="ads")
    folder = tmp_path_factory.mktemp("shop") / "shop"
    open_workspace(folder, facts)
    return folder


@pytest.fixture(scope="module")
def two_currencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One customer pays in dollars, one in yen; no exchange rate is known."""
    facts = Facts()
    facts.span("2026-01-05", None, customer="Ann", amount_minor=2_000)
    facts.span("2026-01-05", None, customer="Yui", amount_minor=3_000, currency="JPY")
    folder = tmp_path_factory.mktemp("two") / "shop"
    open_workspace(folder, facts)
    return folder


# ------------------------------------------------------------------------------------------------- the JSON of metrics


def test_a_metrics_json_has_the_promised_keys_in_their_order(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "metrics", "mrr", "customer_churn_rate", "--from", "2026-02", "--format", "json")
    assert said.code == 0
    assert [list(row) for row in said.json()] == [KEYS, KEYS]


def test_a_period_ends_with_the_first_day_that_is_not_in_it(tenure: Tenure, shop: Path) -> None:
    (row,) = tenure("-w", shop, "metrics", "mrr", "--from", "2026-02", "--format", "json").json()
    assert (row["period_start"], row["period_end"]) == ("2026-02-01", "2026-03-01")


def test_money_is_decimal_text_in_major_units_and_a_rate_is_a_fraction(tenure: Tenure, shop: Path) -> None:
    names = ("mrr", "mrr_expansion", "mrr_churn", "customer_churn_rate", "gross_mrr_churn_rate", "customers")
    rows = tenure("-w", shop, "metrics", *names, "--from", "2026-03", "--to", "2026-03", "--format", "json").json()
    found = {row["metric"]: row for row in rows}
    assert found["mrr"]["value"] == "50.00"  # Ann's 50; Ben's 20 left on 15 March
    assert found["mrr"]["currency"] == "USD"
    assert found["mrr_churn"]["value"] == "20.00"
    assert found["mrr_expansion"]["value"] == "0.00"
    churn = found["customer_churn_rate"]
    assert (churn["value"], churn["numerator"], churn["denominator"], churn["n"]) == (0.5, 1, 2, 2)
    assert churn["currency"] is None
    assert 0 < churn["low"] < 0.5 < churn["high"] < 1
    gross = found["gross_mrr_churn_rate"]
    assert gross["value"] == pytest.approx(20 / 70)
    assert (gross["numerator"], gross["denominator"]) == ("20.00", "70.00")
    assert found["customers"]["value"] == 1


def test_an_empty_base_is_null_with_a_reason(tenure: Tenure, shop: Path) -> None:
    (row,) = tenure("-w", shop, "metrics", "customer_churn_rate", "--from", "2025-06", "--format", "json").json()
    assert row["value"] is None
    assert row["reason"] == "there were no customers at the start"


def test_the_year_named_is_the_whole_of_it(tenure: Tenure, shop: Path) -> None:
    rows = tenure("-w", shop, "metrics", "mrr", "--from", "2026", "--format", "json").json()
    assert len(rows) == 12
    assert (rows[0]["period_start"], rows[-1]["period_end"]) == ("2026-01-01", "2027-01-01")
    (row,) = tenure("-w", shop, "metrics", "mrr", "--from", "2026", "--period", "year", "--format", "json").json()
    assert (row["period_start"], row["period_end"]) == ("2026-01-01", "2027-01-01")


def test_a_segment_is_an_object_and_there_is_no_total_row(tenure: Tenure, shop: Path) -> None:
    command = ("-w", shop, "metrics", "mrr", "--from", "2026-02", "--by", "plan_id")
    rows = tenure(*command, "--format", "json").json()
    assert [(row["segment"], row["value"]) for row in rows] == [
        ({"plan_id": "basic"}, "20.00"),
        ({"plan_id": "pro"}, "50.00"),
    ]
    assert [(row["segment.plan_id"], row["value"]) for row in tenure(*command, "--format", "csv").csv()] == [
        ("basic", "20.00"),
        ("pro", "50.00"),
    ]


def test_csv_has_the_columns_of_json(tenure: Tenure, shop: Path) -> None:
    rows = tenure("-w", shop, "metrics", "mrr", "nrr", "--from", "2026-03", "--format", "csv").csv()
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert rows[0]["value"] == "50.00"
    assert rows[0]["low"] == ""


def test_without_a_reporting_currency_each_has_its_own_row_and_counts_have_none(
    tenure: Tenure, two_currencies: Path
) -> None:
    rows = tenure("-w", two_currencies, "metrics", "mrr", "customers", "--from", "2026-02", "--format", "json").json()
    assert [(row["metric"], row["currency"], row["value"]) for row in rows] == [
        ("mrr", "JPY", "3000"),  # yen have no smaller unit
        ("mrr", "USD", "20.00"),
        ("customers", None, 2),
    ]


def test_known_on_leaves_out_what_was_recorded_later(tenure: Tenure, shop: Path) -> None:
    command = ("-w", shop, "metrics", "customers_churned", "--from", "2026-03", "--format", "json")
    assert tenure(*command).json()[0]["value"] == 1
    assert tenure(*command, "--known-on", "2026-03-10").json()[0]["value"] == 0


# ------------------------------------------------------------------------------------------------------ for people


def test_a_table_shows_percent_with_its_interval_and_what_it_was_divided_from(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "metrics", "customer_churn_rate", "--from", "2026-03")
    lines = said.out.splitlines()
    assert lines[0].split("  ")[0] == "period"
    assert "50.00 % [1]" in lines[2]
    assert "1 of 2" in lines[2]
    assert "%" in lines[2].split("[1]")[1]
    assert said.out.count("[1] small base") == 1


def test_a_missing_number_is_a_dash_and_its_reason_a_footnote(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "metrics", "nrr", "--from", "2025-12", "--to", "2026-02")
    assert "– [1]" in said.out
    assert "[1] there was no MRR at the start" in said.out
    assert "0.00 %" not in said.out


def test_numbers_are_aligned_to_the_right_under_their_metric(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "metrics", "mrr", "customers", "--from", "2026-01", "--to", "2026-04")
    head, _, *lines = said.out.splitlines()
    assert len({len(line) for line in (head, *lines)}) == 1
    assert lines[0].split() == ["2026-01", "$40.00", "2"]


def test_a_table_in_a_pipe_is_plain_and_at_most_a_hundred_columns_wide(tenure: Tenure, shop: Path) -> None:
    names = ("mrr", "arr", "nrr", "grr", "gross_mrr_churn_rate", "net_mrr_churn_rate", "customer_churn_rate", "arpa")
    said = tenure("-w", shop, "metrics", *names, "--from", "2026-01", "--to", "2026-04")
    assert max(len(line) for line in said.out.splitlines()) <= 100
    assert "\x1b" not in said.out
    for name in names:
        assert name in said.out


def test_each_currency_has_its_line_and_people_a_table_of_their_own(tenure: Tenure, two_currencies: Path) -> None:
    said = tenure("-w", two_currencies, "metrics", "mrr", "customers", "--from", "2026-02")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["2026-02", "JPY", "¥3,000"] in lines
    assert ["2026-02", "USD", "$20.00"] in lines
    assert ["2026-02", "2"] in lines


def test_any_number_opens_to_the_customers_in_it(tenure: Tenure, shop: Path) -> None:
    command = ("-w", shop, "metrics", "mrr_churn", "--from", "2026-03", "--customers")
    (row,) = tenure(*command, "--format", "json").json()
    assert (row["customer_id"], row["amount"], row["currency"], row["what"]) == ("Ben", "20.00", "USD", "churn")
    assert row["at"] == "2026-03-15T00:00:00+00:00"
    assert "Ben" in tenure(*command).out
    assert tenure(*command, "--format", "csv").csv()[0]["customer_id"] == "Ben"


def test_the_customers_of_a_segment_name_it_as_the_numbers_do(tenure: Tenure, shop: Path) -> None:
    command = ("-w", shop, "metrics", "nrr", "--from", "2026-03", "--by", "plan_id", "--customers")
    rows = tenure(*command, "--format", "json").json()
    assert [(row["segment"], row["customer_id"], row["amount"], row["base"], row["what"]) for row in rows] == [
        ({"plan_id": "basic"}, "Ben", "0.00", "20.00", "left"),
        ({"plan_id": "pro"}, "Ann", "50.00", "50.00", "same"),
    ]
    flat = tenure(*command, "--format", "csv").csv()
    assert [row["segment.plan_id"] for row in flat] == ["basic", "pro"]
    lines = [line.split() for line in tenure(*command).out.splitlines()]
    assert ["2026-03", "basic", "Ben", "$20.00", "$0.00", "left"] in lines


def test_the_customers_of_several_metrics_stand_in_a_table_each(tenure: Tenure, shop: Path) -> None:
    command = ("-w", shop, "metrics", "customer_churn_rate", "mrr", "--from", "2026-03", "--customers")
    said = tenure(*command).out
    assert said.index("customer_churn_rate") < said.index("stayed") < said.index("mrr") < said.index("balance")
    rates = [row for row in tenure(*command, "--format", "json").json() if row["metric"] == "customer_churn_rate"]
    assert [(row["customer_id"], row["amount"], row["base"]) for row in rates] == [("Ben", 1, 1), ("Ann", 0, 1)]


def test_the_customers_of_many_numbers_are_cut_on_the_screen_and_whole_in_a_file(
    tmp_path: Path, tenure: Tenure
) -> None:
    facts = Facts()
    for number in range(120):
        facts.span("2026-01-05", None, customer=f"c{number:03}", amount_minor=1_000 + number)
        facts.span("2026-01-05", None, customer=f"y{number:03}", amount_minor=100 + number, currency="JPY")
    open_workspace(tmp_path / "shop", facts)
    command = ("-w", tmp_path / "shop", "metrics", "mrr", "--from", "2026-01", "--customers")
    said = tenure(*command).out
    assert said.count("balance") == 100 and "y119" in said and "c119" in said
    assert "... and 140 more: --format csv lists them all" in said
    assert len(tenure(*command, "--format", "csv").csv()) == 240


def test_the_customers_of_a_made_up_company_are_told_to_be_made_up(tmp_path: Path, tenure: Tenure) -> None:
    facts = Facts()
    facts.span("2026-01-05", None, customer="Ann")
    with open_workspace(tmp_path / "shop", facts) as opened:
        path = opened.folder / "tenure.toml"
    path.write_text(path.read_text(encoding="utf-8") + "made_up = true\n", encoding="utf-8")
    command = ("-w", tmp_path / "shop", "metrics", "mrr", "--customers", "--from")
    assert "This company is made up." in tenure(*command, "2026-01").out
    assert "This company is made up." in tenure(*command, "2025-01").out
    assert "As known on 2026-02." in tenure(*command, "2026-01", "--known-on", "2026-02").out


def test_a_number_with_nobody_in_it_says_so(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "metrics", "mrr_churn", "--from", "2026-01", "--customers")
    assert said.out == "There is nobody in these numbers.\n"


def test_the_statement_can_be_run_by_hand(tenure: Tenure, shop: Path) -> None:
    import duckdb

    said = tenure("-w", shop, "metrics", "mrr", "--from", "2026-03", "--sql")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    assert connection.execute(said.out).fetchall()


def test_the_catalogue_lists_every_metric_with_its_question_unit_and_formula(tenure: Tenure) -> None:
    from tenure.measure.catalogue import CATALOGUE

    rows = tenure("metrics", "--list", "--format", "json").json()
    assert [row["name"] for row in rows] == list(CATALOGUE)
    assert all(row["question"].endswith("?") and row["unit"] and row["formula"] for row in rows)
    said = tenure("metrics", "--list")
    assert all(metric.name in said.out for metric in CATALOGUE.values())
    (one,) = tenure("metrics", "nrr", "--list", "--format", "csv").csv()
    assert one["name"] == "nrr"


# ---------------------------------------------------------------------------------------------- cohorts and survival


def test_cohorts_are_a_row_per_cohort_and_age(tenure: Tenure, shop: Path) -> None:
    rows = tenure("-w", shop, "cohorts", "--to", "2026-04", "--format", "json").json()
    january = [(row["age"], row["value"], row["share"]) for row in rows if row["cohort_start"] == "2026-01-01"]
    assert january == [(0, 2, 1.0), (1, 2, 1.0), (2, 1, 0.5), (3, 1, 0.5)]
    said = tenure("-w", shop, "cohorts", "--to", "2026-04")
    assert ["2026-01", "2", "100", "100", "50", "50"] in [line.split() for line in said.out.splitlines()]


def test_cohorts_of_revenue_are_money(tenure: Tenure, shop: Path) -> None:
    rows = tenure("-w", shop, "cohorts", "--measure", "revenue", "--to", "2026-04", "--format", "json").json()
    january = [(row["age"], row["size"], row["value"]) for row in rows if row["cohort_start"] == "2026-01-01"]
    assert january == [(0, "40.00", "40.00"), (1, "40.00", "70.00"), (2, "40.00", "50.00"), (3, "40.00", "50.00")]


def test_survival_counts_those_still_here(tenure: Tenure, shop: Path) -> None:
    rows = tenure("-w", shop, "survival", "--to", "2026-04", "--format", "json").json()
    # Ben left in his third month; Ann has stayed three whole months, Chai none yet: 2 at risk, 1 left.
    (third,) = [row for row in rows if row["tenure"] == 3]
    assert (third["at_risk"], third["left"], third["survival"]) == (2, 1, 0.5)
    assert "Half have left by 3 months" in tenure("-w", shop, "survival", "--to", "2026-04").out


def test_curves_of_groups_stand_side_by_side(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "survival", "--by", "channel", "--to", "2026-04")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[2:4]] == ["(unknown)", "ads"]
    rows = tenure("-w", shop, "survival", "--by", "channel", "--to", "2026-04", "--format", "csv").csv()
    assert {row["segment.channel"] for row in rows} == {"", "ads"}


# --------------------------------------------------------------------------------------------------- which workspace


def test_the_workspace_can_be_named_before_and_after_the_command(
    tenure: Tenure, shop: Path, two_currencies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("metrics", "customers", "--from", "2026-02", "--format", "json")
    before = tenure("-w", two_currencies, *command).out
    assert tenure(*command, "-w", two_currencies).out == before
    # The nearer name wins, and both win over the environment, which wins over the current folder.
    assert tenure("-w", shop, *command, "--workspace", two_currencies).out == before
    monkeypatch.setenv("TENURE_WORKSPACE", str(shop))
    assert tenure("-w", two_currencies, *command).out == before
    monkeypatch.chdir(two_currencies)
    assert tenure(*command).out == tenure("-w", shop, *command).out
    monkeypatch.setenv("TENURE_WORKSPACE", "")
    assert tenure(*command).out == before


def test_init_makes_a_workspace_and_leaves_one_alone(tenure: Tenure, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "shop"
    said = tenure("init", folder, "--timezone", "Asia/Bangkok", "--currency", "thb", "--company", 'ร้าน "ดี"')
    assert said.code == 0
    settings = (folder / "tenure.toml").read_text(encoding="utf-8")
    assert 'timezone = "Asia/Bangkok"' in settings
    assert 'currency = "THB"' in settings
    again = tenure("init", folder)
    assert again.code == 0
    assert "already" in again.out
    assert (folder / "tenure.toml").read_text(encoding="utf-8") == settings
    changed = tenure("init", folder, "--currency", "USD")
    assert changed.code == 2
    assert "already" in changed.err


def test_version_and_help_need_no_workspace(tenure: Tenure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenure import __version__

    monkeypatch.chdir(tmp_path)
    assert tenure("--version").out == f"tenure {__version__}\n"
    assert tenure("--help").code == 0
    for command in ("init", "load", "metrics", "report", "demo", "doctor", "quarantine", "compact", "vacuum"):
        said = tenure(command, "--help")
        assert said.code == 0
        assert "--workspace" in said.out


# ------------------------------------------------------------------------------------------------------------- upkeep


def test_the_doctor_says_what_there_is_since_when(tenure: Tenure, shop: Path) -> None:
    said = tenure("-w", shop, "doctor")
    assert said.code == 0
    line = next(line.split() for line in said.out.splitlines() if line.startswith("subscription_spans"))
    assert line[1:4] == ["4", "2026-01-05", "2026-04-02"]
    assert "No problems." in said.out
    states = {row["subject"]: row["state"] for row in tenure("-w", shop, "doctor", "--format", "json").json()}
    assert states["workspace"] == states["quarantine"] == states["disk"] == states["engine duckdb"] == "fine"


def test_the_doctor_finds_a_table_whose_file_is_gone(tenure: Tenure, tmp_path: Path) -> None:
    facts = Facts()
    facts.span("2026-01-05")
    open_workspace(tmp_path / "shop", facts)
    (file,) = (tmp_path / "shop" / "lake" / "subscription_spans").glob("*.parquet")
    file.unlink()
    said = tenure("-w", tmp_path / "shop", "doctor")
    assert said.code == 1
    assert "1 of its 1 files are gone" in " ".join(said.out.split())
    assert "1 problem." in said.out


def test_the_doctor_looks_at_the_machine_even_without_a_workspace(tenure: Tenure, tmp_path: Path) -> None:
    said = tenure("-w", tmp_path / "nowhere", "doctor", "--format", "csv")
    assert said.code == 2
    states = {row["subject"]: row["state"] for row in said.csv()}
    assert states["workspace"] == "problem"
    assert states["engine duckdb"] == "fine"


def test_compaction_joins_the_files_of_many_loads(tenure: Tenure, tmp_path: Path) -> None:
    import pyarrow as pa

    facts = Facts()
    facts.rate("2026-01-01", "EUR", "0.90")
    shop = open_workspace(tmp_path / "shop", facts)
    (row,) = pa.table(_stored(shop, "rates")).to_pylist()
    for day in range(2, 5):
        fresh = {**row, "day": row["day"].replace(day=day), "row_hash": day}
        table = pa.table({name: pa.array([value]) for name, value in fresh.items() if value is not None})
        shop.lake.append_arrow("rates", table, load_id=f"day-{day}")
    said = tenure("-w", shop.folder, "compact")
    assert said.out == "rates: 4 files became 1\n"
    assert tenure("-w", shop.folder, "compact").out == "There was nothing to join.\n"
    # What was replaced stays for a day, because somebody may be reading it.
    assert tenure("-w", shop.folder, "vacuum").out == "There was nothing to delete.\n"
    assert tenure("-w", shop.folder, "vacuum", "--retention-hours", "1").code == 2


def _stored(shop: Any, table: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(list(shop.lake.snapshot(table).files))


def test_progress_shows_on_a_terminal_and_only_there(shop: Path) -> None:
    import os
    import pty
    import subprocess
    import sysconfig

    command = [Path(sysconfig.get_path("scripts")) / "tenure", "-w", shop, "metrics", "mrr", "--from", "2026-02"]
    quiet = subprocess.run(command, capture_output=True, check=True)
    assert quiet.stderr == b""
    master, slave = pty.openpty()
    try:
        watched = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=slave, check=True, env={**os.environ, "TERM": "xterm"}
        )
        os.close(slave)
        shown = os.read(master, 100_000)
    finally:
        os.close(master)
    assert b"measuring" in shown
    assert watched.stdout == quiet.stdout
