from __future__ import annotations

import pytest

from rlm_core.errors import NotRecorded
from rlm_core.playback import Difference, Playback, episode_key
from rlm_core.recording import RecordedReply, Recording
from rlm_core.trace import Trace


def recording(**replies: list[RecordedReply]) -> Recording:
    return Recording(
        {}, {name.replace("_", "#"): each for name, each in replies.items()}, Trace([])
    )


def test_without_a_recording_everything_is_live() -> None:
    playback = Playback()
    assert playback.of_episode("root", 1, "d") is None
    assert playback.of_call("k", cached=False) is None
    assert playback.of_tool("k", "x") is None
    assert playback.differences == []


def test_each_reply_is_given_once_in_its_order() -> None:
    playback = Playback(recording(k=[RecordedReply("1"), RecordedReply("2")]))
    given = [playback.of_call("k", cached=False) for _ in range(3)]
    assert [reply.text if reply else None for reply in given] == ["1", "2", None]


def test_what_the_cache_gave_is_given_as_such() -> None:
    playback = Playback(recording(k=[RecordedReply("1"), RecordedReply("1", cached=True)]))
    assert playback.of_call("k", cached=True) is None
    assert playback.of_call("k", cached=False) is not None
    assert playback.of_call("k", cached=False) is None
    assert playback.of_call("k", cached=True) is not None


def test_a_replay_gives_the_reply_to_other_messages_and_names_the_difference() -> None:
    playback = Playback(recording(root_1=[RecordedReply("x", asked="then")]), live=False)
    reply = playback.of_episode("root", 1, "now")
    assert reply is not None
    assert playback.differences == [Difference("messages of call 1 of root", "then", "now")]


def test_a_run_that_is_continued_goes_on_live_once_it_goes_another_way() -> None:
    replies = {
        "root_1": [RecordedReply("x", asked="then")],
        "root_2": [RecordedReply("y", asked="b")],
    }
    playback = Playback(recording(**replies))
    assert playback.of_episode("root", 1, "now") is None
    assert playback.of_episode("root", 2, "b") is None


def test_a_call_that_failed_is_made_again_when_the_run_is_continued() -> None:
    failed = RecordedReply("no", asked="d", error="LookupError")
    playback = Playback(recording(root_1=[failed], k=[failed]))
    assert playback.of_episode("root", 1, "d") is None
    assert playback.of_call("k", cached=False) is None


def test_a_replay_refuses_what_was_not_recorded_and_counts_what_was_not_asked() -> None:
    playback = Playback(recording(k=[RecordedReply("x")]), live=False)
    with pytest.raises(NotRecorded, match="subcall other"):
        playback.of_call("other", cached=False)
    assert [each.where for each in playback.differences] == ["subcall other"]
    assert list(playback.left()) == ["k"]
    assert episode_key("root", 3) == "root#3"
