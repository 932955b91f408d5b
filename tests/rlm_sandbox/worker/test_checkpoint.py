"""A session that goes on from its checkpoint is the one that was saved, in every respect it can."""

from __future__ import annotations

import pytest

from rlm_sandbox import Outcome, Sandbox, State
from tests.rlm_sandbox.promises.running import printed

DIES = "import os\nos._exit(1)"

pytestmark = pytest.mark.usefixtures("_gated")


@pytest.fixture
def _gated(box: Sandbox) -> None:
    if "gate" not in box.layers:
        pytest.skip("this kernel has no seccomp user notifications")


def restored(box: Sandbox) -> None:
    result = box.exec(DIES)
    assert (result.outcome, result.state) == (Outcome.EXITED, State.RESTORED)


def test_random_numbers_go_on_as_if_nothing_had_happened(free_box: Sandbox) -> None:
    draw = "import random\nprint([random.random(), random.gauss(0, 1), random.randrange(10 ** 9)])"
    printed(free_box, f"import random\nrandom.seed(7)\n{draw}")
    with free_box.fork() as undisturbed:
        expected = [printed(undisturbed, draw) for _ in range(3)]
    drawn = []
    for _ in range(3):
        restored(free_box)
        drawn.append(printed(free_box, draw))
    assert drawn == expected
    assert len(set(drawn)) == 3


def test_variables_functions_classes_open_generators_and_imports_are_there(
    free_box: Sandbox,
) -> None:
    free_box.exec(
        "import statistics, collections\n"
        "numbers = [1, 2, 3]\nalias = numbers\n"
        "def mean(): return statistics.mean(numbers)\n"
        "class Stack:\n    def __init__(self): self.items = [1]\n"
        "    def push(self, x): self.items.append(x); return self\n"
        "stack = Stack().push(2)\n"
        "def counter():\n    total = 0\n    while True:\n        total += 1\n        yield total\n"
        "counting = counter(); next(counting); next(counting)\n"
        "ordered = collections.OrderedDict(b=1, a=2)\n"
        "closure = (lambda n: lambda: n)(5)\n"
        "hashes = hash('text'), id(numbers)"
    )
    for _ in range(3):
        restored(free_box)
    assert (
        printed(
            free_box,
            "numbers.append(6)\nprint(alias, mean(), stack.push(3).items, next(counting))\n"
            "print(list(ordered), closure(), isinstance(stack, Stack))\n"
            "print(hashes == (hash('text'), id(numbers)))",
        )
        == "[1, 2, 3, 6] 3 [1, 2, 3] 3\n['b', 'a'] 5 True\nTrue\n"
    )


def test_a_lock_that_a_lost_thread_held_stays_held_and_the_sessions_own_do_not(
    free_box: Sandbox,
) -> None:
    free_box.exec(
        "import threading, time\nheld = threading.Event()\nlock = threading.Lock()\n"
        "def work():\n    with lock:\n        held.set(); time.sleep(1000)\n"
        "threading.Thread(target=work, daemon=True).start(); held.wait()"
    )
    restored(free_box)
    assert printed(free_box, "print(lock.locked(), threading.active_count())") == "True 1\n"


def test_a_full_table_of_descriptors_is_no_obstacle(free_box: Sandbox) -> None:
    free_box.exec(
        "import os\nfiles = []\n"
        "try:\n    while True: files.append(os.open('/dev/null', 0))\nexcept OSError: pass"
    )
    restored(free_box)
    assert printed(free_box, "print(len(files) > 10)") == "True\n"


@pytest.mark.parametrize("threads", [0, 1])
def test_what_is_registered_for_forks_is_called_once_a_checkpoint_goes_on(
    free_box: Sandbox, threads: int
) -> None:
    free_box.exec(
        "import os, threading, time\nheard = []\n"
        "os.register_at_fork(before=lambda: heard.append('before'),\n"
        "    after_in_child=lambda: heard.append('child'),\n"
        "    after_in_parent=lambda: heard.append('parent'))\n"
        f"for _ in range({threads}):\n"
        "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
    )
    restored(free_box)
    # the fork that goes on, and the one that was made of it
    assert printed(free_box, "heard") == "['before', 'child', 'before', 'parent']\n"


def test_a_checkpoint_that_was_forked_alone_can_have_threads(free_box: Sandbox) -> None:
    free_box.exec("import threading\nlock, made = threading.Lock(), []")
    restored(free_box)
    code = (
        "threads = [threading.Thread(target=made.append, args=(n,)) for n in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "with lock: print(sorted(made), threading.main_thread() is threading.current_thread())"
    )
    assert printed(free_box, code) == "[0, 1, 2, 3, 4, 5, 6, 7] True\n"
