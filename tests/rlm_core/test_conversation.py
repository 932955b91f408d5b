from __future__ import annotations

from rlm_core.conversation import ContextFacts, Conversation, Feedback, tokens_in, trimmed
from rlm_core.rules import EpisodeRules

FACTS = ContextFacts(length=1000, context_type="document_list", num_documents=2,
                     document_lengths=(400, 590), paths=("a.txt", "b.txt"))  # fmt: skip


def turns(count: int) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u" * 20}]
    for number in range(count):
        messages.append({"role": "assistant", "content": f"a{number}"})
        messages.append({"role": "user", "content": f"u{number}"})
    return messages


def test_the_first_message_tells_query_and_context_and_asks_to_look_first() -> None:
    messages = Conversation(EpisodeRules(), "Who?", FACTS).ask(Feedback(), 1, repl_executed=False)
    assert [message["role"] for message in messages] == ["system", "user"]
    first = messages[1]["content"]
    assert "Who?" in first
    assert "1000 chars" in first
    assert "Document lengths: [400, 590]" in first
    assert "a.txt" in first
    assert "not seen anything" in first


def test_history_grows_by_reply_and_result() -> None:
    conversation = Conversation(EpisodeRules(), "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    conversation.hear("x = 1")
    messages = conversation.ask(Feedback("out", "err", advice="try"), 2, repl_executed=True)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "x = 1"
    last = messages[3]["content"]
    assert "stdout:\nout" in last
    assert "error:\nerr\ntry" in last
    assert "Who?" in last


def test_an_empty_reply_is_never_sent_back_as_an_empty_message() -> None:
    conversation = Conversation(EpisodeRules(), "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    conversation.hear("  ")
    assert conversation.turns[-1]["content"]


def test_without_history_each_step_sends_two_messages_with_the_last_result() -> None:
    rules = EpisodeRules(conversation_history=False)
    conversation = Conversation(rules, "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    conversation.hear("x = 1")
    messages = conversation.ask(Feedback("42 found"), 2, repl_executed=True)
    assert len(messages) == 2
    assert "42 found" in messages[1]["content"]
    assert "REPL executed: yes" in messages[1]["content"]
    summary = conversation.ask_for_summary(Feedback("42 found"), 2)
    assert len(summary) == 2
    assert "42 found" in summary[1]["content"]


def test_trimming_keeps_the_beginning_and_the_last_turns_in_pairs() -> None:
    kept = trimmed(turns(5), 10)
    assert kept[:2] == turns(0)
    assert [message["role"] for message in kept[2:]] == ["assistant", "user"] * (len(kept) // 2 - 1)
    assert kept[-1]["content"] == "u4"
    assert len(kept) < 12


def test_the_last_result_is_kept_whatever_the_limit() -> None:
    assert [message["content"] for message in trimmed(turns(3), 1)[2:]] == ["a2", "u2"]


def test_no_limit_keeps_everything() -> None:
    assert trimmed(turns(3), 0) == turns(3)
    assert trimmed(turns(3), tokens_in(turns(3))) == turns(3)


def test_a_question_that_could_not_be_sent_is_part_of_the_request_for_a_summary() -> None:
    conversation = Conversation(EpisodeRules(), "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    messages = conversation.ask_for_summary(Feedback(), 1)
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "Who?" in messages[1]["content"]
    assert "no step left" in messages[1]["content"]


def test_the_request_for_a_summary_shows_the_last_result() -> None:
    conversation = Conversation(EpisodeRules(), "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    conversation.hear("print(1)")
    messages = conversation.ask_for_summary(Feedback("seen it"), 1)
    assert "seen it" in messages[-1]["content"]
    assert "no step left" in messages[-1]["content"]
    assert len(conversation.turns) == 3


def test_a_step_looks_at_no_turn_before_it() -> None:
    conversation = Conversation(EpisodeRules(max_history_tokens=100_000), "Who?", FACTS)
    conversation.ask(Feedback(), 1, repl_executed=False)
    for step in range(2, 30):
        conversation.hear("x = 1")
        conversation.ask(Feedback("out"), step, repl_executed=True)
    for turn in conversation.turns:
        turn["content"] = Unread(turn["content"])
    conversation.hear("x = 1")
    assert conversation.older(Feedback("out")) == []
    conversation.ask(Feedback("out"), 30, repl_executed=True)


class Unread(str):
    """A text that nobody may look at."""

    def __len__(self) -> int:
        raise AssertionError("an old turn was looked at again")
