"""Programs written for pyrlm-runtime run here with the import changed: what its README shows.

Each test is one of the programs of that README (0.4.1), called as it is called there, with a
scripted model or a server of this machine in the place of a real one.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.rlm_core.adapters.chat_server import ChatServer, chat

NOTES = "RLMs treat long prompts as environment state and inspect them via code."
SUMMARISING = [
    """\
snippet = peek(80)
summary = llm_query(f'Summarize: {snippet}')
answer = f'Summary -> {summary}'
""",
    "FINAL_VAR: answer",
]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs keep their cache where they are called."""
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_basic_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import OpenAICompatAdapter

    with ChatServer(
        chat("themes = [get[:10] for get in (ctx.get_document(0), ctx.get_document(1))]"),
        chat("FINAL_VAR: themes"),
    ) as server:
        monkeypatch.setenv("LLM_BASE_URL", server.base_url)
        monkeypatch.setenv("LLM_API_KEY", "key-of-this-test")
        context = Context.from_documents(["Document 1: Very long", "Document 2: More content"])
        adapter = OpenAICompatAdapter(model="gpt-4")
        rlm = RLM(adapter=adapter)
        answer, trace = rlm.run("What are the main themes across all documents?", context)
        adapter.close()  # so that the server need not wait for its connection
    assert answer == "['Document 1', 'Document 2']"
    assert [step.kind for step in trace.steps] == ["root_call", "repl_exec", "root_call"]
    assert server.requests[0].headers["Authorization"] == "Bearer key-of-this-test"


def test_without_external_apis() -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import FakeAdapter

    adapter = FakeAdapter(script=SUMMARISING)
    adapter.add_rule("You are a sub-LLM", "[fake] short summary")
    output, _trace = RLM(adapter=adapter).run("Summarize this.", Context.from_text(NOTES))
    assert output == "Summary -> [fake] short summary"


def test_a_live_trace() -> None:
    console_of = pytest.importorskip("rich.console")
    from rlm_core import RLM, Context
    from rlm_core.adapters import FakeAdapter
    from rlm_core.rich_trace import RichTraceListener

    shown = io.StringIO()
    adapter = FakeAdapter(script=SUMMARISING)
    adapter.add_rule("You are a sub-LLM", "[fake] summary")
    listener = RichTraceListener(console=console_of.Console(file=shown, width=100))
    output, _trace = RLM(adapter=adapter, event_listener=listener).run(
        "Summarize the first chunk.", Context.from_text(NOTES)
    )
    assert output == "Summary -> [fake] summary"
    assert "snippet = peek(80)" in shown.getvalue()
    assert "[fake] summary" in shown.getvalue()


def test_a_deployment_at_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import AzureOpenAIAdapter

    with ChatServer(chat("FINAL: Falcon 9")) as server:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-this-test")
        monkeypatch.setenv("OPENAI_ENDPOINT", server.base_url.removesuffix("/v1"))
        monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2024-10-21")
        adapter = AzureOpenAIAdapter(model="gpt-5.1")
        output, _trace = RLM(adapter=adapter).run(
            "Which launch had the largest revenue?", Context.from_text("Falcon 9: $50M revenue.")
        )
        adapter.close()
    assert output == "Falcon 9"
    assert "gpt-5.1" in server.requests[0].path


def test_every_option_of_the_reference() -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import FakeAdapter
    from rlm_core.prompts import BASE_SYSTEM_PROMPT

    adapter = FakeAdapter(script=["x = 6 * 7\nprint(x)", "FINAL: 42"])
    rlm = RLM(
        adapter,
        policy=None,
        cache=None,
        max_tokens=512,
        system_prompt=BASE_SYSTEM_PROMPT,
        repl_backend="python",
        conversation_history=True,
        max_history_tokens=0,
        retriever=None,
        subcall_adapter=None,
        recursive_subcalls=False,
        max_recursion_depth=2,
        parallel_subcalls=False,
        require_repl_before_final=False,
        require_subcall_before_final=False,
        invalid_response_limit=None,
        fallback_code=None,
    )
    output, trace = rlm.run(query="Your question", context=Context.from_text(NOTES))
    assert (output, trace.steps[1].stdout) == ("42", "42\n")


