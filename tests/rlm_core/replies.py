"""Replies as models write them, by habit, with the decision of a careful person."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_core.reply import Code, Final, FinalVar, Neither, Reply, Why


@dataclass(frozen=True)
class Case:
    """One reply and what it means."""

    habit: str
    text: str
    meaning: Reply


def code(source: str, final: Final | FinalVar | None = None) -> Code:
    return Code(source, final)


PROSE = Neither(Why.PROSE)
EMPTY = Neither(Why.EMPTY)
CUT = Neither(Why.CUT)
LANGUAGE = Neither(Why.LANGUAGE)


def plan(text: str) -> Neither:
    return Neither(Why.PLAN, text)


def named(name: str) -> Final:
    return Final(name, name)


CASES = [
    # 1
    Case("bare code", "x = 1\nprint(x)", code("x = 1\nprint(x)")),
    Case("bare code", "peek(200)", code("peek(200)")),
    Case("bare code", "P[:500]", code("P[:500]")),
    Case("bare code", "# look first\nprint(len(P))", code("# look first\nprint(len(P))")),
    Case("bare code", "total: int = len(P)", code("total: int = len(P)")),
    Case("bare code", "'''notes'''\nprint(1)", code("'''notes'''\nprint(1)")),
    # 2
    Case("python fence", "```python\nprint(1)\n```", code("print(1)")),
    Case("python fence", "```py\nprint(1)\n```", code("print(1)")),
    Case("python fence", "```Python3\nprint(1)\n```", code("print(1)")),
    # 3
    Case("repl fence", "```repl\nprint(1)\n```", code("print(1)")),
    Case("repl fence", "```tool_code\nprint(1)\n```", code("print(1)")),
    Case("repl fence", "```ipython\nprint(1)\n```", code("print(1)")),
    # 4
    Case("fence without a language", "```\nprint(1)\n```", code("print(1)")),
    Case("fence without a language", "```\nParis is a city\n```", PROSE),
    # 5
    Case("tilde fence", "~~~python\nprint(1)\n~~~", code("print(1)")),
    Case("tilde fence", "~~~~\nprint(1)\n~~~~", code("print(1)")),
    # 6
    Case("fence on one line", "```python print(1)```", code("print(1)")),
    Case("fence on one line", "Here: \n```print(1)```", PROSE),
    # 7
    Case(
        "fence with attributes",
        '```python title="search.py"\nprint(1)\n```',
        code("print(1)"),
    ),
    Case("fence with attributes", "```{python}\nprint(1)\n```", code("print(1)")),
    Case("fence with attributes", "```python:main.py\nprint(1)\n```", code("print(1)")),
    # 8
    Case(
        "prose around a fence",
        "I'll look at the text first.\n\n```python\nprint(P[:100])\n```\n\nThen I'll decide.",
        code("print(P[:100])"),
    ),
    Case(
        "prose around a fence",
        "FINAL will come later.\n```python\nprint(2)\n```",
        code("print(2)"),
    ),
    # 9
    Case(
        "several blocks",
        "```python\na = 1\n```\nand then\n```python\nprint(a)\n```",
        code("a = 1\n\nprint(a)"),
    ),
    Case(
        "several blocks",
        "```python\na = 1\n```\n```output\n1\n```\n```python\nb = 2\n```",
        code("a = 1\n\nb = 2"),
    ),
    Case(
        "several blocks",
        "```python\nx = (\n```\n```python\ny = 2\n```",
        code("y = 2"),
    ),
    # 10
    Case("unclosed fence", "```python\nprint(1)", code("print(1)")),
    Case(
        "unclosed fence",
        "Sure:\n```python\nfor d in ctx.documents:\n    print(d[:9])",
        code("for d in ctx.documents:\n    print(d[:9])"),
    ),
    # 11
    Case("cut off by length", "```python\nhits = [x for x in", CUT),
    Case("cut off by length", '```python\nquestion = """What is the', CUT),
    Case("cut off by length", "values = [1, 2,", CUT),
    Case("cut off by length", 'prompt = "tell me', CUT),
    # 12
    Case(
        "indented fence",
        "1. First step:\n   ```python\n   x = 1\n   print(x)\n   ```",
        code("x = 1\nprint(x)"),
    ),
    Case("indented fence", "> ```python\n> print(1)\n> ```", code("print(1)")),
    # 13
    Case(
        "fence inside a string",
        "```python\np = '''\n```json\n{}\n```\n'''\nprint(p)\n```",
        code("p = '''\n```json\n{}\n```\n'''\nprint(p)"),
    ),
    Case(
        "fence inside a string",
        "x = 'use ```json fences'\nprint(x)",
        code("x = 'use ```json fences'\nprint(x)"),
    ),
    # 14
    Case("mistake in the code", "```python\nprint((1)\n```", code("print((1)")),
    Case("mistake in the code", "```python\nif x\n    print(1)\n```", code("if x\n    print(1)")),
    Case("mistake in the code", "x = = 3", code("x = = 3")),
    # 15
    Case("windows newlines", "```python\r\nx = 1\r\nprint(x)\r\n```\r\n", code("x = 1\nprint(x)")),
    Case("windows newlines", "FINAL: 42\r\n", Final("42")),
    Case("windows newlines", "x = 1\r\nFINAL_VAR: x\r\n", code("x = 1", FinalVar("x"))),
    # 16
    Case("smart quotes", "print(\u201chello\u201d)", code('print("hello")')),
    Case("smart quotes", "```python\nx = \u2018a\u2019\n```", code("x = 'a'")),
    Case(
        "smart quotes",
        "print('it is \u201cquoted\u201d')",
        code("print('it is \u201cquoted\u201d')"),
    ),
    # 17
    Case("invisible characters", "x\u00a0= 1\nprint(x)", code("x = 1\nprint(x)")),
    Case("invisible characters", "\u200bprint(1)", code("print(1)")),
    Case("invisible characters", "\ufeffFINAL: 42", Final("42")),
    # 18
    Case(
        "html escapes",
        "if len(P) &gt; 3:\n    print(&quot;a&quot;)",
        code('if len(P) > 3:\n    print("a")'),
    ),
    # 19
    Case("repl transcript", ">>> x = 1\n>>> print(x)\n1", code("x = 1\nprint(x)")),
    Case(
        "repl transcript",
        "```python\n>>> for i in range(2):\n...     print(i)\n...\n0\n1\n```",
        code("for i in range(2):\n    print(i)"),
    ),
    Case("repl transcript", "In [1]: x = len(P)\nIn [2]: x\nOut[2]: 5", code("x = len(P)\nx")),
    # 20
    Case("language on its own line", "python\nx = 1", code("x = 1")),
    Case("language on its own line", "repl\nprint(1)", code("print(1)")),
    # 21
    Case(
        "prose, then code without a fence",
        "Let me look at it:\n\nprint(P[:100])",
        code("print(P[:100])"),
    ),
    Case(
        "prose, then code without a fence",
        "Okay.\n\nimport re\nm = re.search('a', P)\nprint(m)\n\nThis will tell us more.",
        code("import re\nm = re.search('a', P)\nprint(m)"),
    ),
    # 22
    Case("inline code", "`print(P[:100])`", code("print(P[:100])")),
    Case("inline code", "You could call `print(1)` here.", PROSE),
    # 23
    Case("another language", "```javascript\nconsole.log(1)\n```", LANGUAGE),
    Case("another language", "```bash\ngrep -n key file.txt\n```", LANGUAGE),
    Case("another language", "```sql\nselect * from t;\n```", LANGUAGE),
    # 24
    Case("empty", "", EMPTY),
    Case("empty", "  \n\n\t", EMPTY),
    Case("empty", "FINAL:", EMPTY),
    # 25
    Case("prose only", "I could not find that in the text.", PROSE),
    Case("prose only", "Yes", PROSE),
    Case("prose only", "Answer: Paris", PROSE),
    Case("prose only", "The text is about trees. It names oaks.", PROSE),
    Case("prose only", "x is y", PROSE),
    Case("prose only", "Lo siento, no puedo ayudar con eso.", PROSE),
    # 26
    Case("FINAL with a colon", "FINAL: 42", Final("42")),
    Case("FINAL with a colon", "FINAL: It is 42.\n\n1) A\n2) B", Final("It is 42.\n\n1) A\n2) B")),
    Case("FINAL with a colon", "  FINAL:   Paris  ", Final("Paris")),
    Case("FINAL with a colon", "I have it now.\nFINAL: Paris", Final("Paris")),
    Case(
        "FINAL with a colon", "FINAL: https://example.org/a?b=1", Final("https://example.org/a?b=1")
    ),
    # 27
    Case("FINAL as a call", "FINAL(42)", Final("42")),
    Case("FINAL as a call", 'FINAL("Paris, France")', Final("Paris, France")),
    Case("FINAL as a call", "FINAL(The key (a long one) is 7)", Final("The key (a long one) is 7")),
    Case("FINAL as a call", "FINAL(\nline one\nline two\n)", Final("line one\nline two")),
    Case("FINAL as a call", 'FINAL("""two\nlines""")', Final("two\nlines")),
    Case("FINAL as a call", "FINAL(42)\n\nThis is because of the third line.", Final("42")),
    Case("FINAL as a call", "FINAL(it's done", Final("it's done")),
    # 28
    Case("FINAL of a name", "FINAL(answer)", named("answer")),
    Case("FINAL of a name", "FINAL: final_answer", named("final_answer")),
    Case("FINAL of a name", "FINAL(Paris)", named("Paris")),
    Case("FINAL of a name", "FINAL: Paris", Final("Paris")),
    # 29
    Case("FINAL_VAR", "FINAL_VAR: answer", FinalVar("answer")),
    Case("FINAL_VAR", "FINAL_VAR(answer)", FinalVar("answer")),
    Case("FINAL_VAR", 'FINAL_VAR("answer")', FinalVar("answer")),
    Case("FINAL_VAR", "FINAL_VAR: 'answer'", FinalVar("answer")),
    Case("FINAL_VAR", "FINAL_VAR answer", FinalVar("answer")),
    Case("FINAL_VAR", "FINAL_VAR: answer (which holds the list)", FinalVar("answer")),
    Case("FINAL_VAR", "FINAL_VAR: missing_name", FinalVar("missing_name")),
    # 30
    Case(
        "FINAL_VAR of an expression",
        "FINAL_VAR: results['answer']",
        code("final_answer = results['answer']", FinalVar("final_answer")),
    ),
    Case(
        "FINAL_VAR of an expression",
        "FINAL_VAR(rows[0].name)",
        code("FINAL_VAR(rows[0].name)"),  # the session knows what to do with a value
    ),
    # 31
    Case("code, then FINAL_VAR", "x = 1\nFINAL_VAR: x", code("x = 1", FinalVar("x"))),
    Case(
        "code, then FINAL_VAR", "```python\nx = 1\n```\nFINAL_VAR: x", code("x = 1", FinalVar("x"))
    ),
    Case(
        "code, then FINAL_VAR", "```python\nx = 1\nFINAL_VAR: x\n```", code("x = 1", FinalVar("x"))
    ),
    Case(
        "code, then FINAL_VAR",
        "```python\nx = 1\n```\n```\nFINAL_VAR: x\n```",
        code("x = 1", FinalVar("x")),
    ),
    Case(
        "code, then FINAL_VAR",
        "answer = len(P)\nFINAL_VAR(answer)",
        code("answer = len(P)\nFINAL_VAR(answer)"),
    ),
    # 32
    Case(
        "code, then FINAL guessed before it ran",
        "```python\nprint(len(P))\n```\nFINAL: 1234",
        code("print(len(P))", Final("1234")),
    ),
    Case(
        "code, then FINAL guessed before it ran",
        "n = len(P)\nprint(n)\nFINAL: The text has 10 characters",
        code("n = len(P)\nprint(n)", Final("The text has 10 characters")),
    ),
    # 33
    Case(
        "FINAL in a comment",
        "x = 1\n# FINAL: not yet\nprint(x)",
        code("x = 1\n# FINAL: not yet\nprint(x)"),
    ),
    Case(
        "FINAL in a comment", "```python\nx = 1  # FINAL_VAR: x\n```", code("x = 1  # FINAL_VAR: x")
    ),
    # 34
    Case(
        "FINAL in a string",
        "s = '''\nFINAL: x\n'''\nprint(s)",
        code("s = '''\nFINAL: x\n'''\nprint(s)"),
    ),
    Case("FINAL in a string", 'print("FINAL: 42")', code('print("FINAL: 42")')),
    Case(
        "FINAL in a string",
        '```python\np = """\nFINAL_VAR: x\n"""\n```',
        code('p = """\nFINAL_VAR: x\n"""'),
    ),
    # 35
    Case("FINAL called in code", "x = 5\nFINAL(x)", code("x = 5\nFINAL(x)")),
    Case(
        "FINAL called in code",
        "```python\nif found:\n    FINAL_VAR('found')\n```",
        code("if found:\n    FINAL_VAR('found')"),
    ),
    # 36
    Case("FINAL in a thought", "<think>\nFINAL: no\n</think>\nFINAL: yes", Final("yes")),
    Case("FINAL in a thought", "<think>FINAL: 41", EMPTY),
    Case("FINAL in a thought", "[THINK]FINAL: no[/THINK]FINAL: yes", Final("yes")),
    # 37
    Case("think block", "<think>\nhm\n```python\nbad()\n```\n</think>\nprint(1)", code("print(1)")),
    Case("think block", "so I think...\n</think>\n\nprint(1)", code("print(1)")),
    Case("think block", "<thinking>a</thinking>\n```python\nprint(1)\n```", code("print(1)")),
    Case("think block", "<think>only thought</think>", EMPTY),
    Case(
        "think block",
        'x = r.split("</think>")[1]\nprint(x)',
        code('x = r.split("</think>")[1]\nprint(x)'),
    ),
    # 38
    Case(
        "plan as FINAL",
        "FINAL: I will first search the text for the key.",
        plan("I will first search the text for the key."),
    ),
    Case(
        "plan as FINAL",
        "FINAL: Let me start by looking at the context",
        plan("Let me start by looking at the context"),
    ),
    Case("plan as FINAL", "FINAL(My plan: chunk the text)", plan("My plan: chunk the text")),
    Case(
        "plan as FINAL", "FINAL: The committee plans to vote", Final("The committee plans to vote")
    ),
    # 39
    Case("markdown around FINAL", "**FINAL: 42**", Final("42")),
    Case("markdown around FINAL", "**FINAL:** 42", Final("42")),
    Case("markdown around FINAL", "### FINAL: 42", Final("42")),
    Case("markdown around FINAL", "`FINAL_VAR: answer`", FinalVar("answer")),
    Case("markdown around FINAL", "> FINAL: 42", Final("42")),
    Case("markdown around FINAL", 'FINAL: "Paris"', Final("Paris")),
    # 40
    Case("final answer in words", "Final Answer: 42", Final("42")),
    Case("final answer in words", "FINAL ANSWER: 42", Final("42")),
    Case("final answer in words", "The answer is \\boxed{42}.", Final("42")),
    Case("final answer in words", "FINAL\uff1a 42", Final("42")),
    Case("final answer in words", "**Final Answer**\n\n42", Final("42")),
    Case("final answer in words", "Respuesta final: 42", Final("42")),
    Case("final answer in words", "**R\u00e9ponse finale :** 42", Final("42")),
    Case("final answer in words", "\u6700\u7ec8\u7b54\u6848\uff1a42", Final("42")),
    Case(
        "final answer in words",
        'FINAL: the object is\n```json\n{"code": "x = 1"}\n```',
        Final('the object is\n```json\n{"code": "x = 1"}\n```'),
    ),
    Case("the next turn made up", "FINAL: 42\n\n[REPL Result]\nstdout:\nx", Final("42")),
    Case("the next turn made up", "print(1)\n[REPL Result]\nstdout:\n1", code("print(1)")),
    # 41
    Case("FINAL in a fence", "```\nFINAL: 42\n```", Final("42")),
    Case("FINAL in a fence", "```python\nFINAL_VAR: answer\n```", FinalVar("answer")),
    Case("FINAL in a fence", "```python\nFINAL(42)\n```", Final("42")),
    Case("FINAL in a fence", "```text\nFINAL: two words\n```", Final("two words")),
    Case("FINAL in a fence", "```python\nFINAL: two words\n```", Final("two words")),
    # 42
    Case(
        "answer dict",
        'answer = {"content": "42", "ready": True}',
        code('answer = {"content": "42", "ready": True}'),
    ),
    Case("answer dict", '```python\nanswer["ready"] = True\n```', code('answer["ready"] = True')),
    # 43
    Case("SUBMIT", 'SUBMIT("42")', Final("42")),
    Case("SUBMIT", "SUBMIT(answer=total, unit='kg')", code("SUBMIT(answer=total, unit='kg')")),
    Case("SUBMIT", "x = 1\nSUBMIT(x)", code("x = 1\nSUBMIT(x)")),
    Case("SUBMIT", "SUBMIT(The answer is 4)", Final("The answer is 4")),
    Case("SUBMIT", "SUBMIT(answer)", named("answer")),
    # 44
    Case(
        "tool call as JSON",
        '{"name": "python", "arguments": {"code": "print(1)"}}',
        code("print(1)"),
    ),
    Case(
        "tool call as JSON",
        '[{"type": "function", "function": {"name": "repl", "arguments": '
        '"{\\"code\\": \\"x = 1\\"}"}}]',
        code("x = 1"),
    ),
    Case(
        "tool call as JSON", '```json\n{"tool": "repl", "input": "print(1)"}\n```', code("print(1)")
    ),
    Case("tool call as JSON", '{"thought": "done", "final_answer": "42"}', Final("42")),
    # 45
    Case(
        "tool call as XML",
        '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>',
        code("print(1)"),
    ),
    Case("tool call as XML", "<execute>\nprint(1)\n</execute>", code("print(1)")),
    Case(
        "tool call as XML",
        '<invoke name="python"><parameter name="code">print(1)</parameter></invoke>',
        code("print(1)"),
    ),
    Case("tool call as XML", "<answer>42</answer>", Final("42")),
    # 46
    Case(
        "agent protocol",
        "Thought: look\nAction: python\nAction Input: print(P[:9])\nObservation: abc",
        code("print(P[:9])"),
    ),
    Case("agent protocol", "Thought: I know it now\nFinal Answer: 42", Final("42")),
    # 47
    Case(
        "channels",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
        "<|channel|>final<|message|>FINAL: 42",
        Final("42"),
    ),
    Case(
        "channels", "<|channel|>commentary to=python <|message|>print(1)<|call|>", code("print(1)")
    ),
    # 48
    Case("end marks of a template", "FINAL: 42<|im_end|>", Final("42")),
    Case("end marks of a template", "print(1)</s>", code("print(1)")),
    Case("end marks of a template", "```python\nprint(1)\n```<|eot_id|>", code("print(1)")),
    # 49
    Case("JSON as data", '{"city": "Paris", "answer": "x"}', PROSE),
    Case("JSON as data", "[1, 2, 3]", PROSE),
]
