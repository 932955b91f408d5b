"""Ways around the interpreter: what the import guard does not stop must still lead nowhere."""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import ANY_END, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.PYTHON, imports="safe")
_VIEW = (Layer.MOUNT, Layer.LANDLOCK)

_escape = partial(_program, aim=Aim.SECRET, layers=_VIEW)
_inside = partial(
    _program,
    aim=Aim.CONTROLLER,
    outcomes=ANY_END,
    inert="spoils its own process, and that is all it can do",
)
_search = partial(
    _program,
    aim=Aim.SECRET,
    outcomes=ANY_END,
    inert="the zygote is always started clean: there is no layer to take off",
)

PROGRAMS: tuple[Program, ...] = (
    _escape(
        name="subclasses",
        mechanism="from a tuple to every class there is",
        code="""
for c in ().__class__.__base__.__subclasses__():
    if c.__name__ == '_wrap_close':
        system = c.__init__.__globals__['listdir']
        break
else:
    system = sys.modules['os'].listdir
print(system(T['folder']))
""",
    ),
    _escape(
        name="warnings",
        mechanism="a module's own builtins",
        code="""
import warnings
builtins_ = warnings.catch_warnings()._module.__dict__['__builtins__']
get = builtins_['__import__'] if isinstance(builtins_, dict) else builtins_.__import__
print(get('os').listdir(T['folder']))
""",
    ),
    _escape(
        name="frames",
        mechanism="walk the frames to the host's builtins",
        code="""
def walk():
    frame = sys._getframe()
    while frame is not None:
        opener = frame.f_builtins.get('open')
        if opener is io.open: return opener
        frame = frame.f_back
print(walk()(T['secret_file']).read())
""",
    ),
    _escape(
        name="loader",
        mechanism="the import machinery's own loader",
        code="""
loader = ().__class__.__base__.__subclasses__()
for c in loader:
    if c.__name__ == 'BuiltinImporter':
        posix = c.load_module('posix')
print(posix.listdir(T['folder']))
""",
    ),
    _escape(
        name="traceback",
        mechanism="an exception's frames",
        code="""
try:
    1 / 0
except ZeroDivisionError as error:
    frame = error.__traceback__.tb_frame.f_back
    while frame.f_back: frame = frame.f_back
print(frame.f_builtins['open'](T['secret_file']).read())
""",
    ),
    _escape(
        name="generator",
        mechanism="a generator's frame",
        code="""
g = (sys._getframe(1) for _ in [0])
frame = next(g)
while frame.f_back: frame = frame.f_back
print(frame.f_builtins['open'](T['secret_file']).read())
""",
    ),
    _escape(
        name="format",
        mechanism="attributes in a format string",
        code="""
import string
class Keep(string.Formatter):
    def format_field(self, value, spec):
        self.value = value
        return ''
keep = Keep()
import warnings
keep.format('{0.__init__.__globals__[sys].modules[io]}', warnings.catch_warnings)
print(keep.value.open(T['secret_file']).read())
""",
    ),
    _escape(
        name="attribute-error",
        mechanism="the object that an AttributeError carries",
        code="""
try:
    sys.modules['os'].nonesuch
except AttributeError as error:
    print(error.obj.listdir(T['folder']))
""",
    ),
    _escape(
        name="code-object",
        mechanism="bytecode written by hand",
        code="""
def f(): return rlm_module.listdir(rlm_folder)
f.__code__ = f.__code__.replace(co_names=('posix', 'listdir', 'folder'))
g = type(f)(f.__code__, {'posix': sys.modules['posix'], 'folder': T['folder']})
print(g())
""",
    ),
    _escape(
        name="linecache",
        mechanism="tools for tracebacks, which read files",
        code="print(sys.modules['linecache'].getlines(T['secret_file']))",
    ),
    _escape(
        name="audit-hooks",
        mechanism="take Python's own audit hooks away, then open",
        code="""
ctypes.pythonapi.PySys_AddAuditHook
print(read(T['secret_file']))
""",
    ),
    # --- looking for what the controller left ---
    _search(
        name="environment",
        mechanism="the environment",
        code="print(dict(os.environ), os.environb)",
    ),
    _search(
        name="c-environment",
        mechanism="the C library's environment and what lies behind it on the stack",
        code="""
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(LIBC, 'environ')
i = 0
while environ and environ[i]:
    print(environ[i]); i += 1
""",
    ),
    _search(
        name="heap",
        mechanism="every text in the interpreter's memory",
        code="""
for thing in gc.get_objects():
    try:
        for inner in gc.get_referents(thing):
            if isinstance(inner, (str, bytes)) and T['prefix'] in str(inner) and len(inner) < 200:
                print(inner)
    except Exception:
        pass
""",
    ),
    _search(
        name="stack",
        mechanism="the process's own memory, byte by byte",
        code="""
LIBC.memmem.restype = ctypes.c_void_p
environ = ctypes.c_void_p.in_dll(LIBC, 'environ').value or id(sys)
marker = ctypes.addressof(ctypes.c_int())
top = 0
for address in range((environ or marker) & ~4095, ((environ or marker) & ~4095) + 8 * 4096, 4096):
    if call('futex', 0, 0, 0)[0] > 9: break
    try:
        fd = os.pipe()
        if LIBC.write(fd[1], ctypes.c_void_p(address), 4096) != 4096: break
        data = os.read(fd[0], 4096)
    finally:
        os.close(fd[0]); os.close(fd[1])
    at = data.find(T['prefix'].encode())
    if at >= 0: print(data[at:at + 100])
""",
    ),
    _search(
        name="modules",
        mechanism="the controller's modules",
        code="""
for name in list(sys.modules):
    if name.startswith(('rlm_core', 'httpx', 'rlm_sandbox.host', 'rlm_sandbox.audit', 'psutil')):
        won(name)
""",
    ),
    _search(
        name="arguments",
        mechanism="the zygote's command line",
        code="""
ctypes.pythonapi.Py_GetArgcArgv
argc, argv = ctypes.c_int(), ctypes.POINTER(ctypes.c_wchar_p)()
ctypes.pythonapi.Py_GetArgcArgv(ctypes.byref(argc), ctypes.byref(argv))
print([argv[i] for i in range(argc.value)])
""",
    ),
    _search(
        name="uninitialised",
        mechanism="memory that was another's before",
        code="""
for size in (1 << 12, 1 << 16, 1 << 20, 1 << 24):
    LIBC.malloc.restype = ctypes.c_void_p
    address = LIBC.malloc(size)
    data = ctypes.string_at(address, size)
    at = data.find(T['prefix'].encode() + b'neighbour')
    if at >= 0: print(data[at:at + 100])
""",
    ),
    # --- hostile results ---
    _inside(
        name="hostile-repr",
        mechanism="objects whose every method is hostile",
        code="""
class Evil:
    def __repr__(self): raise SystemExit('repr')
    __str__ = __eq__ = __hash__ = __len__ = __bool__ = __getattr__ = __reduce_ex__ = __repr__
    def __del__(self): raise KeyboardInterrupt
loot = Evil()
loot
""",
    ),
    _inside(
        name="pickle",
        mechanism="an object that runs code when it is unpickled",
        code="""
class Bomb:
    def __reduce__(self): return (os.system, ('echo changed >> ' + T['canary'],))
loot = Bomb()
""",
    ),
    _inside(
        name="subclasses-of-data",
        mechanism="plain data that is not plain",
        code="""
class Text(str):
    def encode(self, *a): raise RuntimeError('no')
class Whole(int):
    def bit_length(self): os._exit(9)
loot = {Text('a'): [Whole(2**70), Text('\\ud800')]}
""",
    ),
    _inside(
        name="endless-data",
        mechanism="data that contains itself",
        code="loot = []\nloot.append(loot)",
    ),
    _inside(
        name="hostile-error",
        mechanism="an exception that cannot be shown",
        code="""
class Evil(Exception):
    def __str__(self): raise Evil()
    __repr__ = __str__
raise Evil()
""",
    ),
    _inside(
        name="exit",
        mechanism="leave: sys.exit, os._exit, a thread that exits",
        code="""
threading.Thread(target=sys.exit).start()
try:
    sys.exit(0)
finally:
    os._exit(0)
""",
    ),
    _inside(
        name="segfault",
        mechanism="write to an address that is not there",
        code="ctypes.memset(0, 0, 1)",
    ),
    _inside(
        name="spoiled-objects",
        mechanism="overwrite the interpreter's own objects",
        code="ctypes.memset(id(1), 255, 32); ctypes.memset(id(None), 255, 16)",
    ),
    _inside(
        name="spoiled-code",
        mechanism="overwrite the code of the worker's loop",
        code="""
from rlm_sandbox.worker import channel as c, console
def send(self, message): os._exit(7)
c.Channel.send = c.Channel.receive = send
console.Console.run = None
""",
        imports="all",
    ),
    _inside(
        name="tracing",
        mechanism="trace the worker's own frames",
        code="""
def trace(frame, event, argument):
    frame.f_trace_opcodes = True
    raise SystemExit('traced')
sys.settrace(trace); threading.settrace(trace)
sys.setprofile(trace)
frame = sys._getframe()
while frame:
    frame.f_trace = trace
    frame = frame.f_back
""",
    ),
    _inside(
        name="builtins",
        mechanism="replace what the worker's own code calls",
        code="""
b = vars(sys.modules['builtins'])
for name in ('compile', 'exec', 'eval', 'repr', 'isinstance', 'len', 'getattr', '__import__'):
    b[name] = None
""",
    ),
    _inside(
        name="endless-import",
        mechanism="an import hook that never ends",
        code="""
class Finder:
    def find_spec(self, *a):
        while True: pass
sys.meta_path.insert(0, Finder())
sys.path_hooks.insert(0, Finder().find_spec)
sys.path_importer_cache.clear()
import fractions_that_are_not_there
""",
        imports="all",
    ),
    _inside(
        name="exit-hooks",
        mechanism="code that runs when the interpreter ends",
        code="""
import atexit
def last():
    while True: time.sleep(1)
atexit.register(last)
threading._register_atexit(last)
sys.exit()
""",
        imports="all",
        aim=Aim.PROCESS,
    ),
)
