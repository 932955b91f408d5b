"""Reading, finding and changing files that are not the worker's own."""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.FILES)
_VIEW = (Layer.MOUNT, Layer.LANDLOCK)
_CHANGE = (Layer.MOUNT, Layer.LANDLOCK, Layer.SECCOMP)
_PROC = (Layer.MOUNT, Layer.LANDLOCK)

_LANDLOCK_GAP = {
    Layer.MOUNT: "Landlock covers neither stat, access, readlink, chdir nor statfs: without a root "
    "of its own the code can find out which files there are, but not read them"
}

_read = partial(_program, aim=Aim.SECRET, layers=_VIEW)
_change = partial(_program, aim=Aim.FILE, layers=_CHANGE)
_find = partial(_program, aim=Aim.CLAIM, layers=(Layer.MOUNT,), alone=_LANDLOCK_GAP)
_proc = partial(
    _program,
    aim=Aim.SECRET,
    layers=_PROC,
    also_off=(Layer.UID, Layer.USER, Layer.PID, Layer.NOT_DUMPABLE, Layer.CAPABILITIES),
)

PROGRAMS: tuple[Program, ...] = (
    # --- reading ---
    _read(name="open", mechanism="open a path", code="print(read(T['secret_file']))"),
    _read(
        name="host-users",
        mechanism="open a well-known file of the host",
        code="print(read('/etc/passwd'))",
    ),
    _read(
        name="libc-fopen",
        mechanism="the C library's stdio, past all Python hooks",
        code="""
LIBC.fopen.restype = ctypes.c_void_p
file = LIBC.fopen(T['secret_file'].encode(), b'r')
buffer = ctypes.create_string_buffer(4000)
if file:
    LIBC.fread(buffer, 1, 3999, ctypes.c_void_p(file))
print(buffer.value.decode())
""",
    ),
    _read(
        name="raw-openat",
        mechanism="openat by system call number",
        code="""
fd, error = call('openat', -100, T['secret_file'].encode(), 0, 0)
print(os.read(fd, 4000).decode() if fd >= 0 else error)
""",
    ),
    _read(
        name="openat2",
        mechanism="openat2, whose flags no filter can see",
        also_off=(Layer.SECCOMP,),
        code="""
fd, error = call('openat2', -100, T['secret_file'].encode(), struct.pack('QQQ', 0, 0, 0), 24)
print(os.read(fd, 4000).decode() if fd >= 0 else error)
""",
    ),
    _read(
        name="dot-dot",
        mechanism="climb out with ..",
        code="print(read('/tmp/' + '../' * 40 + T['secret_file'].lstrip('/')))",
    ),
    _read(
        name="proc-self-root",
        mechanism="magic link /proc/self/root",
        code="print(read('/proc/self/root' + T['secret_file']))",
    ),
    _read(
        name="proc-root",
        mechanism="magic link to the root of another process",
        code="print(read('/proc/%d/root%s' % (T['controller'], T['secret_file'])))",
        also_off=(Layer.UID, Layer.USER, Layer.PID, Layer.CAPABILITIES, Layer.NOT_DUMPABLE),
    ),
    _read(
        name="symlink",
        mechanism="a symbolic link in the private /tmp",
        also_off=(Layer.SECCOMP,),
        code="""
link = T['scratch'] + '/link' + T['name']
os.symlink(T['secret_file'], link)
try:
    print(read(link))
finally:
    os.unlink(link)
""",
    ),
    _read(
        name="hard-link",
        mechanism="hard-link a file into the private /tmp",
        code="""
link = T['scratch'] + '/hard' + T['name']
os.link(T['secret_file'], link)
try:
    print(read(link))
finally:
    os.unlink(link)
""",
        also_off=(Layer.SECCOMP, Layer.UID, Layer.USER, Layer.CAPABILITIES),
    ),
    _read(
        name="rename-in",
        mechanism="move a file into the private /tmp",
        code="""
to = T['scratch'] + '/moved' + T['name']
os.rename(T['canary'], to)
print(read(to))
os.rename(to, T['canary'])
won()
""",
        also_off=(Layer.SECCOMP,),
    ),
    _read(name="listdir", mechanism="list a folder", code="print(os.listdir(T['folder']))"),
    _read(
        name="list-root",
        mechanism="list the root folder of the host",
        code="""
found = os.listdir('/')
if 'proc' in found or 'etc' in found: won(found)
""",
    ),
    _read(
        name="getdents64",
        mechanism="read a folder by system call",
        code="""
fd, error = call('openat', -100, T['folder'].encode(), os.O_DIRECTORY, 0)
buffer = ctypes.create_string_buffer(4000)
size, error = call('getdents64', fd, buffer, 4000)
print(buffer.raw[:max(size, 0)].decode('latin-1'))
""",
    ),
    _read(
        name="dlopen",
        mechanism="load a file of the host as a library: its name is in the error, or it is there",
        code="""
try:
    ctypes.CDLL(T['secret_file'])
except OSError as error:
    if 'file too short' in str(error) or 'invalid ELF' in str(error): won(error)
""",
    ),
    _read(
        name="sqlite-attach",
        mechanism="a C library that opens files itself",
        code="""
import sqlite3
base = sqlite3.connect(':memory:')
base.execute('ATTACH ? AS other', (T['database'],))
print(base.execute('SELECT * FROM other.secret').fetchall())
""",
    ),
    _read(
        name="file-url",
        mechanism="a URL of the scheme file:",
        code="""
import urllib.request
print(urllib.request.urlopen('file://' + T['secret_file']).read().decode())
""",
    ),
    _read(
        name="mmap-file",
        mechanism="map a file instead of reading it",
        code="""
with open(T['secret_file'], 'rb') as file:
    print(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[:].decode())
""",
    ),
    _read(
        name="open-by-handle",
        mechanism="open_by_handle_at, which needs no path",
        code="""
handle = struct.pack('Ii', 128, 0) + bytes(128)
buffer, mount_id = ctypes.create_string_buffer(handle, len(handle)), ctypes.c_int()
result, error = call('name_to_handle_at', -100, T['secret_file'].encode(), buffer,
                     ctypes.byref(mount_id), 0)
root = os.open(T['folder'], os.O_RDONLY)
fd, error = call('open_by_handle_at', root, buffer, 0)
print(os.read(fd, 4000).decode() if fd >= 0 else error)
""",
        also_off=(Layer.SECCOMP, Layer.UID, Layer.USER, Layer.CAPABILITIES),
    ),
    _program(
        name="inherited-descriptors",
        mechanism="a descriptor that was open before the lock-down",
        aim=Aim.SECRET,
        code="""
for fd in range(1024):
    try:
        mode = os.fstat(fd).st_mode & 0o170000
    except OSError:
        continue
    if mode == 0o040000:
        won(fd, os.listdir(fd))
    elif mode == 0o100000:
        won(fd, os.pread(fd, 100, 0))
""",
        inert="the zygote is always started clean: there is no layer to take off",
    ),
    # --- /proc, /sys, /dev ---
    _proc(
        name="proc-environ",
        mechanism="the environment of another process in /proc",
        code="print(read('/proc/%d/environ' % T['victim']))",
    ),
    _proc(
        name="proc-mem",
        mechanism="the controller's memory in /proc",
        code="""
fd = os.open('/proc/%d/mem' % T['controller'], os.O_RDONLY)
print(os.pread(fd, 64, T['secret_address']))
""",
    ),
    _proc(
        name="proc-maps",
        mechanism="the controller's address space in /proc",
        code="""
if '/' in read('/proc/%d/maps' % T['controller']): won()
""",
    ),
    _proc(
        name="proc-cmdline",
        mechanism="command lines of the host's processes",
        code="print(read('/proc/%d/cmdline' % T['victim']))",
    ),
    _proc(
        name="proc-fd",
        mechanism="the controller's open files in /proc",
        code="""
for fd in os.listdir('/proc/%d/fd' % T['controller']):
    try:
        print(os.readlink('/proc/%d/fd/%s' % (T['controller'], fd)))
    except OSError:
        pass
print(read('/proc/%d/fd/%d' % (T['controller'], T['secret_fd'])))
""",
    ),
    _proc(
        name="proc-parents",
        mechanism="look for secrets in the environment of every process there is",
        code="""
for pid in os.listdir('/proc'):
    try:
        text = read('/proc/' + pid + '/environ')
    except OSError:
        continue
    if T['prefix'] in text: print(text[text.index(T['prefix']):][:100])
""",
    ),
    _program(
        name="proc-sys",
        mechanism="open a kernel setting for writing",
        aim=Aim.CLAIM,
        layers=(Layer.MOUNT, Layer.LANDLOCK, Layer.SECCOMP),
        also_off=(Layer.UID, Layer.USER, Layer.CAPABILITIES),
        code="os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)); won()",
    ),
    _program(
        name="sysfs",
        mechanism="read the host's devices in /sys",
        aim=Aim.CLAIM,
        layers=_VIEW,
        code="won(os.listdir('/sys/devices'))",
    ),
    _program(
        name="device-nodes",
        mechanism="open a device that leads out",
        aim=Aim.CLAIM,
        layers=(Layer.MOUNT, Layer.LANDLOCK),
        also_off=(Layer.UID, Layer.USER, Layer.CAPABILITIES),
        code="""
for name in ('mem', 'kmsg', 'port', 'fuse', 'loop-control', 'tty', 'ptmx', 'kvm', 'zero', 'full'):
    try:
        os.close(os.open('/dev/' + name, os.O_RDONLY))
    except OSError as error:
        print(name, error)
    else:
        won(name)
""",
    ),
    # --- finding out ---
    _find(
        name="stat",
        mechanism="whether a file is there, and how large",
        code="won(os.stat(T['secret_file']).st_size)",
    ),
    _find(
        name="access",
        mechanism="whether a file could be opened",
        code="if os.access(T['secret_file'], os.F_OK): won()",
    ),
    _find(
        name="readlink",
        mechanism="what a symbolic link points at",
        aim=Aim.SECRET,
        code="print(os.readlink(T['link'])); won()",
    ),
    _find(
        name="chdir",
        mechanism="make a folder of the host the current one",
        code="os.chdir(T['folder']); won(os.getcwd())",
    ),
    _find(
        name="statvfs",
        mechanism="how full the host's disk is",
        code="won(os.statvfs(T['folder']).f_bfree)",
    ),
    # --- changing ---
    _change(
        name="append",
        mechanism="write to a file",
        code="open(T['canary'], 'a').write('changed')",
    ),
    _change(
        name="truncate",
        mechanism="truncate a file by path, without opening it",
        code="os.truncate(T['canary'], 1)",
    ),
    _change(
        name="open-truncating",
        mechanism="truncate a file while opening it for reading",
        code="os.open(T['canary'], os.O_RDONLY | os.O_TRUNC)",
    ),
    _change(name="unlink", mechanism="remove a file", code="os.unlink(T['canary'])"),
    _change(
        name="rename",
        mechanism="rename a file",
        code="os.rename(T['canary'], T['canary'] + '2')",
    ),
    _change(name="create", mechanism="create a file", code="open(T['folder'] + '/new', 'x')"),
    _change(
        name="unnamed-file",
        mechanism="fill a disk with a file that has no name (O_TMPFILE)",
        aim=Aim.CLAIM,
        code="os.open(T['folder'], os.O_TMPFILE | os.O_RDWR); won()",
    ),
    _change(name="mkdir", mechanism="make a folder", code="os.mkdir(T['folder'] + '/new')"),
    _change(name="rmdir", mechanism="remove a folder", code="os.rmdir(T['folder'] + '/empty')"),
    _change(
        name="plant-symlink",
        mechanism="plant a symbolic link for others to follow",
        code="os.symlink('/etc', T['folder'] + '/new')",
    ),
    _change(
        name="plant-fifo",
        mechanism="plant a FIFO that blocks whoever opens it",
        code="os.mkfifo(T['folder'] + '/new')",
    ),
    _change(
        name="mknod",
        mechanism="make a device node (of the null device)",
        code="os.mknod(T['folder'] + '/new', 0o20666, os.makedev(1, 3))",
        also_off=(Layer.UID, Layer.USER, Layer.CAPABILITIES),
    ),
    _change(
        name="chmod",
        mechanism="change a file's mode, which Landlock does not cover",
        code="os.chmod(T['canary'], 0o4777)",
        also_off=(Layer.UID, Layer.USER),
    ),
    _change(
        name="utime",
        mechanism="change a file's times, which Landlock does not cover",
        code="os.utime(T['canary'])",
    ),
    _change(
        name="chown",
        mechanism="give a file away, to whom it belongs already",
        code="info = os.stat(T['canary'])\nos.chown(T['canary'], info.st_uid, info.st_gid)",
        also_off=(Layer.UID, Layer.USER),
    ),
    _change(
        name="xattr",
        mechanism="attach an attribute to a file",
        code="os.setxattr(T['canary'], 'user.rlm', b'x')",
    ),
    _change(
        name="library",
        mechanism="open the standard library for writing (and write nothing)",
        aim=Aim.CLAIM,
        code="os.close(os.open(os.__file__, os.O_WRONLY | os.O_APPEND)); won()",
        also_off=(Layer.UID, Layer.USER, Layer.CAPABILITIES),
    ),
    _program(
        name="shared-mapping",
        mechanism="make a read-only mapping of a library file writable",
        aim=Aim.CLAIM,
        code="""
fd = os.open(os.__file__, os.O_RDONLY)
address = LIBC.mmap(None, 4096, 1, 1, fd, 0)
if LIBC.mprotect(ctypes.c_void_p(address), 4096, 3) == 0: won()
""",
        inert="the kernel never lets a file that was opened for reading be mapped writable",
    ),
    _change(
        name="chroot",
        mechanism="chroot, to climb out of afterwards",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=(Layer.UID, Layer.USER, Layer.MOUNT, Layer.LANDLOCK),
        code="os.chroot(T['scratch']); won()",
    ),
    _change(
        name="inotify",
        mechanism="watch what happens to files",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "only the filter keeps inotify from being opened; all it could watch "
            "are the library files, which nobody changes"
        },
        code="""
obtained('inotify_init1', 0)
folder = os.path.dirname(os.__file__).encode()
print(call('inotify_add_watch', KEEP[-1] if KEEP else -1, folder, 32))
""",
    ),
    _program(
        name="clone-range",
        mechanism="ioctl: attributes and clones of files",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={Layer.SECCOMP: "reads the attributes of a library file that is readable anyway"},
        code="""
import fcntl
fd = os.open(os.__file__, os.O_RDONLY)
for request in (0x80086601, 0x80047601, 0x40049409, 0xC020660B):
    try:
        fcntl.ioctl(fd, request, bytearray(64))
    except OSError as error:
        print(hex(request), error)
        if error.errno not in (errno.ENOTTY, errno.EPERM): won()
    else:
        won(hex(request))
""",
    ),
)
