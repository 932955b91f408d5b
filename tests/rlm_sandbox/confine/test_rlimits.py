"""The kernel's own limits, seen from inside a worker."""

from __future__ import annotations

import resource

import pytest

from rlm_sandbox import Limits, Sandbox
from rlm_sandbox.confine.rlimits import cpu, cpu_suffices, memory_limits


@pytest.mark.parametrize(
    ("name", "value"), [("CORE", 0), ("NOFILE", 40), ("FSIZE", 2**20), ("MEMLOCK", 0)]
)
def test_a_worker_runs_under_its_limits(name: str, value: int) -> None:
    with Sandbox(imports="all", limits=Limits(open_files=40, tmp_bytes="1MiB")) as box:
        box.exec(f"import resource\nfound = resource.getrlimit(resource.RLIMIT_{name})")
        assert box.get("found") == (value, value)


def test_the_code_cannot_raise_its_limits() -> None:
    with Sandbox(imports="all") as box:
        result = box.exec("import resource\nresource.setrlimit(resource.RLIMIT_CORE, (9, 9))")
        assert result.error is not None


def test_more_files_than_allowed_cannot_be_opened() -> None:
    with Sandbox(imports="all", limits=Limits(open_files=30)) as box:
        result = box.exec("import os\nends = [os.pipe() for _ in range(30)]")
        assert "Too many open files" in str(result.error)
        assert box.exec("del ends\nprint('on')").error is not None  # it was never made
        assert box.exec("print('on')").stdout == "on\n"


def test_a_smaller_memory_means_smaller_limits() -> None:
    small, large = memory_limits(2**20), memory_limits(2**30)
    assert set(small) == {resource.RLIMIT_DATA, resource.RLIMIT_AS}
    assert all(2**20 < small[number] < large[number] for number in small)


def test_cpu_time_has_a_backstop_before_the_first_step() -> None:
    with Sandbox(imports="all", limits=Limits(cpu_seconds=5)) as box:
        box.exec("import resource\nsoft = resource.getrlimit(resource.RLIMIT_CPU)[0]")
        assert box.get("soft") == cpu(0.0, 5) == 12


def test_more_cpu_time_is_allowed_before_a_step_could_need_it() -> None:
    assert cpu_suffices(cpu(0.0, 5), used=0.0, step_seconds=5)
    assert cpu_suffices(cpu(0.0, 5), used=6.0, step_seconds=5)
    assert not cpu_suffices(cpu(0.0, 5), used=6.1, step_seconds=5)
