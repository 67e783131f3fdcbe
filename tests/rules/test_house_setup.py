"""What a newcomer runs is what the build machine runs, and what is missing is said aloud."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import conftest
from tests.conftest import ROOT

SCRIPTS = [ROOT / ".ci" / "run", *sorted(path for path in (ROOT / "tools").iterdir() if not path.suffix)]


def test_the_build_machine_runs_what_a_newcomer_runs_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.strip() and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_stops_at_errors_and_says_what_it_is_for(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines
    subprocess.run(["bash", "-n", script], check=True)


def test_a_missing_part_skips_on_a_desk_and_fails_on_the_build_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "ON_CI", False)
    with pytest.raises(pytest.skip.Exception, match="Java is missing: install it"):
        conftest.without("Java", "install it")
    monkeypatch.setattr(conftest, "ON_CI", True)
    with pytest.raises(pytest.fail.Exception, match="Java is missing: install it"):
        conftest.without("Java", "install it")


def test_debian_packages_are_asked_for_when_we_may_not_install_them(tmp_path: Path) -> None:
    # A PATH with an apt-get that must not run, an `id` that is nobody's root, and no sudo.
    for name, does in {"apt-get": "echo INSTALLED", "id": "echo 1000"}.items():
        tool = tmp_path / name
        tool.write_text(f"#!/bin/bash\n{does}\n", encoding="utf-8")
        tool.chmod(0o755)
    command = ["/bin/bash", str(ROOT / "tools" / "apt-install"), "chromium"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "sudo apt-get install chromium" in done.stderr
    assert "INSTALLED" not in done.stdout
