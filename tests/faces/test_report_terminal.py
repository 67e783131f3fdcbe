"""The report in the terminal: the same sentences, plain in a pipe, and no customer's words can act in it."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.cells import cell_len
from rich.console import Console

from tenure.app.story import CustomerRow, Leavers, Story, Trust
from tenure.faces.report.sentences import Sentence, Told
from tenure.faces.report.terminal import line_of, print_report, sparkline
from tests.faces.made_up_story import about, bare_story, month, order_story, subscription_story

ESCAPE = "\x1b"


def printed(story: Story, language: str = "en", width: int = 100, is_terminal: bool = False) -> str:
    output = io.StringIO()
    colour = "truecolor" if is_terminal else None
    console = Console(file=output, width=width, force_terminal=is_terminal, color_system=colour)  # type: ignore[arg-type]
    print_report(story, console, language)
    return output.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_terminal_tells_the_sentences_of_the_page() -> None:
    text = flat(printed(subscription_story()))
    for sentence in (
        "Northwind Apps · Churn report · October 2025",
        "MRR is $390,798 at the end of October 2025, $5,302 (1.4%) more than the month before.",
        "61 of 1,498 customers left, a customer churn of 4.1%.",
        "4 of the 10 changes we can test are more than noise",
        "61 customers left in October 2025 and took $10,874 of MRR along.",
        "23 customers ($4,120.00 of MRR) have cancelled and still pay",
        "Half of the customers stay longer than 23 months (95% interval 22 to 24).",
        "After 12 months, 66% of a cohort are still customers on average.",
        "The risk of leaving is greatest in month 1: 6.7%",
        "Every number follows the definition profile “tenure”.",
    ):
        assert sentence in text


def test_the_movement_table_adds_up_as_it_is_displayed() -> None:
    lines = printed(subscription_story()).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("Opening "))
    end = next(index for index, line in enumerate(lines) if line.startswith("Closing ") and index > start)
    amounts = []
    for line in lines[start : end + 1]:
        amount = next((part for part in line.split() if "$" in part), None)
        if amount and not line.startswith(" "):
            amounts.append(Decimal(amount.replace("−", "-").replace("$", "").replace(",", "")))
    assert len(amounts) == 10
    assert amounts[0] + sum(amounts[1:-1]) == amounts[-1]


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("language", ["en", "th"])
def test_no_line_is_wider_than_the_terminal(width: int, language: str) -> None:
    for story in (subscription_story(), order_story(), bare_story()):
        wide = [line for line in printed(story, language, width).splitlines() if cell_len(line.rstrip()) > width]
        assert wide == []


def test_a_pipe_gets_no_colours_and_a_terminal_does() -> None:
    assert ESCAPE not in printed(subscription_story())
    coloured = printed(subscription_story(), is_terminal=True)
    # The heat map: a cell of everybody on the darkest colour, #12324f.
    assert f"{ESCAPE}[38;2;255;255;255;48;2;18;50;79m 100%" in coloured


def test_a_name_that_looks_like_markup_or_an_escape_prints_as_it_is_or_not_at_all() -> None:
    row = CustomerRow("c1", "[red]Acme[/red] \x1b[2J", Decimal("5"), "USD", comment="[bold]x\x07\x1b]0;owned\x07")
    story = Story(about("[blink]Co[/blink]"), Trust(()), leavers=Leavers(month(29), 1, (), (row,)))
    text = printed(story)
    assert "[red]Acme[/red]" in text
    assert "[blink]Co[/blink]" in text
    assert "[bold]x" in text
    assert ESCAPE not in text
    assert "\x07" not in text


@pytest.mark.parametrize(("language", "words"), [("en", "Made-up company"), ("th", "บริษัทสมมติ")])
def test_a_made_up_company_says_so_first_and_last(language: str, words: str) -> None:
    for story in (subscription_story(), order_story()):
        text = printed(story, language)
        assert text.count(words) == 2
        assert words in "".join(text.splitlines()[:4])
    real = replace(subscription_story(), about=about(is_made_up=False))
    assert words not in printed(real, language)


def test_a_provisional_month_says_so_in_the_first_line() -> None:
    story = Story(replace(about(is_made_up=False), is_provisional=True), Trust(()))
    assert "[Provisional]" in printed(story).splitlines()[1]


def test_nothing_loaded_prints_what_is_missing_and_no_empty_heading() -> None:
    text = flat(printed(bare_story()))
    assert "MRR is unknown for May 2023: no subscriptions have been loaded." in text
    assert "No facts have been loaded." in text
    for heading in ("Who left", "How long customers stay", "Is the change more than noise?"):
        assert heading not in text


def test_a_narrow_terminal_shows_fewer_comparisons_and_a_wide_one_all() -> None:
    assert "vs Oct 2024" not in printed(subscription_story(), width=80)
    wide = printed(subscription_story(), width=160)
    assert "vs Sep 2025" in wide
    assert "vs Oct 2024" in wide
    assert "target" in wide


@pytest.mark.parametrize(
    ("values", "blocks"),
    [
        ([1, 2, 3, None, 8], "▁▂▃ █"),
        ([5, 5], "▄▄"),
        ([], ""),
        ([None], ""),
        ([Decimal("-1"), Decimal("1")], "▁█"),
    ],
)
def test_a_sparkline_runs_from_the_least_to_the_greatest(values: list[object], blocks: str) -> None:
    assert sparkline(values) == blocks  # type: ignore[arg-type]


def test_a_sparkline_from_zero_shows_sizes_and_not_only_changes() -> None:
    # 7/8 and 8/8 of the greatest: close together, as they are.
    assert sparkline([7, 8], is_from_zero=True) == "▇█"
    assert sparkline([7, 8]) == "▁█"


def test_numbers_in_a_sentence_are_bold_and_coloured_by_what_they_mean() -> None:
    line = line_of(Sentence("It is {n}, {who}.", {"n": Told("5", tone="bad"), "who": "[red]"}))
    assert line.plain == "It is 5, [red]."
    assert [(span.start, span.end, str(span.style)) for span in line.spans] == [(6, 7, "bold red")]
