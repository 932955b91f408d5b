"""A kernel, and the first file system that it finds: the modules for its disk, and a shell."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULES = ("virtio_pci", "virtio_blk", "ext4")
"""What a machine needs to find its root; what these need comes along."""

WHERE_THERE_ARE = ("crc32c_generic",)
"""What ext4 asks for by another name, on kernels that do not have it within."""

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_BEFORE = re.compile(rb"\0softdep=pre: ([^\0]*)\0")


class NoKernel(Exception):
    """The packages do not hold what a machine starts from."""


@dataclass(frozen=True)
class Kernel:
    """Where a kernel and its initial file system lie."""

    image: Path
    initial: Path
    release: str


def find(unpacked: Path) -> tuple[Path, Path]:
    """The kernel's file and the folder of its modules. Raises NoKernel."""
    images = [*unpacked.glob("boot/vmlinuz-*"), *unpacked.glob("usr/lib/modules/*/vmlinuz")]
    folders = [*unpacked.glob("lib/modules/*"), *unpacked.glob("usr/lib/modules/*")]
    if not images or not folders:
        raise NoKernel(f"no kernel with modules in {unpacked}")
    return images[0], folders[0]


def read_modules(folder: Path) -> dict[str, bytes]:
    """The modules by name that a machine could need for its disk, unpacked."""
    found = {}
    for place in ("kernel/drivers/virtio", "kernel/drivers/block", "kernel/fs", "kernel/lib"):
        found |= _modules_below(folder / place)
    return found | _modules_below(folder / "kernel/crypto") | _modules_below(folder / "kernel/arch")


def _modules_below(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*.ko*"):
        name = path.name.partition(".")[0].replace("-", "_")
        data = path.read_bytes()
        found[name] = lzma.decompress(data) if path.suffix == ".xz" else data
    return found


def built_in(folder: Path) -> set[str]:
    """The names of what would be modules elsewhere."""
    lines = (folder / "modules.builtin").read_text().split()
    return {Path(line).name.partition(".")[0].replace("-", "_") for line in lines}


def needs(module: bytes) -> list[str]:
    """The names of the modules that this one must come after."""
    found = _DEPENDS.search(module)
    names = found[1].decode().split(",") if found else []
    for before in _BEFORE.findall(module):
        names += before.decode().split()
    return [name.replace("-", "_") for name in names if name]


def in_order(
    wanted: Iterable[str], modules: Mapping[str, bytes], present: Iterable[str]
) -> list[str]:
    """The modules to load, each after those that it needs. Raises NoKernel if one is missing.

    `present` are those that the kernel has within itself. A name that only a "softdep" mentions and
    that is neither may be an alias; it is passed over.
    """
    ordered: list[str] = []
    within = set(present)

    def add(name: str) -> None:
        if name in ordered or name in within:
            return
        for needed in needs(modules[name]):
            if needed in modules:
                add(needed)
        ordered.append(name)

    for name in wanted:
        if name not in modules and name not in within:
            raise NoKernel(f"this kernel has no module {name}")
        add(name)
    return ordered


def cpio(entries: Mapping[str, tuple[int, bytes]]) -> bytes:
    """An archive as the kernel unpacks it (format "newc"): by path, the mode and what is in it."""
    written = bytearray()
    trailer = {"TRAILER!!!": (0, b"")}
    for number, (path, (mode, data)) in enumerate({**entries, **trailer}.items(), 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        written += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        written += bytes(-len(written) % 4) + data
        written += bytes(-len(written) % 4)
    return bytes(written)


def initial_files(busybox: bytes, start: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The initial file system. `modules` in the order in which they are to be loaded."""
    folder, program, file = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
    folders = ("bin", "dev", "proc", "sys", "modules", "root")
    entries: dict[str, tuple[int, bytes]] = dict.fromkeys(folders, (folder, b""))
    entries["bin/busybox"] = (program, busybox)
    entries["init"] = (program, start)
    for place, (name, data) in enumerate(modules.items()):
        entries[f"modules/{place:02}-{name}.ko"] = (file, data)
    return cpio(entries)


def build(unpacked: Path, busybox: Path, start: Path, into: Path) -> Kernel:
    """A kernel to start machines with, in the folder `into`. Raises NoKernel."""
    image, folder = find(unpacked)
    modules = read_modules(folder)
    wanted = [*(name for name in WHERE_THERE_ARE if name in modules), *MODULES]
    order = in_order(wanted, modules, built_in(folder))
    into.mkdir(parents=True, exist_ok=True)
    (into / "initial").write_bytes(
        initial_files(
            busybox.read_bytes(), start.read_bytes(), {name: modules[name] for name in order}
        )
    )
    shutil.copyfile(image, into / "image")
    return Kernel(into / "image", into / "initial", folder.name)
