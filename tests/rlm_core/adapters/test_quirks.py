"""A refusal is read for what the server wants instead, and for nothing that it does not say."""

from __future__ import annotations

import threading

import pytest

from rlm_core.adapters.quirks import Quirk, Quirks, quirk_in, streams, without_quirks
from rlm_core.adapters.reported import Reported

SENT = {"messages": [], "max_tokens": 5, "temperature": 0.0}
STREAMED = SENT | {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("refusal", "quirk"),
    [
        # OpenAI and Azure
        (
            Reported(
                "Unsupported value: 'temperature' does not support 0.0 with this model. Only the "
                "default (1) value is supported.",
                "unsupported_value",
                "temperature",
            ),
            Quirk.NO_TEMPERATURE,
        ),
        (
            Reported("Unsupported parameter: 'max_tokens'.", "unsupported_parameter", "max_tokens"),
            Quirk.COMPLETION_LIMIT,
        ),
        (
            Reported("'max_tokens' is not right here. Use 'max_completion_tokens' instead."),
            Quirk.COMPLETION_LIMIT,
        ),
        # Anthropic
        (
            Reported("`temperature` may only be set to 1 when thinking is enabled."),
            Quirk.NO_TEMPERATURE,
        ),
        (Reported("`temperature` is deprecated for this model."), Quirk.NO_TEMPERATURE),
        # others
        (Reported("invalid temperature: only 1 is allowed for this model"), Quirk.NO_TEMPERATURE),
        (
            Reported("Extra inputs are not permitted", "", "temperature"),
            Quirk.NO_TEMPERATURE,
        ),
        (
            Reported("This model only support stream mode, please enable the stream parameter"),
            Quirk.STREAM_ONLY,
        ),
        (Reported("'stream' must be set to true"), Quirk.STREAM_ONLY),
        (Reported("non-streaming requests are not supported"), Quirk.STREAM_ONLY),
    ],
)
def test_what_a_server_wants_is_read_in_its_refusal(refusal: Reported, quirk: Quirk) -> None:
    named = Reported(refusal.message, refusal.code, refusal.param, 400)
    assert quirk_in(named, SENT) is quirk


def test_what_is_wrong_with_a_stream_is_read_too() -> None:
    options = Reported("Unrecognized request argument supplied: stream_options", status=400)
    assert quirk_in(options, STREAMED) is Quirk.NO_STREAM_OPTIONS
    stream = Reported("'stream' does not support true", "unsupported_value", "stream", 400)
    assert quirk_in(stream, STREAMED) is Quirk.NO_STREAM


@pytest.mark.parametrize(
    "refusal",
    [
        Reported("temperature must be between 0 and 2", "invalid_value", "temperature", 400),
        Reported("max_tokens is too large: 9. This model supports at most 4", status=400),
        Reported(
            "'max_tokens' or 'max_completion_tokens' is too large: 9. The context is 5", status=400
        ),
        Reported("Unsupported value: 'x'", "unsupported_value", "messages[0].role", 400),
        Reported("temperature is not supported", "unsupported_parameter", "temperature", 500),
        Reported("temperature is not supported", "unsupported_parameter", "temperature", None),
        Reported("stream is not supported", "unsupported_parameter", "stream", 400),
        Reported(status=400),
    ],
)
def test_a_refusal_of_something_else_teaches_nothing(refusal: Reported) -> None:
    assert quirk_in(refusal, SENT) is None


def test_what_was_not_sent_cannot_have_been_refused() -> None:
    refusal = Reported("unsupported", "unsupported_parameter", "temperature", 400)
    assert quirk_in(refusal, {"max_tokens": 5}) is None


def test_the_payload_is_what_the_server_wants() -> None:
    assert without_quirks(STREAMED, frozenset()) == STREAMED
    assert without_quirks(SENT, frozenset({Quirk.NO_TEMPERATURE, Quirk.COMPLETION_LIMIT})) == {
        "messages": [],
        "max_completion_tokens": 5,
    }
    assert without_quirks(STREAMED, frozenset({Quirk.NO_STREAM_OPTIONS})) == SENT | {"stream": True}
    assert without_quirks({}, frozenset(Quirk)) == {}


def test_a_reply_is_streamed_when_asked_or_needed_and_never_when_it_cannot_be() -> None:
    assert streams(frozenset(), asked=True)
    assert not streams(frozenset(), asked=False)
    assert streams(frozenset({Quirk.STREAM_ONLY}), asked=False)
    assert not streams(frozenset({Quirk.NO_STREAM, Quirk.STREAM_ONLY}), asked=True)


def test_nothing_that_is_learned_at_the_same_time_is_lost() -> None:
    quirks = Quirks()
    threads = [threading.Thread(target=quirks.learn, args=(quirk,)) for quirk in Quirk]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quirks.known == frozenset(Quirk)
