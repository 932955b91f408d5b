from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.chat_request import (
    DIRECT_BELOW_CHARS,
    QUESTION_CHARS,
    Asked,
    ChatSettings,
    RequestInvalid,
    Straight,
    read_chat_request,
    settings_in,
)

LONG = "the bridge was built in 1871. " * 400  # 12,000 characters


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def asked(*messages: Mapping[str, object], **rlm: object) -> Asked:
    body: dict[str, object] = {"messages": list(messages)}
    read = read_chat_request(body | ({"rlm": rlm} if rlm else {}))
    assert isinstance(read, Asked)
    return read


def text_part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def file_part(name: str, data: bytes) -> dict[str, object]:
    encoded = base64.b64encode(data).decode()
    url = f"data:text/plain;base64,{encoded}"
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def test_a_short_request_goes_straight_to_the_model() -> None:
    messages = [{"role": "system", "content": "Be brief."}, user([text_part("a"), text_part("b")])]
    assert read_chat_request({"messages": messages}) == Straight(
        ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "a\n\nb"})
    )


def test_earlier_messages_are_documents_and_the_last_one_is_the_question() -> None:
    read = asked(user(LONG), {"role": "assistant", "content": "I see."}, user("When?"))
    assert read.question.endswith("\n\nWhen?")
    assert list(read.context.documents) == [LONG, "I see."]
    assert read.context.paths == ("message 1 (user)", "message 2 (assistant)")
    assert "1: message 2 (assistant)" in read.question


def test_the_only_document_is_the_whole_context() -> None:
    read = asked(user(LONG), user("When?"))
    assert (read.question, read.context.text) == ("When?", LONG)
    assert read.context.context_type == "string"


def test_long_parts_of_the_last_message_are_documents_and_short_ones_the_question() -> None:
    read = asked(
        user([text_part("When, says this text:"), text_part(LONG), text_part("In words.")])
    )
    assert read.question == "When, says this text:\n\nIn words."
    assert read.context.text == LONG


def test_attached_text_files_are_documents_of_their_name() -> None:
    attached = file_part("minutes.txt", "Grüße\n".encode() * 2000)
    read = asked(user([attached, file_part("b.txt", b"short"), text_part("Who?")]))
    assert read.context.paths == ("minutes.txt", "b.txt")
    assert read.context.documents[1] == "short"


def test_a_last_message_that_is_only_long_shows_how_it_begins_and_ends() -> None:
    message = "Summarise this.\n\n" + LONG + "\n\nWhat of the bridge?"
    read = asked(user(message))
    assert "Summarise this." in read.question
    assert "What of the bridge?" in read.question
    assert len(read.question) < QUESTION_CHARS
    assert read.context.text == message


def test_short_instructions_stay_with_the_question_and_long_ones_are_searched() -> None:
    system = {"role": "system", "content": "Answer in French."}
    manual = {"role": "developer", "content": LONG}
    read = asked(system, manual, user("When?"))
    assert "Answer in French." in read.question
    assert read.context.text == LONG


def test_a_request_may_name_its_own_question_and_context() -> None:
    read = asked(user("some words"), question="How many words?", context=["one", "two"])
    assert read.question.endswith("How many words?")
    assert list(read.context.documents) == ["one", "two", "some words"]


def test_a_request_may_choose_its_way() -> None:
    straight = read_chat_request({"messages": [user(LONG)], "rlm": {"mode": "direct"}})
    assert isinstance(straight, Straight)
    assert asked(user("short"), mode="rlm").question == "short"
    assert asked(user("short"), mode="rlm").context.text == ""
    assert asked(user("x" * 100), direct_below_chars=100).question == "x" * 100


def test_a_limit_of_the_request_has_the_name_that_the_policy_gives_it() -> None:
    settings = settings_in({"rlm": {"max_steps": 3, "max_cost": 0, "max_seconds": 1.5}})
    assert settings.limits() == {"max_steps": 3, "max_cost": 0, "max_seconds": 1.5}
    assert settings_in({}) == ChatSettings()


@pytest.mark.parametrize(
    ("body", "place", "why"),
    [
        ({}, "messages", "at least one message"),
        ({"messages": []}, "messages", "at least one message"),
        ({"messages": ["hello"]}, "messages[0]", "an object"),
        ({"messages": [{"role": "pirate", "content": ""}]}, "messages[0].role", "'pirate'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages[0]", "the user's"),
        ({"messages": [user("  ")]}, "messages[0]", "empty"),
        ({"messages": [user(3)]}, "messages[0].content", "a text or a list"),
        ({"messages": [user(None)]}, "messages[0].content", "a text or a list"),
        ({"messages": [user([{"type": "image_url"}])]}, "messages[0].content[0]", "images"),
        ({"messages": [user([{"type": "input_audio"}])]}, "messages[0].content[0]", "audio"),
        ({"messages": [user([{"text": "x"}])]}, "messages[0].content[0]", "a part is"),
        ({"messages": [user("a\ud800")]}, "messages[0].content", "surrogate"),
        ({"messages": [user("a")], "n": 2}, "n", "one answer"),
        ({"messages": [user("a")], "tools": [{}]}, "tools", "not supported"),
        ({"messages": [user("a")], "modalities": ["audio"]}, "modalities", "only text"),
        ({"messages": [user("a")], "logprobs": True}, "logprobs", "leave logprobs out"),
        ({"messages": [user("a")], "rlm": {"stpes": 3}}, "rlm", "stpes"),
        ({"messages": [user("a")], "rlm": {"max_steps": 0}}, "rlm", "too small"),
        ({"messages": [user("a")], "rlm": {"max_seconds": float("nan")}}, "rlm", "too small"),
        ({"messages": [user("a")], "rlm": {"context": "\udfff"}}, "rlm.context", "surrogate"),
        (
            {"messages": [user("a")], "rlm": {"mode": "direct", "question": "b"}},
            "rlm.mode",
            "need the mode",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_place(
    body: dict[str, Any], place: str, why: str
) -> None:
    with pytest.raises(RequestInvalid, match=why) as caught:
        read_chat_request(body)
    assert caught.value.param == place


@pytest.mark.parametrize(
    "file",
    [
        {"file_id": "file-1"},
        {"file_data": "data:text/plain;base64,!!"},
        {"file_data": "data:nothing"},
        {"file_data": base64.b64encode(b"%PDF\0\0").decode()},
        {"file_data": base64.b64encode(b"\xff\xfe").decode()},
    ],
)
def test_a_file_that_is_no_text_is_refused(file: dict[str, str]) -> None:
    with pytest.raises(RequestInvalid, match="file_data"):
        read_chat_request({"messages": [user([{"type": "file", "file": file}])]})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["messages", "n", "tools", "rlm", "role", "content", "type", "text", "file"])


@settings(max_examples=40)
@given(body=st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON)), max_size=5))
def test_no_request_does_anything_but_be_read_or_be_refused(body: dict[str, Any]) -> None:
    try:
        read_chat_request(body)
    except RequestInvalid:
        return


@settings(max_examples=40)
@given(lengths=st.lists(st.integers(0, 9000), min_size=1, max_size=5))
def test_nothing_of_a_request_is_lost(lengths: list[int]) -> None:
    texts = [f"<{number}>" + "x" * length for number, length in enumerate(lengths)]
    read = read_chat_request({"messages": [user(text) for text in texts]})
    match read:
        case Straight(messages):
            assert sum(map(len, texts)) < DIRECT_BELOW_CHARS
            assert [each["content"] for each in messages] == texts
        case Asked(question, context):
            for text in texts:
                assert text in context.text or text in question
