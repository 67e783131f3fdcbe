"""Reads the code blocks of a Markdown page, and runs them as a reader would: in order, in one folder, in one session.

What a page can say
-------------------
Fences in these languages run: `python`, `bash` (also `sh`), `console`. Every other fence is only shown, and every fence
names its language.

- `python`: all blocks of a page share one namespace. A block that begins with `>>>` is checked like a doctest.
- `bash`: runs as a script that stops at the first failing command. `cd` and `export` last to the end of the page.
- `console`: each `$ command` (continued by a trailing backslash) must succeed. Lines below it, if there are any, are
  what it prints, standard error included; `...` stands for any text, on a line of its own for any lines.

An HTML comment directly before a block changes that:

    <!-- no-run: why -->     the block is only shown; the reason is required
    <!-- exits: 2 -->        the block's last command ends with this code
    <!-- output -->          the block, in any language, is what the block above printed
    <!-- file: plans.csv --> the block, in any language, is written to this file in the page's folder

And anywhere in the page:

    <!-- needs: java -->         the page is skipped on a machine without Java; also `chromium`
    <!-- needs: demo -->         the folder has `demo/`, the workspace that `tenure demo demo/` makes
    <!-- needs: data cdnow -->   the folder has `data/cdnow`, a public data set kept beside the repository
    <!-- setup: command -->      a command that runs before the first block and is not shown

`tenure` and `python` are those of the running interpreter. The repository's `examples/` are in the page's folder.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import os
import re
import shlex
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

RUNS = {"python": "python", "bash": "bash", "sh": "bash", "console": "console"}
DIRECTIVES = {"no-run", "exits", "output", "file"}
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)(?P<rest>.*)$")
COMMENT = re.compile(r"^\s*<!--\s*(?P<key>[a-z-]+)\s*(?::\s*(?P<value>.*?))?\s*-->\s*$")
NEEDS = re.compile(r"^\s*<!--\s*needs:\s*(?P<what>[a-z]+)(?:\s+(?P<name>\S+))?\s*-->\s*$", re.MULTILINE)
SETUP = re.compile(r"^\s*<!--\s*setup:\s*(?P<command>.+?)\s*-->\s*$", re.MULTILINE)


class BlockFailed(AssertionError):
    """A block of a page does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """One fenced block: `line` is the line of its first content line, counted from 1."""

    language: str
    text: str
    line: int
    directives: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether the block is executed: a language that runs, with no directive that says otherwise."""
        return self.language in RUNS and not self.directives.keys() & {"no-run", "output", "file"}


@dataclass(frozen=True)
class Page:
    """A Markdown page, its blocks in order, what it needs and the hidden commands that prepare it."""

    path: Path
    blocks: tuple[Block, ...]
    needs: tuple[tuple[str, str], ...]
    setup: tuple[str, ...]


def read_page(path: Path) -> Page:
    """The blocks of the page at `path`; an unclosed fence or an unknown directive is an error of the page."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    blocks: list[Block] = []
    directives: dict[str, str] = {}
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence is None:
            comment = COMMENT.match(lines[at])
            if comment and comment["key"] in DIRECTIVES:
                directives[comment["key"]] = comment["value"] or ""
            elif lines[at].strip():  # a blank line may stand between a directive and its block, prose may not
                directives = {}
            at += 1
            continue
        start = at + 1
        closing = re.compile(rf"^ *{re.escape(fence['ticks'][0])}{{{len(fence['ticks'])},}}\s*$")
        end = next((n for n in range(start, len(lines)) if closing.match(lines[n])), None)
        if end is None:
            raise BlockFailed(f"{path}:{at + 1}: this block is never closed")
        indent = len(fence["indent"])
        content = [line[indent:] if line[:indent].isspace() or not indent else line for line in lines[start:end]]
        blocks.append(Block(fence["language"].lower(), "\n".join(content) + "\n", start + 1, directives))
        directives = {}
        at = end + 1
    needs = tuple((found["what"], found["name"] or "") for found in NEEDS.finditer(text))
    return Page(path, tuple(blocks), needs, tuple(found["command"] for found in SETUP.finditer(text)))


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is what the page shows: `...` is any text, alone on a line any lines."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
    tidy = "".join(line.rstrip() + "\n" for line in printed.rstrip().splitlines())
    return re.fullmatch(pattern, tidy) is not None


