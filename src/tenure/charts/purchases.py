"""Does a model of purchases or renewals fit? What was seen beside what the model expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.charts import look
from tenure.charts.language import language as language_of

if TYPE_CHECKING:
    import altair as alt


def seen_and_expected(
    rows: Any, what: str = "purchases", language: str = "en", width: int = 0, height: int = 0
) -> alt.LayerChart:
    """How many customers, group by group: seen as bars, expected by the model as dots.

    rows: `label` (the group, in order), `seen` and `expected` (customers). what: "purchases" (groups are numbers of
    repeat purchases) or "value" (groups are mean values of a purchase, in major units).
    """
    import altair as alt

    words, width = language_of(language), width or look.WIDE
    told = look.rows_of(rows)
    labels = [str(row["label"]) for row in told]
    kinds = [words.words("fit.seen"), words.words("fit.expected")]
    for row in told:
        row["bars"], row["dots"] = kinds
    narrow = width < 480
    place = alt.X(
        "label:N",
        sort=labels,
        title=words.words(f"fit.{what}"),
        axis=alt.Axis(labelAngle=-45 if what == "value" else 0, grid=False, labelOverlap=False),
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.15),
    )

    def up(field: str) -> alt.Y:
        return alt.Y(field, title=words.words("fit.customers"), axis=alt.Axis(tickCount=5, format=",d"))

    scale = alt.Scale(domain=kinds, range=[look.KINDS["reactivation"], look.WARM])
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    bars = (
        alt.Chart()
        .mark_bar(cornerRadius=1.5)
        .encode(x=place, y=up("seen:Q"), color=alt.Color("bars:N", scale=scale, legend=legend))
    )
    dots = (
        alt.Chart()
        .mark_point(filled=True, size=70, opacity=1)
        .encode(x=place, y=up("expected:Q"), color=alt.Color("dots:N", scale=scale, legend=legend))
    )
    return look.finished([bars, dots], width, height or (300 if not narrow else 250), told, kinds)


def retention_curve(rows: Any, language: str = "en", width: int = 0, height: int = 0) -> alt.LayerChart:
    """The share of a cohort that is still there after each renewal: seen as dots, by the model as a line.

    rows: `at` (renewals), `expected` and `seen` (fractions; seen is None beyond what was observed).
    """
    import altair as alt

    words, width = language_of(language), width or look.WIDE
    told = look.rows_of(rows)
    kinds = [words.words("fit.seen"), words.words("fit.expected")]
    for row in told:
        row["dots"], row["line"] = kinds
    last = max((int(row["at"]) for row in told), default=1)
    step = max(1, -(-last // max(2, width // 60)))
    place = alt.X(
        "at:Q",
        title=words.words("fit.renewals"),
        axis=alt.Axis(values=list(range(0, last + 1, step)), grid=False, format="d"),
        scale=alt.Scale(domain=[0, last], nice=False),
    )
    height_scale, axis = alt.Scale(domain=[0, 1]), look.percent_axis()
    scale = alt.Scale(domain=kinds, range=[look.ACCENT, look.WARM])
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2)
        .encode(
            x=place,
            y=alt.Y("expected:Q", scale=height_scale, axis=axis),
            color=alt.Color("line:N", scale=scale, legend=legend),
        )
    )
    dots = (
        alt.Chart()
        .transform_filter("isValid(datum.seen)")
        .mark_point(filled=True, size=60, opacity=1)
        .encode(
            x=place,
            y=alt.Y("seen:Q", scale=height_scale, axis=axis),
            color=alt.Color("dots:N", scale=scale, legend=legend),
        )
    )
    return look.finished([line, dots], width, height or (300 if width >= 480 else 250), told, kinds)