def test_every_method_of_a_context() -> None:
    from rlm_core import Context

    documents = ["Document 1 content...", "Document 2 content...", "Document 3 content..."]
    separator = "\n---DOC_BOUNDARY---\n"
    context = Context.from_documents(documents, separator=separator)
    assert context.text == separator.join(documents)
    assert context.len_chars() == 3 * 21 + 2 * len(separator)
    assert context.num_documents() == 3
    assert context.get_document(1) == documents[1]
    assert context.get_document(9) is None
    assert context.document_lengths() == [21, 21, 21]
    assert context.slice(-5, 8) == "Document"
    assert context.find("Document 2", regex=False) == [(41, 51, "Document 2")]
    assert context.find(r"\d", regex=True, max_matches=1) == [(9, 10, "1")]
    assert len(context.chunk(50, overlap=10)) == 3
    assert len(context.chunk_documents(docs_per_chunk=2)) == 2
    assert context.metadata()["num_documents"] == 3


def test_a_server_with_a_shape_of_its_own() -> None:
    from rlm_core.adapters import GenericChatAdapter
    from tests.rlm_core.adapters.chat_server import json_reply

    with (
        ChatServer(json_reply({"said": "hello"})) as server,
        GenericChatAdapter(
            base_url=server.base_url.removesuffix("/v1"),
            path="/talk",
            model="custom-model",
            api_key="your-key",
            payload_builder=lambda messages, max_tokens, temperature, model: {
                "lines": [message["content"] for message in messages]
            },
            response_parser=lambda data: (str(data["said"]), None),
            timeout=60.0,
            max_retries=3,
        ) as adapter,
    ):
        response = adapter.complete([{"role": "user", "content": "hi"}])
    assert response.text == "hello"
    assert (server.requests[0].path, server.requests[0].payload) == ("/talk", {"lines": ["hi"]})


def test_rules_of_a_fake_adapter() -> None:
    from rlm_core.adapters import FakeAdapter

    adapter = FakeAdapter(script=["code step 1", "FINAL_VAR: result"])
    adapter.add_rule(pattern="Summarize", response="This is a summary")
    adapter.add_rule(pattern=r"find.*key", response="key_term", regex=True)
    said = ["Summarize it", "find the key", "anything", "anything"]
    assert [adapter.complete([{"role": "user", "content": text}]).text for text in said] == [
        "This is a summary",
        "key_term",
        "code step 1",
        "FINAL_VAR: result",
    ]


def test_an_adapter_of_ones_own() -> None:
    from rlm_core import RLM, Context, Usage
    from rlm_core.adapters import ModelAdapter, ModelResponse

    class MyAdapter:
        def complete(
            self,
            messages: list[dict[str, str]],
            max_tokens: int = 512,
            temperature: float = 0.0,
        ) -> ModelResponse:
            return ModelResponse(text="FINAL: mine", usage=Usage(3, 2, 5))

    adapter: ModelAdapter = MyAdapter()
    output, trace = RLM(adapter=adapter).run("Q?", Context.from_text(NOTES))
    assert (output, trace.steps[0].usage) == ("mine", Usage(3, 2, 5))


def test_a_policy_and_its_exceptions() -> None:
    from rlm_core import (
        MaxRecursionExceeded,
        MaxStepsExceeded,
        MaxSubcallsExceeded,
        MaxTokensExceeded,
        Policy,
        PolicyError,
    )

    policy = Policy(
        max_steps=1,
        max_subcalls=1,
        max_recursion_depth=1,
        max_total_tokens=200_000,
        max_subcall_tokens=None,
    )
    policy.check_step()
    policy.check_subcall(depth=1)
    with pytest.raises(MaxStepsExceeded):
        policy.check_step()
    with pytest.raises(MaxRecursionExceeded):
        policy.check_subcall(depth=2)
    with pytest.raises(MaxSubcallsExceeded):
        policy.check_subcall(depth=1)
    with pytest.raises(MaxTokensExceeded):
        policy.add_tokens(200_001)
    assert issubclass(MaxTokensExceeded, PolicyError)


