"""What can go wrong with a sandbox, by whose fault it is and what the caller can do.

    SandboxError
    ├── IsolationUnavailable  this host cannot give the isolation asked for: says how to get it
    ├── PackageUnavailable    a package asked for is not installed, or not as files
    ├── StartFailed           the zygote or the worker did not come up; nothing has run
    ├── SandboxClosed         the sandbox was closed; open another
    ├── PoolExhausted         all sandboxes of a pool stayed in use: ask for more, or wait longer
    ├── SandboxBusy           another thread is using this sandbox; one step runs at a time
    ├── ControllerExhausted   this process has no file, thread or memory left for it; try again
    ├── AnswerLost            the worker died over a question; its variables are as before
    ├── CheckpointUnavailable there can be no checkpoint (any more): the message says why
    ├── SessionLost           the worker died and its state with it; open another sandbox
    ├── NameNotFound          the session holds no variable of that name (also a KeyError)
    └── ValueRefused          a value cannot cross: wrong type or too large (also a TypeError)

What model-written code does wrong is no exception here: it is an `ExecResult` with an `Outcome`.
"""


class SandboxError(Exception):
    """Root of everything that `rlm_sandbox` raises on purpose."""


class IsolationUnavailable(SandboxError):
    """This host cannot enforce the isolation asked for; the message names the remedy."""


class PackageUnavailable(SandboxError):
    """A package that the sandbox should have cannot be given to it; the message says why."""


class StartFailed(SandboxError):
    """The zygote or a worker did not come up."""


class SandboxClosed(SandboxError):
    """The sandbox was used after it was closed."""


class PoolExhausted(SandboxError):
    """Every sandbox of a pool was in use for as long as the caller was willing to wait."""


class SandboxBusy(SandboxError):
    """A second thread used a sandbox while a step was running in it."""


class ControllerExhausted(SandboxError):
    """The caller's own process has reached a limit of its own; nothing has changed inside."""


class AnswerLost(SandboxError):
    """The worker died while it answered, and was restored: its variables are as before."""


class CheckpointUnavailable(SandboxError):
    """A checkpoint cannot be made, or is not there any more."""


class SessionLost(SandboxError):
    """The worker is gone and there was nothing to restore it from."""


class NameNotFound(SandboxError, KeyError):
    """The session holds no variable of that name."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the repr


class ValueRefused(SandboxError, TypeError):
    """A value is of a type, depth or size that does not cross the wall."""
