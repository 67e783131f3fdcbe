"""Is everything that the report itself says said in the reader's language: rules, bands, formulas, missing numbers?"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tenure.app import demo
from tenure.app.report import _rules
from tenure.app.story import Figure, SegmentRate, SegmentTable, Story, Trust
from tenure.faces.report.html import render
from tenure.faces.report.sentences import Teller, report_language
from tenure.kernel.time import UTC, periods
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.definition import CHOICES, INTERVALS, profile
from tenure.measure.segments import SIZE_BANDS, SIZE_LAST, TENURE_BANDS, TENURE_LAST
from tests.faces.made_up_story import about, month
from tests.reference.builder import Facts, open_workspace

LANGUAGES = ("en", "th")
THAI = re.compile("[\u0e00-\u0e7f]")


def teller(code: str, story: Story | None = None) -> Teller:
    return Teller(story or Story(about(), Trust(())), report_language(code))


@pytest.fixture(scope="module")
def told() -> Iterator[Story]:
    """The story of a made-up company."""
    with tempfile.TemporaryDirectory() as folder, demo.run(Path(folder) / "shop", customers=300) as shop:
        yield shop.story()


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_choice_of_a_definition_is_a_rule_in_words(code: str) -> None:
    for name, choice in CHOICES.items():
        values = (
            choice.allowed if isinstance(choice.allowed, tuple) else ("0", "7") if name not in INTERVALS else ("1/4",)
        )
        for value in values:
            title, says = teller(code).rule(name, value)
            assert title != name and says != value, (name, value)
            assert "_" not in title + says
            if code == "th":
                assert THAI.search(title) and THAI.search(says), (name, value)
    assert teller(code).rule("Free trials", "are free") == ("Free trials", "are free")


def test_the_rules_of_a_report_are_the_main_ones_and_whatever_is_not_the_default() -> None:
    usual = dict(_rules(profile("tenure")))
    assert usual["pause_months"] == "6" and usual["limited_discount"] == "ignored"
    other = dict(_rules(replace(profile("tenure"), past_due_days=14, week=(13, 3), fx="current")))
    assert other == usual | {"past_due_days": "14", "week": "13/3", "fx": "current"}
    say = teller("en").rule
    assert say("past_due_days", "14") == ("Past due", "counts as lost after 14 days")
    assert say("past_due_days", "0") == ("Past due", "counts until the subscription ends")
    assert say("week", "13/3") == ("An amount per week", "is multiplied by 13/3")


def test_bands_of_tenure_and_size_are_told_in_words_and_names_of_the_company_are_not() -> None:
    for column, bands, last in (("tenure", TENURE_BANDS, TENURE_LAST), ("size", SIZE_BANDS, SIZE_LAST)):
        for name in (*(name for _, name in bands), last):
            assert teller("en").band(column, name) == name
            assert teller("th").band(column, name) != name
    assert teller("th").band("plan_id", "0-3 months") == "0-3 months"


@pytest.mark.parametrize("metric", ["mrr", "customers", "customer_churn_rate", "nrr_12m", "net_mrr_churn_rate"])
def test_the_english_formula_is_the_catalogues_and_the_thai_one_is_thai(metric: str) -> None:
    assert report_language("en").words(f"metrics.{metric}.formula") == CATALOGUE[metric].formula
    assert THAI.search(teller("th").formula(metric))


def test_why_a_number_is_missing_is_told_in_the_readers_language() -> None:
    said = teller("th").missing
    assert said("there was no MRR at the start") == "ต้นงวดไม่มี MRR"
    assert said("no exchange rate for THB on or before 2026-01-31; load some with `tenure load rates`") == (
        "ไม่มีอัตราแลกเปลี่ยนของ THB ณ หรือก่อนวันที่ 2026-01-31"
    )
    assert said("3 of 12 left for an unknown reason") == "3 จาก 12 รายเลิกใช้โดยไม่ทราบสาเหตุ"
    assert said("2 of 6 not decided yet") == "2 จาก 6 รายการที่ครบกำหนดต่ออายุยังไม่ทราบผล"
    assert said("the dog ate it; nobody pays") == "the dog ate it; ไม่มีผู้จ่ายเงิน"
    assert teller("en").missing("nobody pays") == "nobody pays"


def test_every_reason_of_an_empty_period_is_known_in_thai() -> None:
    from tenure.measure.figures import Figures, Retention

    (period,) = periods(month(29).start, month(29).end, "month", UTC)
    empty = Figures(period, "", "USD")
    empty.kept_12m = Retention()
    for metric in CATALOGUE.values():
        reason = metric.compute(empty).reason
        assert not reason or THAI.search(teller("th").missing(reason)), (metric.name, reason)


def test_a_small_base_is_told_of_every_rate() -> None:
    small = [
        Figure(name, 0.1, "rate", month(29), n=12, is_small_base=True) for name in ("nrr_12m", "gross_mrr_churn_rate")
    ]
    (said,) = teller("en").small([*small, Figure("customer_churn_rate", 0.1, "rate", month(29), n=900)])
    assert "under 30 customers" in str(said)
    assert teller("en").title("nrr_12m") in str(said) and teller("en").title("gross_mrr_churn_rate") in str(said)
    assert teller("en").title("customer_churn_rate") not in str(said)
    rows = (
        SegmentRate("tenure", "0-3 months", small[0]),
        SegmentRate("tenure", "3-6 months", replace(small[0], is_small_base=False)),
    )
    (said,) = teller("th").small_segments(SegmentTable("tenure", rows))
    assert "0–3 เดือน" in str(said) and "3–6 เดือน" not in str(said)


def test_a_small_company_is_told_to_be_one_on_the_page_and_in_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenure.faces.cli.ending import run

    facts = Facts()
    for number in range(8):
        facts.span("2025-01-05", "2026-03-10" if number == 3 else None, customer=f"c{number}", plan_id="basic")
    with open_workspace(tmp_path / "shop", facts) as shop:
        page = render(shop.story(month="2026-03"), "en")
    assert page.count("small base") >= 5
    assert run(["-w", str(tmp_path / "shop"), "report", "--as-of", "2026-03"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Small base (under 30 customers): Customer churn, " in said


def test_the_thai_page_of_a_made_up_company_holds_no_english_sentence_of_ours(told: Story) -> None:
    text = re.sub(r"<(style|script|q|code)[^>]*>.*?</\1>", " ", render(told, "th"), flags=re.DOTALL)
    parts = {part.strip() for part in re.sub(r"<[^>]*>", "\n", text).splitlines()}
    # Paths, commands and names stay as they are; three English words in a row are a sentence.
    english = [
        part for part in parts if re.search(r"(?:\b[a-z]{2,}\b[ ,]+){2}[a-z]{2,}", part) and "Made-up" not in part
    ]
    assert [part for part in english if not part.startswith("tenure ") and not THAI.search(part)] == []
