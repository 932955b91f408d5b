"""GenericChatAdapter speaks chat to a real server, whatever the payload's and reply's shape."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from rlm_core.adapters import AdapterClosed, BadReply, GenericChatAdapter, KeyRefused, Usage
from rlm_core.adapters.base import identity_of
from tests.rlm_core.adapters.chat_server import ChatServer, Hang, Reply, chat, json_reply

KEY = "sk-test-0123456789abcdef"
HELLO = [{"role": "user", "content": "hello"}]


def test_a_question_is_sent_and_its_answer_read() -> None:
    reply = chat("hi", model="m-2", usage={"prompt_tokens": 3, "completion_tokens": 1})
    with (
        ChatServer(reply) as server,
        GenericChatAdapter(base_url=server.base_url, model="m", api_key=KEY) as model,
    ):
        response = model.complete(HELLO, max_tokens=7, temperature=0.5)
        request = server.requests[0]
    assert (response.text, response.usage, response.model_id) == ("hi", Usage(3, 1, 4), "m-2")
    assert response.meta is not None
    assert response.meta["finish_reason"] == "stop"
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.payload == {
        "messages": HELLO,
        "max_tokens": 7,
        "temperature": 0.5,
        "model": "m",
    }


def test_missing_usage_is_estimated_and_a_missing_model_is_the_one_asked_for() -> None:
    with (
        ChatServer(chat("x" * 40)) as server,
        GenericChatAdapter(base_url=server.base_url, model="m") as model,
    ):
        response = model.complete([{"role": "user", "content": "y" * 80}])
    assert response.usage == Usage(20, 10, 30)
    assert response.model_id == "m"


def test_content_may_be_a_list_of_blocks() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    with ChatServer(chat(blocks)) as server, GenericChatAdapter(base_url=server.base_url) as model:
        assert model.complete(HELLO).text == "a\nb"


def test_payload_and_reply_may_have_a_shape_of_their_own() -> None:
    with (
        ChatServer(json_reply({"out": "hi"})) as server,
        GenericChatAdapter(
            endpoint=f"{server.base_url}/generate",
            model="m",
            headers={"X-Team": "blue"},
            payload_builder=lambda messages, limit, temperature, model: {
                "prompt": messages[-1]["content"],
                "n": limit,
            },
            response_parser=lambda data: (str(data["out"]), Usage(1, 1, 2)),
        ) as model,
    ):
        assert model.complete(HELLO, max_tokens=9).text == "hi"
        request = server.requests[0]
    assert request.path == "/v1/generate"
    assert request.headers["X-Team"] == "blue"
    assert request.payload == {"prompt": "hello", "n": 9}


def test_a_parser_that_finds_another_shape_gives_a_bad_reply() -> None:
    with (
        ChatServer(json_reply({"other": 1})) as server,
        GenericChatAdapter(
            base_url=server.base_url, response_parser=lambda data: (str(data["out"]), None)
        ) as model,
        pytest.raises(BadReply, match="'out'"),
    ):
        model.complete(HELLO)


@pytest.mark.parametrize("data", [[], "text", 5, None])
def test_json_that_is_no_object_is_a_bad_reply(data: object) -> None:
    with (
        ChatServer(json_reply(data)) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
        pytest.raises(BadReply, match="a JSON object was expected"),
    ):
        model.complete(HELLO)


def test_keys_in_headers_are_hidden_in_errors_too() -> None:
    body = {"error": {"message": f"unknown key {KEY}"}}
    with (
        ChatServer(json_reply(body, 401)) as server,
        GenericChatAdapter(base_url=server.base_url, headers={"api-key": KEY}) as model,
        pytest.raises(KeyRefused) as caught,
    ):
        model.complete(HELLO)
    assert KEY not in str(caught.value)


def test_the_identity_tells_models_and_servers_apart_and_holds_no_key() -> None:
    one = GenericChatAdapter(base_url="http://a/v1", model="m", api_key=KEY)
    assert one.identity == "GenericChatAdapter:http://a/v1/chat/completions:m"
    assert identity_of(one) == one.identity
    assert KEY not in repr(one)
    others = [
        GenericChatAdapter(base_url="http://b/v1", model="m"),
        GenericChatAdapter(base_url="http://a/v1", model="n"),
    ]
    assert len({one.identity, *(other.identity for other in others)}) == 3


def test_an_adapter_without_an_address_says_what_to_give() -> None:
    with pytest.raises(ValueError, match="give base_url"):
        GenericChatAdapter(model="m")


def test_many_threads_share_one_adapter() -> None:
    texts: list[str] = []
    with (
        ChatServer(Reply(b"", 503), chat("hi")) as server,
        GenericChatAdapter(base_url=server.base_url, retry_base_delay=0.001) as model,
    ):
        threads = [
            threading.Thread(target=lambda: texts.append(model.complete(HELLO).text))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["hi"] * 16


def test_closing_ends_a_call_that_waits_in_another_thread() -> None:
    errors: list[BaseException] = []
    with ChatServer(Hang()) as server:
        model = GenericChatAdapter(base_url=server.base_url)

        def call() -> None:
            try:
                model.complete(HELLO)
            except AdapterClosed as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while not server.requests:
            threading.Event().wait(0.01)
        model.close()
        thread.join(60)
        assert not thread.is_alive()
    assert "closed while" in str(errors[0])


def test_a_submitted_call_is_cancelled_with_its_connection() -> None:
    with ChatServer(Hang()) as server, GenericChatAdapter(base_url=server.base_url) as model:
        future = model.submit(HELLO)
        while not server.requests:
            threading.Event().wait(0.01)
        assert future.cancel()
        assert server.client_gone.wait(60)


def test_httpx_is_imported_by_the_first_call_and_not_before() -> None:
    code = (
        "import sys; from rlm_core.adapters import GenericChatAdapter as A; "
        "A(base_url='http://127.0.0.1:1/v1'); print('httpx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "False\n"