class Reader:
    """Somebody who follows a page: keeps its folder, its shell's directory and variables, and its Python namespace."""

    def __init__(self, page: Page, folder: Path, state: Path) -> None:
        """`folder` is where the page's commands run, `state` a folder that the page never sees."""
        self.page = page
        self.folder = folder
        self.printed = ""
        self.namespace: dict[str, object] = {"__name__": "__main__"}
        self._variables = state / "variables"
        self._directory = state / "directory"
        self._directory.write_text(str(folder))
        self._environment = {
            "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
            "HOME": str(state),
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        } | {name: os.environ[name] for name in ("JAVA_HOME", "TMPDIR", "SPARK_LOCAL_IP") if name in os.environ}

    def set_up(self) -> None:
        """Run what the page needs before its first block; it may leave files only."""
        for command in self.page.setup:
            self._shell(command, 0, f"{self.page.path}: setup")

    def follow(self) -> None:
        """Run the page, once it is set up, from top to bottom; BlockFailed says at which line it stops being true."""
        for block in self.page.blocks:
            where = f"{self.page.path}:{block.line}"
            if "file" in block.directives:
                target = self.folder / block.directives["file"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text, encoding="utf-8")
            elif "output" in block.directives:
                self._compare(block.text, self.printed, where)
            elif block.runs:
                {"python": self._python, "bash": self._bash, "console": self._console}[RUNS[block.language]](
                    block, where
                )

    def _bash(self, block: Block, where: str) -> None:
        self.printed = self._shell(block.text, int(block.directives.get("exits", 0)), where)

    def _console(self, block: Block, where: str) -> None:
        commands = console_commands(block.text)
        if not commands:
            raise BlockFailed(f"{where}: a console block without a line that begins with '$ '")
        for n, (command, expected) in enumerate(commands):
            last = n == len(commands) - 1
            code = int(block.directives.get("exits", 0)) if last else 0
            self.printed = self._shell(command, code, where)
            if expected.strip():
                self._compare(expected, self.printed, f"{where}: $ {command}")

    def _shell(self, script: str, code: int, where: str) -> str:
        wrapped = "\n".join(
            [
                f"[ ! -e {shlex.quote(str(self._variables))} ] || . {shlex.quote(str(self._variables))}",
                f'cd "$(cat {shlex.quote(str(self._directory))})"',
                "set -eo pipefail",
                script,
                f"export -p > {shlex.quote(str(self._variables))}",
                f"pwd > {shlex.quote(str(self._directory))}",
            ]
        )
        done = subprocess.run(
            ["bash", "-c", wrapped],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )
        printed = done.stdout.decode("utf-8", "replace")
        if done.returncode != code:
            raise BlockFailed(f"{where}: ended with {done.returncode}, not {code}\n{script.rstrip()}\n{printed}")
        return printed

    def _python(self, block: Block, where: str) -> None:
        out = io.StringIO()
        before = Path.cwd()
        os.chdir(self._directory.read_text().strip())
        try:
            with contextlib.redirect_stdout(out):
                if block.text.lstrip().startswith(">>>"):
                    self._examples(block, where)
                else:
                    # Padding makes a traceback name the page's own line.
                    code = compile("\n" * (block.line - 1) + block.text, str(self.page.path), "exec")
                    exec(code, self.namespace)
        finally:
            os.chdir(before)
        self.printed = out.getvalue()

    def _examples(self, block: Block, where: str) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.namespace, where, str(self.page.path), block.line)
        test.globs = self.namespace  # get_doctest copies it, and later blocks go on from here
        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=report.write, clear_globs=False)
        if runner.summarize(verbose=False).failed:
            raise BlockFailed(f"{where}\n{report.getvalue()}")

    @staticmethod
    def _compare(expected: str, printed: str, where: str) -> None:
        if not matches(expected, printed):
            lines = difflib.unified_diff(
                expected.rstrip().splitlines(), printed.rstrip().splitlines(), "page", "printed", lineterm=""
            )
            raise BlockFailed(f"{where}: prints something else than the page shows\n" + "\n".join(lines))


def console_commands(text: str) -> list[tuple[str, str]]:
    """The `$ command`s of a console block, each with the lines the page shows below it."""
    commands: list[tuple[str, str]] = []
    continued = False
    for line in text.splitlines():
        if continued:
            command, shown = commands[-1]
            commands[-1] = (f"{command}\n{line.removeprefix('> ')}", shown)
            continued = line.endswith("\\")
        elif line.startswith("$ "):
            commands.append((line[2:], ""))
            continued = line.endswith("\\")
        elif commands:
            command, shown = commands[-1]
            commands[-1] = (command, f"{shown}{line}\n")
        elif line.strip():
            raise BlockFailed(f"a console block begins with {line!r} and not with '$ '")
    return commands
