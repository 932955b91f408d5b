from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rlm_core.errors import ConfigError
from rlm_core.serve.keys import Keys
from rlm_core.serve.profile import Profile, Profiles
from rlm_core.serve.service import Service
from rlm_core.serve.settings import Settings
from tests.rlm_core.adapters.chat_server import ChatServer, Hang, chat
from tests.rlm_core.serve.serving import LONG, SECONDS, Serving, asked, asked_of, model_that
from tests.rlm_core.serve.test_app import ALICE, bearer, keys

HUNT = r"""
import enum, re
sys = enum.sys
_import = vars(sys.modules["builtins"])["__import__"]
ctypes, gc, os, io = map(_import, ["ctypes", "gc", "os", "io"])
letters = re.compile("SECRET-OF-([AB])[.]")
seen = set()
for each in gc.get_objects():
    for inner in gc.get_referents(each):
        if isinstance(inner, str):
            seen.update(letters.findall(inner))
try:
    for line in io.open("/proc/self/maps").read().splitlines():
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if line.split()[1].startswith("rw") and end - start < 2**30:
            seen.update(letters.findall(ctypes.string_at(start, end - start).decode("latin-1")))
except OSError:
    pass  # the wall hides it
for top in ("/tmp", "/dev/shm", "/proc", "/"):
    for folder, folders, files in os.walk(top):
        if folder.count("/") > 2:
            folders.clear()
        for name in files[:200]:
            if folder.startswith("/proc") and name not in ("environ", "cmdline"):
                continue
            try:
                handle = os.open(folder + "/" + name, os.O_RDONLY | os.O_NONBLOCK)
                with io.open(handle, errors="replace") as file:
                    seen.update(letters.findall(file.read(10**5)))
            except OSError:
                pass
said = P[10:11] + " sees " + ",".join(sorted(seen))
"""


def waited_for(serving: Serving, line: str, value: float) -> None:
    """Until /metrics says so."""
    deadline = time.monotonic() + SECONDS
    while serving.metric(line) != value:
        assert time.monotonic() < deadline, f"{line} is {serving.metric(line)}, not {value}"
        time.sleep(0.01)


def test_a_profile_whose_models_cannot_be_had_is_refused_at_the_start() -> None:
    profiles = Profiles({"a": Profile(model="m", key_env="NOT_SET_ANYWHERE")})
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        Service(Settings(), profiles, Keys({}))


def test_a_limit_on_money_that_nobody_counts_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="'alice' has a limit on cost, and the profile 'a' no"):
        Service(Settings(), Profiles({"a": Profile(model="m")}), keys(cost=5.0))


def test_requests_wait_for_their_turn_and_one_too_many_is_told_to_come_later() -> None:
    answering = threading.Event()

    def slow(_: str) -> str:
        assert answering.wait(SECONDS)
        return "FINAL: done"

    with (
        model_that(slow) as model,
        ThreadPoolExecutor(4) as clients,
        Serving(model, turns=1, places=1) as serving,
    ):
        first = clients.submit(serving.post, asked_of(LONG))
        waited_for(serving, 'rlm_running{lane="recursive"}', 1)
        second = clients.submit(serving.post, asked_of(LONG))
        waited_for(serving, 'rlm_queued{lane="recursive"}', 1)
        third = serving.post(asked_of(LONG))
        straight = clients.submit(serving.post, asked())  # its lane is another one
        waited_for(serving, 'rlm_running{lane="straight"}', 1)
        answering.set()
        done = [each.result() for each in (first, second, straight)]
    assert [each.status_code for each in done] == [200, 200, 200]
    assert third.status_code == 429
    assert third.json()["error"]["code"] == "server_busy"
    assert int(third.headers["retry-after"]) >= 1
    assert third.headers["x-should-retry"] == "true"


def test_a_key_has_no_more_requests_at_once_than_it_may() -> None:
    answering = threading.Event()

    def slow(_: str) -> str:
        assert answering.wait(SECONDS)
        return "done"

    with (
        model_that(slow) as model,
        ThreadPoolExecutor(4) as clients,
        Serving(model, keys=keys(concurrency=1)) as serving,
    ):
        first = clients.submit(serving.post, asked(), **bearer(ALICE))
        waited_for(serving, 'rlm_running{lane="straight"}', 1)
        second = serving.post(asked(), **bearer(ALICE))
        answering.set()
        assert first.result().status_code == 200
        third = serving.post(asked(), **bearer(ALICE))
    assert (second.status_code, third.status_code) == (429, 200)
    assert second.json()["error"]["code"] == "concurrency_exceeded"


def test_a_run_that_takes_too_long_is_stopped_at_its_deadline() -> None:
    with ChatServer(Hang()) as model, Serving(model, seconds=1.0) as serving:
        runs = serving.post(asked_of(LONG))
        straight = serving.post(asked())
        waited_for(serving, 'rlm_running{lane="recursive"}', 0)
        waited_for(serving, 'rlm_running{lane="straight"}', 0)
    assert (runs.status_code, straight.status_code) == (504, 504)
    assert runs.json()["error"]["code"] == "deadline_exceeded"
    assert runs.headers["x-should-retry"] == "false"


def test_what_was_used_is_counted_even_where_nobody_waited_for_the_answer() -> None:
    with (
        ChatServer(chat("```python\nwhile True: pass\n```")) as model,
        Serving(model, seconds=1.5, keys=keys(tokens=10**6)) as serving,
    ):
        assert serving.post(asked_of(LONG), **bearer(ALICE)).status_code == 504
        waited_for(serving, 'rlm_running{lane="recursive"}', 0)
        assert serving.metric('rlm_steps_total{model="fast"}') >= 1
        account = serving.service._account(serving.service.client(f"Bearer {ALICE}", None))
        assert account.used().tokens > 0
        assert account._held.tokens == 0


def test_two_tenants_at_once_never_see_each_others_context_or_state() -> None:
    """Each run's code looks for secrets wherever code can look: it must find its own alone."""
    together = threading.Barrier(2)

    def hostile(prompt: str) -> str:
        if "sorted(seen)" in prompt:
            return "FINAL_VAR: said"
        together.wait(SECONDS)  # both sessions are there
        return f"```python\n{HUNT}```"

    with model_that(hostile) as model, Serving(model, turns=2) as serving:
        for _ in range(2):  # and then two more, in whatever the first ones left behind
            with ThreadPoolExecutor(2) as clients:
                asks = [
                    clients.submit(serving.post, asked_of(f"SECRET-OF-{name}. " + LONG))
                    for name in "AB"
                ]
                replies = [each.result().json() for each in asks]
            said = [reply["choices"][0]["message"]["content"] for reply in replies]
            assert said == ["A sees A", "B sees B"]


def test_a_reply_that_one_request_paid_for_is_not_given_to_another() -> None:
    """A cache for all would tell each tenant what others have asked."""
    code = "```python\nsaid = llm_query('who?') + llm_query('who?')\n```"

    def answers(prompt: str) -> str:
        if prompt.endswith("who?"):
            return "Ann"
        return "FINAL_VAR: said" if "llm_query('who?')" in prompt else code

    with model_that(answers) as model, Serving(model) as serving:
        for _ in range(2):
            reply = serving.post(asked_of(LONG)).json()
            assert reply["choices"][0]["message"]["content"] == "AnnAnn"
            assert reply["usage"]["rlm"]["subcalls"] == 1  # the second is the run's own
    assert len(model.requests) == 6
