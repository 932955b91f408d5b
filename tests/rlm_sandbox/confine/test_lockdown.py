"""The wall as a whole, on real workers: with all layers, and with each of them off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlm_sandbox import Sandbox
from rlm_sandbox.confine import lockdown
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs


def test_libraries_are_found_by_what_is_loaded() -> None:
    files = [file for folder in lockdown.library_folders() for file in Path(folder).iterdir()]
    assert any(file.name.startswith("libc.") for file in files)


def test_a_library_of_a_package_does_not_open_its_folder(tmp_path: Path) -> None:
    out = program.run(
        """
import ctypes, math, os, shutil
from rlm_sandbox.confine import lockdown
source = next(row.split()[-1] for row in open("/proc/self/maps") if ".so" in row)
copy = shutil.copy(source, os.environ["FOLDER"] + "/_fast.so")
ctypes.CDLL(copy)
folder = os.path.dirname(copy)
print(folder in lockdown.library_folders(), folder in lockdown.library_folders([copy]))
""",
        FOLDER=str(tmp_path),
    )
    assert out == "True False\n"


def test_a_package_brings_its_own_files_and_not_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "single.py").write_text("answer = 42")
    (tmp_path / ".env").write_text("KEY=secret")
    out = program.run(
        """
from rlm_sandbox import Sandbox
with Sandbox(packages=["single"], imports="all") as box:
    print(box.exec("import single; single.answer").stdout)
    folder = box.exec("single.__file__.rpartition('/')[0]").stdout.strip()
    print(box.exec(f"open({folder} + '/.env').read()").error)
""",
        PYTHONPATH=f"{program.PACKAGE_ROOT}:{tmp_path}",
    )
    assert out.startswith("42")
    assert "Error: " in out
    assert "secret" not in out


def test_optional_layers_are_used_only_where_they_are() -> None:
    assert lockdown.possible(frozenset({Layer.CGROUP})) == frozenset()
    assert lockdown.possible(frozenset({Layer.CGROUP}), ["/a"]) == {Layer.CGROUP}


def test_a_wall_has_the_layers_that_it_was_given() -> None:
    wall = Wall(frozenset({Layer.NET}))
    assert wall.has(Layer.NET)
    assert not wall.has(Layer.PID)


def test_the_filters_are_computed_once_in_the_zygote_and_not_by_each_worker(tmp_path: Path) -> None:
    needs(Layer.GATE)
    out = program.run(
        """
import os
from rlm_sandbox.confine import lockdown, seccomp
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import WorkerLimits
wall = lockdown.prepare_zygote(frozenset({Layer.GATE, Layer.SECCOMP, Layer.NO_NEW_PRIVS}))
del seccomp.gate, seccomp.wall
child = os.fork()
if child == 0:
    lockdown.enclose_init(wall, 4096)
    lockdown.lock_session(wall, WorkerLimits.of(Limits()), lambda listener: None)
    try:
        os.open(os.environ["FILE"], os.O_WRONLY | os.O_CREAT)
    except PermissionError:
        os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
        FILE=str(tmp_path / "new"),
    )
    assert out == "0\n"


WITHOUT = """
import json
from rlm_sandbox import IsolationUnavailable
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.nursery import NURSERY, Breed
def without(layer):
    breed = Breed(without=frozenset({layer}))
    try:
        return NURSERY.tier(breed).name, sorted(NURSERY.layers(breed))
    except IsolationUnavailable as error:
        return str(error), []
    finally:
        NURSERY.retire(breed)
print(json.dumps({layer: without(layer) for layer in Layer}))
"""


@pytest.fixture(scope="module")
def without() -> dict[str, tuple[str, list[str]]]:
    """By layer that is off: the tier, or the error, and the layers that are on."""
    return json.loads(program.run(WITHOUT))


@pytest.mark.parametrize("off", sorted(set(Layer) - {Layer.NO_NEW_PRIVS}))
def test_a_worker_comes_up_with_any_one_layer_off_and_all_the_others_on(
    box: Sandbox, without: dict[str, tuple[str, list[str]]], off: Layer
) -> None:
    if off not in box.layers:
        pytest.skip(f"{off} is not in use on this host")
    said, layers = without[off]
    if "standard library" in said:
        pytest.skip(f"only a private root holds a Python that other users cannot read: {said}")
    assert set(layers) == set(box.layers) - {off}


def test_without_no_new_privs_no_worker_comes_up(
    without: dict[str, tuple[str, list[str]]],
) -> None:
    needs(Layer.LANDLOCK)
    said, _ = without[Layer.NO_NEW_PRIVS]
    assert "landlock_restrict_self: Operation not permitted" in said


def test_nothing_of_the_controllers_is_open_inside(free_box: Sandbox) -> None:
    result = free_box.exec("""
import os, stat
kinds = {}
for descriptor in range(256):
    try:
        kinds[descriptor] = stat.S_IFMT(os.fstat(descriptor).st_mode)
    except OSError:
        pass
print([kind for number, kind in kinds.items() if number < 3] == [stat.S_IFCHR] * 3)
print([kind for number, kind in kinds.items() if number >= 3] == [stat.S_IFSOCK])
""")
    assert result.stdout == "True\nTrue\n"


def test_a_worker_sees_the_library_and_nothing_else(free_box: Sandbox) -> None:
    needs(Layer.MOUNT, Layer.LANDLOCK)
    result = free_box.exec("""
import os
import xml.dom.minidom, sqlite3, decimal  # from the disk, in the worker
print([os.path.exists(name) for name in ("/proc", "/etc/passwd", "/var", "/sys")])
print(open("/dev/null", "w").write("x"))
for attempt in (lambda: os.listdir("/"), lambda: os.utime("/dev/null"), lambda: open("/x", "w")):
    try:
        attempt()
        print("it succeeded")
    except OSError as error:
        print(type(error).__name__)
""")
    assert result.error is None
    assert result.stdout.startswith("[False, False, False, False]\n1\nPermissionError\n")
    assert "succeeded" not in result.stdout
