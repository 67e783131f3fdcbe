"""What is an amount worth, exactly? Integer minor units plus an ISO 4217 code, never a float."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

from tenure.errors import BadInput, MoneyTooFine, UnknownCurrency

# ISO 4217 list one: active codes by the number of digits of their minor unit.
_TWO = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG HRK LTL LVL EEK SKK SIT CYP MTL ROL TRL ZWL SLL
"""
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
# Madagascar's ariary has fifths, which nobody bills in; payment processors treat it as zero-decimal.
EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_ZERO.split(), 0),
    "MGA": 0,
    **dict.fromkeys(_THREE.split(), 3),
    **dict.fromkeys(_FOUR.split(), 4),
}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "THB": "฿"}


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 currency in upper case."""
    return code in EXPONENTS


def exponent(currency: str) -> int:
    """How many digits the minor unit has: 2 for USD, 0 for JPY, 3 for KWD."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(
            f"'{currency}' is not an ISO 4217 currency code; use a code such as USD, EUR, THB or JPY, in upper case"
        ) from None


def to_minor(amount: str | int | Decimal, currency: str) -> int:
    """An amount in major units as integer minor units, exactly.

    A thousands separator, a symbol or a float is refused rather than guessed at.

    >>> to_minor("12.34", "USD"), to_minor("1234", "JPY")
    (1234, 1234)
    """
    digits = exponent(currency)
    if isinstance(amount, float):
        raise BadInput(f"{amount!r} is a float; give money as text, an integer or a Decimal")
    try:
        value = Decimal(amount)
    except (InvalidOperation, ValueError):
        raise BadInput(f"'{amount}' is not an amount; write it like 1234.56") from None
    if not value.is_finite():
        raise BadInput(f"'{amount}' is not an amount; write it like 1234.56")
    scaled = value.scaleb(digits)
    if scaled != scaled.to_integral_value():
        raise MoneyTooFine(f"{amount} {currency} is finer than the minor unit; {currency} has {digits} decimals")
    return int(scaled)


def to_major(minor: int, currency: str) -> Decimal:
    """Integer minor units as an exact Decimal in major units, with the currency's digits."""
    return Decimal(minor).scaleb(-exponent(currency))


def half_up(value: Fraction, currency: str) -> int:
    """A fraction of major units as minor units, rounded half up: the rule for a line of an invoice."""
    scaled = value * 10 ** exponent(currency)
    return int((Decimal(scaled.numerator) / Decimal(scaled.denominator)).to_integral_value(ROUND_HALF_UP))


def largest_remainder(values: Sequence[Fraction | Decimal], digits: int) -> list[Decimal]:
    """Values rounded to `digits` decimals so that the rounded parts add up to the rounded total.

    Each part is cut, and the missing units go to the parts with the largest remainders (the first ones in case of a
    tie). Hamilton's method.

    >>> largest_remainder([Decimal("0.5"), Decimal("0.25"), Decimal("0.25")], 1)
    [Decimal('0.5'), Decimal('0.3'), Decimal('0.2')]
    """
    scaled = [Fraction(value) * 10**digits for value in values]
    floors = [value.numerator // value.denominator for value in scaled]
    total = sum(scaled, Fraction(0))
    doubled = 2 * total
    target = (doubled.numerator // doubled.denominator + 1) // 2  # the nearest integer, halves up
    order = sorted(range(len(scaled)), key=lambda i: (-(scaled[i] - floors[i]), i))
    for i in order[: target - sum(floors)]:
        floors[i] += 1
    return [Decimal(value).scaleb(-digits) for value in floors]


def text(minor: int | Decimal, currency: str) -> str:
    """Minor units for a person's eye: `$1,234.50`, `¥1,235`, `1,234.50 CHF`; fractions of a minor unit are rounded."""
    digits = exponent(currency)
    value = Decimal(minor).scaleb(-digits).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    sign = "-" if value < 0 else ""
    number = f"{abs(value):,.{digits}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency}"
