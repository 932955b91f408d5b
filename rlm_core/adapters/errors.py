"""What can go wrong between this program and a model, by what the caller can do about it.

    ModelError
    ├── KeyRefused      the server does not accept the key, or the key may not use the model
    ├── RequestRefused  the server rejects the request itself: wrong address, model or parameter
    ├── RateLimited     too many requests or no quota left, also after waiting
    ├── ServerFailed    the server reports a fault of its own, also after trying again
    ├── Unreachable     no connection: wrong address, no network, or the server is down
    ├── ModelTimeout    no complete reply in time (also a TimeoutError)
    ├── BadReply        a reply came that is no chat reply: not JSON, another shape, too large
    └── AdapterClosed   the adapter was closed; make another

Every message is one line that says what to do, and none contains a key.
"""

from __future__ import annotations


class ModelError(Exception):
    """Root of what the adapters raise when a model does not answer."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, where there was one."""


class KeyRefused(ModelError):
    """The server does not accept the key (HTTP 401 or 403)."""


class RequestRefused(ModelError):
    """The server rejects the request itself; trying again would not help."""


class RateLimited(ModelError):
    """The server asks for fewer requests (HTTP 429), also after waiting."""


class ServerFailed(ModelError):
    """The server reports a fault of its own (HTTP 5xx), also after trying again."""


class Unreachable(ModelError):
    """No connection to the server."""


class ModelTimeout(ModelError, TimeoutError):
    """No complete reply in time."""


class BadReply(ModelError):
    """The reply is no chat reply."""


class AdapterClosed(ModelError):
    """The adapter was used after it was closed."""
