"""Flags win over the environment, and what cannot work is refused with advice."""

from __future__ import annotations

import pytest

from rlm_core.cli.arguments import AskArguments, parse
from rlm_core.cli.settings import OfflineModel, ServedModel, Settings, UsageError


def arguments(*flags: str) -> AskArguments:
    given = parse(["ask", "q", *flags])
    assert isinstance(given, AskArguments)
    return given


def model(*flags: str, **environment: str) -> OfflineModel | ServedModel:
    return Settings.gather(arguments(*flags), environment).model


def test_without_a_model_it_is_the_offline_one() -> None:
    assert model() == OfflineModel(chosen=False)
    assert model(OPENAI_API_KEY="k", LLM_BASE_URL="http://a/v1") == OfflineModel(chosen=False)


def test_the_offline_model_can_be_asked_for_by_name() -> None:
    assert model("--model", "offline", LLM_MODEL="m") == OfflineModel(chosen=True)
    assert model(LLM_MODEL="offline") == OfflineModel(chosen=True)


def test_the_environment_names_the_models() -> None:
    named = model(LLM_MODEL="m", LLM_SUBCALL_MODEL="s", OPENAI_BASE_URL="http://b/v1")
    assert named == ServedModel("m", "s", "http://b/v1")
    both = model(LLM_MODEL="m", LLM_BASE_URL="http://a/v1", OPENAI_BASE_URL="http://b/v1")
    assert both == ServedModel("m", None, "http://a/v1")


def test_flags_win_over_the_environment() -> None:
    environment = {"LLM_MODEL": "m", "LLM_SUBCALL_MODEL": "s", "LLM_BASE_URL": "http://a/v1"}
    flags = ("--model", "x", "--sub-model", "y", "--base-url", "http://c/v1")
    assert model(*flags, **environment) == ServedModel("x", "y", "http://c/v1")


@pytest.mark.parametrize("flag", ["--base-url", "--sub-model"])
def test_a_flag_that_would_do_nothing_without_a_model_is_refused(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} needs a model"):
        model(flag, "x")


@pytest.mark.parametrize(
    ("text", "meant"), [("1", True), ("TRUE", True), ("yes", True), ("0", False), ("", False)]
)
def test_switches_of_the_environment_are_read(text: str, meant: bool) -> None:
    settings = Settings.gather(arguments(), {"PARALLEL_SUBCALLS": text, "SHOW_TRAJECTORY": text})
    assert (settings.parallel, settings.show_trajectory) == (meant, meant)


def test_the_log_level_is_checked() -> None:
    assert Settings.gather(arguments(), {"LLM_LOG_LEVEL": "info"}).log_level == "INFO"
    assert Settings.gather(arguments(), {}).log_level == "WARNING"
    with pytest.raises(UsageError, match="DEBUG, INFO"):
        Settings.gather(arguments(), {"LLM_LOG_LEVEL": "loud"})
