"""The smallest complete program: a scripted model, a context, a policy, an answer and its trace.

    python scripts/minimal.py

`FakeAdapter` plays the model. As the root it first writes code, then says which variable holds
the answer; the rule answers for the sub-model, whose system prompt begins "You are a sub-LLM".
Put `OpenAICompatAdapter(model="...")` in its place for a real one.
"""

from __future__ import annotations

from rlm_core import RLM, Context, Policy
from rlm_core.adapters import FakeAdapter

FIRST_REPLY = """\
snippet = peek(80)
summary = llm_query(f"Summarize: {snippet}")
answer = f"Summary -> {summary}"
"""


def main() -> None:
    """Ask a question about one sentence and print what came of it."""
    model = FakeAdapter(script=[FIRST_REPLY, "FINAL_VAR: answer"])
    model.add_rule("You are a sub-LLM", "long prompts are kept in a variable and read by code")
    context = Context.from_text("An RLM keeps a long prompt as a variable and reads it with code.")

    rlm = RLM(model, policy=Policy(max_steps=5, max_subcalls=3))
    answer, trace = rlm.run("Give a short summary.", context)

    print(answer)
    for step in trace.steps:
        print(f"  {step.step_id} {step.kind}: {step.code or step.output}")


if __name__ == "__main__":
    main()
