"""Topics: planted ones are found and named, in any order of the texts, and their trend is told with its doubt."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import BadInput
from tenure.text import topics
from tenure.text.topics import _trend_p
from tenure.text.words import Divider, clusters

ENGLISH = {
    "invoice": ["invoice", "billing", "receipt", "vat number"],
    "login": ["login", "password", "reset link", "two factor"],
    "export": ["export", "spreadsheet", "csv file", "column order"],
}
THAI = {"จัดส่ง": ["จัดส่ง", "พัสดุ", "ขนส่ง", "กล่อง"], "คืนเงิน": ["คืนเงิน", "ยอดเงิน", "บัญชีธนาคาร", "โอน"]}
AROUND = ["today", "in our office", "since monday", "for the team", "on my phone"]


def planted(subjects: dict[str, list[str]], each: int, join: str, around: list[str]) -> dict[str, str]:
    """`each` texts a subject, of two or three of its words, in a made-up order."""
    chance = random.Random(3)
    texts = {}
    for subject, words in subjects.items():
        for number in range(each):
            said = chance.sample(words, chance.choice([2, 3]))
            texts[f"{subject}-{number}"] = join.join([*said, chance.choice(around)])
    return texts


@pytest.mark.parametrize(
    ("subjects", "join", "around"),
    [(ENGLISH, " ", AROUND), (THAI, "", ["ค่ะ", "ครับ", "นะคะ", "วันนี้", "เมื่อวาน"])],
    ids=["English", "Thai, without spaces"],
)
def test_planted_topics_are_found_and_named_by_their_words(
    subjects: dict[str, list[str]], join: str, around: list[str]
) -> None:
    texts = planted(subjects, 60, join, around)
    found = topics(texts, len(subjects))
    assert len(found.topics) == len(subjects)
    for topic in found.topics:
        planted_in = Counter(text_id.split("-")[0] for text_id in topic.text_ids)
        subject, hits = planted_in.most_common(1)[0]
        assert hits >= 0.95 * len(topic.text_ids), "a topic opens to its texts, and they are of one subject"
        joined = "".join(subjects[subject]).replace(" ", "")
        first = topic.words[0].replace(" ", "")
        assert first in joined or joined in first, (topic.words, subject)
    assert sum(len(topic.text_ids) for topic in found.topics) >= 0.95 * len(texts)


def test_topics_hang_on_the_texts_alone_and_not_on_their_order() -> None:
    texts = planted(ENGLISH, 40, " ", AROUND)
    mixed = list(texts.items())
    random.Random(9).shuffle(mixed)
    assert topics(dict(mixed), 3).topics == topics(texts, 3).topics


def test_a_few_texts_more_leave_the_names_as_they_were() -> None:
    texts = planted(ENGLISH, 80, " ", AROUND)
    more = texts | {f"new-{number}": f"please look at the invoice number {number}" for number in range(6)}
    before = {topic.words[0] for topic in topics(texts, 3).topics}
    assert {topic.words[0] for topic in topics(more, 3).topics} == before


def test_thai_words_are_learnt_from_texts_without_a_dictionary() -> None:
    said = [
        "ขอยกเลิกแพ็กเกจ",
        "ยกเลิกบริการ",
        "อยากยกเลิกเบอร์",
        "แพ็กเกจใหม่",
        "เปลี่ยนแพ็กเกจ",
        "บริการดี",
        "เบอร์ใหม่",
        "เปลี่ยนเบอร์",
        "ขอเปลี่ยนบริการ",
    ]
    divide = Divider(said * 3)
    assert divide("ยกเลิกแพ็กเกจ") == ["ยกเลิก", "แพ็กเกจ"]
    assert divide("Upgrade แพ็กเกจ please") == ["upgrade", "แพ็กเกจ", "please"]


@given(st.text("เแโกขคงนมรลาิีุู้่็ัำะ์ๆ", max_size=40))
def test_clusters_and_words_put_together_are_the_text_again(run: str) -> None:
    assert "".join(clusters(run)) == run
    assert "".join(Divider([run, run, run])(run)) == run


def test_a_rising_share_is_told_from_a_level_one() -> None:
    texts, periods = {}, {}
    for month in range(6):
        for number in range(60):
            # Of 60 texts each month 5, 12, 19, ... are about login; invoices are a steady fifteen.
            said = "login password" if number < 5 + 7 * month else "export spreadsheet"
            said = "invoice billing" if number >= 45 else said
            texts[f"{month}-{number}"] = f"{said} {AROUND[number % 5]}"
            periods[f"{month}-{number}"] = f"2026-{month + 1:02d}"
    trends = topics(texts, 3).trend(periods)
    login, invoice, export = (
        next(trend for trend in trends if word in trend.topic) for word in ("login", "invoice", "export")
    )
    assert (login.direction, export.direction, invoice.direction) == ("rising", "falling", "")
    first = login.months[0]
    assert (first.period, first.texts, first.of) == ("2026-01", 5, 60)
    assert first.low is not None and first.high is not None
    assert first.low < first.share == 5 / 60 < first.high
    assert [month.texts for month in login.months] == [5, 12, 19, 26, 33, 40]


def test_the_test_for_a_trend_is_that_of_the_textbook() -> None:
    # Agresti, Categorical Data Analysis: alcohol and malformation, scores 0, 0.5, 1.5, 4, 7; z^2 = 6.57, p = 0.0104.
    # Our places are whole, so the scores are doubled; a trend does not hang on their unit.
    counts = [(0, 48, 17114), (1, 38, 14502), (3, 5, 793), (8, 1, 127), (14, 1, 38)]
    p, slope = _trend_p(counts)
    assert p == pytest.approx(0.0104, abs=0.0002)
    assert slope > 0
    assert _trend_p([(0, 3, 10)]) == (None, 0.0)


@pytest.mark.parametrize("texts", [{}, {"a": ""}, {"a": None, "b": "<br>"}, {"a": "once", "b": "never again"}])
def test_too_few_texts_have_no_topics_and_no_trend(texts: dict[str, str | None]) -> None:
    found = topics(texts)
    assert found.topics == ()
    assert found.of == dict.fromkeys(texts)
    assert found.trend({"a": "2026-01"}) == ()


def test_a_divider_of_ones_own_is_used() -> None:
    kinds = ["ab|cd"] * 12 + ["ef|gh"] * 10 + ["ij|kl"] * 11
    texts = {str(number): f"{kind} {number}" for number, kind in enumerate(kinds)}
    found = topics(texts, 3, divide=lambda text: text.split(" ")[0].split("|"))
    assert [topic.words[0][:2] for topic in found.topics] == ["ab", "ij", "ef"]
    assert [len(topic.text_ids) for topic in found.topics] == [12, 11, 10]


def test_no_topics_cannot_be_asked_for() -> None:
    with pytest.raises(BadInput, match="at least 1"):
        topics({"a": "b"}, 0)
