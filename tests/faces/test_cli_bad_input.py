"""Whatever is typed, the answer is one clear message and the promised exit code; a traceback is never the answer."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tenure.faces.cli.ending import run
from tests.reference.builder import Facts, open_workspace

TENURE = Path(sysconfig.get_path("scripts")) / "tenure"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with workspaces good and bad, and with files that are no exports."""
    folder = tmp_path_factory.mktemp("here")
    facts = Facts()
    facts.span("2026-01-05", "2026-02-10", plan_id="basic")
    open_workspace(folder / "shop", facts)
    open_workspace(folder / "empty", Facts())
    for name, text in {
        "broken": "timezone = [",
        "misspelt": 'timezon = "UTC"',
        "elsewhere": 'timezone = "Mars/Olympus"',
        "choice": "[definition]\npause_month = 3",
    }.items():
        (folder / name).mkdir()
        (folder / name / "tenure.toml").write_text(text, encoding="utf-8")
    (folder / "a-file").write_text("hello", encoding="utf-8")
    (folder / "nothing.csv").write_bytes(b"")
    (folder / "mark.csv").write_bytes(b"\xef\xbb\xbf")
    (folder / "header.csv").write_text("customer_id,amount,currency,started_at\n", encoding="utf-8")
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 20)
    (folder / "no-parquet.parquet").write_bytes(b"PAR1 this is none PAR1")
    (folder / "misspelt.csv").write_text(
        "subscription_id,custmer_id,amount,currency,started_at\ns1,Ann,20,USD,2026-01-01\n", encoding="utf-8"
    )
    (folder / "good.csv").write_text(
        "subscription_id,customer_id,amount,currency,started_at\ns1,Ann,20,USD,2026-01-01\n", encoding="utf-8"
    )
    (folder / "twice.csv").write_text(
        "subscription_id,customer_id,amount,currency,started_at,Amount\ns1,Ann,20,USD,2026-01-01,21\n", encoding="utf-8"
    )
    (folder / "curency.csv").write_text(
        "subscription_id,customer_id,amount,curency,started_at\ns1,Ann,20,USD,2026-01-01\n", encoding="utf-8"
    )
    (folder / "bad-row.csv").write_text(
        "subscription_id,customer_id,amount,currency,started_at\ns1,Ann,20,USD,2026-01-01\ns2,Ben,-3,USD,2026-01-01\n",
        encoding="utf-8",
    )
    return folder


