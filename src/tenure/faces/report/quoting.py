"""What may a customer's own words do in our report? Be read, and nothing else.

Names, reasons and comments come from strangers: of any length and script, with markup, terminal escapes, zero-width
characters or marks that turn the direction of the text around them. Escaping for HTML is the template's work and done
everywhere; here characters that act rather than show are taken out, and long text is cut.
"""

from __future__ import annotations

import re
import unicodedata

COMMENT_LENGTH = 280
NAME_LENGTH = 60
ELLIPSIS = "…"

# C0 and C1 controls (terminal escapes among them), zero-width space and word joiner, the byte order mark, soft hyphen,
# marks and overrides of direction, line and paragraph separators, tags. Joiners stay: emoji and Arabic need them.
_ACTING = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]+"
)
_SPACES = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u200c\u200d\ufe00-\ufe0f\\s]*")


def quoted(text: str, limit: int = COMMENT_LENGTH) -> str:
    """`text` on one line without acting characters, cut with an ellipsis after `limit` characters.

    >>> quoted("too\\u202e  dear\\n")
    'too dear'
    >>> quoted("abcdef", 4)
    'abc…'
    """
    # Only what can be shown is looked at: a comment of megabytes costs no more than a long one.
    head = text[: limit * 8]
    cleaned = _SPACES.sub(" ", _ACTING.sub(" ", head)).strip()
    if _INVISIBLE.fullmatch(cleaned):
        cleaned = ""
    if len(cleaned) < limit or (len(cleaned) == limit and len(head) == len(text)):
        return cleaned + (ELLIPSIS if len(head) < len(text) and cleaned else "")
    end = limit - 1
    # Never cut a letter from its marks, nor an emoji from what it is joined to.
    while end > 0 and (_holds_on(cleaned[end]) or cleaned[end - 1] == "\u200d"):
        end -= 1
    return cleaned[:end].rstrip() + ELLIPSIS


def name_of(name: str, identity: str) -> str:
    """A customer's name as shown: the name, or the id where there is none that could be seen."""
    return quoted(name, NAME_LENGTH) or quoted(identity, NAME_LENGTH) or "?"


def _holds_on(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M") or letter == "\u200d" or "\U0001f3fb" <= letter <= "\U0001f3ff"
