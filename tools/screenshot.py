"""What does a reader's first screen show? A picture of it: `python tools/screenshot.py PAGE.html OUT.png`.

A headless Chromium opens the page in a window of 1100 x 860 CSS pixels at twice the density, without scrolling. A
picture above 400 kB is refused, so that the README stays light.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 400_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def photograph(page: Path, out: Path, width: int, height: int) -> None:
    """Writes the picture of the page's first screen, or ends with what is missing."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium here: install Debian's `chromium`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tenure-screenshot-") as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--disable-background-networking", "--force-device-scale-factor=2", f"--user-data-dir={profile}"]
        command += [f"--window-size={width},{height}", f"--screenshot={out.resolve()}", page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0 or not out.is_file():
        sys.exit(f"Chromium did not draw {page}:\n{done.stderr}")


def main() -> None:
    """The command line: page, picture, and the window in CSS pixels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=860)
    told = parser.parse_args()
    if not told.page.is_file():
        sys.exit(f"{told.page} is not a file; `make demo` writes demo/report.html")
    photograph(told.page, told.out, told.width, told.height)
    size = told.out.stat().st_size
    print(f"{told.out}: {size / 1000:.0f} kB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT / 1000:.0f} kB; take a smaller window with --width and --height")


if __name__ == "__main__":
    main()
