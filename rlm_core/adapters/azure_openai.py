"""OpenAI's models on Azure, at a deployment's own address or at the endpoint that speaks v1."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from rlm_core.adapters.chat_format import (
    ChatFormat,
    default_payload_builder,
    default_response_parser,
)
from rlm_core.adapters.endpoint import MAX_REPLY_BYTES, Endpoint
from rlm_core.adapters.retry import RetryPolicy
from rlm_core.adapters.served import ServedAdapter, json_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "2024-10-21"  # the newest one of the deployments' API that is no preview
KEY_NAME = "AZURE_OPENAI_API_KEY"


def azure_endpoint_from(environment: Mapping[str, str]) -> str | None:
    """The endpoint in OPENAI_ENDPOINT, or the one of the account in AZURE_ACCOUNT_NAME, if any."""
    endpoint = environment.get("OPENAI_ENDPOINT", "").strip()
    account = environment.get("AZURE_ACCOUNT_NAME", "").strip()
    return endpoint or (f"https://{account}.openai.azure.com" if account else None)


def azure_url(endpoint: str, deployment: str, api_version: str) -> str:
    """Where to post: an endpoint without a path has an address for each deployment."""
    base = endpoint.strip().rstrip("/")
    if speaks_v1(base):
        return f"{base}/chat/completions"
    version = urlencode({"api-version": api_version})
    return f"{base}/openai/deployments/{quote(deployment, safe='')}/chat/completions?{version}"


def speaks_v1(endpoint: str) -> bool:
    """Whether an endpoint takes the deployment's name as `model`, as OpenAI does."""
    return bool(urlsplit(endpoint).path.strip("/"))


class AzureOpenAIAdapter(ServedAdapter):
    """A deployment on Azure; `model` is the name of the deployment.

    >>> with AzureOpenAIAdapter(model="my-gpt", endpoint="https://me.openai.azure.com") as model:
    ...     model.complete([{"role": "user", "content": "Hello"}]).text

    What is not given comes from the environment: AZURE_OPENAI_API_KEY, OPENAI_ENDPOINT or
    AZURE_ACCOUNT_NAME, AZURE_OPENAI_API_VERSION. An endpoint with a path, such as
    `https://me.openai.azure.com/openai/v1`, is the one that speaks v1 and needs no version. Times
    are seconds; retries, errors, cancelling, `stream` and `options` as for `GenericChatAdapter`. A
    temperature and `max_tokens` are left out or renamed for deployments that refuse them.
    """

    def __init__(
        self,
        *,
        model: str,
        endpoint: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        options: Mapping[str, object] | None = None,
        stream: bool = False,
        timeout: float = 180.0,
        max_retries: int = 3,
        retry_base_delay: float = 1.0,
        retry_max_delay: float = 30.0,
        deadline: float = 600.0,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        base = endpoint or azure_endpoint_from(os.environ)
        if base is None:
            raise ValueError("give endpoint, or set OPENAI_ENDPOINT or AZURE_ACCOUNT_NAME")
        key = (api_key or os.environ.get(KEY_NAME) or "").strip()
        version = api_version or os.environ.get("AZURE_OPENAI_API_VERSION") or API_VERSION
        where = Endpoint(
            url=azure_url(base, model, version),
            headers=json_headers({"api-key": key} if key else {}),
            timeout=timeout,
            retry=RetryPolicy(
                retries=max_retries,
                base_delay=retry_base_delay,
                max_delay=retry_max_delay,
                deadline=deadline,
            ),
            max_reply_bytes=max_reply_bytes,
            secrets=(key,) if key else (),
            key_names=KEY_NAME,
            address_hint="check the endpoint, the name of the deployment and the API version",
        )
        build = default_payload_builder if speaks_v1(base) else deployment_payload
        wire = ChatFormat(build, default_response_parser, provider="azure_openai")
        super().__init__(where, wire, model=model, stream=stream, options=options)


def deployment_payload(
    messages: list[dict[str, str]],
    max_tokens: int,
    temperature: float | None,
    model: str | None,
) -> dict[str, object]:
    """The payload for a deployment's own address, which says already which model is meant."""
    del model
    return default_payload_builder(messages, max_tokens, temperature, None)
