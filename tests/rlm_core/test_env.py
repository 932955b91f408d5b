from __future__ import annotations

from rlm_core.env import ExecResult, PythonREPL, REPLProtocol


def test_the_session_is_there_under_the_names_that_programs_import() -> None:
    with PythonREPL() as repl:
        session: REPLProtocol = repl
        session.set("x", 20)
        result: ExecResult = session.exec("y = x + 1\nprint(y)")
        assert (result.stdout, session.get("y")) == ("21\n", 21)
