"""What can go wrong around a run, by what the caller can do about it.

    RLMError
    ├── ContextError   the input cannot be read: names the file and the remedy (ValueError)
    ├── ConfigError    options that do not exist here or contradict each other (ValueError)
    ├── RunCancelled   the caller ended the run
    │   └── StepCancelled   the caller ended one step of it; the code sees this, the run goes on
    ├── AnswerMistyped the run ended without an answer of the type that was asked for (ValueError)
    ├── ToolError      a tool was called wrongly or too often, or took too long: the code sees this
    ├── TraceError     a trace cannot be replayed or continued (ValueError)
    ├── NotRecorded    a replay went another way than the recorded run; `replay` reports it
    ├── PolicyError    a limit was reached (RuntimeError): see rlm_core.accounting
    ├── RequestInvalid a chat request cannot be answered (ValueError): see rlm_core.chat_request
    └── BatchError     a batch cannot go on: see rlm_core.batch.errors

What models do wrong at the other end of the wire is a ModelError: see rlm_core.adapters.errors.

Mistakes of a model, and limits that a run reaches, are data: see `RunResult`.
"""


class RLMError(Exception):
    """Root of what `rlm_core` raises on purpose, but for a ModelError of the adapters."""


class ContextError(RLMError, ValueError):
    """The input cannot become a context: missing, binary, badly encoded or empty."""


class ConfigError(RLMError, ValueError):
    """An option has a value that cannot work; the message names the alternative."""


class RunCancelled(RLMError):
    """The run was cancelled by its caller; there is no answer."""


class StepCancelled(RunCancelled):
    """One step of the run was cancelled, and everything below it."""


class AnswerMistyped(RLMError, ValueError):
    """The run ended without an answer of the type that was asked for. `run_result` says more."""


class ToolError(RLMError, RuntimeError):
    """A tool cannot be called like this: what the code sees where it called it.

    `ToolArguments`, `ToolLimit` and `ToolTimeout` say which of them it was.
    """


class ToolArguments(ToolError, TypeError):
    """The arguments do not fit the tool's signature; the text says which, and what is expected."""


class ToolLimit(ToolError):
    """The tool may not be called any more."""


class ToolTimeout(ToolError, TimeoutError):
    """The tool took longer than it may; what it began may still go on."""


class TraceError(RLMError, ValueError):
    """A trace cannot be replayed or continued; the message says why."""


class NotRecorded(RLMError):
    """A replay asked for something that was not asked when the trace was recorded."""
