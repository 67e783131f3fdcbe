"""What changed since it was published is told with its rows; what was known on a day stays what was known on it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tenure.app.closing import MonthRestated
from tenure.errors import BadPeriod
from tests.rules.books import HEADER, Books, span
from tests.rules.books import books as books

NAMES = ("mrr", "customers", "customer_churn_rate", "mrr_new", "mrr_churn")


def changed(month: MonthRestated) -> dict[str, tuple[Any, Any]]:
    """What a metric was and is; money in major units."""
    scale = {"money": 100_000_000}
    return {
        one.metric.name: tuple(
            None if value is None else value / scale.get(one.metric.unit, 1) for value in (one.then, one.now)
        )
        for one in month.changed
    }


def behind(month: MonthRestated, name: str) -> list[tuple[str, str, tuple[str, ...], str]]:
    """The rows because of which a metric has changed."""
    (one,) = (one for one in month.changed if one.metric.name == name)
    return [(row.customers[0], row.what, row.columns, f"{row.learned_at:%Y-%m-%d}") for row in one.because]


def test_a_late_row_changes_what_was_published_and_is_named(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(span("Dao", 20, "2025-06-11", recorded="2025-07-05"))
    (june,) = books.shop.restatements(since="2025-06")
    assert changed(june)["mrr"] == (150, 170)
    assert changed(june)["mrr_new"] == (0, 20)
    assert "mrr_churn" not in changed(june)
    assert behind(june, "mrr") == [("Dao", "late", (), "2025-07-05")]
    assert next(one.customers for one in june.changed if one.metric.name == "mrr") == ("Dao",)


def test_a_corrected_row_says_in_which_columns_it_differs(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(span("Ben", 60, "2025-01-08", "2025-06-10", recorded="2025-07-03"))
    (june,) = books.shop.restatements(since="2025-06")
    assert changed(june)["customers"] == (2, 1)
    assert behind(june, "customers") == [("Ben", "corrected", ("ended_at", "amount_minor"), "2025-07-03")]


def test_a_retracted_row_takes_its_customer_out_of_every_month_it_was_in(books: Books) -> None:
    books.learn(span("Chai", 30, "2025-05-08", recorded="2025-08-01", retracted=True))
    may, june = books.shop.restatements(since="2025-05", until="2025-06", published_on="2025-07-01")
    assert changed(may)["mrr"] == (180, 150)
    assert behind(may, "mrr_new") == [("Chai", "retracted", (), "2025-08-01")]
    assert behind(june, "mrr_churn") == [("Chai", "retracted", (), "2025-08-01")]
    assert "mrr" not in changed(june)


def test_each_figure_names_only_the_rows_that_changed_it(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(
        span("Ben", 50, "2025-01-08", "2025-06-10", recorded="2025-07-03"),
        span("Dao", 20, "2025-06-11", recorded="2025-07-05"),
    )
    (june,) = books.shop.restatements(since="2025-06")
    assert [row[0] for row in behind(june, "mrr_churn")] == ["Ben"]
    assert [row[0] for row in behind(june, "mrr_new")] == ["Dao"]
    assert [row[0] for row in behind(june, "mrr")] == ["Ben", "Dao"]


def test_a_row_that_says_nothing_new_of_the_month_is_not_told(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(
        span("Ben", 50, "2025-01-08", "2025-07-15", recorded="2025-07-15"),  # an end in July
        span("Eve", 70, "2025-07-02"),
    )
    (june,) = books.shop.restatements(since="2025-06")
    assert (june.learned, june.changed) == ((), ())


def test_correcting_a_row_and_correcting_it_back_changes_only_the_list_of_rows(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(span("Ben", 60, "2025-01-08", recorded="2025-07-03"))
    books.learn(span("Ben", 50, "2025-01-08", recorded="2025-07-04"))
    (june,) = books.shop.restatements(since="2025-06")
    assert june.changed == ()
    assert [(row.what, row.columns, f"{row.recorded_at:%m-%d}") for row in june.learned] == [
        ("corrected", ("amount_minor",), "07-03"),
        ("corrected", ("amount_minor",), "07-04"),
    ]
    assert books.value("mrr_correction", "2025-07") == 0
    assert books.shop.corrections("2025-07") == []
    assert books.value("mrr", "2025-06", known_on="2025-07-03") == Decimal("160.00")
    _, is_new = books.shop.close_month("2025-06")
    assert not is_new


def test_a_row_that_came_after_the_close_is_told_though_it_says_it_was_recorded_before(books: Books) -> None:
    books.shop.close_month("2025-06")
    books.learn(span("Dao", 20, "2025-06-11", recorded="2025-06-11"))
    (june,) = books.shop.restatements(since="2025-06")
    assert changed(june)["mrr"] == (150, 170)
    (row,) = june.learned
    assert (row.what, row.learned_at == row.loaded_at) == ("late", True)


def test_a_month_that_is_not_closed_was_published_on_the_day_after_it_unless_told(books: Books) -> None:
    books.learn(span("Dao", 20, "2025-06-11", recorded="2025-07-02"))
    (june,) = books.shop.restatements(since="2025-06")
    assert june.published == "as known on 2025-07-01"
    assert changed(june)["mrr"] == (150, 170)
    (june,) = books.shop.restatements(since="2025-06", published_on="2025-07-02")
    assert (june.published, june.learned) == ("as known on 2025-07-02", ())
    with pytest.raises(BadPeriod, match="2025-06 was not over then"):
        books.shop.restatements(since="2025-06", published_on="2025-06-20")


def test_a_month_that_has_not_been_published_has_no_restatement(books: Books) -> None:
    assert books.shop.restatements(since="2025-06", known_on="2025-06-25") == []
    assert [month.month.month for month in books.shop.restatements(since="2025", known_on="2025-03-15")] == [1, 2]


def test_a_merger_learned_late_touches_both_customers(books: Books) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    path = books.folder / "people.csv"
    path.write_text("customer_id,name,merged_into,recorded_at\nBen,Ben,Ann,2025-07-04\nAnn,Anna,,2025-07-04\n")
    books.shop.load("customers", path)
    (june,) = books.shop.restatements(since="2025-06")
    assert changed(june)["customers"] == (2, 1)
    assert "mrr" not in changed(june)
    assert {row[0] for row in behind(june, "customers")} == {"Ben"}


# ---------------------------------------------------------------------------------------------------- what was known


def figures(books: Books, known_on: str | None) -> list[dict[str, Any]]:
    rows = books.shop.metrics(*NAMES, since="2025-01", until="2025-08", known_on=known_on).rows(exact=True)
    return [{name: row[name] for name in ("metric", "period_start", "currency", "value")} for row in rows]


QUESTIONS: dict[str, Callable[[Books, str | None], Any]] = {
    "metrics": figures,
    "movements": lambda books, day: books.shop.movements(since="2025", known_on=day).to_pylist(),
    "cohorts": lambda books, day: repr(books.shop.cohorts(until="2025-08", known_on=day)[0].triangle.values),
    "survival": lambda books, day: repr(
        [(one.counts.time, one.counts.events) for one in books.shop.lives(until="2025-08", known_on=day)]
    ),
    "report": lambda books, day: [
        (month.opening, month.closing, dict(month.amounts))
        for money in books.shop.story(month="2025-07", known_on=day).recurring
        for month in money.months
    ],
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_on_the_day_of_the_last_record_all_is_known_and_on_the_day_before_it_is_not(
    books: Books, question: str
) -> None:
    books.learn(span("Ben", 50, "2025-01-08", "2025-06-10", recorded="2025-09-03"))
    ask = QUESTIONS[question]
    now = ask(books, None)
    assert ask(books, "2025-09-03") == now
    assert ask(books, "2025-09-02") != now


def test_an_answer_about_the_past_says_that_it_is_reconstructed_where_times_of_record_are_assumed(
    books: Books, tmp_path: Path
) -> None:
    assert books.shop.metrics("mrr", since="2025-06", known_on="2025-08-01").notes == []
    path = tmp_path / "plain.csv"
    path.write_text(
        "subscription_id,customer_id,plan_id,amount,currency,interval,started_at\ns9,Zoe,a,5,USD,month,2025-01-01\n"
    )
    books.shop.load("subscriptions", path)
    answer = books.shop.metrics("mrr", since="2025-06", known_on="2025-08-01")
    assert answer.notes == ["Reconstructed: when some rows were recorded is assumed."]
    assert books.shop.metrics("mrr", since="2025-06").notes == []


# One subscription each of four customers, told up to three times: (customer, months until the end, day of record).
ROWS = some.lists(
    some.tuples(some.sampled_from("abcd"), some.integers(0, 6), some.integers(1, 60)),
    min_size=2,
    max_size=6,
    unique_by=lambda row: (row[0], row[2]),
)


def told(customer: str, months: int, day: int) -> str:
    ended = f"2025-0{months + 2}-15" if months else ""
    recorded = f"2025-{7 + day // 31:02}-{day % 31 + 1:02}"
    return span(customer, 10 + ord(customer) - 97, "2025-01-10", ended, recorded=recorded)


@settings(max_examples=6)
@given(rows=ROWS, data=some.data())
def test_order_and_splitting_of_loads_change_nothing_when_rows_say_when_they_were_recorded(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]], data: some.DataObject
) -> None:
    shuffled = data.draw(some.permutations(rows))
    cut = data.draw(some.integers(1, len(rows)))
    one, other = Books(tmp_path_factory.mktemp("one")), Books(tmp_path_factory.mktemp("other"))
    for found, parts in ((one, [rows]), (other, [shuffled[:cut], shuffled[cut:]])):
        for number, part in enumerate(parts):
            if part:
                path = found.folder / f"part{number}.csv"
                lines = [told(*row) for row in part]
                path.write_text("\n".join([f"{HEADER},recorded_at,retracted", *lines]) + "\n")
                found.shop.load("subscriptions", path)
    for day in (None, "2025-07-20"):
        assert figures(one, day) == figures(other, day)
    one.shop.close()
    other.shop.close()


def test_spark_tells_the_same_of_what_has_changed(books: Books, spark: object) -> None:
    books.shop.close_month("2025-06", known_on="2025-07-01")
    books.learn(
        span("Ben", 50, "2025-01-08", "2025-06-10", recorded="2025-07-03"),
        span("Dao", 20, "2025-06-11", recorded="2025-07-05"),
    )
    question = {"since": "2025-06", "until": "2025-07"}
    assert books.shop.restatements(**question, engine="spark") == books.shop.restatements(**question)
    assert books.shop.corrections("2025-07", engine="spark") == books.shop.corrections("2025-07")
