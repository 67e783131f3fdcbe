"""A definition profile tells where each of its choices comes from, and contradicts itself nowhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from tenure.errors import BadConfiguration, BadInput, UnknownName
from tenure.measure import definition
from tenure.measure.definition import CHOICES, Definition, named, profile, profiles, with_choices
from tests.conftest import ROOT

VENDORS = ("baremetrics", "chargebee", "chartmogul", "maxio", "paddle", "profitwell", "recurly", "stripe")
BASE = profile("tenure")
CHOSEN = [(name, choice) for name in profiles() for choice, _ in profile(name).reasons]


def test_there_is_a_profile_for_every_vendor_and_the_default_comes_first() -> None:
    assert profiles() == ["tenure", *VENDORS]


@pytest.mark.parametrize("name", profiles())
def test_every_profile_loads_under_its_own_name(name: str) -> None:
    found = profile(name)
    assert found.name == name
    assert found.title
    assert found.base == (None if name == "tenure" else "tenure")


@pytest.mark.parametrize(("name", "choice"), CHOSEN)
def test_every_choice_has_words_a_source_and_the_day_it_was_read(name: str, choice: str) -> None:
    told = dict(profile(name).reasons)[choice]
    assert len(told.says.split()) >= 2
    assert told.source.startswith(("https://", "definitions ") if name != "tenure" else "docs/")
    assert date.fromisoformat(told.date) >= date(2010, 1, 1)
    assert told.value == getattr(profile(name), choice)


@pytest.mark.parametrize(("name", "choice"), CHOSEN)
def test_the_words_of_a_page_stand_in_quotation_marks(name: str, choice: str) -> None:
    told = dict(profile(name).reasons)[choice]
    assert told.says.count("“") == told.says.count("”")
    if told.source.startswith("https://"):
        assert "“" in told.says


def test_the_default_has_a_reason_for_every_choice() -> None:
    assert [name for name in CHOICES if name not in dict(BASE.reasons)] == []


def test_every_profile_has_a_page_and_every_page_a_profile() -> None:
    pages = {path.stem for path in (ROOT / "docs/reference/profiles").glob("*.md")} - {"index"}
    assert pages == set(profiles()), "run: python -m tenure.faces.reference_pages docs/reference"


@pytest.mark.parametrize("name", VENDORS)
def test_a_profile_differs_from_its_base_only_where_it_gives_a_reason(name: str) -> None:
    found = profile(name)
    assert set(found.differs(BASE)) <= set(dict(found.reasons))
    assert found.cannot, "say what this vendor does that no choice can do"
    assert [sentence for sentence in found.cannot if not sentence.endswith(".")] == []


# Fixture A: 100 customers on 1 June, 30 join, 10 of the 100 leave, 2 of these return, 3 of the 30 leave.
@pytest.mark.parametrize(
    ("name", "lost", "base"),
    [
        ("baremetrics", 13, 100),  # D1: all who left, by those of the start
        ("chartmogul", 8, 100),  # D2: 10 - 2 who are back; the 3 joined within the month
        ("tenure", 8, 100),  # D2
        ("stripe", 13, 130),  # D3: all who left, by the start and those who joined
        ("maxio", 13, 100),  # D1
        ("chargebee", 8, 100),  # D2
        ("recurly", 8, 100),  # D2: months are compared by their ends
        ("profitwell", 10, 100),  # D8: without the 3 who joined and left
    ],
)
def test_the_rates_of_the_worked_fixture_follow_from_three_choices(name: str, lost: int, base: int) -> None:
    found = profile(name)
    left = 10 - (2 if found.returners == "left_out" else 0) + (3 if found.joiners == "counted" else 0)
    could = {"start": 100, "start_and_new": 100 + 30}[found.churn_base]
    assert Fraction(left, could) == Fraction(lost, base)
    assert (left, could) == (lost, base)
    assert found.window_days in (0, 30)  # June has 30 days, so that both look at the same month


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({"customer": "paying"}, "who pauses pays nothing"),
    ({"pause": "keeps", "pause_months": 3}, "it needs pause = zero"),
    ({"grouping": "month", "gap_days": 7}, "gap_days has nothing to bridge"),
    ({"churn_base": "start_and_new"}, "counts those who came below the line"),
    ({"churn_base": "daily", "joiners": "counted"}, "it needs returners = counted"),
    ({"churn_base": "daily", "returners": "counted"}, "it needs joiners = counted"),
    ({"gap_days": 7, "reactivation_days": 7}, "reactivation_days must be longer"),
    ({"window_days": 367}, "at most a year back"),
]


@pytest.mark.parametrize(("choices", "reason"), IMPOSSIBLE, ids=lambda value: str(value))
def test_an_impossible_combination_is_refused_with_the_reason(choices: dict[str, object], reason: str) -> None:
    with pytest.raises(BadConfiguration, match="this definition is impossible") as refused:
        with_choices(BASE, choices)
    assert reason in str(refused.value)


def test_every_impossibility_has_an_example_here() -> None:
    tried = [replace(BASE, **choices) for choices, _ in IMPOSSIBLE]  # type: ignore[arg-type]
    without = [reason for claim, reason in definition._IMPOSSIBLE if not any(claim(found) for found in tried)]
    assert not without


@pytest.mark.parametrize("name", profiles())
def test_a_profile_that_comes_with_tenure_is_possible(name: str) -> None:
    definition.check(profile(name))


def test_a_choice_that_is_misspelt_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadConfiguration, match="Did you mean 'past_due_days'"):
        with_choices(BASE, {"past_due_day": 30})


def test_a_word_that_is_misspelt_is_refused_with_all_that_may_stand_there() -> None:
    with pytest.raises(BadConfiguration, match="Did you mean 'keeps'") as refused:
        with_choices(BASE, {"pause": "keep"})
    assert "zero, keeps, churn" in str(refused.value)


def test_a_profile_that_is_misspelt_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'chartmogul'"):
        profile("chartmogle")


@pytest.mark.parametrize(
    ("choice", "value"),
    [("past_due_days", -1), ("past_due_days", "soon"), ("past_due_days", True), ("week", "4.33"), ("week", [0, 1])],
)
def test_a_number_that_cannot_be_is_refused(choice: str, value: object) -> None:
    with pytest.raises(BadConfiguration, match=choice):
        with_choices(BASE, {choice: value})


def test_a_choice_without_a_value_on_the_command_line_is_bad_input() -> None:
    with pytest.raises(BadInput, match="name=value"):
        named("stripe,past_due_days")
    with pytest.raises(BadInput, match="Did you mean 'past_due_days'"):
        named("stripe,past_due_day=30")
    with pytest.raises(BadInput, match="impossible"):
        named("stripe,pause=zero")


def test_choices_are_read_alike_from_a_file_and_from_the_command_line() -> None:
    file = with_choices(BASE, {"week": [433, 100], "past_due_days": 30})
    typed = named("tenure, week=433/100,past_due_days = 30")
    assert file == typed
    assert typed.week == (433, 100)


def test_a_definition_of_ones_own_names_its_differences() -> None:
    found = with_choices(profile("stripe"), {"past_due_days": 14, "churn_at": "end"})
    assert found.name == "stripe, past_due_days=14, churn_at=end"
    assert found.base == "stripe"
    assert found.differs(profile("stripe")) == ["past_due_days", "churn_at"]


@pytest.mark.parametrize("name", profiles())
def test_a_profile_without_choices_equals_its_base(name: str) -> None:
    base = profile(name)
    assert with_choices(base, {}) is base
    assert with_choices(base, base.choices) is base
    assert named(name) is base


def test_a_companys_choices_hold_for_its_own_profile_and_for_no_other() -> None:
    company = {"past_due_days": 14}
    assert named("stripe", company, "stripe").name == "stripe, past_due_days=14"
    assert named("stripe,past_due_days=7", company, "stripe").name == "stripe, past_due_days=7"
    assert named("chartmogul", company, "stripe") is profile("chartmogul")


def test_choices_that_equal_the_base_are_no_difference() -> None:
    found = with_choices(profile("stripe"), {"churn_at": "request", "past_due_days": 7})
    assert found.name == "stripe, past_due_days=7"


def test_every_choice_belongs_to_a_definition_and_to_a_line_of_a_bridge() -> None:
    fields = set(Definition.__dataclass_fields__)
    assert set(CHOICES) <= fields
    assert [choice.name for choice in CHOICES.values() if not choice.line or "?" not in choice.asks] == []
