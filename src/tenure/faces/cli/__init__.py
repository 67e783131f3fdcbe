"""What does a person type, and what comes back? The command `tenure`: parse, call, present.

commands    what can be typed          ending      how a command ends: exit code, message, never a traceback
places      which workspace is meant   progress    how long will this take, told to terminals only
layout      tables as plain text       outputs     the same rows as a table, CSV or JSON
numbers     how a metric's number reads    loads, findings, health    what load, quarantine and doctor say

Nothing heavy is imported before a command needs it: `tenure --help` answers within 0.3 s.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process: 0 done, 1 failed, 2 bad input or usage, 130 interrupted."""
    from tenure.faces.cli.ending import finish

    finish(arguments)
