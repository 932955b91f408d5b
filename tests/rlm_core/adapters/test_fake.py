"""FakeAdapter answers by rule, then by script, and says clearly when it has nothing left."""

from __future__ import annotations

import threading

import pytest

from rlm_core.adapters import FakeAdapter, FakeRule, Usage


def ask(adapter: FakeAdapter, text: str) -> str:
    return adapter.complete([{"role": "user", "content": text}]).text


def test_a_script_is_answered_line_by_line() -> None:
    adapter = FakeAdapter(script=["one", "two"])
    assert [ask(adapter, "a"), ask(adapter, "b")] == ["one", "two"]


def test_rules_come_before_the_script() -> None:
    adapter = FakeAdapter(script=["scripted"])
    adapter.add_rule("sub-LLM", "ruled")
    assert ask(adapter, "You are a sub-LLM") == "ruled"
    assert ask(adapter, "You are the root") == "scripted"


def test_a_rule_given_to_the_constructor_takes_any_callable() -> None:
    adapter = FakeAdapter(rules=[FakeRule(lambda prompt: prompt.isdigit(), "a number")])
    assert ask(adapter, "42") == "a number"


def test_a_rule_with_once_answers_once() -> None:
    adapter = FakeAdapter(script=["later"])
    adapter.add_rule("hello", "first", once=True)
    assert [ask(adapter, "hello"), ask(adapter, "hello")] == ["first", "later"]


def test_a_plain_pattern_is_text_and_a_regex_is_searched_for() -> None:
    adapter = FakeAdapter(script=["neither"])
    adapter.add_rule("a.c", "plain")
    adapter.add_rule(r"^x\d+$", "regex", regex=True)
    assert [ask(adapter, "a.c"), ask(adapter, "x12"), ask(adapter, "abc")] == [
        "plain",
        "regex",
        "neither",
    ]


def test_a_rule_sees_every_message_of_the_prompt() -> None:
    adapter = FakeAdapter()
    adapter.add_rule("secret word", "seen")
    messages = [
        {"role": "system", "content": "the secret word"},
        {"role": "user", "content": "question"},
    ]
    assert adapter.complete(messages).text == "seen"


def test_usage_is_the_rules_own_or_an_estimate() -> None:
    adapter = FakeAdapter(script=["abcdefgh"], model="fake-1")
    adapter.add_rule("priced", "x", usage=Usage(100, 10, 110))
    assert adapter.complete([{"role": "user", "content": "priced"}]).usage == Usage(100, 10, 110)
    estimated = adapter.complete([{"role": "user", "content": "x" * 16}])
    assert estimated.usage == Usage(4, 2, 6)
    assert estimated.model_id == "fake-1"


def test_calls_are_logged_as_they_were_made() -> None:
    adapter = FakeAdapter(script=["a", "b"])
    messages = [{"role": "user", "content": "one"}]
    adapter.complete(messages)
    messages.append({"role": "user", "content": "two"})
    adapter.complete(messages)
    assert [len(call) for call in adapter.call_log] == [1, 2]


def test_an_empty_fake_says_what_to_add() -> None:
    with pytest.raises(RuntimeError, match=r"call 1: .*script=\[.*ends with 'what now'"):
        ask(FakeAdapter(), "what now")


def test_many_threads_share_one_script_without_losing_a_line() -> None:
    lines = [str(number) for number in range(200)]
    adapter = FakeAdapter(script=lines)
    seen: list[str] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(ask(adapter, "go") for _ in range(25)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(lines)
    assert len(adapter.call_log) == 200


def test_models_of_another_name_have_another_identity() -> None:
    assert FakeAdapter(model="a").identity != FakeAdapter(model="b").identity


def test_its_replies_are_kept_in_a_cache_only_if_asked_for() -> None:
    assert FakeAdapter().cacheable is False
    assert FakeAdapter(cacheable=True).cacheable is True
