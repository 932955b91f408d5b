"""The machines of scripts/kernels: what is chosen, built, said to the emulator and read back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from scripts.machines import archive, catalogue, command, disk, emulator, kernel, report
from scripts.machines.archive import Origin
from scripts.machines.catalogue import MACHINES, Groups, Machine, User
from scripts.machines.emulator import Hardware
from scripts.machines.kernel import Kernel, NoKernel

ROOT = Path(__file__).parents[2]
MACHINE = Machine("one", "a machine", Origin("sid", "amd64"), Origin("sid", "arm64"))

PRINTED = """\
Reading package lists...
The following NEW packages will be installed:
  busybox-static zlib1g
'http://mirror/pool/b/busybox-static_1.38_amd64.deb' busybox-static_1%3a1.38_amd64.deb 9 MD5Sum:8
'http://mirror/pool/main/z/zlib/zlib1g_1.3_amd64.deb' zlib1g_1.3_amd64.deb 92424
"""

JUNIT = b"""<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="1"
skipped="2" tests="10"><testcase classname="tests.test_a" name="test_b">
<failure message="it broke">trace</failure></testcase>
<testcase classname="tests.test_a" name="test_c"/></testsuite>
</testsuites>
"""

DOCTOR = {
    "tier": "standard",
    "sound": True,
    "layers": [{"layer": "net", "proof": "holds", "detail": "it holds"}],
    "facts": [
        {"name": "kernel", "value": "Linux 7.2.13 x86_64"},
        {"name": "python", "value": "3.14.10 at /usr/bin/python3"},
        {"name": "landlock abi", "value": "8"},
        {"name": "control groups", "value": "delegated below /sys/fs/cgroup/x"},
    ],
}
AUDIT = {
    "attacks": [{"class": "files", "name": "read", "status": "contained", "findings": []}],
    "summary": {"programs": 1, "escaped": 0},
}


def files(**changed: object) -> dict[str, bytes]:
    """What a machine leaves on which all is well, but for what is named."""
    left: dict[str, object] = {"doctor.out": DOCTOR, "audit.out": AUDIT, **changed}
    passed = b'<testsuites><testsuite errors="0" failures="0" skipped="1" tests="3"/></testsuites>'
    told = {name: json.dumps(value).encode() for name, value in left.items()}
    return {"tests.xml": passed, **told}


def version_of(program: str) -> str:
    """What a program says of itself; nothing if it is not there."""
    if shutil.which(program) is None:
        return ""
    return subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout


# --- packages -----------------------------------------------------------------------------------


def test_the_files_that_apt_names_are_found() -> None:
    assert archive.files_of(PRINTED) == [
        "busybox-static_1%3a1.38_amd64.deb",
        "zlib1g_1.3_amd64.deb",
    ]


def test_of_what_a_kernel_depends_on_only_the_kernel_is_taken() -> None:
    names = (
        *("linux-image-6.1.0-52-amd64_6.1.1-1_amd64.deb", "linux-image-amd64_6.1.1_amd64.deb"),
        *("linux-modules-7.2.13+deb14-amd64_7.deb", "linux-binary-7.2.13+deb14-amd64_7.deb"),
        *("linux-base-7.2.13+deb14-amd64_7.deb", "linux-base_4.9_all.deb", "udev_252_amd64.deb"),
    )
    taken = archive.of_the_kernel([Path(name) for name in names])
    assert [path.name for path in taken] == [names[0], names[2], names[3], names[4]]


def test_apt_has_a_state_of_its_own_for_each_origin(tmp_path: Path) -> None:
    archive.Archive(Origin("sid", "arm64"), tmp_path, "http://mirror.test/debian")
    home = tmp_path / "apt/sid-arm64"
    assert "http://mirror.test/debian sid main" in (home / "sources.list").read_text()
    said = (home / "apt.conf").read_text()
    assert 'APT::Architecture "arm64";' in said
    assert f'Dir::State "{home}";' in said
    assert (home / "status").read_text() == ""  # as if nothing were installed


def test_packages_are_unpacked_and_links_of_folders_stay(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None or "GNU" not in version_of("tar"):
        pytest.skip("dpkg-deb and GNU tar are needed")
    source, root = tmp_path / "source", tmp_path / "root"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(
        "Package: one\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: one\n"
    )
    (source / "lib").mkdir()
    (source / "lib/file").write_text("text")
    package = tmp_path / "one_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", source, package], check=True, capture_output=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    archive.unpack([package], root)
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/file").read_text() == "text"
    package.write_text("no package")
    with pytest.raises(archive.ArchiveFailed, match="one_1_all"):
        archive.unpack([package], root)


def test_pip_is_asked_for_another_machines_python() -> None:
    said = disk.pip_arguments("arm64", "3.14", Path("/there"))
    assert said[said.index("--python-version") + 1] == "3.14"
    assert "manylinux2014_aarch64" in said
    assert "--only-binary=:all:" in said


def test_what_the_tests_need_is_read_from_the_project() -> None:
    needed = " ".join(disk.requirements(ROOT))
    for name in ("msgspec", "psutil", "httpx", "pytest", "hypothesis", "starlette"):
        assert name in needed
    assert "ruff" not in needed


# --- kernels ------------------------------------------------------------------------------------


def module(*needed: str, before: str = "") -> bytes:
    """What a kernel module tells of itself."""
    said = b"\x7fELF\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0"
    return said + (b"softdep=pre: " + before.encode() + b"\0" if before else b"")


def test_modules_come_after_those_that_they_need() -> None:
    modules = {
        "ext4": module("jbd2", "mbcache", before="crc32c"),
        "jbd2": module(),
        "mbcache": module(),
        "crc32c": module("crypto"),
        "crypto": module(),
        "other": module(),
    }
    order = kernel.in_order(["ext4", "virtio"], modules, {"virtio"})
    assert set(order) == {"ext4", "jbd2", "mbcache", "crc32c", "crypto"}
    assert order[-1] == "ext4"
    assert order.index("crypto") < order.index("crc32c")


def test_a_kernel_without_a_module_that_is_needed_is_refused() -> None:
    with pytest.raises(NoKernel, match="virtio_blk"):
        kernel.in_order(["virtio_blk"], {}, set())


@pytest.mark.parametrize(
    ("image", "modules"),
    [
        ("boot/vmlinuz-6.1.0", "lib/modules/6.1.0"),
        ("usr/lib/modules/7.2/vmlinuz", "usr/lib/modules/7.2"),
    ],
)
def test_the_kernel_is_found_where_old_and_new_packages_have_it(
    tmp_path: Path, image: str, modules: str
) -> None:
    (tmp_path / modules).mkdir(parents=True)
    (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / image).touch()
    assert kernel.find(tmp_path) == (tmp_path / image, tmp_path / modules)


def test_a_package_without_a_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoKernel):
        kernel.find(tmp_path)


@pytest.mark.skipif(shutil.which("cpio") is None, reason="there is no cpio here")
def test_the_initial_files_can_be_unpacked(tmp_path: Path) -> None:
    data = kernel.initial_files(b"box", b"#!start", {"second": b"2" * 5, "first": b"1"})
    subprocess.run(["cpio", "-idm", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "bin/busybox").read_bytes() == b"box"
    assert (tmp_path / "init").stat().st_mode & 0o111
    assert sorted(path.name for path in (tmp_path / "modules").iterdir()) == [
        "00-second.ko",
        "01-first.ko",
    ]


def test_an_archive_for_the_kernel_is_aligned_and_ended() -> None:
    data = kernel.cpio({"a": (0o100644, b"12345")})
    assert data.startswith(b"070701")
    assert len(data) % 4 == 0
    assert b"TRAILER!!!" in data
    at = data.index(b"12345")
    assert at % 4 == 0


# --- machines -----------------------------------------------------------------------------------


def test_the_machines_have_names_of_their_own_and_are_bounded() -> None:
    assert len({machine.name for machine in MACHINES}) == len(MACHINES)
    for machine in MACHINES:
        assert machine.memory <= 1500
        assert machine.hours <= 6
        for path in machine.tests:
            assert (ROOT / path).exists(), path


def test_every_surrounding_is_covered() -> None:
    assert {machine.groups for machine in MACHINES} == set(Groups)
    assert {machine.user for machine in MACHINES} == set(User)
    assert {machine.kernel.architecture for machine in MACHINES} == {"amd64", "arm64"}


def test_machines_are_chosen_by_name_in_the_order_given() -> None:
    assert [machine.name for machine in catalogue.chosen(["small", "old"])] == ["small", "old"]
    assert catalogue.chosen([]) == MACHINES
    with pytest.raises(ValueError, match="nowhere: there are old"):
        catalogue.chosen(["nowhere"])


def test_a_shell_reads_the_job_as_it_was_meant(tmp_path: Path) -> None:
    machine = Machine(
        *("one", "a machine", MACHINE.userland, MACHINE.kernel),
        sysctls=("a.b=0", "c.d=1 2"),
        remedy="a.b='1'; exit",
        classes=("files", "kernel"),
    )
    (tmp_path / "job").write_text(disk.job(machine, ["tests/a", "tests/b"]))
    told = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/job; echo "$user|$control_groups|$remedy|$tests|$classes"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        told.stdout == "user|v2-scope|a.b='1'; exit|tests/a tests/b|--class=files --class=kernel\n"
    )


@pytest.mark.parametrize("script", ["start.sh", "run.sh"])
def test_the_programs_of_a_machine_are_read_by_a_shell(script: str) -> None:
    subprocess.run(["sh", "-n", disk.GUEST / script], check=True)


def test_the_projects_disk_holds_the_job_the_tests_and_the_installed_project(
    tmp_path: Path,
) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    (tmp_path / "site/rlm_sandbox").mkdir(parents=True)
    made = disk.project_disk(MACHINE, ["tests"], ROOT, tmp_path / "site", tmp_path / "disk")
    with tarfile.open(made) as found:
        names = set(found.getnames())
    assert {"job", "run.sh", "enter.py", "site/rlm_sandbox", "project/tests/conftest.py"} <= names


# --- the emulator -------------------------------------------------------------------------------


def line_of(architecture: str, options: str = "") -> list[str]:
    hardware = Hardware(architecture, 512, 1, (Path("/root.img"), Path("/project")))
    return emulator.command(
        hardware, Kernel(Path("/image"), Path("/initial"), "7"), options, Path("/console")
    )


@pytest.mark.parametrize(("architecture", "console"), [("amd64", "ttyS0"), ("arm64", "ttyAMA0")])
def test_a_machine_has_no_network_and_leaves_its_first_disk_as_it_is(
    architecture: str, console: str
) -> None:
    line = line_of(architecture, "lsm=capability")
    assert emulator.program(architecture) in line
    assert line[line.index("-nic") + 1] == "none"
    assert line[line.index("-m") + 1] == "512"
    said = line[line.index("-append") + 1]
    assert said.endswith("lsm=capability")
    assert f"console={console}" in said
    drives = [part for part in line if part.startswith("file=/") and "format=raw" in part]
    assert "snapshot=on" in drives[0]
    assert "snapshot=off" in drives[1]


def test_another_architecture_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator.platform, "machine", lambda: "x86_64")
    assert not emulator.accelerated("arm64")
    line = line_of("arm64")
    assert line[line.index("-accel") + 1].startswith("tcg")


def test_a_processor_that_cannot_virtualise_is_not_asked_to() -> None:
    assert emulator.virtualises("model name\t: X\nflags\t\t: fpu svm lm\n")
    assert emulator.virtualises("flags\t\t: fpu vmx\n")
    assert not emulator.virtualises("flags\t\t: fpu lm hypervisor\nbugs\t\t: svm_not\n")


def test_what_the_emulator_complains_of_is_told() -> None:
    said = emulator.run([sys.executable, "-c", "import sys; sys.exit('no such disk')"], 60)
    assert said == "no such disk"
    assert emulator.run([sys.executable, "-c", "pass"], 60) == ""


def test_an_emulator_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    waiting = ["sh", "-c", f"echo $$ >{pid}; exec sleep 600"]
    assert "not done within" in emulator.run(waiting, 2)
    assert not Path("/proc", pid.read_text().strip()).exists()


# --- reports ------------------------------------------------------------------------------------


def test_a_machine_on_which_all_is_well_is_a_line_without_problems() -> None:
    found = report.read("one", files(), 1.25)
    assert found.problems == ()
    assert found.row == (
        *("one", "7.2.13 x86_64", "3.14.10", "8", "v2", "standard"),
        *("1, 0 escaped", "2 passed, 0 failed, 1 skipped", "1.2"),
    )


def test_the_tier_after_the_remedy_is_shown() -> None:
    found = report.read("one", files(**{"doctor-after.out": DOCTOR | {"tier": "full"}}), 1)
    assert found.row[5] == "standard, then full"


def test_an_escape_is_a_problem() -> None:
    attack = {"class": "files", "name": "read", "status": "escaped", "findings": ["it was read"]}
    audit = {"attacks": [attack], "summary": {"programs": 1, "escaped": 1}}
    found = report.read("one", files(**{"audit.out": audit}), 1)
    assert found.problems == ("escaped: files read: it was read",)


def test_a_layer_that_does_not_hold_is_a_problem() -> None:
    layer = {"layer": "net", "proof": "broken", "detail": "it was reached"}
    doctor = DOCTOR | {"sound": False, "layers": [layer]}
    found = report.read("one", files(**{"doctor.out": doctor}), 1)
    assert "the doctor finds it unsound" in found.problems
    assert "net does not hold: it was reached" in found.problems


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("delegated below /sys/fs/cgroup/a", "v2"),
        ("delegated below /sys/fs/cgroup/memory/a, /sys/fs/cgroup/pids/a", "v1"),
        ("not delegated: nothing is mounted", "none"),
    ],
)
def test_the_version_of_the_control_groups_is_told(told: str, version: str) -> None:
    doctor = DOCTOR | {"facts": [{"name": "control groups", "value": told}]}
    assert report.read("one", files(**{"doctor.out": doctor}), 1).groups == version


def test_a_test_that_failed_is_named() -> None:
    found = report.read("one", {**files(), "tests.xml": JUNIT}, 1)
    assert found.tests == report.Tests(passed=6, failed=2, skipped=2)
    assert found.problems == ("failed: tests.test_a::test_b: it broke",)


def test_where_there_is_no_tier_no_audit_is_expected() -> None:
    left = files(**{"doctor.out": DOCTOR | {"tier": "none", "sound": False}})
    del left["audit.out"]
    assert report.read("one", left, 1).problems == ()


def test_a_machine_that_did_not_get_far_says_so() -> None:
    found = report.read("one", {}, 30, "not done within 30 minutes")
    assert found.problems[0] == "not done within 30 minutes"
    assert any("the doctor said nothing" in problem for problem in found.problems)
    assert found.row[1:8] == ("?", "?", "?", "?", "?", "?", "?")


def test_tests_that_were_begun_and_did_not_end_are_a_problem() -> None:
    left = {**files(), "tests.status": b"124", "tests.out": b"... [ 40%]"}
    del left["tests.xml"]
    assert report.read("one", left, 1).problems == ("the tests did not end: ... [ 40%]",)


def test_of_many_problems_the_first_are_told() -> None:
    layer = {"layer": "net", "proof": "broken", "detail": "it was reached"}
    found = report.read("one", files(**{"doctor.out": DOCTOR | {"layers": [layer] * 50}}), 1)
    assert len(found.problems) == report.MOST_PROBLEMS + 1
    assert found.problems[-1] == "and 30 more"


def test_what_a_machine_has_left_is_read_from_its_disk(tmp_path: Path) -> None:
    data = b"said"
    with tarfile.open(tmp_path / "disk", "w") as written:
        entry = tarfile.TarInfo("./doctor.out")
        entry.size = len(data)
        written.addfile(entry, io.BytesIO(data))
    assert report.unpack(tmp_path / "disk") == {"doctor.out": data}
    assert report.unpack(disk.empty(tmp_path / "empty", 1)) == {}


def test_the_table_has_a_line_for_each_machine() -> None:
    lines = report.table([report.Report("one"), report.Report("a-longer-name")]).splitlines()
    assert lines[0].split() == list(report.COLUMNS)
    assert [line.split()[0] for line in lines[1:]] == ["one", "a-longer-name"]


# --- the command line ---------------------------------------------------------------------------


def kernels(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "kernels.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


def test_the_help_says_what_is_needed_and_the_list_names_all_machines() -> None:
    assert "apt install qemu-system-x86" in kernels("--help").stdout
    listed = kernels("--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [machine.name for machine in MACHINES]


def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    done = kernels("--only", "arm", "--cache", str(tmp_path / "cache"), PATH=str(tmp_path))
    assert done.returncode == 2
    assert "apt install" in done.stderr
    assert "qemu-system-arm" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_machine_that_there_is_not_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
