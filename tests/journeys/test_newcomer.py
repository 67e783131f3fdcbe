"""A newcomer's first hour, through the installed command: an export in, a figure out, and every mistake explained."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

TENURE = Path(sysconfig.get_path("scripts")) / "tenure"

EXPORT = """\
Abo;Kunde;Plan;amount;currency;interval;started_at;ended_at;cancel_actor
s1;สมชาย ใจดี;basic;20.00;USD;month;2026-01-05;;
s2;Ann;pro;600.00;USD;year;2026-01-10;;
s3;Ben;basic;20.00;USD;month;2026-01-12;2026-03-15;customer
s4;Chai;basic;20.005;USD;month;2026-01-20;;
s5;Dana;basic;20.00;USD;month;2026-02-20;2026-02-01;
s6;Eve;pro;50.00;DOLLAR;month;2026-02-20;;
s7;=HYPERLINK("evil");pro;50.00;USD;month;2026-02-20;;
"""
MAP = ("--map", "Abo=subscription_id", "--map", "Kunde=customer_id", "--map", "Plan=plan_id")
# The spreadsheet everybody has: a line per customer, a column per month.
SHEET = """\
customer,Jan 2026,Feb 2026,Mar 2026
Ann,100,100,150
Ben,100,100,
Chai,100,100,100
Dana,100,60,60
"""


class Newcomer:
    """Somebody in a folder, with the installed `tenure` and nothing configured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """What `tenure` prints; it has to end with `code` and may never show a traceback."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TENURE")}
        done = subprocess.run(
            [TENURE, *arguments],
            cwd=self.folder,
            env={**kept, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        """The same as data."""
        return json.loads(self.run(*arguments, "--format", "json").stdout)


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_from_an_export_with_mistakes_to_a_churn_rate_and_the_customers_in_it(newcomer: Newcomer) -> None:
    (newcomer.folder / "export.csv").write_text(EXPORT, encoding="utf-8-sig")
    assert "Load what you have:  tenure load -w shop" in newcomer.run("init", "shop", "--currency", "USD").stdout

    # Load: what can be loaded is, what cannot is explained, and the sum is the file's.
    said = newcomer.run("load", "-w", "shop", "subscriptions", "export.csv", *MAP)
    (line,) = [line for line in said.stdout.splitlines() if line.startswith("export.csv")]
    assert line.split()[-4:] == ["7", "4", "0", "3"]
    text = " ".join(said.stdout.split())
    assert "3 rows went to quarantine" in text
    assert "amount is finer than the currency's minor unit; round it in the source (line 5: '20.005')" in text
    assert "`tenure quarantine -w shop`" in text
    assert said.stderr == ""

    # The quarantine: line, reason and raw text; a formula in it is defused for spreadsheets.
    held = newcomer.json("-w", "shop", "quarantine")
    assert sorted(row["line"] for row in held) == [5, 6, 7]
    assert any("20.005" in row["raw"] for row in held)
    assert "line 7" in newcomer.run("-w", "shop", "quarantine").stdout

    # Measure: in March Ben left, of สมชาย, Ann, Ben and the one with the odd name.
    (rate,) = newcomer.json("-w", "shop", "metrics", "customer_churn_rate", "--from", "2026-03")
    assert (rate["numerator"], rate["denominator"], rate["value"]) == (1, 4, 0.25)
    table = newcomer.run("-w", "shop", "metrics", "customer_churn_rate", "mrr", "--from", "2026-03").stdout
    assert "25.00 % [1]" in table
    assert "$120.00" in table  # 20 + 600/12 + 50
    who = newcomer.run("-w", "shop", "metrics", "mrr", "--from", "2026-03", "--customers", "--format", "csv").stdout
    assert '"\'=HYPERLINK(""evil"")"' in who
    assert "สมชาย ใจดี" in who

    # The same file again changes nothing; the corrected one adds what was missing.
    again = newcomer.json("load", "-w", "shop", "subscriptions", "export.csv", *MAP)
    assert (again[0]["loaded"], again[0]["rows"]) == (0, 7)
    corrected = EXPORT.replace("20.005", "20.00").replace("2026-02-20;2026-02-01", "2026-01-20;2026-02-01")
    (newcomer.folder / "corrected.csv").write_text(corrected.replace("DOLLAR", "USD"), encoding="utf-8")
    (fixed,) = newcomer.json("load", "-w", "shop", "subscriptions", "corrected.csv", *MAP)
    assert list(fixed) == ["file", "table", "rows", "loaded", "known", "quarantined", "reasons"]
    assert (fixed["rows"], fixed["loaded"], fixed["known"], fixed["quarantined"]) == (7, 3, 4, 0)
    (rate,) = newcomer.json("-w", "shop", "metrics", "customer_churn_rate", "--from", "2026-03")
    assert (rate["numerator"], rate["denominator"]) == (1, 6)

    # And the doctor and the report know of it all.
    doctor = newcomer.run("doctor", TENURE_WORKSPACE="shop").stdout
    assert "No problems." in doctor
    assert "subscription_spans     7" in doctor
    report = newcomer.run("-w", "shop", "report", "--as-of", "2026-03", "--out", "report.html")
    assert "March 2026" in report.stdout
    page = (newcomer.folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    thai = newcomer.run("-w", "shop", "report", "--as-of", "2026-03", "--language", "th").stdout
    assert "มีนาคม" in thai


def test_a_spreadsheet_of_customers_by_month_becomes_a_defensible_nrr(newcomer: Newcomer) -> None:
    (newcomer.folder / "sheet.csv").write_text(SHEET, encoding="utf-8")
    newcomer.run("init", "shop", "--currency", "USD")
    (report,) = newcomer.json("-w", "shop", "load", "mrr", "sheet.csv")
    assert report["quarantined"] == 0
    rows = newcomer.json("-w", "shop", "metrics", "nrr", "grr", "--from", "2026-02", "--to", "2026-03")
    found = {(row["metric"], row["period_start"][:7]): row for row in rows}
    # February: Dana 100 -> 60, so 360 of 400. March: Ann 100 -> 150, Ben 100 -> 0: 310 of 360; 260 without the upgrade.
    assert found["nrr", "2026-02"]["value"] == pytest.approx(360 / 400)
    assert found["nrr", "2026-03"]["value"] == pytest.approx(310 / 360)
    assert found["grr", "2026-03"]["value"] == pytest.approx(260 / 360)
    assert (found["nrr", "2026-03"]["numerator"], found["nrr", "2026-03"]["denominator"]) == ("310.00", "360.00")
    assert found["nrr", "2026-03"]["low"] < 310 / 360 < found["nrr", "2026-03"]["high"]


def test_strict_loads_nothing_of_a_file_in_which_a_row_fails(newcomer: Newcomer) -> None:
    (newcomer.folder / "export.csv").write_text(EXPORT, encoding="utf-8")
    newcomer.run("init", "shop")
    said = newcomer.run("-w", "shop", "load", "subscriptions", "export.csv", *MAP, "--strict", code=2)
    assert "export.csv" in said.stderr
    assert said.stdout == ""
    assert "nothing is loaded yet" in " ".join(newcomer.run("-w", "shop", "doctor").stdout.split())
    # Who loads it without and asks again with --strict is told as well, though nothing is left to be refused.
    newcomer.run("-w", "shop", "load", "subscriptions", "export.csv", *MAP)
    again = newcomer.run("-w", "shop", "load", "subscriptions", "export.csv", *MAP, "--strict", code=2)
    assert "3 of its rows were held back" in again.stderr


def test_several_files_are_told_of_one_by_one(newcomer: Newcomer) -> None:
    head = "subscription_id,customer_id,amount,currency,started_at\n"
    for name in ("one", "two"):
        (newcomer.folder / f"{name}.csv").write_text(f"{head}{name},{name},20,USD,2026-01-01\n", encoding="utf-8")
    newcomer.run("init", ".")
    reports = newcomer.json("load", "subscriptions", "one.csv", "two.csv")
    assert [(report["file"], report["rows"], report["loaded"]) for report in reports] == [
        ("one.csv", 1, 1),
        ("two.csv", 1, 1),
    ]
    assert newcomer.json("metrics", "customers", "--from", "2026-01")[0]["value"] == 2


def test_the_demo_is_made_once_and_told_as_made_up_every_time(newcomer: Newcomer) -> None:
    first = newcomer.run("demo", "shop")
    assert (newcomer.folder / "shop" / "report.html").stat().st_size > 100_000
    assert "Made-up Company" in first.stdout
    assert "tenure -w shop metrics customer_churn_rate" in first.stdout
    assert first.stderr == ""
    assert "\x1b" not in first.stdout
    asked = [line.split("tenure ", 1)[1] for line in first.stdout.splitlines() if line.startswith("  tenure -w shop ")]
    assert len(asked) == 7
    for command in asked:
        newcomer.run(*command.split())
    rows = newcomer.json("-w", "shop", "metrics", "customers", "--from", "2026-01")
    again = newcomer.run("demo", "shop")
    assert newcomer.json("-w", "shop", "metrics", "customers", "--from", "2026-01") == rows
    assert "This company is made up." in newcomer.run("-w", "shop", "metrics", "mrr", "--from", "2026-01").stdout
    assert again.stdout.splitlines()[-5:] == first.stdout.splitlines()[-5:]
