"""The runner of the docs' code blocks catches what it is there to catch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import BlockFailed, Reader, matches, read_page


def follow(tmp_path: Path, text: str) -> Reader:
    """Follow a page of this text in a fresh folder."""
    (tmp_path / "state").mkdir()
    (tmp_path / "folder").mkdir()
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    reader = Reader(read_page(path), tmp_path / "folder", tmp_path / "state")
    reader.set_up()
    reader.follow()
    return reader


def test_blocks_of_a_page_share_one_namespace_and_one_folder(tmp_path: Path) -> None:
    follow(
        tmp_path,
        "```bash\nexport NAME=Ada\nmkdir shop && cd shop\necho hello > note.txt\n```\n"
        "text\n\n```console\n$ echo $NAME; cat note.txt\nAda\nhello\n```\n"
        "```python\nfrom pathlib import Path\nnote = Path('note.txt').read_text()\n```\n"
        "1. in a list:\n\n   ```python\n   assert note == 'hello\\n'\n   print(note)\n   ```\n\n"
        "<!-- output -->\n```text\nhello\n```\n",
    )


def test_a_failing_command_fails_its_page_and_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match=r"page\.md:4: ended with 1, not 0"):
        follow(tmp_path, "# Title\n\n```bash\nfalse\necho never reached\n```\n")


def test_a_command_in_a_pipe_that_fails_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match="ended with 1"):
        follow(tmp_path, "```console\n$ false | cat\n```\n")


def test_an_exit_code_that_the_page_announces_is_required(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match="ended with 0, not 2"):
        follow(tmp_path, "<!-- exits: 2 -->\n```console\n$ true\n```\n")


def test_output_that_differs_from_the_page_fails(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match=r"(?s)prints something else.*-8\.00 %.*\+9\.00 %"):
        follow(tmp_path, "```console\n$ echo '9.00 %'\n8.00 %\n```\n")


def test_a_failing_python_block_names_the_pages_own_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        follow(tmp_path, "# Title\n\n```python\nx = 0\n1 / x\n```\n")
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_python_session_is_checked_line_by_line_and_goes_on_in_the_next_block(tmp_path: Path) -> None:
    page = "```python\n>>> rate = 2 / 25\n>>> rate\n0.08\n```\n\n```python\n>>> round(rate, 1)\n{}\n```\n"
    follow(tmp_path, page.format("0.1"))
    with pytest.raises(BlockFailed, match=r"Expected:\n    0\.2"):
        follow_again = tmp_path / "again"
        follow_again.mkdir()
        follow(follow_again, page.format("0.2"))


def test_a_block_can_be_a_file_and_another_can_be_left_out(tmp_path: Path) -> None:
    follow(
        tmp_path,
        "<!-- file: data/plans.csv -->\n```csv\nplan,price\nA,1\n```\n\n"
        "<!-- setup: touch before -->\n<!-- no-run: it would never end -->\n```bash\nsleep infinity\n```\n"
        "```console\n$ cat data/plans.csv\nplan,price\nA,1\n$ ls\nbefore\ndata\n```\n",
    )


def test_a_directive_reaches_only_the_block_directly_below_it(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match="ended with 1"):
        follow(tmp_path, "<!-- no-run: only shown here -->\n\nThen some prose.\n\n```bash\nfalse\n```\n")


def test_a_block_that_is_never_closed_is_an_error_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(BlockFailed, match="never closed"):
        follow(tmp_path, "```bash\ntrue\n")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("churn 8.00 %", "churn 8.00 %\n", True),
        ("churn ... %", "churn 8.00 %", True),
        ("churn ...", "churn 8.00 %\nand more", False),
        ("a\n...\nb", "a\nb", True),
        ("a\n...\nb", "a\n1\n2\nb", True),
        ("a\n...", "a\n1\n2", True),
        ("a", "a\nb", False),
        ("a.c", "abc", False),
        ("trailing  ", "trailing", True),
    ],
)
def test_three_dots_stand_for_any_text_and_nothing_else_does(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same
