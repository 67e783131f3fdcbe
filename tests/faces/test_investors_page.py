"""The page for investors: two sheets of A4 at most, nothing from outside, nobody named; and what the commands say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tenure.app import demo
from tenure.app.investors import Investors
from tenure.faces.cli.ending import run
from tenure.faces.report.investors import render
from tests.faces.test_report_html import NASTY, Page
from tests.reference.builder import Facts, open_workspace

LANGUAGES = ("en", "th")


@pytest.fixture(scope="module")
def found() -> Iterator[Investors]:
    """The summary of a made-up company."""
    with tempfile.TemporaryDirectory() as folder, demo.run(Path(folder) / "shop", customers=400) as shop:
        yield shop.investors(month="2026-06")


@pytest.fixture(scope="module")
def pages(found: Investors) -> dict[str, str]:
    return {language: render(found, language) for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_whole_asks_nothing_of_any_host_and_runs_nothing(pages: dict[str, str], language: str) -> None:
    text = pages[language]
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not page.all("script")
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], tag
        for key in ("src", "href", "xlink:href"):
            assert attributes.get(key, "#").startswith(("#", "data:,")), (tag, attributes)
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    style = text.split("<style>", 1)[1].split("</style>", 1)[0]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "unsafe" not in policy and policy.startswith("default-src 'none'; ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_holds_what_an_investor_asks(found: Investors, pages: dict[str, str], language: str) -> None:
    page = Page(pages[language])
    for headline in found.headlines:
        assert headline.figure.value is not None, headline.figure.metric
    figures = [attributes["id"] for attributes in page.all("figure")]
    sections = [attributes["id"] for attributes in page.all("section")]
    assert figures == ["layers", "movements"]
    assert sections == ["concentration", "cohorts", "definitions"]
    assert len(re.findall(r'class="kpi"', pages[language])) == 8
    assert pages[language].count('role="img"') == 3
    wanted = "Made-up company" if language == "en" else "บริษัทสมมติ"
    assert page.text.count(wanted) >= 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_names_no_customer(found: Investors, pages: dict[str, str], language: str) -> None:
    assert found.concentration is not None
    for one in found.concentration.largest:
        assert one.customer_id not in pages[language] and one.name and one.name not in pages[language]


def test_where_old_leavers_are_missing_the_cohorts_say_so_beside_them_and_once(found: Investors) -> None:
    trust = replace(found.story.trust, survivors_until=date(2024, 1, 2))
    text = render(replace(found, story=replace(found.story, trust=trust)))
    note = "Nobody is seen to leave before 2 Jan 2024"
    assert Page(text).text.count("Nobody is seen to leave before") == 1
    cohorts = text.split('id="cohorts"', 1)[1].split("</section>", 1)[0]
    assert note in re.sub("<[^>]+>", "", cohorts)


def test_what_is_provisional_or_reconstructed_says_so(found: Investors) -> None:
    about = replace(found.story.about, is_provisional=True, is_reconstructed=True, company=NASTY)
    text = render(replace(found, story=replace(found.story, about=about)))
    page = Page(text)
    badges = re.findall(r'<b class="badge">([^<]+)</b>', text)
    assert badges == ["Provisional", "Reconstructed"]
    assert "Some rows were loaded or dated after the fact" in page.text
    assert not page.all("script") and not page.all("img")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_prints_on_two_sheets_and_fits_a_phone(
    needs_chromium: Path, tmp_path: Path, pages: dict[str, str], language: str
) -> None:
    page = tmp_path / "investors.html"
    page.write_text(pages[language], encoding="utf-8")
    chromium = [
        str(needs_chromium),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    pdf = tmp_path / "investors.pdf"
    subprocess.run([*chromium, f"--print-to-pdf={pdf}", page.as_uri()], capture_output=True, timeout=120, check=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) <= 2
    letter = "a" if language == "en" else "ก"
    measure = (
        "const e=f.contentDocument.documentElement;f.contentDocument.fonts.ready.then(()=>{document.title="
        f"[e.scrollWidth-e.clientWidth,f.contentDocument.fonts.check('16px Sarabun','{letter}')].join()}})"
    )
    around = tmp_path / "around.html"
    around.write_text(
        f"<!DOCTYPE html><title>waiting</title><body><script>function measured(f){{{measure}}}</script>"
        '<iframe src="investors.html" width="360" height="800" onload="measured(this)"></iframe>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [*chromium, "--virtual-time-budget=8000", "--dump-dom", around.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split("<title>")[1].split("</title>")[0] == "0,true"


# ----------------------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Workspaces of a small company, of a shop with orders in two currencies of subscriptions, and an empty one."""
    folder = tmp_path_factory.mktemp("here")
    facts = Facts()
    # Somebody left early on, so that leavers are known from then.
    facts.span("2025-01-05", "2025-01-06", customer="early", subscription="early")
    for i in range(5):
        facts.span("2025-01-05", "2026-03-10" if i == 0 else None, customer=f"c{i}", subscription=f"s{i}")
    open_workspace(folder / "shop", facts, currency="USD")
    facts.span("2025-01-05", customer="euro", subscription="euro", currency="EUR")
    open_workspace(folder / "two", facts)
    open_workspace(folder / "empty", Facts())
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return code, told.out, told.err


