"""What do `tenure identities`, `tenure coverage`, `tenure doctor` and `--grain` print, for people and for programs?"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tenure.faces.cli.ending import run
from tests.reference.builder import Facts, open_workspace
from tests.rules.test_coverage import busy
from tests.rules.test_who_is_who import family, mixed

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Makes a workspace of the facts and answers what a command on it prints, with its exit code."""

    def asked(facts: Facts, *arguments: str) -> tuple[int, str]:
        folder = tmp_path / "shop"
        if not folder.exists():
            open_workspace(folder, facts).close()
        capsys.readouterr()
        code = run(["-w", str(folder), *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return asked


def test_identities_are_told_for_people_and_programs(say: Say) -> None:
    code, told = say(mixed(), "identities", "usage")
    assert code == 0 and "57.14 %" in told and "3 names are nobody's" in told
    code, told = say(mixed(), "identities", "usage", "--format", "json")
    assert json.loads(told) == [
        {
            "table": "usage", "system": "product", "rows": 7, "known": 2, "by_identity": 1, "by_subscription": 1,
            "unmatched": 3, "rate": 4 / 7, "names": 4, "names_unmatched": 3,
        }
    ]  # fmt: skip
    code, told = say(mixed(), "identities", "--unmatched")
    assert code == 0 and "ws-7" in told and "(none)" in told
    code, told = say(mixed(), "identities", "rates")
    assert code == 2 and "no table that names customers called 'rates'" in told


def test_every_row_matched_is_said_in_one_sentence(say: Say) -> None:
    code, told = say(family(), "identities")
    assert code == 0 and told.endswith("Every row has a customer.\n")
    assert say(family(), "identities", "--unmatched") == (0, "Every row has a customer.\n")


def test_coverage_is_told_for_people_and_programs(say: Say) -> None:
    facts = busy(silent=(100, 110), last_of_tickets=90)
    code, told = say(facts, "coverage", "--known-on", "2025-06-30")
    assert code == 0
    said = " ".join(told.split())
    assert "usage: nothing from 2025-04-11 to 2025-04-20 (10 days; about 50 would be usual)" in said
    assert "tickets: nothing since" in said and "1 of 3 customers has no row in usage or tickets" in said
    assert "2025-06 is provisional: it was not over on 2025-06-30" in said
    code, told = say(facts, "coverage", "--known-on", "2025-06-30", "--format", "json")
    (found,) = json.loads(told)
    assert found["silent"] == 1 and [table["table"] for table in found["tables"]] == [
        "customers", "subscription_spans", "usage", "tickets",
    ]  # fmt: skip
    assert found["provisional"] == [
        {"first": "2025-06-01", "last": "2025-06-01", "reason": "it was not over at the last load"}
    ]
    code, told = say(facts, "coverage", "--customers", "--format", "csv")
    assert told.splitlines() == ["customer_id,name,since", "cy,Cy,2025-01-01T00:00:00+00:00"]
    code, told = say(facts, "coverage", "--format", "csv")
    usage = next(line for line in told.splitlines() if line.startswith("usage,"))
    assert ",1,10,2025-04-11,2025-04-21," in usage


def test_coverage_of_nothing_says_how_to_begin(say: Say) -> None:
    assert "begin with `tenure load subscriptions FILE`" in say(Facts(), "coverage")[1]


def test_the_doctor_says_what_is_missing_among_the_facts(say: Say) -> None:
    facts = busy(silent=(100, 110))
    facts.use("x", "2025-05-01", customer="ws-9")
    code, told = say(facts, "doctor")
    said = " ".join(told.split())
    assert code == 0
    assert "note usage nothing from 2025-04-11 to 2025-04-20" in said
    assert "note customers 1 of 3 customers has no row in usage or tickets" in said
    assert "note usage 1 of 851 rows are of nobody we know" in said
    assert "note months 2025-07 to 2026-10: no event tells of them" in said
    assert said.endswith("No problems.")


def test_coverage_is_drawn_with_its_gaps_in_both_languages(say: Say, tmp_path: Path) -> None:
    facts = busy(silent=(100, 110))
    for language, name in (("en", "Gap"), ("th", "ข้อมูลขาดหาย")):
        file = tmp_path / f"{language}.svg"
        code, _ = say(facts, "coverage", "--known-on", "2025-06-30", "--chart", str(file), "--language", language)
        assert code == 0 and name in file.read_text(encoding="utf-8")
    assert say(facts, "coverage", "--chart", "x.pdf")[0] == 2


def test_the_picture_has_a_bar_before_and_after_each_gap() -> None:
    from datetime import date

    from tenure.charts.coverage import coverage_timeline

    begin = date(2025, 1, 1)
    gaps = [{"from": begin + timedelta(days=n), "to": begin + timedelta(days=n + 5)} for n in (10, 40)]
    rows = [
        {"table": "usage", "since": begin, "until": begin + timedelta(days=99), "gaps": gaps},
        {"table": "traits", "since": None, "until": None, "gaps": []},
    ]
    drawn = coverage_timeline(rows, None, begin + timedelta(days=99)).to_dict()
    (told,) = drawn["datasets"].values()
    assert [(bar["what"], bar["from"], bar["to"]) for bar in told] == [
        ("Facts", "2025-01-01", "2025-01-11"),
        ("Gap", "2025-01-11", "2025-01-16"),
        ("Facts", "2025-01-16", "2025-02-10"),
        ("Gap", "2025-02-10", "2025-02-15"),
        ("Facts", "2025-02-15", "2025-04-11"),
    ]


@pytest.mark.parametrize("command", ["metrics", "cost", "cohorts", "survival"])
def test_numbers_by_account_say_so(say: Say, command: str) -> None:
    arguments = {"metrics": ["mrr", "--from", "2025-04"], "cost": ["--from", "2025-04", "--currency", "USD"]}
    code, told = say(family(), command, *arguments.get(command, []), "--grain", "account", "--known-on", "2025-06")
    assert code == 0 and "By account: a customer and all whose parent it is count as one." in " ".join(told.split())
    assert say(family(), command, *arguments.get(command, []), "--grain", "group")[0] == 2


def test_numbers_by_account_are_marked_for_programs(say: Say) -> None:
    _, told = say(family(), "metrics", "customers", "--from", "2025-03", "--grain", "account", "--format", "json")
    assert [(row["value"], row["grain"]) for row in json.loads(told)] == [(2, "account")]
    _, told = say(family(), "metrics", "customers", "--from", "2025-03", "--grain", "account", "--format", "csv")
    assert told.splitlines()[0].endswith(",grain") and told.splitlines()[1].endswith(",account")
    _, told = say(family(), "metrics", "customers", "--from", "2025-03", "--format", "json")
    assert "grain" not in json.loads(told)[0]


def test_a_report_tells_of_gaps_and_silent_customers(tmp_path: Path) -> None:
    from tenure.faces.report.sentences import Teller, report_language

    facts = busy(silent=(100, 110), last_of_tickets=90)
    with open_workspace(tmp_path / "shop", facts) as shop:
        story = shop.story(known_on="2025-06-30", month="2025-05")
    codes = [note.code for note in story.trust.notes]
    assert {"stream_gap", "stream_stopped", "silent_customers"} <= set(codes)
    said = [str(one) for one in Teller(story, report_language("en")).caveats()]
    assert "Usage has nothing from 11 Apr 2025 to 20 Apr 2025, where about 50 would be usual" in " ".join(said)
    assert any(one.startswith("1 of 3 customers have no usage") for one in said)
    thai = " ".join(str(one) for one in Teller(story, report_language("th")).caveats())
    assert "การใช้งานไม่มีข้อมูลตั้งแต่" in thai and "รู้จักเพียงใบแจ้งหนี้เท่านั้น" in thai
