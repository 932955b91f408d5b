"""An answer is looked for before it is slept for, as long as that finds it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rlm_sandbox import patience
from rlm_sandbox.patience import FIRST_REST, LONGEST_REST, MISSES_TOLERATED, Patience


class Counted:
    """A socket's receiving side that counts how it was read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.looked = self.slept = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if flags & socket.MSG_DONTWAIT:
            self.looked += 1
        else:
            self.slept += 1
        return self._sock.recv(size, flags)


@pytest.fixture
def pair() -> Iterator[tuple[Counted, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Counted(ours), theirs


@pytest.fixture(autouse=True)
def _several_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_processors", lambda: 2)
    monkeypatch.setattr(patience, "LOOKING_SECONDS", 0.001)


def miss(one: Patience, pair: tuple[Counted, socket.socket]) -> None:
    """Have it wait for an answer that comes late."""
    ours, theirs = pair
    answer = threading.Timer(0.02, theirs.send, (b"late",))
    answer.start()
    assert one.receive(ours, 100) == b"late"
    answer.join()


def test_what_is_there_is_taken_at_the_first_look(pair: tuple[Counted, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"answer")
    assert Patience().receive(ours, 100) == b"answer"
    assert (ours.looked, ours.slept) == (1, 0)


def test_what_comes_late_is_slept_for(pair: tuple[Counted, socket.socket]) -> None:
    miss(Patience(), pair)
    assert pair[0].slept == 1


def looks(one: Patience, pair: tuple[Counted, socket.socket]) -> bool:
    """Whether it looks for an answer that is there."""
    ours, theirs = pair
    before = ours.looked
    theirs.send(b"x")
    assert one.receive(ours, 100) == b"x"
    return ours.looked > before


def test_who_has_never_found_one_looks_no_more_after_a_miss_until_a_while_later(
    pair: tuple[Counted, socket.socket],
) -> None:
    one = Patience()
    miss(one, pair)
    assert [looks(one, pair) for _ in range(FIRST_REST + 3)] == [False] * FIRST_REST + [True] * 3


def test_who_has_found_one_tolerates_some_misses(pair: tuple[Counted, socket.socket]) -> None:
    one = Patience()
    assert looks(one, pair)
    for _ in range(MISSES_TOLERATED - 1):
        miss(one, pair)
    assert looks(one, pair)
    for _ in range(MISSES_TOLERATED):
        miss(one, pair)
    assert not looks(one, pair)


def test_the_more_misses_the_longer_it_does_not_look(
    pair: tuple[Counted, socket.socket],
) -> None:
    one, rest = Patience(), FIRST_REST
    for _ in range(6):
        miss(one, pair)
        for _ in range(rest):
            assert not looks(one, pair)
        rest = min(2 * rest, LONGEST_REST)
    assert rest == LONGEST_REST
    assert looks(one, pair)
    for _ in range(MISSES_TOLERATED):
        miss(one, pair)
    assert not any(looks(one, pair) for _ in range(LONGEST_REST))
    assert looks(one, pair)


def test_one_thread_of_a_process_looks_at_a_time(pair: tuple[Counted, socket.socket]) -> None:
    with patience._looking:
        assert not looks(Patience(), pair)
    assert looks(Patience(), pair)


def test_a_single_processor_is_left_to_who_is_to_answer(
    pair: tuple[Counted, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_processors", lambda: 1)
    ours, theirs = pair
    one = Patience()
    for _ in range(2 * LONGEST_REST):
        theirs.send(b"x")
        one.receive(ours, 100)
    assert ours.looked == 0


def test_the_end_of_the_socket_is_told(
    pair: tuple[Counted, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.close()
    assert Patience().receive(ours, 100) == b""


def test_one_look_is_short(pair: tuple[Counted, socket.socket]) -> None:
    ours, theirs = pair
    started = time.perf_counter()
    threading.Timer(0.2, theirs.send, (b"x",)).start()
    Patience().receive(ours, 100)
    assert ours.slept == 1
    assert time.perf_counter() - started >= 0.1