def test_a_trace_is_looked_at_and_kept() -> None:
    from rlm_core import RLM, Context, Trace
    from rlm_core.adapters import FakeAdapter

    adapter = FakeAdapter(script=["print('seen')\n1 / 0", "FINAL: done"])
    _output, trace = RLM(adapter=adapter).run("Q?", Context.from_text(NOTES))
    step = next(step for step in trace.steps if step.kind == "repl_exec")
    assert step.code == "print('seen')\n1 / 0"
    assert step.stdout == "seen\n"
    assert step.error is not None
    assert "ZeroDivisionError" in step.error
    assert Trace.from_json(trace.to_json()) == trace


def test_a_cache_of_subcalls() -> None:
    from rlm_core import RLM, Context, FileCache
    from rlm_core.adapters import FakeAdapter

    for asked in (1, 0):
        adapter = FakeAdapter(script=SUMMARISING, cacheable=True)
        adapter.add_rule("You are a sub-LLM", "[fake] short summary")
        rlm = RLM(adapter=adapter, cache=FileCache(root="./cache"))
        output, trace = rlm.run("Summarize this.", Context.from_text(NOTES))
        assert output == "Summary -> [fake] short summary"
        assert [step.cache_hit for step in trace.steps if step.kind == "subcall"] == [not asked]


@pytest.mark.parametrize(
    ("copies", "method", "reply", "kind"),
    [
        (100, "baseline", "oolong", "baseline_call"),
        (4_000, "rlm", "key = extract_after('term is:')", "repl_exec"),
    ],
)
def test_the_router_chooses_by_size(copies: int, method: str, reply: str, kind: str) -> None:
    from rlm_core import Context, ExecutionProfile, RouterConfig, SmartRouter, TraceFormatter
    from rlm_core.adapters import FakeAdapter

    adapter = FakeAdapter(script=[reply])
    router = SmartRouter(
        adapter,
        config=RouterConfig(baseline_threshold=8000),
        fallback_code="import re\nkey = re.search(r'key term is: (\\w+)', P).group(1)",
        auto_finalize_var="key",
    )
    context = Context.from_text("RLMs are great. " * copies + "The key term is: oolong")
    result = router.run("Find the key term.", context, profile=ExecutionProfile.DETERMINISTIC_FIRST)
    assert (result.method, result.output.strip()) == (method, "oolong")
    assert result.tokens_used > 0
    assert kind in TraceFormatter().format(result.trace)


def test_batches_in_parallel() -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import FakeAdapter

    code = (
        'results = llm_batch(["Q1?", "Q2?", "Q3?"])\n'
        'answers = ask_chunks("Q?", ctx.chunk(30), parallel=True)\n'
        "answer = (results, len(answers))"
    )
    adapter = FakeAdapter(script=[code, "FINAL_VAR: answer"])
    adapter.add_rule("You are a sub-LLM", "yes")
    rlm = RLM(adapter, parallel_subcalls=True)
    output, trace = rlm.run("Q?", Context.from_text(NOTES))
    assert output == "(['yes', 'yes', 'yes'], 3)"
    assert {step.parallel_total for step in trace.steps if step.kind == "subcall"} == {3}


def test_history_guards_and_the_fallback() -> None:
    from rlm_core import RLM, Context
    from rlm_core.adapters import FakeAdapter

    adapter = FakeAdapter(script=["FINAL: too early", *["I am thinking about it."] * 5])
    adapter.add_rule("You are a sub-LLM", "by code")
    rlm = RLM(
        adapter=adapter,
        conversation_history=True,
        max_history_tokens=4000,
        require_repl_before_final=True,
        require_subcall_before_final=True,
        invalid_response_limit=5,
        auto_finalize_var="answer",
        fallback_code="answer = pick_first_answer(ask_chunks('answer?', ctx))",
    )
    output, _trace = rlm.run("How are they read?", Context.from_text(NOTES))
    assert output == "by code"
