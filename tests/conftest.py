"""What the tests share: the real parts outside Python, the data sets kept beside the repository, one Spark session.

A part that a machine lacks skips the tests that need it and says which part that was. On a build machine (CI=true) a
missing part fails instead: there a skip would be a promise nobody checks. The data sets alone may be absent everywhere,
for they are not ours to ship.

    def test_x(needs_java): ...                 the path of java
    def test_x(needs_chromium): ...             the path of a Chromium
    def test_x(shared_data): shared_data("cdnow/CDNOW_master.txt")
    def test_x(spark): ...                      a SparkSession, one for the whole run
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
ON_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# Spark asks who it is by the host's name, which a bare container does not know; the command line's Spark inherits this.
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

# No deadline: on two shared cores the first example pays for imports and warm-up. Few examples while somebody waits.
settings.register_profile("dev", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", deadline=None, max_examples=100, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if ON_CI else "dev"))


def without(part: str, remedy: str) -> NoReturn:
    """Skip the test for want of `part`; on a build machine fail it."""
    message = f"{part} is missing: {remedy}"
    if ON_CI:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def needs_java() -> Path:
    """The path of `java`, for tests that start Spark."""
    home = os.environ.get("JAVA_HOME", "")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        without("Java", "install Debian's openjdk-17-jre-headless, or run make test as root")
    return Path(found)


@pytest.fixture(scope="session")
def needs_chromium() -> Path:
    """The path of a Chromium, for tests that look at a page as a reader does.

    Run it with `--headless --no-sandbox` (root has no sandbox) and a `--user-data-dir` of the test's own.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    without("Chromium", "install Debian's chromium, or run make test as root")


def shared_data_folder() -> Path:
    """Where the public data sets are: $TENURE_SHARED_DATA, else ../shared/data beside the repository."""
    return Path(os.environ.get("TENURE_SHARED_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Answers the path of one public data set's file or folder; skips, naming it, when it is not on this machine."""

    def find(name: str) -> Path:
        path = shared_data_folder() / name
        if not path.exists():
            pytest.skip(f"public data set {name!r} is not at {path}; set TENURE_SHARED_DATA to the folder that has it")
        return path

    return find


@pytest.fixture(scope="session")
def spark(needs_java: Path) -> Iterator[SparkSession]:
    """One small local SparkSession in UTC for the whole run; tests that use it share a process (see below)."""
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed; pip install 'tenure[spark]'")
    scratch = tempfile.mkdtemp(prefix="tenure-spark-")
    options: dict[str, Any] = {
        "spark.driver.memory": "3g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        "spark.local.dir": scratch,
        "spark.log.level": "ERROR",
        # The queries are small and each runs once: neither Spark's generated code nor the optimising compiler ever pays
        # back. (The pages of docs that show Spark run it with its defaults.)
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("tenure-tests")
    for key, value in options.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `--dist loadgroup` a file's tests stay together, and all that use Spark share one process and one JVM."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            uses_spark = "spark" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("spark" if uses_spark else item.path.relative_to(ROOT).as_posix()))


@pytest.fixture(autouse=True)
def no_workspace_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests never read a workspace that the developer's own shell points at."""
    monkeypatch.delenv("TENURE_WORKSPACE", raising=False)


def pytest_report_header() -> list[str]:
    """Says at the top what this machine lacks, so that skips surprise nobody."""
    folder = shared_data_folder()
    return [
        f"java: {shutil.which('java') or 'none'}; chromium: {shutil.which('chromium') or 'none'}; "
        f"public data sets: {folder if folder.is_dir() else 'none'}; CI: {ON_CI}",
    ]
