"""What of a text counts? Its words: without markup, invisible characters and what lies beyond a stated length.

The steps, in order; each takes any text and none can fail:

1. Only the first 200,000 characters are looked at.
2. Markup goes: comments, the insides of `<style>` and `<script>`, tags; entities become what they stand for. A `<` that
   begins no tag stays, as in "<3".
3. Invisible characters go: zero-width, those that turn the direction of writing, control characters, lone surrogates.
   Emoji stay, without the marks that only choose their looks.
4. Unicode's canonical composition (NFC).
5. Every run of white space becomes one space; a character repeated more than three times, digits apart, is written
   three times.
6. Of what is longer than 4,000 characters the first 3,000 and the last 1,000 count: people say why at the beginning,
   and sum up at the end.
"""

from __future__ import annotations

import html
import re
import unicodedata

LOOKED_AT = 200_000
KEPT_FIRST = 3_000
KEPT_LAST = 1_000
KEPT = KEPT_FIRST + KEPT_LAST

# A tag is bounded, so that a text of a million "<a" is read in one pass.
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>|<![^<>]{0,2000}>")
# Marks of direction, zero-width characters, soft hyphens, variation selectors, controls but white space, private use
# of surrogates (which no text can be written with).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]+"
)
_SPACE = re.compile(r"\s{2,}|[^\S ]")
_REPEATED = re.compile(r"(\D)\1{3,}")
_UNSEEN = ("style", "script", "head")


def cleaned(text: str | None) -> str:
    """The part of a text that counts, at most 4,000 characters; '' for no text.

    >>> cleaned("<p>Too&nbsp;expensive!!!!!!</p>")
    'Too expensive!!!'
    """
    if not text:
        return ""
    text = text[:LOOKED_AT]
    if "<" in text:
        text = _TAG.sub(" ", _without_unseen(text))
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii() or not text.isprintable():
        text = _INVISIBLE.sub("", text)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    text = _REPEATED.sub(r"\1\1\1", _SPACE.sub(" ", text)).strip()
    if len(text) > KEPT:
        text = f"{text[:KEPT_FIRST]} {text[-KEPT_LAST + 1 :]}"
    return text


def _without_unseen(text: str) -> str:
    """The text without comments and without the elements that no reader sees, found from left to right in one pass."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals are longer in lower case; then places would not agree
        lower = text
    pairs = [("<!--", "-->"), *((f"<{name}", f"</{name}") for name in _UNSEEN)]
    for begins, ends in pairs:
        if begins not in lower:
            continue
        kept, kept_lower, at = [], [], 0
        while (start := lower.find(begins, at)) >= 0:
            stop = lower.find(ends, start)
            if stop < 0:
                break
            kept.append(text[at:start])
            kept_lower.append(lower[at:start])
            at = stop + len(ends)
            if ends != "-->":  # the closing tag's own end
                close = lower.find(">", at)
                at = close + 1 if close >= 0 else at
        text = " ".join([*kept, text[at:]])
        lower = " ".join([*kept_lower, lower[at:]])
    return text
