"""A closed month never moves: what is learned later becomes a correction of the next opening."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tenure.app import closing
from tenure.errors import BadInput, BadPeriod, Damaged
from tenure.measure.catalogue import CATALOGUE
from tests.rules.books import Books, span
from tests.rules.books import books as books

# What rests on assumptions (a margin, spend) is no figure of the books.
CLOSED = [name for name, metric in CATALOGUE.items() if not metric.needs]

# In every period: opening + these = closing.
SIGNS = {
    "mrr_opening": 1,
    "mrr_new": 1,
    "mrr_reactivation": 1,
    "mrr_resume": 1,
    "mrr_expansion": 1,
    "mrr_contraction": -1,
    "mrr_pause": -1,
    "mrr_churn": -1,
    "mrr_fx": 1,
    "mrr_correction": 1,
    "mrr": -1,
}


def learn_of_june(books: Books) -> None:
    """Ben left in June, Dao came, and Chai was never there; all of it is learned in July and August."""
    books.learn(
        span("Ben", 50, "2025-01-08", "2025-06-10", recorded="2025-07-03"),
        span("Dao", 20, "2025-06-11", recorded="2025-07-05"),
        span("Chai", 30, "2025-05-08", recorded="2025-08-01", retracted=True),
    )


def test_a_month_is_closed_with_every_figure_of_the_catalogue_under_a_name_and_a_hash(books: Books) -> None:
    closed, is_new = books.shop.close_month("2025-06")
    assert is_new
    assert closed.name == f"2025-06 ({closed.hash[:12]})"
    assert len(closed.hash) == 64
    assert {name for name, _, _ in closed.figures} == set(CLOSED)
    told = books.shop.metrics(*CLOSED, since="2025-06").rows(exact=True)
    assert {(row["metric"], row["currency"]): row["value"] for row in told} == {
        (name, currency): figure["value"] for (name, currency, converted), figure in closed.figures.items() if converted
    }


def test_a_closed_month_keeps_what_each_customer_paid_at_its_end(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06")
    assert closed.balances().to_pylist() == [
        {"customer_id": "Ann", "currency": "USD", "mrr_micro": "10000000000", "is_customer": True},
        {"customer_id": "Ben", "currency": "USD", "mrr_micro": "5000000000", "is_customer": True},
    ]


def test_closing_a_month_again_with_equal_figures_changes_nothing(books: Books) -> None:
    first, _ = books.shop.close_month("2025-06")
    written = first.path.read_bytes()
    again, is_new = books.shop.close_month("2025-06")
    assert not is_new
    assert again == first
    assert first.path.read_bytes() == written


def test_closing_a_month_again_with_other_figures_is_refused_and_says_what_differs(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06")
    learn_of_june(books)
    written = closed.path.read_bytes()
    with pytest.raises(BadInput, match=r"mrr 150\.00 USD is 120\.00 USD.*--again"):
        books.shop.close_month("2025-06")
    assert closed.path.read_bytes() == written


def test_closing_a_month_anew_keeps_the_old_file(books: Books) -> None:
    old, _ = books.shop.close_month("2025-06")
    written = old.path.read_bytes()
    learn_of_june(books)
    new, is_new = books.shop.close_month("2025-06", again=True)
    assert is_new
    assert new.hash != old.hash
    assert old.path.with_name("2025-06.v1.json").read_bytes() == written
    assert [closed.hash for closed in books.shop.closed_months()] == [new.hash]
    assert (old.balances_file.exists(), new.balances_file.exists()) == (True, True)
    learned_again, _ = books.shop.close_month("2025-06", again=True)
    assert learned_again.path.with_name("2025-06.v2.json").exists()


def test_another_definition_is_another_closing(books: Books) -> None:
    books.shop.close_month("2025-06")
    with pytest.raises(BadInput, match="closed by the profile tenure, not stripe"):
        books.shop.close_month("2025-06", profile="stripe")


def test_two_customers_whose_errors_cancel_are_a_difference(books: Books) -> None:
    books.shop.close_month("2025-06")
    # Ann pays what Ben paid, and Ben what Ann paid.
    books.learn(
        span("Ann", 50, "2025-01-05", recorded="2025-07-03"),
        span("Ben", 100, "2025-01-08", recorded="2025-07-03"),
    )
    with pytest.raises(BadInput, match="other customers pay the same sum"):
        books.shop.close_month("2025-06")


@pytest.mark.parametrize(
    ("month", "known_on", "reason"),
    [
        ("2998-06", None, "2998-06 is not over"),
        ("2025-06", "2025-06-29", "2025-06 was not over on 2025-06-29"),
        ("2025-06", "2999-01-01", "has not come yet"),
        ("2025", None, "'2025' is not a month"),
        ("2025-06-01", None, "'2025-06-01' is not a month"),
    ],
)
def test_only_a_month_that_is_over_is_closed(books: Books, month: str, known_on: str | None, reason: str) -> None:
    with pytest.raises(BadPeriod, match=reason):
        books.shop.close_month(month, known_on=known_on)
    assert books.shop.closed_months() == []


def test_the_last_day_of_a_month_is_enough_to_close_it(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06", known_on="2025-06-30")
    assert closed.known_before.isoformat() == "2025-07-01T00:00:00+00:00"


def test_a_metric_and_a_choice_that_came_after_the_close_are_no_difference(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06")
    content = json.loads(closed.path.read_text())
    content["figures"] = [row for row in content["figures"] if row["metric"] != "arpa"]
    del content["definition"]["net_churn"]
    content["hash"] = closing._hash(content)
    closed.path.write_text(json.dumps(content))
    old, is_new = books.shop.close_month("2025-06")
    assert not is_new
    learn_of_june(books)
    (june,) = books.shop.restatements(since="2025-06")
    assert june.published == f"as closed: {old.name}"
    assert {one.metric.name for one in june.changed} >= {"mrr", "customers_new"}
    assert "arpa" not in {one.metric.name for one in june.changed}
    assert books.value("mrr_correction", "2025-07") == Decimal("-30.00")


def raised_figure(path: Path) -> None:
    content = json.loads(path.read_text())
    next(row for row in content["figures"] if row["metric"] == "mrr")["value"] = "1"
    path.write_text(json.dumps(content))


def other_instant(path: Path) -> None:
    path.write_text(path.read_text().replace('"known_before": "20', '"known_before": "21'))


def other_balances(path: Path) -> None:
    beside = path.with_suffix(".parquet")
    beside.write_bytes(beside.read_bytes() + b" ")


def no_balances(path: Path) -> None:
    path.with_suffix(".parquet").unlink()


def half_a_file(path: Path) -> None:
    path.write_text(path.read_text()[:200])


def no_hash(path: Path) -> None:
    content = json.loads(path.read_text())
    del content["hash"]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "tamper",
    [raised_figure, other_instant, other_balances, no_balances, half_a_file, no_hash],
    ids=lambda f: f.__name__,
)
def test_a_file_that_was_changed_by_hand_is_noticed_wherever_it_is_read(
    books: Books, tamper: Callable[[Path], None]
) -> None:
    closed, _ = books.shop.close_month("2025-06")
    tamper(closed.path)
    with pytest.raises(Damaged, match="2025-06"):
        books.shop.closed_months()
    with pytest.raises(Damaged, match="2025-06"):
        books.shop.close_month("2025-06")
    with pytest.raises(Damaged, match="2025-06"):
        books.value("mrr_opening", "2025-07")
    assert books.value("mrr", "2025-07") == Decimal("150.00")  # which needs no closed month


def test_a_closed_month_never_moves(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06")
    before = books.shop.metrics(*CLOSED, since="2025-06").rows(exact=True)
    learn_of_june(books)
    # A row that says it was recorded before the close, and was not in the lake then, was not known either.
    books.learn(span("Eve", 70, "2025-02-01", recorded="2025-02-01"))
    (read,) = books.shop.closed_months()
    assert (read, read.figures, read.balances()) == (closed, closed.figures, closed.balances())
    then = closing.then_of(books.shop.facts(), closed)
    rebuilt = closing._asked(books.shop, then, books.shop.definition(), closed.month, "USD", with_books=True)
    assert rebuilt == {(row["metric"], row["currency"]): row["value"] for row in before}
    assert books.value("mrr", "2025-06") == Decimal("190.00")


def test_the_month_after_begins_with_the_closed_figure_and_the_roll_forward_holds(books: Books) -> None:
    closed, _ = books.shop.close_month("2025-06")
    learn_of_june(books)
    months = ("2025-05", "2025-06", "2025-07", "2025-08")
    for month in months:
        rows = books.shop.metrics(*SIGNS, since=month).rows(exact=True)
        assert sum(SIGNS[row["metric"]] * row["value"] for row in rows) == 0, month
    rows = {row["metric"]: row for row in books.shop.metrics("mrr_opening", "mrr_correction", since="2025-07").rows()}
    assert rows["mrr_opening"]["value"] == Decimal("150.00")
    assert rows["mrr_correction"]["value"] == Decimal("-30.00")
    assert rows["mrr_correction"]["reason"] == f"as closed: {closed.name}"
    assert books.value("mrr_correction", "2025-07") == Decimal("-30.00")  # asked alone too
    assert [books.value("mrr_correction", month) for month in ("2025-06", "2025-08")] == [0, 0]


def test_a_quarter_that_follows_a_closed_month_begins_with_it_too(books: Books) -> None:
    books.shop.close_month("2025-06")
    learn_of_june(books)
    assert books.value("mrr_correction", "2025-Q3", period="quarter") == Decimal("-30.00")
    assert books.value("mrr_correction", "2025-W27", period="week") == 0  # which begins on 30 June


def test_the_correction_names_its_customers_and_the_rows_behind_each(books: Books) -> None:
    books.shop.close_month("2025-06")
    learn_of_june(books)
    told = books.shop.corrections("2025-07")
    assert [(row["customer_id"], row["amount"]) for row in told] == [("Ben", Decimal(-50)), ("Dao", Decimal(20))]
    assert sum(row["amount"] for row in told) == books.value("mrr_correction", "2025-07")
    (of_ben,), (of_dao,) = told[0]["because"], told[1]["because"]
    assert (of_ben["what"], of_ben["columns"], of_dao["what"]) == ("corrected", ["ended_at"], "late")
    assert f"{of_ben['recorded_at']:%Y-%m-%d}" == "2025-07-03"


def test_the_opening_and_the_correction_after_a_closed_month_open_to_their_customers(books: Books) -> None:
    books.shop.close_month("2025-06")
    books.learn(span("Ben", 50, "2025-01-08", "2025-06-03", recorded="2025-08-01"))
    answer = books.shop.metrics("mrr_opening", "mrr_correction", since="2025-07")
    told = answer.customers().to_pylist()
    for name in ("mrr_opening", "mrr_correction"):
        value = next(row["value"] for row in answer.rows() if row["metric"] == name)
        assert sum(row["amount"] for row in told if row["metric"] == name) == value, name
    correction = [row for row in told if row["metric"] == "mrr_correction"]
    assert [(row["customer_id"], row["amount"], row["what"]) for row in correction] == [("Ben", -50, "correction")]


def test_a_month_that_opens_after_no_closed_one_has_no_corrections_to_list(books: Books) -> None:
    with pytest.raises(BadInput, match="2025-06 is not closed"):
        books.shop.corrections("2025-07")


def test_what_was_known_before_the_close_knows_of_no_correction(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-10")

    def reason(known_on: str) -> str:
        (row,) = books.shop.metrics("mrr_opening", since="2025-07", known_on=known_on).rows()
        return str(row["reason"])

    assert reason("2025-07-09") == "provisional: the period is not over"
    assert reason("2025-07-10").startswith("provisional: the period is not over; as closed: 2025-06")


def test_books_of_another_definition_correct_nothing_and_it_says_so(books: Books) -> None:
    books.shop.close_month("2025-06")
    learn_of_june(books)
    answer = books.shop.metrics("mrr_correction", since="2025-07", profile="stripe")
    assert answer.value() == 0
    assert answer.notes == [
        "No correction is told after the closed month 2025-06: it was closed by the profile tenure."
    ]


def test_segments_have_no_books_and_it_says_so(books: Books) -> None:
    books.shop.close_month("2025-06")
    learn_of_june(books)
    answer = books.shop.metrics("mrr_opening", "mrr_correction", since="2025-07", by="plan_id")
    assert [row["value"] for row in answer.rows()] == [Decimal("120.00"), 0]
    assert answer.notes == [
        "No correction is told after the closed month 2025-06: the books were closed without segments."
    ]


def test_every_currency_is_corrected_by_itself(tmp_path: Path) -> None:
    books = Books(tmp_path)
    books.learn(span("Ann", 100, "2025-01-05"), span("Eva", 40, "2025-01-06", currency="EUR"))
    books.shop.close_month("2025-06")
    books.learn(
        span("Eva", 45, "2025-01-06", currency="EUR", recorded="2025-07-02"),
        span("Tim", 9, "2025-03-01", currency="GBP", recorded="2025-07-02"),
    )
    rows = books.shop.metrics("mrr_correction", since="2025-07").rows()
    assert {row["currency"]: row["value"] for row in rows} == {"EUR": Decimal(5), "GBP": Decimal(9), "USD": Decimal(0)}
    books.shop.close()


def test_the_report_of_the_next_month_begins_with_the_closed_books_and_tells_the_correction(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(span("Ben", 50, "2025-01-08", "2025-06-03", recorded="2025-07-20"))
    story = books.shop.story(month="2025-07")
    (recurring,) = story.recurring
    lines = {line.kind: line.amount for line in recurring.lines}
    assert (recurring.opening, lines["correction"], recurring.closing) == (150, -50, 100)


def test_a_bridge_as_known_on_a_day_explains_the_numbers_of_that_day(books: Books) -> None:
    books.learn(span("Dao", 20, "2025-06-11", "2025-06-20", recorded="2025-07-20"))
    for known_on, rates in (("2025-07-01", (Fraction(1, 3), Fraction(1, 3))), (None, (Fraction(1, 3), Fraction(2, 3)))):
        found = books.shop.bridge("customer_churn_rate", after="maxio", month="2025-06", known_on=known_on)
        assert (found.start.value, found.end.value) == rates
        for profile, value in zip(("tenure", "maxio"), rates, strict=True):
            answer = books.shop.metrics("customer_churn_rate", since="2025-06", profile=profile, known_on=known_on)
            assert answer.value() == float(value)
        assert sum(line.amount for line in found.lines) == rates[1] - rates[0]
