"""Findings: one shape, one family-wise 5 %, shared by the methods that hunt."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tenure.errors import UnknownName
from tenure.explain.findings import FAMILY_LEVEL, SHARES, Finding, Strength, adjusted, in_family, share_of
from tenure.kernel.stats import Estimate, holm


def one(p: float | None, method: str = "segments") -> Finding:
    return Finding(method, "plan", None, "the plan", "แพ็กเกจ", Estimate(0.1, 0.0, 0.2), p=p)


def test_the_parts_of_the_family_are_one_whole() -> None:
    assert sum(SHARES.values()) == 1


def test_a_method_without_a_part_of_the_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'segments'"):
        share_of("segment")


def test_a_p_value_is_corrected_for_all_others_and_for_the_methods_part() -> None:
    # Holm: 0.001 x 3, 0.01 x 2, 0.5 x 1; then each by the sixth that the method has: times six.
    found = in_family("segments", [one(0.01), one(0.001), one(None), one(0.5)])
    assert [one.adjusted_p for one in found] == pytest.approx([0.12, 0.018, None, 1.0])
    assert [one.stands for one in found] == [False, True, False, False]


def test_the_whole_family_is_holms_own_correction() -> None:
    p = [0.012, 0.4, 0.03, 0.0004]
    assert adjusted(p, Fraction(1)) == holm(p)


def test_in_a_world_without_effects_all_methods_together_are_wrong_in_five_of_a_hundred_at_most() -> None:
    # 2,000 worlds, twelve candidates a method, p values uniform. At most 5 %, with two standard errors of 0.5 %.
    rng = np.random.default_rng(4)
    worlds = 2_000
    wrong = 0
    for _ in range(worlds):
        found = (
            finding.stands
            for method in SHARES
            for finding in in_family(method, [one(float(p), method) for p in rng.random(12)])
        )
        wrong += any(found)
    assert 0.035 <= wrong / worlds <= FAMILY_LEVEL + 0.01


def test_an_experiment_weighs_more_than_an_association_and_that_more_than_words() -> None:
    assert Strength.experiment > Strength.event_study > Strength.association > Strength.stated > Strength.text
    assert Strength.association.words == "adjusted association"


def test_a_finding_as_plain_values_says_what_it_says_and_keeps_the_unknown() -> None:
    finding = Finding(
        "support", "slow", "support", "slow replies", "ตอบช้า", customers=3, reason="no ticket", more={"n": 4}
    )
    plain = finding.as_json()
    assert (plain["cause"], plain["value"], plain["reason"], plain["n"], plain["stands"]) == (
        "support", None, "no ticket", 4, False,
    )  # fmt: skip
    assert finding.subject("th") == "ตอบช้า"
    assert finding.subject("fr") == "slow replies"
