"""The reasons are a file that anyone can extend, and what is wrong with a file is said with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tenure.errors import BadFile, UnknownName
from tenure.text import Taxonomy, language_of, vendor_codes

MISSION = ["experience", "contact", "price", "quality", "support", "fit", "competition", "change"]
OURS = ["circumstance", "involuntary", "unknown"]


def written(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    """A taxonomy's file with this text below its version."""
    path = tmp_path / name
    path.write_text(f'version = 1\nlanguages = ["en", "th"]\n{text}', encoding="utf-8")
    return path


def test_the_causes_are_those_of_the_mission_circumstance_involuntary_and_unknown() -> None:
    assert list(Taxonomy.load().causes) == MISSION + OURS


def test_every_cause_and_reason_is_named_and_said_in_both_languages() -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.languages == ("en", "th")
    for code, reason in taxonomy.reasons.items():
        assert set(reason.names) == {"en", "th"}, code
        if "." in code:
            assert all(len(reason.phrases[language]) >= 4 for language in ("en", "th")), code
        else:
            assert set(reason.descriptions) == {"en", "th"}, code
            assert len(taxonomy.within(code)) >= 2, code
    for code, language, phrase in taxonomy.phrases():
        assert (language_of(phrase) == "th") == (language == "th"), (code, phrase)


def test_the_sentences_it_is_tried_on_are_not_its_phrases() -> None:
    sentences = (Path(__file__).parent.parent / "reference" / "reasons_as_customers_write.csv").read_text("utf-8")
    longer = [phrase for _, _, phrase in Taxonomy.load().phrases() if len(phrase) > 15]
    assert not [phrase for phrase in longer if phrase.lower() in sentences.lower()]


def test_a_workspace_adds_phrases_reasons_causes_and_languages(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        version = 1
        languages = ["en", "de"]
        [[cause]]
        code = "regulation"
        name = { en = "Regulation", de = "Vorschriften" }
        [[reason]]
        code = "regulation.hosting"
        phrases = { en = ["must be hosted in our country"], de = ["muss bei uns gehostet sein"] }
        [[reason]]
        code = "price.too_expensive"
        phrases = { en = ["costs an arm and a leg"], de = ["viel zu teuer"] }
        """,
        encoding="utf-8",
    )
    plain, mine = Taxonomy.load(), Taxonomy.load(path)
    assert mine.causes == (*plain.causes, "regulation")
    assert mine.languages == ("en", "th", "de")
    dear = mine["price.too_expensive"]
    assert dear.phrases["en"] == (*plain["price.too_expensive"].phrases["en"], "costs an arm and a leg")
    assert dear.phrases["de"] == ("viel zu teuer",)
    assert dear.names == plain["price.too_expensive"].names
    assert mine["regulation.hosting"].name("th") == "Hosting", "no name is told, so the code is spoken"
    assert mine.fingerprint != plain.fingerprint == Taxonomy.load().fingerprint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[reason]]\ncode = "weather.rain"', "'weather.rain' has no cause: add a [[cause]] with code 'weather'"),
        ('[[reason]]\ncode = "price"', r"[[reason]] 1 ('price'): the code of a reason is cause.reason"),
        ('[[cause]]\ncode = "Price"', "('Price'): the code of a cause is one lower-case word"),
        ('[[cause]]\nname = { en = "x" }', "[[cause]] 1 has no code"),
        ('[[cause]]\ncode = "rain"\ncolour = "red"', "nobody knows 'colour'; a cause has code, name, description"),
        ('[[cause]]\ncode = "rain"\nname = "Rain"', "name is told per language"),
        ('[[cause]]\ncode = "rain"\nname = { fr = "Pluie" }', "name in 'fr', which is not among the file's languages"),
        ('[[reason]]\ncode = "price.x"\nphrases = { en = [] }', "phrases.en is a list of texts, none of them empty"),
        ('[[reason]]\ncode = "price.x"\nphrases = { en = ["<p></p>"] }', "none of them empty"),
        ('[[reason]]\ncode = "price.x"\nphrases = { en = "dear" }', "phrases.en is a list of texts"),
        ('[[reason]]\ncode = "fit.x"\nphrases = { en = ["Too  Expensive"] }', "already says 'price.too_expensive'"),
        ("[reason]\ncode = 1", "write [[reason]] in double brackets"),
        ("[more]\nx = 1", "nobody knows 'more'"),
        ("= 1", "is not a TOML file in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadFile) as wrong:
        Taxonomy.load(path)
    assert says in str(wrong.value)


def test_a_file_that_is_missing_or_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no taxonomy at"):
        Taxonomy.load(tmp_path / "none.toml")
    (tmp_path / "old.toml").write_text("version = 0\n", encoding="utf-8")
    with pytest.raises(BadFile, match="write version = 1 at its top"):
        Taxonomy.load(tmp_path / "old.toml")
    (tmp_path / "latin.toml").write_bytes(b"version = 1\n# \xff")
    with pytest.raises(BadFile, match="UTF-8"):
        Taxonomy.load(tmp_path / "latin.toml")


def test_an_unknown_code_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'price\.increase'"):
        Taxonomy.load()["price.incraese"]


def test_each_of_stripes_eight_codes_stands_for_a_reason_with_its_source_and_date() -> None:
    stripe = vendor_codes("stripe")
    assert sorted(stripe.reasons) == [
        "customer_service", "low_quality", "missing_features", "other",
        "switched_service", "too_complex", "too_expensive", "unused",
    ]  # fmt: skip
    taxonomy = Taxonomy.load()
    assert all(reason in taxonomy for reason in stripe.reasons.values())
    assert stripe.source.startswith("https://docs.stripe.com/")
    assert stripe.seen >= date(2026, 1, 1)
    assert all(stripe.says[code] for code in stripe.reasons)
    with pytest.raises(UnknownName, match="Did you mean 'stripe'"):
        vendor_codes("strip")
