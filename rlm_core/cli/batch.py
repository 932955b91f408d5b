"""`rlm batch`: check the input, answer every task, say how it ended."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, assert_never

from rlm_core.batch.errors import BadInput, OutputForeign, OutputInUse, OutputUnwritable
from rlm_core.batch.schedule import Why
from rlm_core.cli.ask import REPLY_TOKENS, SUB_REPLY_TOKENS, cache_directory
from rlm_core.cli.batch_show import show_for, table
from rlm_core.cli.exits import Exit
from rlm_core.cli.log import configure_logging
from rlm_core.cli.settings import OfflineModel, ServedModel, Settings, UsageError
from rlm_core.errors import ConfigError, ContextError
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from rlm_core.batch.answerer import Manner
    from rlm_core.batch.control import Control
    from rlm_core.batch.engine import Engine
    from rlm_core.batch.models import MakesModels
    from rlm_core.batch.run import Plan
    from rlm_core.batch.summary import BatchSummary
    from rlm_core.cli.batch_arguments import BatchArguments
    from rlm_core.cli.output import Output
    from rlm_core.context import Context
    from rlm_core.provider import ProviderLimits

JSON_VERSION = 1


def batch(arguments: BatchArguments, environment: Mapping[str, str], output: Output) -> int:
    """Carry the batch out; every failure becomes one line and an exit code."""
    try:
        settings = Settings.gather(arguments, environment)
        configure_logging(settings.log_level)
        summary = _carried_out(arguments, settings, output)
    except (UsageError, ConfigError, OutputForeign, OutputInUse) as error:
        return _fail(output, Exit.USAGE, error)
    except BadInput as error:
        output.block(str(error))
        return Exit.INPUT
    except ContextError as error:
        return _fail(output, Exit.INPUT, error)
    except OutputUnwritable as error:
        return _fail(output, Exit.OUTPUT, error)
    except SandboxError as error:
        return _fail(output, Exit.ISOLATION, error)
    return _report(summary, arguments, output)


def _fail(output: Output, code: Exit, error: Exception) -> int:
    output.error(str(error))
    return code


def _carried_out(arguments: BatchArguments, settings: Settings, output: Output) -> BatchSummary:
    from rlm_core.batch.control import Control
    from rlm_core.batch.run import Plan, carry_out
    from rlm_core.batch.schedule import Rules

    control = Control()
    if arguments.output == "-":
        raise UsageError("results need a file, by which a batch goes on after a crash: -o FILE")
    _require_prices(arguments, settings.model)
    if isinstance(settings.model, OfflineModel):
        output.notice(settings.model.caution)
    with ExitStack() as resources:
        manner = _manner(arguments, settings, resources)
        plan = Plan(
            tasks="/dev/stdin" if arguments.input == "-" else arguments.input,
            results=arguments.output,
            models=_models(settings.model),
            manner=manner,
            contexts=_contexts(arguments, output),
            concurrency=arguments.concurrency,
            max_cost=arguments.max_cost,
            rules=Rules(attempts=arguments.attempts, poison_after=arguments.poison_after),
            retry_failed=arguments.retry_failed,
            skip_bad=arguments.skip_bad,
            make_engine=_engine(arguments),
            control=control,
        )
        show = show_for(output, quiet=arguments.quiet)
        resources.callback(show.close)
        with heeding_signals(control, output):
            return carry_out(replace(plan, listener=show))


def _require_prices(arguments: BatchArguments, model: OfflineModel | ServedModel) -> None:
    """A limit on money that does not see half of it is none. Raises UsageError."""
    priced = {name for name, _ in arguments.prices}
    if arguments.max_cost is None or "*" in priced or not isinstance(model, ServedModel):
        return
    asked = [name for name in (model.name, model.sub_name) if name is not None]
    free = [name for name in asked if priced.isdisjoint((name, name.partition("/")[2]))]
    if free:
        raise UsageError(f"--max-cost needs the price of {free[0]} too: --price {free[0]}=IN:OUT")


def _engine(arguments: BatchArguments) -> Callable[[Plan, ExitStack], Engine] | None:
    if arguments.engine == "local":
        for flag, value in (("--address", arguments.address), ("--actors", arguments.actors)):
            if value is not None:
                raise UsageError(f"{flag} needs --engine ray")
        return None
    from rlm_core.batch.ray_engine import RayOptions, make_ray_engine

    return partial(make_ray_engine, RayOptions(arguments.address, arguments.actors))


def _models(model: OfflineModel | ServedModel) -> MakesModels:
    from rlm_core.batch.models import NamedModels, OfflineModels

    match model:
        case OfflineModel():
            return OfflineModels()
        case ServedModel(name, sub_name, base_url):
            return NamedModels(name, sub_name, base_url)
        case _:
            assert_never(model)


def _manner(arguments: BatchArguments, settings: Settings, resources: ExitStack) -> Manner:
    from rlm_core.batch.answerer import Manner
    from rlm_core.policy import Policy, Price

    limits = {
        "max_steps": arguments.max_steps,
        "max_subcalls": arguments.max_subcalls,
        "max_total_tokens": arguments.max_tokens,
        "max_seconds": arguments.timeout,
    }
    prices = {model: Price(prompt, reply) for model, (prompt, reply) in arguments.prices}
    given = {name: value for name, value in limits.items() if value is not None}
    return Manner(
        policy=replace(Policy(prices=prices), **given),
        options={
            "max_tokens": REPLY_TOKENS,
            "subcall_max_tokens": SUB_REPLY_TOKENS,
            "parallel_subcalls": settings.parallel,
            "redact_content": arguments.redact_content,
            "cache_dir": cache_directory(resources),
        },
        provider_limits=_provider_limits(arguments),
        traces=None if arguments.traces is None else os.path.abspath(arguments.traces),  # noqa: PTH100 - resolve() would follow links
    )


def _provider_limits(arguments: BatchArguments) -> dict[str, ProviderLimits]:
    from rlm_core.provider import ProviderLimits

    often, at_once = dict(arguments.calls_per_minute), dict(arguments.calls_at_once)
    return {
        model: ProviderLimits(
            concurrent=None if model not in at_once else int(at_once[model]),
            per_minute=often.get(model),
        )
        for model in often.keys() | at_once.keys()
    }


def _contexts(arguments: BatchArguments, output: Output) -> dict[str, Context]:
    """The contexts that tasks may name, each read once. Raises ContextError."""
    from rlm_core.cli.texts import read_texts

    names = [name for name, _ in arguments.contexts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--context {twice[0]}=... is given twice: a name is for one context")
    return {name: read_texts([path], output) for name, path in arguments.contexts}


@contextmanager
def heeding_signals(control: Control, output: Output) -> Generator[None]:
    """Ctrl-C once lets what runs end, twice (or SIGTERM) stops it; a third time is the end.

    So is the first, as long as the input is read and nothing runs.
    """
    before = {
        number: signal.signal(number, _Signals(control, output))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Signals:
    """What a signal does to a batch."""

    def __init__(self, control: Control, output: Output) -> None:
        self._control = control
        self._output = output

    def __call__(self, number: int, frame: object) -> None:
        """Finish, then stop, then give up."""
        del frame
        if self._control.stopping or not self._control.under_way:
            raise KeyboardInterrupt
        if number == signal.SIGTERM or self._control.finishing:
            self._control.stop()
            self._tell("stopping now; start the same command again to go on")
        else:
            self._control.finish()
            self._tell("finishing what runs; Ctrl-C again stops now")

    def _tell(self, text: str) -> None:
        """In a thread: this one may have been interrupted in the midst of writing to the stream."""
        threading.Thread(target=self._output.notice, args=(text,)).start()


def _report(summary: BatchSummary, arguments: BatchArguments, output: Output) -> int:
    for number, why in summary.skipped:
        output.notice(f"left out line {number}: {why}")
    if arguments.json:
        output.json(_as_json(summary))
    elif not arguments.quiet:
        output.block(table(summary))
    code, told = _ending(summary)
    if told:
        output.error(told)
    return code


def _ending(summary: BatchSummary) -> tuple[Exit, str]:
    more = f": {summary.told}" if summary.told else ""
    match summary.why:
        case Why.DONE if summary.is_complete:
            return Exit.ANSWERED, ""
        case Why.DONE if summary.gone:
            count = f"{summary.gone:,} of {summary.total:,} tasks were gone from the input"
            return Exit.LIMIT, f"{count} before they were run; start again with the whole of it"
        case Why.DONE:
            count = f"{summary.without_answer:,} of {summary.total:,} tasks have no answer"
            return Exit.LIMIT, f"{count}; --retry-failed runs them again"
        case Why.BUDGET:
            return Exit.LIMIT, "the money is spent (--max-cost); allow more to go on"
        case Why.MODEL:
            return Exit.MODEL, f"the model does not answer{more}; start again to go on"
        case Why.HOST:
            return Exit.ISOLATION, f"code cannot be run here{more}"
        case Why.INTERRUPTED:
            return Exit.INTERRUPTED, "interrupted; start the same command again to go on"
        case _:
            assert_never(summary.why)


def _as_json(summary: BatchSummary) -> dict[str, object]:
    return {
        "version": JSON_VERSION,
        "why": summary.why.name.lower(),
        "total": summary.total,
        "done": summary.done,
        "before": summary.before,
        "statuses": dict(summary.statuses),
        "without_answer": summary.without_answer,
        "gone": summary.gone,
        "skipped": summary.skipped_count,
        "tokens": summary.tokens,
        "cost": summary.cost,
        "seconds": round(summary.seconds, 3),
    }
