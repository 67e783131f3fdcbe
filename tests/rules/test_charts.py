"""Charts: every one is a valid specification, says what the rows say, and becomes a picture without a browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tenure import charts
from tenure.charts import look
from tenure.errors import BadInput, UnknownName

MONTHS = [date(2025, month, 1) for month in range(1, 7)]
STEPS = [
    {"kind": "opening", "amount": Decimal("1000.00")},
    {"kind": "new", "amount": Decimal("200.00")},
    {"kind": "fx", "amount": Decimal("0")},
    {"kind": "churn", "amount": Decimal("-50.50")},
    {"kind": "closing", "amount": Decimal("1149.50")},
]
MOVES = [
    {"period": day, "kind": kind, "amount": amount}
    for day in MONTHS
    for kind, amount in (("new", Decimal("30")), ("churn", Decimal("-12")), ("pause", Decimal("-3")))
]
CELLS = [
    {"cohort": name, "age": age, "value": value}
    for name, values in (("2025-01", (1.0, 0.9, 0.8)), ("2025-02", (1.0, 0.95, None)))
    for age, value in enumerate(values)
]
CURVE = [{"segment": "", "at": at, "survival": 0.9**at, "low": 0.88**at, "high": 0.92**at} for at in range(1, 13)]
HAZARD = [{"start": at, "end": at + 1, "hazard": 0.1, "low": 0.05, "high": 0.2} for at in range(12)]
SEGMENTS = [
    {"segment": "Starter", "rate": 0.06, "low": 0.04, "high": 0.09, "is_worse": True},
    {"segment": "Team", "rate": 0.02, "low": None, "high": None},
    {"segment": "Nobody", "rate": None, "low": None, "high": None},
]

EVERY: dict[str, Callable[[str, int], Any]] = {
    "waterfall": lambda language, width: charts.waterfall(STEPS, "USD", language, width),
    "movements": lambda language, width: charts.movements(MOVES, "THB", language, width=width),
    "layer_cake": lambda language, width: charts.layer_cake(
        [{"period": day, "cohort": "2025-Q1", "amount": 5} for day in MONTHS], "JPY", language, width=width
    ),
    "cohort_heatmap": lambda language, width: charts.cohort_heatmap(CELLS, "customers", language, width=width),
    "orders_heatmap": lambda language, width: charts.cohort_heatmap(CELLS, "orders", language, width=width),
    "survival": lambda language, width: charts.survival(CURVE, "months", language, width),
    "hazard": lambda language, width: charts.hazard(HAZARD, "months", language, width),
    "churn_by_segment": lambda language, width: charts.churn_by_segment(SEGMENTS, 0.04, language, width),
    "rate_over_time": lambda language, width: charts.rate_over_time(
        [{"period": day, "value": 0.03, "low": 0.02, "high": 0.04} for day in MONTHS], 0.025, language, width=width
    ),
    "revenue_by_period": lambda language, width: charts.revenue_by_period(
        [{"period": day, "revenue": Decimal("10.5")} for day in MONTHS], "EUR", language, width=width
    ),
    "coverage_timeline": lambda language, width: charts.coverage_timeline(
        [{"table": "usage", "since": MONTHS[0], "until": MONTHS[-1], "gaps": [{"from": MONTHS[1], "to": MONTHS[2]}]}],
        MONTHS[-1],
        MONTHS[-1],
        language,
        width,
    ),
    "signs": lambda language, width: charts.signs(
        [
            {"label": "Fell silent", "caught": 0.3, "caught_low": 0.2, "caught_high": 0.4, "lead_days": 21}
            | {"false_alarms": 0.05, "false_low": 0.04, "false_high": 0.06},
            {"label": "Champion left", "caught": None, "caught_low": None, "caught_high": None, "lead_days": None}
            | {"false_alarms": 0.01, "false_low": 0.0, "false_high": 0.02},
        ],
        language,
        width,
    ),
    "called": lambda language, width: charts.called(
        [{"label": "top third", "known": known, "called": 2, "stands_for": 9.0} for known in (False, True)],
        language,
        width,
    ),
    "customers_by_period": lambda language, width: charts.customers_by_period(
        [{"period": day, "customers": 10, "new_customers": 4} for day in MONTHS], language, width=width
    ),
}


def rows_in(chart: Any) -> list[dict[str, Any]]:
    """All data rows of a chart, wherever its layers keep them."""
    specification = chart.to_dict()
    found = [row for rows in specification.get("datasets", {}).values() for row in rows]
    for part in (specification, *specification.get("layer", [])):
        found.extend(part.get("data", {}).get("values", []))
    return found


@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("width", [look.WIDE, look.NARROW])
@pytest.mark.parametrize("name", EVERY)
def test_every_chart_is_a_valid_specification_in_every_language_and_width(name: str, width: int, language: str) -> None:
    specification = EVERY[name](language, width).to_dict(validate=True)
    assert specification["width"] == width
    assert specification["config"]["font"].startswith("Sarabun")


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_becomes_svg_that_asks_nothing_of_another_host(name: str) -> None:
    text = charts.svg(EVERY[name]("en", look.WIDE))
    assert text.startswith("<svg")
    addresses = [part.split('"')[0] for part in text.split("http")[1:]]
    assert set(addresses) <= {"://www.w3.org/2000/svg", "://www.w3.org/1999/xlink"}
    assert "<script" not in text
    assert "style=" not in text


def test_the_steps_of_a_waterfall_lead_from_opening_to_closing() -> None:
    rows = rows_in(charts.waterfall(STEPS, "USD"))
    assert [row["kind"] for row in rows] == ["opening", "new", "churn", "closing"]
    # 1000 + 200 = 1200; 1200 - 50.50 = 1149.50
    assert [(row["low"], row["high"]) for row in rows] == [
        (1000.0, 1000.0),
        (1000.0, 1200.0),
        (1149.5, 1200.0),
        (1149.5, 1149.5),
    ]
    assert [row["text"] for row in rows] == ["$1,000", "+$200", "−$50", "$1,150"]


def test_a_waterfall_never_draws_opening_and_closing_as_bars_from_zero() -> None:
    marks = [layer["mark"] for layer in charts.waterfall(STEPS, "USD").to_dict()["layer"]]
    assert [mark["type"] for mark in marks] == ["rule", "bar", "tick", "text"]


def test_the_net_of_the_movements_is_their_sum() -> None:
    rows = rows_in(charts.movements(MOVES, "USD"))
    nets = {row["period"]: row["amount"] for row in rows if "kind" not in row and "amount" in row}
    assert nets == {day.isoformat(): 15.0 for day in MONTHS}


def test_a_cohort_without_revenue_in_a_period_is_a_layer_of_nothing() -> None:
    rows = rows_in(
        charts.layer_cake(
            [
                {"period": MONTHS[0], "cohort": "2024", "amount": 10},
                {"period": MONTHS[1], "cohort": "2024", "amount": 9},
                {"period": MONTHS[1], "cohort": "2025", "amount": 4},
            ],
            "USD",
        )
    )
    assert {(row["period"], row["cohort"]): row["amount"] for row in rows} == {
        ("2025-01-01", "2024"): 10.0,
        ("2025-02-01", "2024"): 9.0,
        ("2025-01-01", "2025"): 0.0,
        ("2025-02-01", "2025"): 4.0,
    }


def test_what_has_not_been_observed_yet_has_no_cell() -> None:
    rows = rows_in(charts.cohort_heatmap(CELLS))
    assert ("2025-02", 2) not in {(row["cohort"], row["age"]) for row in rows}
    assert len(rows) == 5


def test_cells_are_written_in_ink_that_stands_out_from_them() -> None:
    rows = {(row["cohort"], row["age"]): row["shade"] for row in rows_in(charts.cohort_heatmap(CELLS))}
    assert rows["2025-01", 0] == "dark"
    assert rows["2025-01", 2] == "light"


def test_a_survival_curve_starts_with_everybody() -> None:
    rows = rows_in(charts.survival(CURVE))
    first = min((row for row in rows if "at" in row), key=lambda row: row["at"])
    assert (first["at"], first["survival"]) == (0, 1.0)


def test_a_curve_of_a_thousand_days_is_thinned_to_what_can_be_seen_and_keeps_its_ends() -> None:
    daily = [{"segment": "", "at": at, "survival": 1 - at / 4000, "low": None, "high": None} for at in range(3001)]
    at = [row["at"] for row in rows_in(charts.survival(daily, "days", width=400)) if "at" in row]
    assert len(at) <= 402
    assert at[0] == 0
    assert at[-1] == 3000
    # Never further apart than about a pixel: 3000 days on 400 pixels.
    assert max(b - a for a, b in pairwise(at)) <= 15


def test_a_wild_interval_in_the_tail_does_not_flatten_the_hazards() -> None:
    points = [*HAZARD, {"start": 12, "end": 13, "hazard": 0.0, "low": 0.0, "high": 0.97}]
    rows = [row for row in rows_in(charts.hazard(points)) if "hazard" in row]
    assert max(row["seen_high"] for row in rows) <= 0.25


def test_a_segment_without_a_rate_is_not_drawn() -> None:
    rows = rows_in(charts.churn_by_segment(SEGMENTS, 0.04))
    assert {row["segment"] for row in rows if "segment" in row} == {"Starter", "Team"}


def test_who_bought_before_and_who_is_new_add_up_to_who_bought() -> None:
    rows = rows_in(EVERY["customers_by_period"]("en", look.WIDE))
    january = [row["customers"] for row in rows if row["period"] == "2025-01-01"]
    assert january == [6, 4]


def test_a_chart_takes_an_arrow_table() -> None:
    import pyarrow as pa

    table = pa.table({"period": MONTHS, "revenue": [Decimal("1.50")] * len(MONTHS)})
    rows = rows_in(charts.revenue_by_period(table, "USD"))
    assert rows[0] == {"period": "2025-01-01", "revenue": 1.5}


@pytest.mark.parametrize("name", EVERY)
def test_a_chart_of_no_rows_is_an_empty_picture_and_no_error(name: str) -> None:
    empty: dict[str, Callable[[], Any]] = {
        "waterfall": lambda: charts.waterfall([], "USD"),
        "movements": lambda: charts.movements([], "USD"),
        "layer_cake": lambda: charts.layer_cake([], "USD"),
        "cohort_heatmap": lambda: charts.cohort_heatmap([]),
        "orders_heatmap": lambda: charts.cohort_heatmap([], "orders"),
        "survival": lambda: charts.survival([]),
        "hazard": lambda: charts.hazard([]),
        "churn_by_segment": lambda: charts.churn_by_segment([]),
        "rate_over_time": lambda: charts.rate_over_time([]),
        "revenue_by_period": lambda: charts.revenue_by_period([], "USD"),
        "coverage_timeline": lambda: charts.coverage_timeline([], None, None),
        "signs": lambda: charts.signs([]),
        "called": lambda: charts.called([]),
        "customers_by_period": lambda: charts.customers_by_period([]),
    }
    assert charts.svg(empty[name]()).startswith("<svg")


def test_labels_of_months_name_the_year_once() -> None:
    axis = look.period_axis(
        charts_language("en"), [f"2024-{month:02d}-01" for month in range(11, 13)] + ["2025-01-01"], "month", 720
    )
    assert '{"2024-11-01": ["Nov", "2024"], "2024-12-01": ["Dec"], "2025-01-01": ["Jan", "2025"]}' in axis.labelExpr


def test_thirty_months_are_labelled_at_steps_people_expect() -> None:
    days = [date(2023 + (month // 12), month % 12 + 1, 1).isoformat() for month in range(30)]
    narrow = look.period_axis(charts_language("en"), days, "month", 340).values
    assert [day[5:7] for day in narrow] == ["01", "07"] * 2 + ["01"]


def test_a_colour_ramp_keeps_its_ends() -> None:
    assert look.ramp(("#000000", "#ffffff"), 3) == ["#000000", "#808080", "#ffffff"]
    assert len(look.layers(40)) == 40
    assert len(look.layers(1)) == 1


def test_gains_and_losses_never_share_a_colour() -> None:
    assert len(set(look.KINDS.values())) == len(look.KINDS)


def test_thai_keeps_its_own_spelling_in_svg() -> None:
    chart = charts.churn_by_segment([{"segment": "น้ำดื่มจำนวนมาก", "rate": 0.1, "low": 0.05, "high": 0.2}], language="th")
    text = charts.svg(chart)
    assert "น้ำดื่มจำนวนมาก" in text
    assert "\u0e4d" not in text  # nikhahit, half of a sara am spelled in two


def test_a_sara_am_takes_the_room_of_two_letters_in_a_png() -> None:
    from tenure.charts.picture import _spelled

    chart = charts.churn_by_segment([{"segment": "น้ำ", "rate": 0.1, "low": 0.05, "high": 0.2}])
    assert "น\u0e4d\u0e49\u0e32" in _spelled(chart, None)


def test_thai_letters_are_drawn_and_not_boxes() -> None:
    def picture(letters: str) -> bytes:
        return charts.png(charts.churn_by_segment([{"segment": letters, "rate": 0.1, "low": None, "high": None}]), 1)

    # Boxes for missing letters would all look alike.
    assert picture("กกก") != picture("ขขข")
    assert picture("Łłő") != picture("Ððø")


def test_a_saved_svg_carries_its_font_and_a_png_is_a_png(tmp_path: Path) -> None:
    chart = EVERY["hazard"]("th", look.WIDE)
    drawn = charts.save(chart, tmp_path / "hazard.svg").read_text(encoding="utf-8")
    assert "@font-face" in drawn
    assert drawn.count("<svg") == 1
    assert charts.save(chart, tmp_path / "hazard.png").read_bytes().startswith(b"\x89PNG")
    assert '"layer"' in charts.save(chart, tmp_path / "hazard.json").read_text(encoding="utf-8")


def test_an_ending_nobody_can_write_is_refused_with_the_endings_that_can(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"end its name in \.svg, \.png or \.json"):
        charts.save(EVERY["hazard"]("en", look.WIDE), tmp_path / "hazard.gif")
    assert not list(tmp_path.iterdir())


def test_a_language_nobody_speaks_here_is_refused() -> None:
    with pytest.raises(UnknownName, match="no language called 'xx'"):
        charts.hazard(HAZARD, language="xx")


def test_the_font_is_shipped_with_its_licence() -> None:
    from tenure.charts.picture import FONTS

    licence = (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE" in licence.upper()
    assert sorted(path.name for path in FONTS.glob("*.ttf")) == ["Sarabun-Regular.ttf", "Sarabun-SemiBold.ttf"]


def test_a_chart_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        charts.pie  # noqa: B018


def charts_language(code: str) -> Any:
    """The charts' words of one language."""
    from tenure.charts.language import language

    return language(code)