# What is typed after `-w shop`, and a part of the answer.
METRICS = {
    "metrics": "name at least one metric",
    "metrics nrr": "a rate without one means nothing",
    "metrics mrr": "needs a period",
    "metrics nr --from 2026-01": "Did you mean 'nrr'?",
    "metrics logo_churn --from 2026-01": "no metric called 'logo_churn'",
    "metrics custmer_churn_rate --from 2026-01": "Did you mean 'customer_churn_rate'?",
    "metrics nrrr --list": "no metric called 'nrrr'",
    "metrics mrr --from january": "'january' is not a date, month or year",
    "metrics mrr --from 2026-13": "not in the calendar",
    "metrics mrr --from 2026-02-30": "not in the calendar",
    "metrics mrr --from 0000": "not in the calendar",
    "metrics mrr --from 2026-06 --to 2026-01": "before it begins",
    "metrics mrr --from 2026-01 --to soon": "'soon' is not a date",
    "metrics mrr --from 2026-01 --known-on yesterday": "'yesterday' is not a date",
    "metrics mrr --from 2026-01 --period fortnight": "'fortnight' is not a period",
    "metrics mrr --from 2026-01 --by plan": "Did you mean 'plan_id'?",
    "metrics mrr --from 2026-01 --by plan_id --by plan_id": "twice",
    "metrics mrr --from 2026-01 --profile tenur": "Did you mean 'tenure'?",
    "metrics mrr --from 2026-01 --engine duck": "Did you mean 'duckdb'?",
    "metrics mrr --from 2026-01 --currency DOLLARS": "DOLLARS",
    "metrics mrr --from 2026-01 --revenue used": "Did you mean 'usage'?",
    "metrics mrr --from 2026-01 --sql --customers": "ask one of them",
    "metrics mrr --from 2026-01 --format xml": "'xml' is not one of",
    "metrics mrr --fromm 2026-01": "--from",
    "metrics mrr --from": "--from",
}
OTHERS = {
    "metrix": "Did you mean 'metrics'?",
    "sync": "No such command",
    "cohorts --measure money": "customers or revenue",
    "cohorts --currency ZZZ": "'ZZZ' is not an ISO 4217 currency code",
    "cohorts --known-on 2019": "nothing was known of any subscription before 2020-01-01",
    "survival --known-on 2019": "ask for a later --known-on",
    "report --out .": "name the file to write",
    "quarantine --table orderz": "Did you mean 'orders'?",
    "load subscriptions mark.csv": "mark.csv is empty",
    "load subscriptions twice.csv": "two columns 'amount', the 3rd and the 6th; name the one that counts",
    "load subscriptions curency.csv": "Did you mean 'curency'? Then add --map 'curency=currency'",
    "cohorts --period eon": "'eon' is not a period",
    "cohorts --to 2020": "history begins on 2026-01-05",
    "cohorts --by plan_id": "belongs to the customer",
    "survival --unit year": "month or day",
    "survival --to 2020": "history begins on 2026-01-05",
    "report --language de": "no language called 'de'",
    "report --as-of June": "'June' is not a date",
    "report --as-of 2026-01 --out no/such/folder/report.html": "no/such/folder",
    "load": "Missing argument",
    "load subscriptions": "name the files to load",
    "load subscribers good.csv": "Did you mean 'subscriptions'?",
    "load quarantine good.csv": "no table to load called 'quarantine'",
    "load subscriptions not-there.csv": "not-there.csv",
    "load subscriptions .": "folder",
    "load subscriptions nothing.csv": "nothing.csv",
    "load subscriptions binary.csv": "binary.csv",
    "load subscriptions no-parquet.parquet": "no-parquet.parquet",
    "load subscriptions misspelt.csv": "custmer_id",
    "load subscriptions bad-row.csv --strict": "bad-row.csv",
    "load subscriptions good.csv --map nonsense": "write it as theirs=ours",
    "load subscriptions good.csv --map =": "write it as theirs=ours",
    "load subscriptions good.csv --map amount=amount --map amount=currency": "twice",
    "load subscriptions good.csv --map no_such=amount": "no_such",
    "load subscriptions good.csv --timezone Bangkok": "'Bangkok' is not a time zone",
    "load subscriptions good.csv --currency Baht": "BAHT",
    "compact subscriptons": "subscriptons",
    "vacuum --retention-hours 2": "24",
    "vacuum --retention-hours soon": "'--retention-hours'",
}