def test_the_command_prints_the_numbers_and_writes_page_and_files(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, pack = tmp_path / "page.html", tmp_path / "pack.zip"
    code, said, _ = call(capsys, "investors", "-w", here / "shop", "--as-of", "2026-06", "--out", out, "--csv", pack)
    assert code == 0
    assert re.search(r"^ARR +\$4,800\.00 ", said, re.MULTILINE), said
    assert re.search(r"^12-month GRR +80\.0% ", said, re.MULTILINE)
    assert re.search(r"^The largest customer +25\.0% +\$100\.00$", said, re.MULTILINE)
    assert f"The page: {out}" in said and f"The figures: 8 files in {pack}" in said
    assert Page(out.read_text(encoding="utf-8")).all("section")
    assert pack.stat().st_size > 1000


@pytest.mark.parametrize("command", ["investors", "benchmarks"])
def test_without_anything_to_tell_of_the_answer_is_one_clear_message(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, said, error = call(capsys, command, "-w", here / "empty")
    assert (code, said) == (2, "")
    assert "load" in error


def test_what_cannot_be_written_or_asked_is_refused_before_anything_is_measured(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    (tmp_path / "folder.zip").mkdir()
    shop = here / "shop"
    for more, message in (
        (["--out", tmp_path], "is a folder; name the file to write"),
        (["--csv", tmp_path / "taken"], "is no folder"),
        (["--csv", tmp_path / "folder.zip"], "is no file"),
        (["--language", "xx"], "no language called 'xx'"),
        (["--as-of", "2026"], "is about one month"),
    ):
        code, _, error = call(capsys, "investors", "-w", shop, *more)
        assert code == 2 and message in error, more
    code, _, error = call(capsys, "investors", "-w", here / "two", "--as-of", "2026-06")
    assert code == 2 and "choose what the summary is told in, such as --currency" in error


def test_benchmarks_answer_in_three_formats(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("benchmarks", "-w", here / "shop", "--as-of", "2026-03", "--metric", "customer_churn_rate")
    code, table, _ = call(capsys, *asked)
    assert code == 0
    assert "Yours: 20.00 % in 2026-03 (3.62 to 62.45 %); 20.00 % in 2025-04 to 2026-03" in table
    assert re.search(r"^B2B +5\.15 % +~46\.98 % +no different +2019 ", table, re.MULTILINE)
    assert "Shown, and not compared" in table and "no period is told" in table
    assert max(map(len, table.splitlines())) <= 100
    _, printed, _ = call(capsys, *asked, "--format", "json")
    rows = json.loads(printed)
    assert {row["metric"] for row in rows} == {"customer_churn_rate"}
    one = next(row for row in rows if row["id"] == "recurly-2019-b2b")
    assert (one["own_month"], one["own_year"], one["own_is"]) == (0.2, 0.2, "no different")
    _, printed, _ = call(capsys, *asked, "--format", "csv")
    assert printed.splitlines()[0] == ",".join(one)
    assert len(printed.splitlines()) == len(rows) + 1


def test_a_bare_rate_is_read_as_a_months_and_as_a_years(capsys: pytest.CaptureFixture[str]) -> None:
    code, table, _ = call(capsys, "benchmarks", "--rate", "5%")
    assert code == 0
    assert re.search(r"^that of a month +5\.00 % +45\.96 % +950 +735 +540 +292 +158$", table, re.MULTILINE)
    assert re.search(r"^that of a year +0\.43 % +5\.00 % +996 +975 +950 +902 +857$", table, re.MULTILINE)
    assert call(capsys, "benchmarks", "--rate", "0.05")[1] == table
    for wrong in ("five", "105%", "-1", "nan"):
        code, _, error = call(capsys, "benchmarks", f"--rate={wrong}")
        assert code == 2 and error, wrong
