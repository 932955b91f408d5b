from __future__ import annotations

import hashlib
import json

from rlm_core.conversation import tokens_in
from rlm_core.sent import Sent

Messages = tuple[dict[str, str], ...]


def sent(*turns: Messages) -> Sent:
    taken = Sent()
    for messages in turns:
        taken.take(messages)
    return taken


def message(content: str, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": content}


def test_messages_are_the_same_whatever_number_of_steps_is_allowed() -> None:
    first = sent((message("Query\nStep: 2/40\nmore"),))
    assert first.digest() == sent((message("Query\nStep: 2/80\nmore"),)).digest()
    assert first.digest() != sent((message("Query"),)).digest()


def test_the_digest_is_that_of_the_messages_in_json() -> None:
    plain = [["system", "s"], ["user", "caf\u00e9"]]
    messages = tuple(message(content, role) for role, content in plain)
    assert sent(messages).digest() == hashlib.sha256(json.dumps(plain).encode()).hexdigest()
    assert sent(()).digest() == hashlib.sha256(b"[]").hexdigest()


def test_what_came_in_turns_is_what_came_at_once() -> None:
    whole = tuple(message(f"message {number}") for number in range(6))
    at_once, in_turns = sent(whole), sent(whole[:2], whole[:4], whole)
    assert in_turns.digest() == at_once.digest()
    assert in_turns.tokens == at_once.tokens == tokens_in(whole)


def test_messages_that_were_left_out_since_are_forgotten() -> None:
    whole = tuple(message(f"message {number}") for number in range(6))
    shorter = (*whole[:2], *whole[4:])
    trimmed = sent(whole, shorter)
    assert trimmed.digest() == sent(shorter).digest()
    assert trimmed.tokens == tokens_in(shorter)


def test_a_step_costs_what_is_new_in_it() -> None:
    class Counted(str):
        """A text that counts how often it is looked at for its length."""

        looked = 0

        def __len__(self) -> int:
            Counted.looked += 1
            return super().__len__()

    old = tuple(message(Counted("old")) for _ in range(50))
    taken = sent(old)
    Counted.looked = 0
    taken.take((*old, message("new")))
    assert Counted.looked == 0


def test_what_an_adapter_does_to_the_messages_is_not_in_the_next_call() -> None:
    whole = tuple(message(f"message {number}") for number in range(3))
    taken = sent(whole[:2])
    taken.given()[0]["content"] += " and more"
    taken.given().clear()
    assert taken.given() == list(whole[:2])
    taken.take(whole)
    assert taken.given() == list(whole)
    assert whole[0]["content"] == "message 0"
