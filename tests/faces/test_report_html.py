"""The page: it answers, opens to customers, needs nothing and nobody else, and no customer's words can act in it."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.app.story import Comparison, CustomerRow, Figure, Headline, Leavers, Note, Recurring, Story, Trust
from tenure.faces.report.html import bar, embedded, render, said, sparkline
from tenure.faces.report.sentences import Sentence, Told
from tests.faces.made_up_story import about, bare_story, month, order_story, subscription_story

VOID = {"meta", "link", "br", "img", "input", "hr"}
SHAPES = {"path", "line", "rect", "circle", "polyline"}
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} {company}"


class Page(HTMLParser):
    """What is in a page: its elements, its text, and whether its tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


@cache
def page(name: str, language: str = "en") -> str:
    stories = {"subscriptions": subscription_story, "orders": order_story, "bare": bare_story}
    return render(stories[name](), language)


def small(rows: tuple[CustomerRow, ...] = (), **more: object) -> Story:
    """A story of leavers alone: quick to render."""
    story = Story(about("Real Company", is_made_up=False), Trust(()), leavers=Leavers(month(29), 2, (), rows))
    return replace(story, **more)  # type: ignore[arg-type]


EVERY = [(name, language) for name in ("subscriptions", "orders", "bare") for language in ("en", "th")]


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_a_page_is_whole_and_its_names_are_its_own(name: str, language: str) -> None:
    parsed = Page(page(name, language))
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    anchors = {attributes["href"][1:] for attributes in parsed.all("a")}
    assert anchors <= set(ids)
    assert parsed.all("html") == [{"lang": language, "dir": "ltr"}]


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_a_page_asks_nothing_of_any_host_and_runs_nothing(name: str, language: str) -> None:
    parsed = Page(page(name, language))
    assert not parsed.all("script")
    for tag, attributes in parsed.elements:
        assert not [key for key in attributes if key.startswith("on")], tag
        assert "style" not in attributes, tag
        for key in ("src", "href", "xlink:href", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:,")), (tag, attributes)
    # Nothing in the style sheet leads out either: fonts are data.
    addresses = re.findall(r"url\(\s*['\"]?([^)'\"]{0,40})", page(name, language))
    assert addresses
    assert all(address.startswith(("data:font/woff2;base64,", "#")) for address in addresses)
    assert "@import" not in page(name, language)


def test_the_policy_allows_the_one_style_sheet_and_no_script() -> None:
    text = page("subscriptions")
    policy = next(one["content"] for one in Page(text).all("meta") if "http-equiv" in one)
    style = text.split("<style>", 1)[1].split("</style>", 1)[0]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "script-src" not in policy  # so default-src 'none' holds for scripts
    assert text.count("<style>") == 1


def test_the_first_screen_answers_every_question_of_a_subscription_business() -> None:
    text = Page(page("subscriptions")).text
    for sentence in (
        "MRR is $390,798 at the end of October 2025, $5,302 (1.4%) more than the month before.",
        "61 of 1,498 customers left, a customer churn of 4.1%.",
        "Of the MRR of twelve months ago 84.2% is still there (GRR); with upgrades it is 103.1% (NRR).",
        "$18,202 came in, most of it new customers ($10,801); $13,372 went, most of it customers leaving ($9,000).",
        "4 of the 10 changes we can test are more than noise",
        "61 customers left in October 2025 and took $10,874 of MRR along.",
        "38 chose to leave (62%); for 15 a payment failed (25%); for 6 we do not know.",
        "23 customers ($4,120.00 of MRR) have cancelled and still pay",
        "Churn cost $130,488 of ARR. What those who left would still have brought is worth $201,450.",
        "One segment loses more than the rest by more than chance: plan “Starter monthly” (6.6% against 2.3%).",
        "Facts cover 1 May 2023 to 31 Oct 2025.",
    ):
        assert sentence in text


def test_answers_open_to_the_customers_in_them() -> None:
    parsed = Page(page("subscriptions"))
    answers = [one["id"] for one in parsed.all("details") if one.get("class") == "answer"]
    assert answers == [
        "why-1",
        "noise",
        "leavers",
        "chosen",
        "verdict",
        "next",
        "ahead",
        "due",
        "costs",
        "worse",
        "trust",
    ]
    opened_costs = page("subscriptions").split('id="costs"', 1)[1].split('id="worse"', 1)[0]
    assert "ARR past due that was paid after all" in opened_costs
    assert "tenure cost --from 2025-10" in opened_costs
    assert "Replacing them" not in opened_costs
    opened_causes = page("subscriptions").split('id="verdict"', 1)[1].split('id="ahead"', 1)[0]
    assert "tenure why --from 2024-11 --to 2025-10" in opened_causes
    assert "event study" in opened_causes and "cannot tell" in opened_causes
    leavers = page("subscriptions").split('id="leavers"', 1)[1].split('id="chosen"', 1)[0]
    opened = Page(f"<details {leavers.rsplit('<details', 1)[0]}".replace("<details  class", "<details class"))
    assert "Fjord Fitness" in opened.text
    assert "We moved to a rival: their import simply works." in opened.text
    assert "tenure metrics customers_churned --from 2025-10 --to 2025-10 --customers" in opened.text


def test_the_roll_forward_adds_up_as_it_is_displayed() -> None:
    text = page("subscriptions").split('id="why-1"', 1)[1].split("</table>", 1)[0]
    cells = re.findall(r"<td>([+−]?\$[\d,]+\.\d\d)</td>", text)
    amounts = [Decimal(cell.replace("−", "-").replace("$", "").replace(",", "")) for cell in cells]
    assert len(amounts) == 10
    assert amounts[0] + sum(amounts[1:-1]) == amounts[-1]


def test_every_headline_says_its_definition_period_and_interval_on_focus() -> None:
    values = [one for one in Page(page("subscriptions")).all("abbr") if one.get("class") == "value"]
    assert len(values) == 7
    for one in values:
        assert one["tabindex"] == "0"
        assert "October 2025" in one["title"]
        assert "Profile: tenure" in one["title"]
    assert "95% interval 3.2% to 5.2%" in values[2]["title"]
    assert "61 of 1,498" in values[2]["title"]


def test_every_picture_is_named_told_in_words_and_opens_to_its_numbers() -> None:
    parsed = Page(page("subscriptions"))
    figures = parsed.all("figure")
    # Waterfall, causes, movements, layers, renewals, churn over time, 2 heat maps, 2 survivals, hazard, the causes of
    # leaving, 3 segments.
    assert len(figures) == 15
    drawn = [one for one in parsed.all("svg") if one.get("role") == "img"]
    assert len(drawn) == 2 * len(figures)
    assert all(one["aria-label"] for one in drawn)
    for part in page("subscriptions").split("<figure ")[1:]:
        assert "<p>" in part.split("</figcaption>")[0]
        assert "<table>" in part.split("</figure>")[0]


def test_an_order_business_has_its_own_answers_and_pictures() -> None:
    parsed = Page(page("orders"))
    assert "Revenue is €54,293 in October 2025" in parsed.text
    assert [one["id"].rsplit("-", 1)[0] for one in parsed.all("figure")] == [
        "revenue",
        "active",
        "layers-revenue",
        "cohorts-orders",
    ]
    # Only the rules of the profile, at the end, speak of MRR.
    assert "MRR" not in Page(page("orders").split('<section class="meanings"')[0].split("<main>")[1]).text


def test_a_section_that_is_none_is_left_out() -> None:
    parsed = Page(page("bare"))
    assert [one["id"] for one in parsed.all("details") if one.get("class") == "answer"] == ["why-1", "trust"]
    assert not parsed.all("figure")
    assert "unknown: no subscriptions have been loaded" in next(
        one["title"] for one in parsed.all("abbr") if one.get("class") == "value"
    )


@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("name", ["subscriptions", "orders"])
def test_a_made_up_company_says_so_first_and_last_and_in_the_title(name: str, language: str) -> None:
    words = {"en": "Made-up company", "th": "บริษัทสมมติ"}[language]
    text = page(name, language)
    parts = (text.split("<title>")[1].split("</title>")[0], text.split("<header")[0].split("<body>")[1])
    assert all(words in part for part in (*parts, text.split("<footer>")[1]))


def test_a_real_company_is_not_called_made_up() -> None:
    assert "Made-up" not in render(small())


def test_thai_is_written_in_thai_with_gregorian_years() -> None:
    text = Page(page("subscriptions", "th")).text
    assert "ลูกค้า 61 รายจาก 1,498 รายเลิกใช้ คิดเป็นอัตราการเลิกใช้ 4.1%" in text
    assert "เดือนตุลาคม 2025" in text
    assert "2568" not in text
    # What remains in English came from the story, not from the words.
    for phrase in ("The answers", "may be chance", "Show the customers", "Interval", "Left"):
        assert phrase not in text


def test_markup_in_names_and_comments_is_shown_and_never_read() -> None:
    row = CustomerRow(
        NASTY, NASTY, Decimal("9"), "USD", plan=NASTY, channel=NASTY, cause=NASTY, reason=NASTY, comment=NASTY
    )
    text = render(small((row,), about=replace(about(NASTY), profile=NASTY)))
    parsed = Page(text)
    assert not parsed.all("script")
    assert not parsed.all("img")
    assert "<script>alert(1)</script>" in parsed.text
    assert "{{ 7*7 }} {company}" in parsed.text
    assert "49" not in text.split("<tbody>")[1].split("</tbody>")[0]


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_in_a_sentence_comes_out_as_that_text(name: str, number: str) -> None:
    spoken = said(Sentence("<p> {who} & {n}", {"who": name, "n": Told(number, f"means {number}")}))
    parsed = Page(str(spoken).replace("\r", " ").replace("\x00", " "))
    assert {tag for tag, _ in parsed.elements} == {"bdi", "abbr"}
    expected = f"<p> {name} & {number}".replace("\r", " ").replace("\x00", " ")
    assert "".join(parsed.texts) == expected


def test_foreign_scripts_are_isolated_and_direction_marks_taken_out() -> None:
    row = CustomerRow("c1", "شركة\u202e النور", Decimal("9"), "USD", comment="a\u200bb 🙂 \u202eevil")
    text = render(small((row,)))
    assert "<bdi>شركة النور</bdi>" in text
    assert '<q dir="auto">a b 🙂 evil</q>' in text
    assert "\u202e" not in text
    assert "\u200b" not in text


def test_a_comment_of_ten_kilobytes_is_cut() -> None:
    text = render(small((CustomerRow("c1", "Acme", comment="long " * 2048),)))
    comment = text.split('<q dir="auto">')[1].split("</q>")[0]
    assert len(comment) <= 280
    assert comment.endswith("…")


def test_provisional_and_reconstructed_months_wear_a_badge() -> None:
    marked = replace(about(is_made_up=False), is_provisional=True, is_reconstructed=True)
    titles = [one["title"] for one in Page(render(small(about=marked))).all("b") if one.get("class") == "badge"]
    assert len(titles) == 2
    assert "is not over or rows may still arrive" in titles[0]
    assert not [one for one in Page(render(small())).all("b") if one.get("class") == "badge"]


def test_a_small_base_is_flagged_beside_its_number() -> None:
    figure = Figure("customer_churn_rate", 0.1, "rate", month(29), "", 0.02, 0.4, n=10, is_small_base=True)
    text = render(small(rates=(Headline(figure, "lower"),)))
    assert '<span class="chip">small base</span>' in text


def test_several_currencies_stand_apart_and_say_which() -> None:
    def of(currency: str) -> Recurring:
        figure = Figure("mrr", Decimal("10.00"), "money", month(29), currency)
        return Recurring(currency, Headline(figure), Decimal("10.00"), Decimal("10.00"), ())

    text = Page(render(small(recurring=(of("USD"), of("JPY"))))).text
    for words in ("MRR (USD)", "MRR (JPY)", "Why did MRR in USD move?", "Why did MRR in JPY move?", "¥10"):
        assert words in text


def test_the_profile_and_the_definitions_stand_at_the_end() -> None:
    end = Page("<section " + page("subscriptions").split("<section ")[-1].split("</main>")[0]).text
    assert "Every number follows the definition profile “tenure”." in end
    assert "customers at the start who are no customers at the end / customers at the start" in end
    assert "customer_churn_rate" in end
    assert "keep the customer, take the MRR" in end


def test_a_note_of_the_story_is_told_with_its_values() -> None:
    text = Page(render(small(notes=(Note("missing_rates", {"currencies": ["THB", "<b>"]}),)))).text
    assert "No exchange rate is known for THB, <b>." in text


def test_a_comparison_says_what_it_was_and_whether_it_may_be_chance() -> None:
    now = Figure("customer_churn_rate", 0.05, "rate", month(29))
    then = Figure("customer_churn_rate", 0.04, "rate", month(28))
    headline = Headline(now, "lower", (Comparison("previous", then, 0.01, -0.01, 0.03),))
    text = render(small(rates=(headline,)))
    item = text.split("<li title=")[1].split("</li>")[0]
    assert item.startswith('"vs Sep 2025 · 4.0% · 95% interval −1.0 to +3.0"')
    assert "+1.0 pts" in item
    assert "may be chance" in item


def test_a_sparkline_needs_two_known_points() -> None:
    points = subscription_story().recurring[0].mrr.history
    assert "<polyline" in sparkline(points)
    assert sparkline(points[:1]) == ""
    assert sparkline(tuple(replace(point, value=None) for point in points)) == ""


def test_a_bar_stays_on_its_track() -> None:
    assert 'width="120.0"' in bar(7.0)
    assert 'width="0.0"' in bar(-1.0)


def test_two_charts_in_one_page_do_not_share_a_clip_path() -> None:
    clipped = '<defs><clipPath id="clip0"/></defs><g clip-path="url(#clip0)"/>'
    drawn = f'<svg xmlns="x" width="9" height="9" viewBox="0 0 9 9">{clipped}</svg>'
    one, two = embedded(drawn, "p1", 'a "b"'), embedded(drawn, "p2", "c")
    assert 'id="p1-clip0"' in one
    assert "url(#p1-clip0)" in one
    assert "p1-clip0" not in two
    assert 'aria-label="a &#34;b&#34;"' in one


def test_a_page_stays_under_a_megabyte() -> None:
    assert len(page("subscriptions").encode()) < 1_000_000


def test_importing_the_report_draws_nothing_and_loads_nothing_heavy() -> None:
    import sys

    program = (
        "import sys, tenure.app.story, tenure.charts, tenure.faces.report.html, tenure.faces.report.terminal;"
        "print({'altair', 'vl_convert', 'jinja2', 'babel', 'pandas', 'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("language", ["en", "th"])
def test_a_browser_shows_the_page_at_360_pixels_without_a_complaint(
    needs_chromium: Path, tmp_path: Path, language: str
) -> None:
    (tmp_path / "report.html").write_text(page("subscriptions", language), encoding="utf-8")
    # The page runs no script, so a page around it does the measuring.
    measure = (
        "const d=f.contentDocument;d.querySelectorAll('details').forEach(e=>e.open=true);"
        "const e=d.documentElement,shown=name=>getComputedStyle(d.querySelector(name)).display;"
        "d.fonts.ready.then(()=>{document.title=[e.scrollWidth-e.clientWidth,d.fonts.check('16px Sarabun','ก'),"
        "shown('.narrow'),shown('.wide')].join()})"
    )
    around = (
        "<!DOCTYPE html><title>waiting</title><body><script>function measured(f){" + measure + "}</script>"
        '<iframe src="report.html" width="360" height="800" onload="measured(this)"></iframe>'
    )
    (tmp_path / "around.html").write_text(around, encoding="utf-8")
    done = subprocess.run(
        [
            str(needs_chromium),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=8000",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            (tmp_path / "around.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    # No sideways scrolling with everything open; the font came with the page; charts are those for a phone.
    assert title == "0,true,block,none"
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []


def test_dates_and_places_that_are_unknown_are_left_empty() -> None:
    row = CustomerRow("c1", "Acme", Decimal("9"), "USD", on=None)
    other = CustomerRow("c2", "Bolt", None, "USD", on=date(2025, 10, 3))
    table = render(small((row, other))).split("<tbody>")[1].split("</tbody>")[0]
    assert "None" not in table
    assert table.count("<td></td>") == 2
