"""Who leaves next, and can the list be believed? The list as bars, said against happened, and leavers by contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import Language
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt

CAUSES = {"voluntary": look.WARM, "involuntary": "#dc875f", "unknown": "#c9ced3"}
SAID = {"model": look.ACCENT, "recency_only": "#d0722f", "base_rate": "#8a8fa3"}


def risk_list(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """The customers of a list, a lying bar each: the chance to leave, by cause; behind it what moves it most.

    rows: `customer_id`, `name` (may be None), `probability`, `voluntary`, `involuntary`, `unknown` (fractions) and
    `reasons` (the first is shown), as Risks.rows() has them.
    """
    import altair as alt

    words = language_of(language)
    told: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    labels = []
    for row in look.rows_of(rows):
        label = str(row["name"] or row["customer_id"])
        label = f"{label} ({row['customer_id']})" if label in labels else label
        labels.append(label)
        for order, cause in enumerate(CAUSES):
            told.append(
                {"label": label, "cause": words.words(f"risk.{cause}"), "share": float(row[cause]), "order": order}
            )
        first = next((each["reason"] for each in row["reasons"] if each["contribution"] > 0), "")
        text = words.percent(float(row["probability"]))
        ends.append({"label": label, "end": float(row["probability"]), "text": f"{text}  {first}".rstrip()})
    colours = {words.words(f"risk.{cause}"): colour for cause, colour in CAUSES.items()}
    most = max((row["end"] for row in ends), default=0.0) or 0.01
    # Room behind the bars for the words.
    scale = alt.Scale(domain=[0, most * (1.9 if width >= 480 else 2.4)], nice=False)
    step = next((each for each in (0.01, 0.02, 0.05, 0.1, 0.25) if most / each <= 5), 0.25)
    axis = look.percent_axis(values=[i * step for i in range(int(most / step) + 1)])
    limit = 110 if width < 480 else 210
    place = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(grid=False, labelLimit=limit, labelColor=look.INK))
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            y=place,
            x=alt.X("share:Q", stack="zero", axis=axis, scale=scale, title=None),
            color=alt.Color("cause:N", scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
            order="order:Q",
        )
    )
    texts = (
        alt.Chart(look.values(ends))
        .mark_text(align="left", dx=6, limit=250 if width >= 480 else 130)
        .encode(y=place, x=alt.X("end:Q", axis=axis, scale=scale), text="text:N")
    )
    return look.finished([bars, texts], width, height or 24 * len(labels) + 70, told, list(colours))


def calibration(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """What was said and what happened, a dot per group of customers with its interval, against the line of the truth.

    rows: `said`, `happened`, `low`, `high` (fractions; an end may be None), as predict.judging.reliability has them.
    """
    told = look.rows_of(rows)
    return look.finished(_calibration(told, language_of(language)), width, height or 280, told)


def leavers_reached(rows: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> alt.LayerChart:
    """Of those who left, the share that would have been contacted, by how many of the base are: the higher the better.

    rows: `said` (model, recency only or base rate), `contacted` and `reached` (fractions).
    """
    words = language_of(language)
    told = _named(rows, words)
    return look.finished(
        _reached(words, width), width, height or 280, told, [words.words(f"risk.{name}") for name in SAID]
    )


def backtest(reached: Any, groups: Any, language: str = "en", width: int = look.WIDE, height: int = 0) -> Any:
    """A replay in one picture: leavers reached by contacts above, what was said and what happened below."""
    import altair as alt

    words = language_of(language)
    size = {"width": width - 90, "height": height or 240}
    told = look.rows_of(groups)
    return look.stacked(
        [
            alt.layer(*_reached(words, width), data=look.values(_named(reached, words)), **size),
            alt.layer(*_calibration(told, words), data=look.values(told), **size),
        ],
        width,
    )


def _named(rows: Any, words: Language) -> list[dict[str, Any]]:
    return [{**row, "label": words.words(f"risk.{row['said'].replace(' ', '_')}")} for row in look.rows_of(rows)]


def _reached(words: Language, width: int) -> list[Any]:
    import altair as alt

    colours = {words.words(f"risk.{name}"): colour for name, colour in SAID.items()}
    scale = alt.Scale(domain=[0, 1], nice=False)
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X("contacted:Q", scale=scale, axis=look.percent_axis(words.words("risk.contacted"))),
            y=alt.Y("reached:Q", scale=scale, axis=look.percent_axis(words.words("risk.reached"))),
            color=alt.Color(
                "label:N",
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3, columns=3 if width >= 480 else 1),
            ),
            order="contacted:Q",
        )
    )
    return [lines]


def _calibration(told: list[dict[str, Any]], words: Language) -> list[Any]:
    import altair as alt

    ends = [float(row[name]) for row in told for name in ("said", "happened", "high") if row[name] is not None]
    top = max(ends, default=0.1) * 1.05
    scale = alt.Scale(domain=[0, top], nice=False)
    across = alt.X("said:Q", scale=scale, axis=look.percent_axis(words.words("risk.said")))
    up = look.percent_axis(words.words("risk.happened"))
    line = alt.Chart(look.values([{"said": 0, "happened": 0}, {"said": top, "happened": top}]))
    base = alt.Chart()
    return [
        line.mark_line(color=look.INK_SOFT, strokeDash=[3, 3], strokeWidth=1).encode(
            x=across, y=alt.Y("happened:Q", scale=scale, axis=up)
        ),
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=4, opacity=0.35, strokeCap="round", color=look.ACCENT)
        .encode(x=across, y=alt.Y("low:Q", scale=scale, axis=up), y2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1, color=look.ACCENT).encode(
            x=across, y=alt.Y("happened:Q", scale=scale, axis=up)
        ),
    ]
