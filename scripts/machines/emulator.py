"""QEMU: the machines' hardware. No network, bounded in memory and time, gone when the call ends."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.machines.kernel import Kernel

KVM = Path("/dev/kvm")
CPUINFO = Path("/proc/cpuinfo")

_PROGRAMS = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
_OWN = {"amd64": "x86_64", "arm64": "aarch64"}
_BOARDS = {"amd64": "q35", "arm64": "virt,gic-version=3"}
_CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
# page tables of five levels would only make it slower
_EMULATED = {"amd64": "max,la57=off", "arm64": "neoverse-n1"}
# without that feature, whose register a hypervisor within a hypervisor may not be able to set
_ITSELF = {"amd64": "host,-arch-capabilities", "arm64": "host"}


@dataclass(frozen=True)
class Hardware:
    """What a machine consists of. `memory` is megabytes; the disks are /dev/vda, vdb, ..."""

    architecture: str
    memory: int
    processors: int
    disks: tuple[Path, ...]
    """The first is left as it is, whatever is written to it."""


def program(architecture: str) -> str:
    """The emulator's program for an architecture."""
    return _PROGRAMS[architecture]


def accelerated(architecture: str) -> bool:
    """True if this computer can run that architecture itself."""
    return (
        platform.machine() == _OWN[architecture]
        and os.access(KVM, os.R_OK | os.W_OK)
        and (architecture != "amd64" or virtualises(CPUINFO.read_text()))
    )


def virtualises(cpuinfo: str) -> bool:
    """True if an x86 processor can.

    There is a KVM without (PVM), for kernels made for it; it interprets any other, far too slowly.
    """
    return re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo, re.MULTILINE) is not None


def command(hardware: Hardware, kernel: Kernel, options: str, console: Path) -> list[str]:
    """The command line of the emulator."""
    architecture = hardware.architecture
    fast = accelerated(architecture)
    said = f"console={_CONSOLES[architecture]} panic=-1 quiet {options}".strip()
    line = [
        *("nice", "-n", "19", program(architecture)),
        *(
            "-machine",
            _BOARDS[architecture],
            "-accel",
            "kvm" if fast else "tcg,thread=multi,tb-size=512",
        ),
        *("-cpu", (_ITSELF if fast else _EMULATED)[architecture]),
        *("-m", str(hardware.memory), "-smp", str(hardware.processors)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"),
        *("-serial", f"file:{console}", "-append", said),
        *("-kernel", str(kernel.image), "-initrd", str(kernel.initial)),
    ]
    for number, disk in enumerate(hardware.disks):
        kept = "on" if number == 0 else "off"
        drive = f"file={disk},format=raw,if=none,id=disk{number},snapshot={kept}"
        line += ["-drive", drive, "-device", f"virtio-blk-pci,drive=disk{number}"]
    return line


def run(line: Sequence[str], seconds: float) -> str:
    """Run the emulator until its machine is off. Returns what went wrong, or nothing."""
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as it:
        try:
            _, said = it.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"not done within {seconds / 60:.0f} minutes"
        finally:
            it.kill()
    return "" if it.returncode == 0 else said.strip()[-500:] or f"qemu: status {it.returncode}"
