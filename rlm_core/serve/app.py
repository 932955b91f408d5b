"""The addresses of the API, over Starlette."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from rlm_core.serve.chat import chat
from rlm_core.serve.exchange import Exchange
from rlm_core.serve.instruments import CONTENT_TYPE
from rlm_core.serve.problem import MethodRefused, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from rlm_core.serve.keys import Client
    from rlm_core.serve.service import Service

OWNER = "rlm"


def make_app(service: Service) -> Starlette:
    """The ASGI application of a service; its shutdown closes the service."""
    routes = [
        Route("/v1/chat/completions", Endpoint(service, chat), methods=["POST"]),
        Route("/v1/models", Endpoint(service, models), methods=["GET"]),
        Route("/v1/models/{name:path}", Endpoint(service, model), methods=["GET"]),
        Route("/healthz", Endpoint(service, health), methods=["GET"]),
        Route("/metrics", Endpoint(service, metrics), methods=["GET"]),
    ]
    app = Starlette(
        routes=routes, lifespan=_Life(service), exception_handlers={HTTPException: _nowhere}
    )
    app.router.redirect_slashes = False
    return app


class Endpoint:
    """An ASGI application for one address."""

    def __init__(self, service: Service, answer: Callable[[Exchange], Awaitable[None]]) -> None:
        self._service = service
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        params = scope.get("path_params", {})
        exchange = Exchange(self._service, Headers(scope=scope), params, receive, send)
        await exchange.serve(self._answer)


async def models(exchange: Exchange) -> None:
    """GET /v1/models: the profiles."""
    names = _names_for(exchange)
    await exchange.json({"object": "list", "data": [_described(name) for name in names]})


async def model(exchange: Exchange) -> None:
    """GET /v1/models/NAME: one of them."""
    name = exchange.path_params["name"]
    if name not in _names_for(exchange):
        raise NotFound(f"the model {name!r} does not exist", param="model", code="model_not_found")
    await exchange.json(_described(name))


async def health(exchange: Exchange) -> None:
    """GET /healthz: whether this server takes requests. Needs no key, and says nothing else."""
    closing = exchange.service.closing
    await exchange.json({"status": "closing" if closing else "ok"}, 503 if closing else 200)


async def metrics(exchange: Exchange) -> None:
    """GET /metrics: for Prometheus; with a key where keys are needed."""
    _client_of(exchange)
    text = exchange.service.metrics.text()
    await exchange.response.whole(200, text.encode(), CONTENT_TYPE)


class _Life:
    """Ends what is under way when the application ends."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @asynccontextmanager
    async def __call__(self, _: Starlette) -> AsyncGenerator[None]:
        yield
        await self._service.close()


async def _nowhere(request: Request, error: Exception) -> JSONResponse:
    """What Starlette itself refuses, in OpenAI's shape."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        problem = MethodRefused(f"{request.method} is not for this address")
    else:
        problem = NotFound("there is nothing at this address: see /v1/models, for a beginning")
    return JSONResponse(problem.body(), problem.status, problem.headers())


def _client_of(exchange: Exchange) -> Client:
    headers = exchange.headers
    return exchange.service.client(headers.get("authorization"), headers.get("host"))


def _names_for(exchange: Exchange) -> list[str]:
    return exchange.service.models_for(_client_of(exchange))


def _described(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}
