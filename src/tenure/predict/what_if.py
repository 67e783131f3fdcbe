"""What if it were otherwise? What can be asked of a forecast, read from words: churn, a price, new customers.

    monthly churn -0.5 points       the average chance to leave within a month, half a percentage point lower
    monthly churn -10 %             the chance to leave, a tenth lower
    price +10 % on plan B           what customers of plan B pay, a tenth more; without `on plan`: all customers
    new customers +20 %             a fifth more newcomers every month

Churn scales everybody's chance alike; an end that was announced stays. A price is paid by who comes from now on, and by
who is there from his next term on. That a price drives nobody away is an assumption, unless an elasticity is given:
the change of the number of customers in percent, for a price that is one percent higher.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenure.errors import BadInput

FORMS = (
    "monthly churn -0.5 points",
    "monthly churn -10 %",
    "price +10 % on plan B",
    "price +10 %",
    "new customers +20 %",
)
_NUMBER = r"(?P<number>[+\-\u2212]?\s*(?:\d+(?:\.\d+)?|\.\d+))"
_CHURN = re.compile(
    rf"(?:monthly\s+)?churn\s+{_NUMBER}\s*(?P<unit>%|percent|(?:percentage\s+)?points?|pp)", re.IGNORECASE
)
_PRICE = re.compile(
    rf"prices?\s+{_NUMBER}\s*(?:%|percent)(?:\s+(?:on|of|for)\s+(?:plan\s+)?(?P<plan>.+?))?", re.IGNORECASE
)
_NEW = re.compile(rf"new\s+customers\s+{_NUMBER}\s*(?:%|percent)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One thing that is otherwise. kind: churn, price or new; by: the change as a share (0.10 for 10 %).

    in_points: of churn, that `by` is added to the average chance of a month; plan: of a price, None for every plan.
    """

    text: str
    kind: str
    by: float
    in_points: bool = False
    plan: str | None = None


def read(text: str) -> WhatIf:
    """What the words ask; BadInput with every form there is.

    >>> read("price +10 % on plan B")
    WhatIf(text='price +10 % on plan B', kind='price', by=0.1, in_points=False, plan='B')
    >>> read("monthly churn -0.5 points").by
    -0.005
    """
    words = " ".join(text.split())
    for kind, pattern in (("churn", _CHURN), ("price", _PRICE), ("new", _NEW)):
        if match := pattern.fullmatch(words):
            written = match["number"].replace("\u2212", "-").replace(" ", "")
            if written[0] not in "+-" and float(written):
                raise BadInput(
                    f"--what-if '{text}': say which way, such as '{words.replace(written, '+' + written, 1)}'"
                )
            by = float(f"{written}e-2")
            in_points = kind == "churn" and match["unit"].lower() not in ("%", "percent")
            if by <= -1 and not (kind == "new" and by == -1) and not in_points:
                raise BadInput(f"--what-if '{text}': nothing falls by {-by:.0%}; write less than 100 %")
            if by > 10 or (in_points and abs(by) > 1):
                raise BadInput(f"--what-if '{text}': that is out of reach; write at most 100 points or 1000 %")
            plan = match["plan"] if kind == "price" else None
            return WhatIf(words, kind, by, in_points, plan.strip("'\"") if plan else None)
    raise BadInput(f"--what-if '{text}' is not understood. Write it like: " + "; ".join(f"'{form}'" for form in FORMS))


def read_all(texts: Sequence[str]) -> tuple[WhatIf, ...]:
    """Several, which hold together; BadInput where two of them say the same thing in different ways."""
    found = tuple(read(text) for text in texts)
    said = [(one.kind, one.plan) for one in found]
    for one, key in zip(found, said, strict=True):
        if said.count(key) > 1:
            raise BadInput(
                f"--what-if '{one.text}': this is changed twice; ask for one change of it, or forecast twice"
            )
    if any(key == ("price", None) for key in said) and sum(kind == "price" for kind, _ in said) > 1:
        raise BadInput("--what-if: a price of every plan and that of one plan; name each plan, or every plan once")
    return found


def elasticity_of(told: float | str | None) -> float:
    """A price elasticity of customers, 0 or below; BadInput for what is none."""
    try:
        number = float(told if told is not None else "")
    except ValueError:
        number = math.nan
    if not -20 <= number <= 0:
        raise BadInput(
            f"--elasticity {told}: write 0 or below, such as -0.5 (a price 10 % higher then costs 5 % of customers), "
            "or 'measured'"
        )
    return number
