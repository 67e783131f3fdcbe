"""How does a command end? With 0, 1 or 2, one clear message on stderr, and never a traceback."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from tenure.errors import TenureError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
# The base of everything that the parser itself refuses.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


# What engines say of a Parquet file that is not whole.
_DAMAGE = (
    "magic bytes",
    "footer",
    "too small to be a parquet file",
    "not a parquet file",
    "corrupt",
    "thrift",
    "snappy",
)


class Unread(Exception):
    """Nobody reads what is printed any more; the reader has seen enough. No OSError, or the parser would take it."""


class Ended(Exception):
    """The command has said everything; what remains is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def finish(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line with these arguments (default: the process's) and ends the process."""
    for stream in (sys.stdout, sys.stderr):
        # A file name or a customer's text that the terminal cannot show must not stop the answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _quietly(code)
    except OSError as error:
        if code == DONE:
            code = _of_system(error)
        _quietly(code)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and answers its exit code; what went wrong is told on stderr."""
    from tenure.faces.cli.commands import app

    try:
        command = typer.main.get_command(app)
        code = command.main(None if arguments is None else list(arguments), prog_name="tenure", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except Ended as end:
        return end.code
    except UsageError as error:
        error.show()  # type: ignore[attr-defined]
        return BAD_INPUT
    except TenureError as error:
        say(str(error))
        if _debugging():
            traceback.print_exc()
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; nothing is half done")
        return INTERRUPTED
    except Unread:
        return _quietly(DONE)
    except OSError as error:
        return _of_system(error)
    except Exception as error:
        return _of_ours(error)


def say(message: str) -> None:
    """One message on stderr, without what a terminal would obey."""
    from tenure.faces.cli.layout import printable

    with contextlib.suppress(OSError):
        print(f"Error: {printable(message, lines=True)}", file=sys.stderr, flush=True)


def _quietly(code: int) -> int:
    """Nobody reads on: what is still buffered goes nowhere, without a word."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return code


def _of_system(error: OSError) -> int:
    """What the operating system refused: no space, no permission, no such folder."""
    what = error.strerror or str(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    hint = {
        errno.ENOSPC: "; free some space, then run the command again: nothing is half done",
        errno.EACCES: "; give this user the right to it, or name another place",
        errno.EROFS: "; name a place that can be written to",
    }.get(error.errno or 0, "")
    say(f"{where}{what}{hint}")
    if _debugging():
        traceback.print_exc()
    return FAILED


def _of_ours(error: Exception) -> int:
    """A mistake of Tenure's own: short for who met it, whole for who mends it."""
    if _debugging():
        traceback.print_exc()
    first = str(error).strip().splitlines()
    if first and _is_damage(error):
        say(
            f"the lake holds a file that cannot be read: {first[0][:500]}; restore it from a copy, or load the facts "
            "into a new workspace (`tenure doctor` looks at every file)"
        )
        return FAILED
    what = f"{type(error).__name__}: {first[0][:300]}" if first else type(error).__name__
    advice = (
        "report this line and the command"
        if _debugging()
        else "report it with the command and what TENURE_DEBUG=1 prints"
    )
    say(f"a mistake of Tenure's own, not of yours ({what}); {advice}")
    return FAILED


def _is_damage(error: Exception) -> bool:
    """Whether an engine says that a Parquet file is cut or is none."""
    of_engine = type(error).__module__.split(".")[0].lstrip("_") in ("duckdb", "pyspark", "pyarrow")
    return of_engine and ".parquet" in str(error) and any(sign in str(error).lower() for sign in _DAMAGE)


def _debugging() -> bool:
    return os.environ.get("TENURE_DEBUG", "") not in ("", "0")
