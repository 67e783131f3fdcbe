"""What was found, how sure is it, and what would settle it? One shape for what every way of asking answers.

    found = in_family("segments", findings)      p values corrected for all that this method looked at
    [one for one in found if one.stands]         what is more than noise at the stated family-wise 5 %

Methods that hunt through many candidates share one family-wise 5 %: each has its part of it (see SHARES) and corrects
within it by Holm, so that whichever of them are asked, together or alone, in a world without effects all of them stay
silent in at least 95 of 100 companies. Sources: Holm 1979; Bonferroni's inequality for the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import UnknownName
from tenure.kernel.stats import NO_ESTIMATE, Estimate, holm

if TYPE_CHECKING:
    import pyarrow as pa

FAMILY_LEVEL = 0.05
# Segments, changes and drivers have a third each. Of each third one half is the verdict's, which tests drivers and changes
# as causes; the other half is that of the methods asked one by one, those that look for drivers sharing theirs.
SHARES: dict[str, Fraction] = {
    "verdict causes": Fraction(1, 3),
    "verdict segments": Fraction(1, 6),
    "segments": Fraction(1, 6),
    "journey": Fraction(1, 6),
    "behaviour": Fraction(1, 18),
    "support": Fraction(1, 18),
    "engagement": Fraction(1, 36),
    "surveys": Fraction(1, 36),
}


class Strength(IntEnum):
    """How much weight a finding bears, the weightiest greatest."""

    text = 1  # what somebody wrote, as a classifier reads it
    stated = 2  # what somebody picked or said when asked
    association = 3  # goes with leaving, adjusted for plan and tenure
    event_study = 4  # followed a change, beside others whom it had not touched yet
    experiment = 5  # chance decided who got it

    @property
    def words(self) -> str:
        """As it is said in a sentence."""
        return _WORDS[self]


_WORDS = {
    Strength.text: "text",
    Strength.stated: "stated",
    Strength.association: "adjusted association",
    Strength.event_study: "event study",
    Strength.experiment: "experiment",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a method found.

    method: the command behind `tenure why`; name: what it is about, a word that stays the same between runs; cause: a
    code of the taxonomy, or None where it points to none; en, th: the subject in words; estimate: value and interval in
    `unit` (share, points: a difference of shares, ratio, days, score, money, count), every part None with the `reason`;
    customers: how many it is about; p: unadjusted, None where nothing was tested; adjusted_p: see `in_family`;
    settles: what would settle it; who: lists the customers (an Arrow table with customer_id), None where there is no
    list; more: what else the method says of it, plain values by name.
    """

    method: str
    name: str
    cause: str | None
    en: str
    th: str
    estimate: Estimate = NO_ESTIMATE
    unit: str = "points"
    customers: int = 0
    strength: Strength = Strength.association
    p: float | None = None
    adjusted_p: float | None = None
    settles: str = ""
    reason: str | None = None
    who: Callable[[], pa.Table] | None = field(default=None, compare=False, repr=False)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it is more than noise, with all that was looked at beside it taken into account."""
        return self.adjusted_p is not None and self.adjusted_p <= FAMILY_LEVEL

    def subject(self, language: str = "en") -> str:
        """What it is about, in that language."""
        return self.th if language == "th" else self.en

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values, without its customers."""
        return {
            "method": self.method,
            "finding": self.name,
            "cause": self.cause,
            "subject": self.en,
            "unit": self.unit,
            "value": self.estimate.value,
            "low": self.estimate.low,
            "high": self.estimate.high,
            "customers": self.customers,
            "strength": self.strength.words,
            "p": self.p,
            "adjusted_p": self.adjusted_p,
            "stands": self.stands,
            "settles": self.settles,
            "reason": self.reason,
            **self.more,
        }


KEYS = (
    "method", "finding", "cause", "subject", "unit", "value", "low", "high", "customers", "strength", "p", "adjusted_p",
    "stands", "settles", "reason",
)  # fmt: skip


def share_of(method: str) -> Fraction:
    """Which part of the family-wise 5 % a method may spend."""
    if method not in SHARES:
        raise UnknownName.of("method that shares the family-wise level", method, SHARES)
    return SHARES[method]


def adjusted(p_values: Sequence[float | None], share: Fraction = Fraction(1)) -> list[float | None]:
    """p values corrected by Holm, and for having only this share of the family: compare them with FAMILY_LEVEL.

    >>> adjusted([0.001, 0.02, None], Fraction(1, 2))
    [0.004, 0.04, None]
    """
    return [None if p is None else min(1.0, p / float(share)) for p in holm(p_values)]


def in_family(method: str, found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of one method with their adjusted p; those without a p are left as they are and not counted.

    The order is kept. Hand in everything that was looked at, also what was not significant: leaving it out would make
    the rest look surer than it is.
    """
    kept = tuple(found)
    return tuple(
        replace(one, adjusted_p=p)
        for one, p in zip(kept, adjusted([one.p for one in kept], share_of(method)), strict=True)
    )
