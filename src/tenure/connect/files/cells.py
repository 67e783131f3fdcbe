"""What may stand in a cell? Card numbers never come in, formulas never go out."""

from __future__ import annotations

import re

# What a spreadsheet takes for the start of a formula, and the control characters it skips on the way to one.
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")

# What a payment card's number may begin with, by network; anything else with a fitting check digit is just a number.
CARD_PREFIX = "(4|5[0-8]|6|2[2-7]|3[04-9])"
_PREFIX = re.compile(CARD_PREFIX)
# A column with one of these words in its name may hold a card number inside other text.
PAYMENT_WORDS = frozenset(
    {"card", "cards", "cardnumber", "cc", "ccn", "ccnumber", "credit", "creditcard", "debit", "mastercard", "method"}
    | {"pan", "payment", "payments", "visa"}
)


def safe_cell(text: str) -> str:
    """The text as a spreadsheet may read it without running it: a formula gets a leading apostrophe.

    Plain numbers, negative ones too, stay as they are.

    >>> safe_cell("=HYPERLINK(1)"), safe_cell("-12.50"), safe_cell("Ann")
    ("'=HYPERLINK(1)", '-12.50', 'Ann')
    """
    if text.lstrip(" ").startswith(_RUNS) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def is_card_number(digits: str) -> bool:
    """Whether 13 to 19 digits begin like a payment card's number and carry its check digit (Luhn, ISO/IEC 7812)."""
    if not 13 <= len(digits) <= 19 or not _PREFIX.match(digits):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def masked(text: str) -> str:
    """The text with every card number in it replaced by asterisks and its last four digits."""

    def hide(match: re.Match[str]) -> str:
        digits = re.sub("[ -]", "", match.group())
        return f"****{digits[-4:]}" if is_card_number(digits) else match.group()

    return _DIGITS.sub(hide, text)


def suggests_payment(name: str) -> bool:
    """Whether a column's (snake case) name speaks of cards or payments."""
    return not PAYMENT_WORDS.isdisjoint(name.split("_"))
