"""How long until Tenure answers at all? `tenure --help` and `import tenure` in fresh processes.

    python benchmarks/bench_start.py [--runs 7]

Beside a bare interpreter, which is the least that any Python program can take. Aim: within 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str], runs: int) -> tuple[float, float]:
    """Medians of wall and processor seconds of a command."""
    walls, cpus = [], []
    for _ in range(runs):
        before = os.times()
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        walls.append(time.perf_counter() - began)
        after = os.times()
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    tenure = str(Path(sys.executable).with_name("tenure"))
    commands = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "import tenure": [sys.executable, "-c", "import tenure"],
        "tenure --help": [tenure, "--help"],
    }
    print(f"{'':20}{'wall s':>9}{'cpu s':>9}   medians of {runs} fresh processes")
    for name, command in commands.items():
        seconds(command, 1)
        wall, cpu = seconds(command, runs)
        print(f"{name:20}{wall:>9.3f}{cpu:>9.3f}")


if __name__ == "__main__":
    main()
