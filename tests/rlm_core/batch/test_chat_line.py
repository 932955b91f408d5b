from __future__ import annotations

from typing import Any

import pytest

from rlm_core.batch.chat_line import ChatReply, chat_task_of, is_chat_line
from rlm_core.batch.errors import BadLine
from rlm_core.batch.task import Chat, Shared
from rlm_core.chat_request import Asked, Straight

LONG = "the bridge was built in 1871. " * 400


def line(*messages: str, **body: object) -> dict[str, object]:
    told = [{"role": "user", "content": message} for message in messages]
    return {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt", "messages": told, **body},
    }


def test_it_is_known_by_its_body() -> None:
    assert is_chat_line(line("x"))
    assert not is_chat_line({"custom_id": "a", "question": "x"})


def test_a_long_request_is_a_question_about_what_came_before() -> None:
    task = chat_task_of(line(LONG, "When?", rlm={"max_steps": 3}), 4)
    assert isinstance(task.source, Chat)
    assert isinstance(task.source.request, Asked)
    assert (task.question, task.source.request.context.text) == ("When?", LONG)
    assert (task.id, task.line, task.model) == ("a", 4, "gpt")
    assert task.limits == {"max_steps": 3}


def test_a_short_one_goes_straight_with_the_length_that_it_asks_for() -> None:
    source = chat_task_of(line("Hello", max_completion_tokens=9, max_tokens=8), 1).source
    assert isinstance(source, Chat)
    assert source.request == Straight(({"role": "user", "content": "Hello"},))
    assert source.max_tokens == 9


def test_it_may_name_a_context_of_the_batch() -> None:
    task = chat_task_of(line("Who signed?", rlm={"context_ref": "minutes"}), 1)
    assert (task.question, task.source) == ("Who signed?", Shared("minutes"))


def test_a_schema_is_checked_by_the_runtime_however_short_the_request() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    task = chat_task_of(line("How many?", response_format=wanted), 1)
    assert task.output == schema
    assert isinstance(task.source, Chat)
    assert isinstance(task.source.request, Asked)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"custom_id": 1}, "custom_id"),
        ({"body": 3}, "Expected `object`"),
        ({"method": "GET"}, "only POST"),
        ({"url": "/v1/embeddings"}, "only POST to /v1/chat/completions"),
        ({"body": {}}, "body.messages"),
        ({"body": line("x", n=3)["body"]}, "body.n: only one"),
        ({"body": line("x", max_tokens=0)["body"]}, "body.max_tokens"),
        ({"body": line("x", response_format={"type": "xml"})["body"]}, "body.response_format"),
        ({"body": line("x", rlm={"context_ref": 3})["body"]}, "body.rlm.context_ref"),
        ({"body": line(LONG, "x", rlm={"context_ref": "m"})["body"]}, "no place for earlier"),
        ({"body": line("x", rlm={"max_stpes": 3})["body"]}, "body.rlm"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_place(
    change: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadLine, match=why):
        chat_task_of(line("x") | change, 1)


def test_the_reply_has_openais_shape() -> None:
    told = ChatReply("a", "gpt", "1871", complete=False, prompt_tokens=5, completion_tokens=2)
    body: Any = told.to_dict()["body"]
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "1871"}
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 7
