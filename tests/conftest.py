"""Around every test: nothing that it started is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, settings

from rlm_sandbox import Sandbox, recycle_zygotes
from rlm_sandbox.host.nursery import NURSERY
from tests.census import GRACE_SECONDS, Census, settle
from tests.processes import outliving

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is no finding: neither a slow example nor slow generation fails a test.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LAST_CENSUS = pytest.StashKey[Census]()


def pytest_configure(config: pytest.Config) -> None:
    """Without the slow tests, properties are tried on half as many examples."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # The shell starts what it puts in the background deaf to Ctrl-C, and so are its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    quick = "not slow" in str(config.getoption("markexpr"))
    settings.register_profile("unhurried", UNHURRIED, max_examples=50 if quick else 100)
    settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_directory() -> Iterator[None]:
    """Temporary files of other programs on this machine are none of our business."""
    before, os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir, tempfile.gettempdir()
    tempfile.tempdir = tempfile.mkdtemp(prefix="rlm-tests-")
    os.environ["TMPDIR"] = tempfile.tempdir
    yield
    shutil.rmtree(tempfile.tempdir)
    tempfile.tempdir = before


@pytest.fixture(scope="session", autouse=True)
def _zygote(_own_temporary_directory: None) -> Iterator[None]:
    """The zygote lives as long as this process: it is there before anything is counted.

    When it is told to go, everything that came from it goes as well. It is not replaced in the
    midst of a test that counts processes.
    """
    recycle_zygotes(after=None)
    Sandbox().close()
    yield
    below = psutil.Process().children(recursive=True)
    NURSERY.close()
    left = outliving(below, GRACE_SECONDS)
    if left:
        names = ", ".join(str(process.pid) for process in left)
        pytest.fail(f"the zygote is gone and left processes behind: {names}", pytrace=False)


@pytest.fixture(autouse=True)
def _nothing_left_behind(_zygote: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, thread, descriptor or temporary file behind."""
    stash = request.config.stash
    before = stash.get(LAST_CENSUS, None) or Census.take()
    yield
    after, leaked = settle(before)
    stash[LAST_CENSUS] = after
    if leaked:
        pytest.fail("left behind: " + "; ".join(leaked), pytrace=False)
