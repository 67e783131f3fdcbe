"""The page for investors: one sheet or two of A4, self-contained, with the report's charts and words.

What a founder sends on stands here: level, growth, retention, where the revenue comes from, on how few it rests, and
how it is counted. No customer's name or words are in it; the report has those.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.app.story import Note
from tenure.faces.report.html import HERE, _environment, _kpi, bar, embedded, said
from tenure.faces.report.pictures import Picture, pictures
from tenure.faces.report.quoting import NAME_LENGTH, quoted
from tenure.faces.report.sentences import Sentence, Teller, Told, report_language

if TYPE_CHECKING:
    from markupsafe import Markup

    from tenure.app.investors import Investors
    from tenure.app.story import Headline
    from tenure.app.workspace import Workspace

# Pixels; the page shows them smaller, and so do sheets of paper.
HALF = 470
WHOLE = 900
SIDE_BY_SIDE = ("layers", "movements")
# The heat map that tells most of revenue; of a company without prices, that of its customers.
HEATS = ("cohorts_revenue", "cohorts_customers")


def render(found: Investors, language: str = "en") -> str:
    """The whole page as the text of one HTML file."""
    from markupsafe import Markup

    from tenure.charts.picture import font_faces

    story = found.story
    words = report_language(language)
    teller = Teller(story, words)
    about = story.about
    company = quoted(about.company, NAME_LENGTH)
    period = teller.period(about.period)
    sheets = [(HERE / name).read_text(encoding="utf-8") for name in ("page.css", "investors.css")]
    style = font_faces() + "".join(sheets)
    drawn = {picture.name: picture for picture in reversed(pictures(teller)) if picture.draw}
    heat = next((drawn[name] for name in HEATS if name in drawn), None)
    if heat is not None:
        # Where leavers of old are missing, old cohorts look more loyal than they were: that is said beside them.
        since = story.trust.survivors_until
        told = [teller.note(Note("survivors_only", {"until": since}))] if since else []
        heat = replace(heat, notes=(*heat.notes, *(one for one in told if one is not None)))
    known = words.words("page.known_on", day=words.day(about.known_on.date()))
    made = words.words("page.made_at", instant=words.instant(about.made_at), version=about.version)
    footer = f"{known} {made} {words.words('page.timezone', timezone=about.timezone)}"
    if about.is_provisional:
        footer += " " + words.words("page.provisional_long", period=period)
    if about.is_reconstructed:
        footer += " " + words.words("page.reconstructed_long")
    title = words.words("investors.title_of", company=company, period=period)
    key = "page.made_up_long" if company else "page.made_up_long_nameless"
    _, notes = teller.trust()
    beside = {str(note) for note in heat.notes} if heat else set()
    notes = [note for note in notes if str(note) not in beside]
    return (
        _environment()
        .get_template("investors.html.j2")
        .render(
            language=language,
            w=words.words,
            say=lambda sentence: said(sentence, False),
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii"),
            about=about,
            company=company,
            period=period,
            heading=title if company else words.words("investors.title"),
            made_up=words.words(key, company=company),
            known=known,
            footer=footer,
            lead=teller.lead(),
            kpis=[replace(_kpi(teller, one), title=title_of(teller, one)) for one in found.headlines],
            pictures=[
                _drawn(replace(drawn[name], title=words.words(f"investors.{name}")), HALF)
                for name in SIDE_BY_SIDE
                if name in drawn
            ],
            heat=_drawn(heat, WHOLE) if heat else None,
            spread=_spread(teller, found),
            meanings=_meanings(teller, found),
            rules=[teller.rule(name, value) for name, value in about.rules],
            notes=notes,
            level=words.percent(0.95, 0),
        )
    )


def write(shop: Workspace, out: str | Path, *, language: str = "en", **options: Any) -> Investors:
    """Writes a workspace's summary for investors as one self-contained page and returns what it says.

    options: month, known_on, currency, engine, progress, as in tenure.app.investors.investors.
    """
    found = shop.investors(**options)
    Path(out).write_text(render(found, language), encoding="utf-8")
    return found


def title_of(teller: Teller, headline: Headline) -> str:
    """What a number of the head is called; a rate of one month says which, for no rate means anything without one."""
    figure = headline.figure
    title = teller.title(figure.metric)
    if figure.unit != "rate" or figure.period.grain != "month" or figure.metric.endswith("_12m"):
        return title
    return f"{title}, {teller.period(figure.period, short=True)}"


def _drawn(picture: Picture, width: int) -> dict[str, Any]:
    from markupsafe import Markup

    from tenure.charts.picture import svg, unchecked

    assert picture.draw is not None
    with unchecked():
        chart: Markup = Markup(embedded(svg(picture.draw(width)), f"i-{picture.name}", picture.alt))
    return {
        "id": picture.name.replace("_", "-"),
        "title": picture.title,
        "sentences": picture.sentences,
        "notes": picture.notes,
        "chart": chart,
    }


def _spread(teller: Teller, found: Investors) -> dict[str, Any]:
    words, spread = teller.language, found.concentration
    if spread is None:
        return {"says": Sentence(words.template("investors.nobody_pays")), "rows": []}
    share = {held.group: held for held in spread.groups}
    values: dict[str, Told | str] = {
        "share": Told(words.percent(float(share["largest"].share))),
        "top": Told(words.percent(float(share["top_10"].share))),
        "count": teller.count(spread.payers),
    }
    rows = [
        {
            "name": words.words(f"investors.{held.group}", held.customers, count=words.number(held.customers)),
            "share": words.percent(float(held.share)),
            "mrr": words.money(spread.major(held.mrr), spread.currency, whole=False),
            "bar": bar(float(held.share)),
        }
        for held in spread.groups
    ]
    return {"says": Sentence(words.template("investors.says", spread.payers), values), "rows": rows}


def _meanings(teller: Teller, found: Investors) -> list[dict[str, str]]:
    names = [*(headline.figure.metric for headline in found.headlines), "mrr_concentration"]
    return [{"title": teller.title(name), "meaning": teller.meaning(name)} for name in dict.fromkeys(names)]
