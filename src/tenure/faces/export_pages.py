"""The reference page of vendors' exports, made from the mappings themselves."""

from __future__ import annotations

from tenure.connect.exports import Mapping, mapping, names
from tenure.connect.exports.mapping import KINDS, FactsOf, VendorFile

_HEAD = """# Vendors' exports

*The question this page answers: which files of which vendor does `tenure load --from NAME DIR` read, what becomes of
them, and where are their columns documented?*

A mapping is a commented data file that ships with the package (`src/tenure/connect/exports/mappings`). A file is found
by its name, whatever its ending (`.csv`, `.tsv`, `.parquet`, `.jsonl`, also `.gz` and `.zst`); columns by theirs,
whatever their order and case. A file that is not there leaves out what it would tell; one that the mapping does not
know is named and not read. **Needed** columns must be there; others may be.

Every file is typed before anything is made of it. A line with a cell that is not what its column is (a time, a whole
number, a number, true or false) goes to quarantine and nothing is made of it. `9999-12-31` is no end. What is made then
passes every check of [the loader](file-formats.md); a row that fails is told by the vendor's file and line. In a
summary, rows are the facts made, so that one line of a file may count several times, or not at all.

Of payment cards come brand, funding, country and the month of expiry: never a number, its last digits or a fingerprint.
"""

_OWN = """
## A mapping of your own

`tenure load --from ours.toml DIR` takes a mapping by its path. Its SQL is DuckDB's; it sees the files of the folder and
nothing else.

@ENTRIES@

Two functions are there: `to_minor(amount, currency)`, an amount that a source keeps as a float in minor units, halves
away from zero, and `last_day_of(year, month)`.

*Read next: [load a vendor's export](../how-to/load-a-vendors-export.md), [file formats and shapes](file-formats.md).*
"""

# What a mapping may say, and what it means.
_ENTRIES = (
    ("`title`, `about`, `limits`", "what it is, in words"),
    ("`timezone`", "the zone of times that name no offset; left out: `--timezone`, else the workspace's"),
    ("`[[sources]]`", "`page`, `read_on`, `tells`: where the columns are documented"),
    (
        "`[files.charge]`",
        "one file: a relation of that name, with its columns in snake case, and `place`, which says where a "
        "row came from",
    ),
    (
        "`named`",
        "the file names it may have, without endings; `*` stands for anything, and then several files are one relation",
    ),
    ("`needs`", "columns without which the file is refused"),
    (
        "`text`, `time`, `whole`, `number`, `claim`",
        "columns that may be absent, by type; any other column of the file may be used as text",
    ),
    ("`also`", "other names that a column may have"),
    ("`[functions]`", '`name = "(a, b) AS ..."`: macros for expressions that come again'),
    (
        "`[views]`",
        '`name = "SELECT ..."`: relations that facts share; each may use those above it, and hands `place` on',
    ),
    (
        "`[[facts]]`",
        "`table` (any table or shape of `tenure load`), `of` (the file, or files, whose lines the rows are "
        "made of), `from` (default: the file), `where`",
    ),
    ("`[facts.columns]`", "for each column of the table an expression"),
    ("`[facts.traits]`", "for each trait of the customer an expression"),
)
# How the page calls the types of columns.
_TYPES = {"time": "time", "whole": "whole number", "number": "number", "claim": "true or false"}


def page() -> str:
    """The whole page."""
    told = [mapping(name) for name in names()]
    index = "\n".join(f"| `{one.name}` | {one.about} |" for one in told)
    head = f"{_HEAD}\n| `--from` | reads |\n|---|---|\n{index}\n"
    return head + "".join(_section(one) for one in told) + _OWN.replace("@ENTRIES@", _entries())


def _entries() -> str:
    rows = [f"| {entry} | {says} |" for entry, says in _ENTRIES]
    return "\n".join(["| entry | says |", "|---|---|", *rows])


def _section(told: Mapping) -> str:
    lines = [f"\n## {told.title}\n", f"`tenure load --from {told.name} DIR`. {told.about}\n"]
    lines += ["| file | needed | others that are read |", "|---|---|---|"]
    lines += [_file(spec) for spec in told.files.values()]
    lines += ["", "| becomes | of | |", "|---|---|---|"]
    lines += [_facts(facts, told) for facts in told.facts]
    if told.limits:
        lines += ["", *(f"- {limit}" for limit in told.limits)]
    lines += ["", "Columns from: " + "; ".join(_source(told)) + ".", ""]
    return "\n".join(lines)


def _file(spec: VendorFile) -> str:
    called = ", ".join(f"`{name}`" for name in spec.named)
    needed = ", ".join(name for name in spec.needs)
    others = [
        f"{name} ({_TYPES[kind]})" if kind in _TYPES else name
        for kind in KINDS
        for name, own in spec.columns.items()
        if own == kind and name not in spec.needs
    ]
    return f"| {called} | {needed} | {', '.join(others)} |"


def _facts(facts: FactsOf, told: Mapping) -> str:
    files = ", ".join(f"`{told.files[name].named[0]}`" for name in facts.of)
    return f"| {facts.table} | {files} | {facts.about} |"


def _source(told: Mapping) -> list[str]:
    return [f"{source.page} (read {source.read_on}): {source.tells}" for source in told.sources]
