"""Which missing exchange rate is named must not depend on the order in which an engine gives rows."""

from __future__ import annotations

from itertools import permutations

from tenure.lake.portable import from_day_number
from tenure.measure.currencies import Conversion


def test_of_several_missing_rates_the_first_in_order_is_named_whatever_came_first() -> None:
    conversion = Conversion("USD")
    for order in permutations(("THB", "EUR", "JPY")):
        known = ""
        for currency in order:
            known = conversion.lacking(known, currency, 20_000)
        assert known == conversion.reason("EUR", 20_000)
        assert "EUR" in known and str(from_day_number(20_000)) in known


def test_a_reason_that_was_known_before_is_kept() -> None:
    assert Conversion("USD").lacking("1 of 11 not decided yet", "THB", 20_000) == "1 of 11 not decided yet"
