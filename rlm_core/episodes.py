"""Episodes of a run: the root's, and those of recursive subcalls, each in a sandbox of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rlm_core.context import Context
from rlm_core.driver import EpisodeDriver, Task
from rlm_core.session import Session, seed_of
from rlm_core.subcalls import Subcalls
from rlm_core.tool_calls import KeptFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rlm_core.extensions import Extensions
    from rlm_core.requests import EpisodeRequest
    from rlm_core.rules import EpisodeRules
    from rlm_core.stimuli import Finish
    from rlm_core.tool_calls import ToolCalls
    from rlm_core.tree import RunTree
    from rlm_sandbox import Sandbox

    Functions = Mapping[str, Callable[..., object]]

_SNIPPET = "\nSnippet:\n"
_QUESTION = "Question: "
_WHOLE_TASK = "P holds a request together with its material. Do what it asks, and give the result."
_INHERITED = "Variables of whoever asks are in the session; P and ctx are your own:"
ROOT = "root"


class Episodes:
    """Runs the episodes of one run."""

    def __init__(self, tree: RunTree, extensions: Extensions, tools: ToolCalls) -> None:
        self._tree = tree
        self._extensions = extensions
        self._tools = tools

    def root(self, query: str, context: Context, rules: EpisodeRules) -> Finish:
        """Run the root's episode to its end."""
        tree = self._tree
        left = tree.ledger.seconds_left()
        if left is not None:
            tree.scope.expire_after(left)
        return self._run(Task(query, context, rules, tree.models.root, ROOT, tree.scope))

    def below(self, request: EpisodeRequest, above: Sandbox | None) -> Finish:
        """Run an episode for one prompt, in a sandbox of its own and on the same budget.

        `above` is the sandbox of the code that asks.
        """
        options = self._tree.config.subcalls
        rules = replace(
            self._tree.config.rules,
            system_prompt=options.recursive_system_prompt,
            max_steps=options.recursive_max_steps,
            max_tokens=max(request.max_tokens, self._tree.config.rules.max_tokens),
            min_steps=0,
            require_repl_before_final=False,
            require_subcall_before_final=False,
            auto_finalize=None,
            fallback_code=None,
        )
        query, text = question_in(request.prompt)
        return self._run(
            Task(
                query,
                Context.from_text(text),
                rules,
                request.adapter,
                request.name,
                request.scope,
                level=request.level,
                parent_id=request.parent_id,
                origin=above if options.recursive_state == "fork" else None,
            )
        )

    def _run(self, task: Task) -> Finish:
        tree = self._tree
        nest = _Nest(self)
        subcalls = Subcalls(
            tree, level=task.level, parent_id=task.parent_id, scope=task.scope, nest=nest
        )
        extra = self._extensions.for_session()
        tools = self._tools.functions(task.level, task.parent_id, task.scope)
        own = {name: KeptFunction(tree, name, each) for name, each in extra.functions.items()}
        functions = {**own, **tools, **subcalls.functions()}
        nest.box = box = self._open(task, functions)
        try:
            seed = seed_of(tree.seed, task.name)
            parallel = tree.config.subcalls.parallel
            session = Session(box, task.context, parallel=parallel, seed=seed)
            if task.origin is not None:
                task = replace(task, query=_told_of(session.inherited(), task.query))
            extra.attach(box, {"P": task.context.text, "ctx": task.context, **subcalls.here()})
            tree.recorder.isolation = session.isolation
            tree.recorder.keep(
                {
                    "kind": "session_started",
                    "episode": task.name,
                    "isolation": box.isolation,
                    "layers": list(box.layers),
                    "seed": seed,
                    "functions": sorted(own),
                }
            )
            return EpisodeDriver(tree, task, session, subcalls).run()
        finally:
            box.close()

    def _open(self, task: Task, functions: Functions) -> Sandbox:
        """The sandbox of an episode. Raises SandboxError."""
        if task.origin is not None:
            return task.origin.fork(functions)
        return self._tree.config.sandbox.open(functions, nested=task.level > 0)


class _Nest:
    """Runs the recursive subcalls of one episode, whose sandbox it knows once there is one."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self.box: Sandbox | None = None

    def __call__(self, request: EpisodeRequest) -> Finish:
        return self._episodes.below(request, self.box)


def _told_of(variables: str, query: str) -> str:
    """The query, and the variables that the session begins with."""
    return f"{query}\n\n{_INHERITED}\n{variables}" if variables else query


def question_in(prompt: str) -> tuple[str, str]:
    """The question and the text of a prompt that `ask` made; any other prompt is all text."""
    if prompt.startswith(_QUESTION) and _SNIPPET in prompt:
        question, _, text = prompt.removeprefix(_QUESTION).partition(_SNIPPET)
        return question, text
    return _WHOLE_TASK, prompt