@pytest.mark.parametrize("typed", [*METRICS, *OTHERS])
def test_bad_input_is_one_message_that_names_the_thing_and_exit_code_2(
    typed: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    code = run(["-w", "shop", *typed.split()])
    told = capsys.readouterr()
    message = " ".join(told.err.split())
    assert (code, told.out) == (1 if "no/such/folder" in typed else 2, ""), message
    assert (METRICS | OTHERS)[typed] in message
    assert message.count("Error: ") == 1
    assert "Traceback" not in message
    assert "Tenure's own" not in message
    assert len(message) < 1_600


@pytest.mark.parametrize("command", ["metrics mrr --from 2026-01", "cohorts", "survival", "report"])
def test_an_empty_workspace_says_what_to_load(
    command: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert run(["-w", "empty", *command.split()]) == 2
    assert "tenure load subscriptions FILE" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("folder", "says"),
    {
        "nowhere": "tenure init nowhere",
        "a-file": "is not a workspace",
        "broken": "tenure.toml",
        "misspelt": "Did you mean 'timezone'?",
        "elsewhere": "'Mars/Olympus' is not a time zone",
        "choice": "Did you mean 'pause_months'?",
    }.items(),
)
def test_a_folder_that_is_no_workspace_and_settings_that_are_wrong_say_what_to_do(
    folder: str, says: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    for command in ("metrics mrr --from 2026-01", "doctor"):
        code = run(["-w", folder, *command.split()])
        told = capsys.readouterr()
        assert code == (1 if command == "doctor" and folder == "choice" else 2)
        assert says in " ".join((told.err + told.out).split())


@pytest.mark.parametrize(
    ("options", "says"),
    {
        ("--timezone", "Bangkok"): "'Bangkok' is not a time zone",
        ("--currency", "Baht"): "'BAHT' is not an ISO 4217 currency code",
        ("--company", "two\nlines"): "in one line",
    }.items(),
)
def test_init_refuses_settings_that_could_not_be_read_and_makes_nothing(
    options: tuple[str, str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", str(tmp_path / "shop"), *options]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_of_two_columns_of_one_name_map_chooses(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = str(tmp_path / "shop")
    assert run(["init", shop]) == 0
    assert run(["-w", shop, "load", "subscriptions", str(here / "twice.csv"), "--map", "6=amount"]) == 0
    capsys.readouterr()
    assert run(["-w", shop, "metrics", "mrr", "--from", "2026-01", "--format", "csv"]) == 0
    assert ",21.00," in capsys.readouterr().out


def test_a_page_that_cannot_be_written_is_named_as_it_was_typed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = str(here / "shop")
    assert run(["-w", shop, "report", "--as-of", "2026-01", "--out", str(here / "a-file" / "page.html")]) == 1
    told = capsys.readouterr().err
    assert f"{here / 'a-file' / 'page.html'}: the page cannot be written" in told


def test_a_file_of_the_lake_that_is_cut_short_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = Facts()
    facts.span("2026-01-05")
    open_workspace(tmp_path / "shop", facts)
    (part,) = (tmp_path / "shop" / "lake" / "subscription_spans").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    for command in ("metrics mrr --from 2026-01", "cohorts", "survival", "report"):
        assert run(["-w", str(tmp_path / "shop"), *command.split()]) == 1
        told = capsys.readouterr().err
        assert "the lake holds a file that cannot be read" in told and part.name in told
        assert "Tenure's own" not in told
    assert run(["-w", str(tmp_path / "shop"), "doctor"]) == 1
    assert "cut or overwritten" in " ".join(capsys.readouterr().out.split())
    part.unlink()
    for command in ("cohorts", "survival", "report"):
        assert run(["-w", str(tmp_path / "shop"), *command.split()]) == 1
        assert "names a file that does not exist" in capsys.readouterr().err


def test_a_quarantine_is_read_in_a_folder_of_any_name_and_says_what_it_was_asked(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(tmp_path / "O'Hara [old] *")
    assert run(["init", shop]) == 0
    assert run(["-w", shop, "quarantine"]) == 0
    assert "every row that was ever loaded passed" in capsys.readouterr().out
    assert run(["-w", shop, "load", "subscriptions", str(here / "bad-row.csv")]) == 0
    capsys.readouterr()
    assert run(["-w", shop, "quarantine", "--table", "subscriptions"]) == 0
    assert "bad-row.csv, line 3" in capsys.readouterr().out
    assert run(["-w", shop, "quarantine", "--table", "orders"]) == 0
    assert capsys.readouterr().out == "No row of that file or table is in quarantine.\n"


def test_a_day_that_has_not_come_is_told_to_be_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["-w", str(here / "shop"), "metrics", "mrr", "--from", "2026-01", "--known-on"]
    assert run([*command, "2150"]) == 0
    assert "That has not come yet" in " ".join(capsys.readouterr().out.split())
    assert run([*command, "2026-02"]) == 0
    assert "not come yet" not in capsys.readouterr().out


def test_init_refuses_a_file_where_a_folder_should_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(here / "a-file")]) == 2
    assert "name a folder" in capsys.readouterr().err


def test_one_bad_file_does_not_keep_the_others_out(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    shop = str(tmp_path / "shop")
    assert run(["init", shop]) == 0
    capsys.readouterr()
    files = ("nothing.csv", "good.csv", "not-there.csv")
    assert run(["-w", shop, "load", "subscriptions", *files, "--format", "csv"]) == 2
    told = capsys.readouterr()
    assert told.out.splitlines()[1].startswith("good.csv,")
    assert "nothing.csv" in told.err
    assert "not-there.csv" in told.err


def test_what_a_terminal_would_obey_never_reaches_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-w", str(here / "shop"), "metrics", "\x1b]0;owned\x07", "--from", "2026"]) == 2
    told = capsys.readouterr()
    assert "\x1b" not in told.err
    assert "\x07" not in told.err


def test_a_mistake_of_ours_is_told_briefly_and_shown_whole_to_who_mends_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.app.workspace import Workspace

    def broken(*names: object, **options: object) -> None:
        raise RuntimeError("the engine room is on fire\nand more")

    monkeypatch.setattr(Workspace, "metrics", broken)
    command = ["-w", str(here / "shop"), "metrics", "mrr", "--from", "2026-01"]
    assert run(command) == 1
    told = capsys.readouterr().err
    assert "RuntimeError: the engine room is on fire" in told
    assert "Traceback" not in told
    monkeypatch.setenv("TENURE_DEBUG", "1")
    assert run(command) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "says"),
    {errno.ENOSPC: "free some space", errno.EACCES: "give this user the right", errno.EIO: "error"}.items(),
)
def test_what_the_system_refuses_is_a_failure_with_its_place(
    number: int, says: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.app.workspace import Workspace

    def refused(*names: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), "/some/disk")

    monkeypatch.setattr(Workspace, "metrics", refused)
    assert run(["-w", str(here / "shop"), "metrics", "mrr", "--from", "2026-01"]) == 1
    told = capsys.readouterr().err
    assert "/some/disk" in told
    assert says in told


def test_an_interrupt_ends_with_130_and_without_a_traceback(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.app.workspace import Workspace

    def interrupted(*names: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Workspace, "metrics", interrupted)
    assert run(["-w", str(here / "shop"), "metrics", "mrr", "--from", "2026-01"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_real_interrupt_of_the_real_command_ends_with_130() -> None:
    # The command waits for a line that never comes; what it would do afterwards does not matter. A shell starts its
    # background jobs with interrupts ignored, and build machines run there: the command undoes that first.
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import tenure.faces.cli.commands as commands\n"
        "from tenure.faces.cli import main\n"
        "def wait(*_, **__):\n    print('waiting', flush=True)\n    sys.stdin.readline()\n"
        "commands.places.workspace = wait\n"
        "main(['metrics', 'mrr', '--from', '2026-01'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            told = process.communicate(timeout=60)[1]
        finally:
            process.kill()
        assert process.returncode == 130
    assert b"Traceback" not in told


def test_a_reader_that_goes_away_is_no_failure() -> None:
    script = f"set -o pipefail; '{TENURE}' metrics --list --format csv | head -n 1"
    for text in (script, script.replace(" --format csv", "")):
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.startswith(("name,", "mrr "))


def test_a_full_disk_behind_stdout_is_a_failure_and_no_traceback() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([TENURE, "metrics", "--list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"No space left" in done.stderr


def test_a_file_of_which_no_row_can_be_taken_ends_with_code_2_and_its_rows_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(tmp_path / "shop")
    assert run(["init", shop]) == 0
    head = "subscription_id,customer_id,amount,currency,started_at"
    bad, mixed = tmp_path / "bad.csv", tmp_path / "mixed.csv"
    bad.write_text(f"{head}\ns1,c1,ten,USD,2026-01-05\ns2,c2,5,USD,soon\n")
    mixed.write_text(f"{head}\ns1,c1,10,USD,2026-01-05\ns2,c2,5,USD,soon\n")
    capsys.readouterr()
    assert run(["-w", shop, "load", "subscriptions", str(bad), "--format", "json"]) == 2
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["loaded"], told["quarantined"]) == (2, 0, 2)
    assert run(["-w", shop, "load", "subscriptions", str(mixed), "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["loaded"], told["quarantined"]) == (1, 1)
