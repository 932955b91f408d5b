"""The first record of a trace file: all that is needed to run the same again."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import msgspec

from rlm_core.adapters.base import identity_of
from rlm_core.config import Config, SandboxOptions, SubcallOptions, TraceOptions
from rlm_core.digest import short_digest
from rlm_core.errors import TraceError
from rlm_core.policy import Policy, Price
from rlm_core.rules import AutoFinalize, Compaction, EpisodeRules
from rlm_core.tools import Tool
from rlm_core.trace_file import FORMAT
from rlm_core.version import own_version
from rlm_sandbox import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rlm_core.answer_type import AnswerType
    from rlm_core.context import Context
    from rlm_core.models import Models

_NOT_KEPT = {"output"}
_DIGEST = "_sha256"  # of its text, which a context remembers


def header_of(
    config: Config,
    models: Models,
    *,
    query: str,
    context: Context,
    rules: EpisodeRules,
    seed: int,
    output: AnswerType | None,
) -> dict[str, object]:
    """What is about to be run."""
    limits = config.sandbox.limits or Limits()
    imports = config.sandbox.imports
    return {
        "kind": "run_started",
        "format": FORMAT,
        "version": own_version() or "unknown",
        "python": sys.version.split()[0],
        "query": query,
        "context": facts_of_context(context),
        "models": {"root": identity_of(models.root), "sub": identity_of(models.sub)},
        "model_names": models.names(),
        "limits": {each.name: getattr(limits, each.name) for each in fields(limits)},
        "sandbox": {
            "imports": imports if isinstance(imports, str) else sorted(imports),
            "isolation": config.sandbox.isolation,
            "packages": list(config.sandbox.packages),
        },
        "policy": asdict(replace(config.policy, prices=dict(config.policy.prices))),
        "rules": _plain(rules),
        "subcalls": asdict(config.subcalls),
        "prompts": {
            "system": short_digest(rules.system_prompt),
            "subcall": short_digest(config.subcalls.system_prompt),
            "recursive": short_digest(config.subcalls.recursive_system_prompt),
        },
        "tools": [tool.name for tool in config.tools],
        "output": None if output is None else output.shown,
        "output_schema": None if output is None else output.schema,
        "seed": seed,
        "content_redacted": config.trace.redact_content,
    }


def facts_of_context(context: Context) -> dict[str, object]:
    """What tells one context from another, and where it was read."""
    return {
        "characters": len(context.text),
        "sha256": _digest_of_context(context),
        "type": context.context_type,
        "documents": context.num_documents(),
        "paths": list(context.paths),
    }


def _digest_of_context(context: Context) -> str:
    """Computed once a context: a gigabyte takes most of a second."""
    known: str | None = vars(context).get(_DIGEST)
    if known is not None:
        return known
    digest = hashlib.sha256()
    for start in range(0, len(context.text), 1 << 24):  # in pieces: not twice in memory at once
        digest.update(context.text[start : start + (1 << 24)].encode(errors="surrogatepass"))
    vars(context)[_DIGEST] = digest.hexdigest()
    return digest.hexdigest()


def config_of(header: Mapping[str, object], tools: Iterable[Tool] = ()) -> Config:
    """The options of the run that a header is about. Raises TraceError."""
    tools = tuple(tools)
    missing = set(_names(header.get("tools"))) - {tool.name for tool in tools}
    try:
        sandbox = msgspec.convert(header["sandbox"], dict[str, object])
        return Config(
            policy=_policy(header["policy"]),
            rules=_rules(header["rules"]),
            subcalls=msgspec.convert(header["subcalls"], SubcallOptions),
            sandbox=SandboxOptions(
                limits=Limits(**msgspec.convert(header["limits"], dict)),
                isolation=str(sandbox["isolation"]),
                imports=_imports(sandbox["imports"]),
                packages=_names(sandbox["packages"]),
            ),
            trace=TraceOptions(),
            tools=tools + tuple(Tool.unknown(name) for name in sorted(missing)),
            seed=msgspec.convert(header["seed"], int),
        )
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise TraceError(f"the head of the trace cannot be read: {error}") from error


def _policy(given: object) -> Policy:
    plain = msgspec.convert(given, dict[str, object])
    prices = msgspec.convert(plain.pop("prices", {}), dict[str, Price])
    return Policy(**plain, prices=prices)  # ty: ignore[invalid-argument-type]


def _rules(given: object) -> EpisodeRules:
    plain = msgspec.convert(given, dict[str, object])
    auto, compaction = plain.pop("auto_finalize"), plain.pop("compaction")
    return EpisodeRules(
        **plain,  # ty: ignore[invalid-argument-type]
        auto_finalize=msgspec.convert(auto, AutoFinalize | None),
        compaction=msgspec.convert(compaction, Compaction | None),
    )


def _plain(rules: EpisodeRules) -> dict[str, object]:
    plain = asdict(replace(rules, output=None))
    return {name: value for name, value in plain.items() if name not in _NOT_KEPT}


def _imports(given: object) -> str | list[str]:
    return given if isinstance(given, str) else _names(given)


def _names(given: object) -> list[str]:
    return msgspec.convert(given or [], list[str])
