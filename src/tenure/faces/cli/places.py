"""Which workspace is meant? The one named with -w, else TENURE_WORKSPACE, else the folder one stands in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace

VARIABLE = "TENURE_WORKSPACE"


def folder(named: Path | None, before: Path | None = None) -> Path:
    """The workspace's folder: as named after the command, before it, in the environment, or the current one."""
    return named or before or Path(os.environ.get(VARIABLE) or ".")


def workspace(named: Path | None, before: Path | None = None) -> Workspace:
    """The workspace; NoWorkspace where the folder is none."""
    from tenure.app.workspace import Workspace

    return Workspace(folder(named, before))


def leave(shop: Workspace) -> None:
    """Lets go of the memory and the spill files of every engine that was opened for the workspace."""
    shop.close()
