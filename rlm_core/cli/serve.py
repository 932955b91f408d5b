"""`rlm serve`: an RLM behind the chat API that programs already speak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.adapters.named import OFFLINE
from rlm_core.cli.exits import Exit
from rlm_core.cli.log import configure_logging
from rlm_core.cli.settings import OfflineModel, ServedModel, UsageError
from rlm_core.cli.settings import Settings as ModelSettings
from rlm_core.errors import ConfigError
from rlm_core.serve.keys import KEYS_VARIABLE, Keys
from rlm_core.serve.profile import Profile, Profiles
from rlm_core.serve.settings import Settings, default_turns
from rlm_sandbox import Sandbox
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.cli.output import Output
    from rlm_core.cli.serve_arguments import ServeArguments

PROFILE = "rlm"
"""What the one model of the flags is called; its own name will do as well."""


def serve(arguments: ServeArguments, environment: Mapping[str, str], output: Output) -> int:
    """Serve until told to end; every failure becomes one line and an exit code."""
    try:
        _require_packages()
        model = ModelSettings.gather(arguments, environment)
        configure_logging(model.log_level)
        profiles = _profiles(arguments, model.model)
        keys = _keys(arguments, environment)
        settings = _settings(arguments)
        _require_keys(arguments, settings, keys)
        _require_isolation(profiles)
        _serve(settings, profiles, keys, output)
    except (UsageError, ConfigError) as error:
        output.error(str(error))
        return Exit.USAGE
    except SandboxError as error:
        output.error(str(error))
        return Exit.ISOLATION
    return Exit.ANSWERED


def _require_packages() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise UsageError(
            f"rlm serve needs {error.name}, which is not installed: "
            "pip install 'rlm-sandbox[serve]'"
        ) from error
    del starlette, uvicorn


def _serve(settings: Settings, profiles: Profiles, keys: Keys, output: Output) -> None:
    from rlm_core.serve import server

    try:
        server.serve(settings, profiles, keys, _Told(output, profiles))
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UsageError(f"cannot listen at {where}: {error.strerror or error}") from error


class _Told:
    """Says where the server listens."""

    def __init__(self, output: Output, profiles: Profiles) -> None:
        self._output = output
        self._profiles = profiles

    def __call__(self, address: str) -> None:
        if any(profile.model == OFFLINE for profile in self._profiles.by_name.values()):
            self._output.notice(OfflineModel(chosen=False).caution)
        names = ", ".join(self._profiles.names())
        self._output.notice(f"serving {names} at {address}/v1 (Ctrl-C ends it)")


def _profiles(arguments: ServeArguments, model: OfflineModel | ServedModel) -> Profiles:
    """The profiles of the file, or one of the flags. Raises UsageError or ConfigError."""
    if arguments.config is not None:
        _refuse_flags_beside_a_file(arguments)
        return Profiles.read(Path(arguments.config))
    match model:
        case ServedModel(name, sub_name, base_url):
            profile = Profile(model=name, sub_model=sub_name, base_url=base_url)
        case OfflineModel():
            profile = Profile(model=OFFLINE)
    given = {
        "max_steps": arguments.max_steps,
        "max_subcalls": arguments.max_subcalls,
        "max_total_tokens": arguments.max_tokens,
        "aliases": () if profile.model == PROFILE else (profile.model,),
    }
    return Profiles({PROFILE: _with(profile, given)})


def _with(profile: Profile, given: Mapping[str, object]) -> Profile:
    import msgspec

    changes = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(profile, **changes)


def _refuse_flags_beside_a_file(arguments: ServeArguments) -> None:
    names = ("model", "sub_model", "base_url", "max_steps", "max_subcalls", "max_tokens")
    given = [name for name in names if getattr(arguments, name) is not None]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise UsageError(f"{flag} cannot be used with --config: say it in a profile")


def _keys(arguments: ServeArguments, environment: Mapping[str, str]) -> Keys:
    if arguments.keys is None:
        return Keys.of_environment(environment)
    if environment.get(KEYS_VARIABLE, ""):
        raise UsageError(f"--keys cannot be used with {KEYS_VARIABLE}: put all keys into the file")
    return Keys.read(Path(arguments.keys))


def _settings(arguments: ServeArguments) -> Settings:
    settings = Settings(
        host=arguments.host,
        port=arguments.port,
        turns=arguments.runs or default_turns(),
        allowed_hosts=frozenset(name.lower() for name in arguments.allow_host),
    )
    given = {
        "straight_turns": arguments.straight,
        "places": arguments.queue,
        "most_bytes": arguments.max_request,
        "seconds": arguments.timeout,
        "grace_seconds": arguments.grace,
    }
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _require_keys(arguments: ServeArguments, settings: Settings, keys: Keys) -> None:
    if settings.is_loopback or keys.by_digest or arguments.no_keys:
        return
    raise UsageError(
        f"others can reach {settings.host}: give API keys (--keys FILE, or {KEYS_VARIABLE}), or "
        "say --no-keys if something else stands before this server"
    )


def _require_isolation(profiles: Profiles) -> None:
    """Find out before the first request. It starts what all sandboxes come from, too."""
    for isolation in sorted({profile.isolation for profile in profiles.by_name.values()}):
        Sandbox(isolation=isolation).close()
