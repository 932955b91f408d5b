"""What can go wrong around a run, by what the caller can do about it.

    RLMError
    ├── ContextError   the input cannot be read: names the file and the remedy (ValueError)
    ├── ConfigError    options that do not exist here or contradict each other (ValueError)
    ├── RunCancelled   the caller ended the run
    └── PolicyError    a limit was reached (RuntimeError): see rlm_core.policy

Mistakes of a model, and limits that a run reaches, are data: see `RunResult`.
"""


class RLMError(Exception):
    """Root of everything that `rlm_core` raises on purpose."""


class ContextError(RLMError, ValueError):
    """The input cannot become a context: missing, binary, badly encoded or empty."""


class ConfigError(RLMError, ValueError):
    """An option has a value that cannot work; the message names the alternative."""


class RunCancelled(RLMError):
    """The run was cancelled by its caller; there is no answer."""
