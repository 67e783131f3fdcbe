"""Every error a user can meet, in one short tree.

TenureError                     what happened, which thing, what to do next
|- BadInput                     exit code 2: the input or the call is wrong
|  |- UnknownName               no such metric, table, column, profile ... (did you mean?)
|  |- UnknownCurrency           not an ISO 4217 code
|  |- UnknownZone               not an IANA time zone
|  |- MoneyTooFine              more digits than the currency's minor unit
|  |- CurrencyMismatch          two currencies in one sum
|  |- BadPeriod                 a date, month or year that cannot be read, or no period at all
|  |- BadFile                   a file that cannot be read as what it claims to be
|  |  `- PartlyLoaded           of several files some were refused; what became of the others is told
|  |- BadConfiguration          tenure.toml says something impossible
|  `- NoRate                    no exchange rate where one is needed
`- Failed                       exit code 1: the input was fine, the work was not possible
   |- NoWorkspace               the folder is not a workspace
   |- Busy                      another process holds what is needed
   |- CannotFit                 the data hold nothing that this model could learn, or not enough
   `- Damaged                   stored data is not what it should be
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class TenureError(Exception):
    """What happened, which thing, and what to do next, in one message."""

    exit_code = 1


class BadInput(TenureError):
    """The input or the call is wrong; nothing was changed."""

    exit_code = 2


class UnknownName(BadInput):
    """A name that nothing answers to."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownName:
        """The message for an unknown `kind` called `name`, with the nearest known names."""
        choices = sorted(set(known))
        near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
        text = f"no {kind} called '{name}'."
        if near:
            text += f" Did you mean '{near[0]}'?"
        elif choices and len(choices) <= 40:
            text += f" Known: {', '.join(choices)}."
        if hint:
            text += f" {hint}"
        return cls(text)


class UnknownCurrency(BadInput):
    """Not an ISO 4217 currency code."""


class UnknownZone(BadInput):
    """Not an IANA time zone."""


class MoneyTooFine(BadInput):
    """An amount with more digits than its currency has; it is never rounded on the way in."""


class CurrencyMismatch(BadInput):
    """Two currencies in one sum."""


class BadPeriod(BadInput):
    """A date, month or year that cannot be read, or a rate without a period."""


class BadFile(BadInput):
    """A file that cannot be read as what it claims to be."""


class PartlyLoaded(BadFile):
    """Of several files some were refused; `loaded` tells what became of the others."""

    def __init__(self, message: str, loaded: Any) -> None:
        super().__init__(message)
        self.loaded = loaded


class BadConfiguration(BadInput):
    """The workspace's settings say something impossible."""


class NoRate(BadInput):
    """No exchange rate where one is needed."""


class Failed(TenureError):
    """The input was fine; the work could not be done."""


class NoWorkspace(Failed):
    """The folder is not a workspace."""

    exit_code = 2


class Busy(Failed):
    """Another process holds what is needed; trying again later helps."""


class CannotFit(Failed):
    """The data hold nothing that this model could learn, or not enough of it."""


class Damaged(Failed):
    """Stored data is not what it should be."""
