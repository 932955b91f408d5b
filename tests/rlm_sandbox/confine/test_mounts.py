"""The minimal root: what is in it, and that nothing of it can be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_sandbox.confine.layers import Layer
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import errno, os, sys
from rlm_sandbox.confine import lockdown, mounts, namespaces, privileges
import encodings.idna, json.decoder
folder = os.environ["FOLDER"]
library = [path for path in [*sys.path, *lockdown.library_folders()] if os.path.isdir(path)]
def enter(sources=()):
    proc = os.open("/proc", os.O_PATH)
    if privileges.holds(privileges.CAP_SYS_ADMIN):
        namespaces.enter(namespaces.NEWNS)
    else:
        namespaces.enter_user(namespaces.NEWNS, proc)
    os.close(proc)
    mounts.enter_minimal_root([*library, *sources])
def refused(attempt, *expected):
    try:
        attempt()
    except OSError as error:
        assert error.errno in expected, error
    else:
        raise AssertionError("it succeeded")
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    needs(Layer.MOUNT)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "file").write_text("data")
    (tmp_path / "module.py").write_text("x = 1")
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "package")
    return str(tmp_path)


def run(source: str, folder: str) -> str:
    return program.run(PRELUDE + source, FOLDER=folder)


def test_the_root_holds_the_sources_two_devices_and_an_empty_folder(folder: str) -> None:
    run(
        """
enter([f"{folder}/package"])
for host in ("/proc", "/sys", "/etc", "/var", "/run"):  # Python itself may lie in /home
    assert not os.path.exists(host), host
assert sorted(os.listdir("/dev")) == ["null", "urandom"]
assert open(f"{folder}/package/file").read() == "data"
refused(lambda: open(f"{folder}/outside"), errno.ENOENT)
assert os.getcwd() == "/"
assert ".." not in os.listdir("/..") and sorted(os.listdir("/..")) == sorted(os.listdir("/"))
""",
        folder,
    )


def test_nothing_in_it_can_be_written(folder: str) -> None:
    run(
        """
enter([f"{folder}/package", f"{folder}/module.py"])
for attempt in (
    lambda: open("/new", "w"),
    lambda: open("/tmp/new", "w"),
    lambda: open(f"{folder}/package/file", "a"),
    lambda: open(f"{folder}/module.py", "a"),
    lambda: os.utime(f"{folder}/package/file"),
    lambda: os.chmod(f"{folder}/package", 0o777),
    lambda: os.utime("/dev/null"),
):
    refused(attempt, errno.EROFS)
for attempt in (lambda: os.chmod("/dev/null", 0o600), lambda: open(os.__file__, "a")):
    refused(attempt, errno.EROFS, errno.EACCES)  # of root, which may not be who we are
open("/dev/null", "w").write("x")
assert len(os.urandom(8)) == len(open("/dev/urandom", "rb", 0).read(8)) == 8
""",
        folder,
    )
    assert (Path(folder) / "package" / "file").read_text() == "data"


def test_the_scratch_folder_ends_where_it_should(folder: str) -> None:
    run(
        """
enter()
mounts.mount_scratch(1 << 20, os.geteuid(), library)
def fill():
    with open("/tmp/full", "wb", 0) as file:
        for _ in range(64):
            file.write(bytes(65536))
refused(fill, errno.ENOSPC)
assert os.stat("/tmp/full").st_size <= 1 << 20
os.chmod("/tmp/full", 0o755)
made = 0
try:
    while made < 100_000:
        os.mkdir(f"/tmp/{made}")
        made += 1
except OSError as error:
    assert error.errno == errno.ENOSPC
assert made < 1000, made
refused(lambda: os.execv("/tmp/full", ["full"]), errno.EACCES)
assert os.stat("/tmp").st_mode & 0o777 == 0o700
""",
        folder,
    )


def test_a_prefix_behind_a_link_is_there_under_both_names(folder: str) -> None:
    run(
        """
enter([f"{folder}/link"])
assert open(f"{folder}/link/file").read() == "data"
assert open(f"{folder}/package/file").read() == "data"
refused(lambda: open(f"{folder}/link/file", "a"), errno.EROFS)
""",
        folder,
    )


def test_sources_below_the_scratch_folder_stay(folder: str) -> None:
    if not Path(folder).resolve().is_relative_to("/tmp"):
        pytest.skip(f"{folder} is not below /tmp")
    run(
        """
sources = [f"{folder}/package", f"{folder}/module.py"]
enter(sources)
mounts.mount_scratch(1 << 20, os.geteuid(), [*library, *sources])
assert open(f"{folder}/package/file").read() == "data"
assert open(f"{folder}/module.py").read() == "x = 1"
refused(lambda: open(f"{folder}/package/file", "a"), errno.EROFS)
refused(lambda: open(f"{folder}/outside"), errno.ENOENT)
open("/tmp/mine", "w").write("x")
""",
        folder,
    )


def test_the_hosts_mounts_are_as_before(folder: str) -> None:
    before = Path("/proc/self/mounts").read_text()
    run("enter()", folder)
    assert Path("/proc/self/mounts").read_text() == before
