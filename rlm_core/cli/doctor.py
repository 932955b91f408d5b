"""`rlm doctor`: what was found on this host, as a table for people or as JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rlm_core.cli.exits import Exit
from rlm_sandbox.doctor import Examination, Finding, Proof, examine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rlm_core.cli.arguments import DoctorArguments
    from rlm_core.cli.output import Output

WIDTH = 100

_PROOFS = {Proof.HOLDS: "yes", Proof.UNTOLD: "-", Proof.BROKEN: "NO"}


def doctor(arguments: DoctorArguments, output: Output) -> int:
    """Examine this host and print what was found."""
    found = examine()
    if arguments.json:
        output.json(found.to_dict())
    else:
        output.answer("\n".join(_lines(found)))
    return Exit.ANSWERED if found.sound else Exit.ISOLATION


def _lines(found: Examination) -> Iterable[str]:
    yield from _layers(found.layers)
    yield from _section("What helps", _remedies(found.layers))
    yield from _section(
        "A worker was told to",
        (
            f"{attempt.act}: {'contained' if attempt.contained else 'IT GOT OUT'}"
            for attempt in found.attempts
        ),
    )
    yield from _section(
        "This host",
        (
            f"{fact.name}: {fact.value}{f' ({fact.advice})' if fact.advice else ''}"
            for fact in found.facts
        ),
    )
    yield from _section("Not promised here", found.not_promised)
    if found.start_seconds is not None:
        yield f"\nA fresh worker gives its first result after {found.start_seconds * 1000:.1f} ms."
    yield f"\nTier: {found.tier}"
    yield from textwrap.wrap(found.reason, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if not found.sound and found.tier != "none":
        yield "A layer does not hold what it promises: do not run hostile code here."


def _layers(layers: Iterable[Finding]) -> Iterable[str]:
    yield f"{'layer':14} {'available':10} {'proven':7} {'in use':7} what was seen"
    for layer in layers:
        row = (
            f"{layer.layer:14} {'yes' if layer.available else 'no':10} {_PROOFS[layer.proof]:7} "
            f"{'yes' if layer.in_use else 'no':7} "
        )
        yield from textwrap.wrap(row + layer.detail, WIDTH, subsequent_indent=" " * len(row))


def _remedies(layers: Iterable[Finding]) -> Iterable[str]:
    """Each remedy once, with the layers that it brings."""
    helped: dict[str, list[str]] = {}
    for layer in layers:
        if layer.remedy:
            helped.setdefault(layer.remedy, []).append(layer.layer)
    return (f"{', '.join(names)}: {remedy}" for remedy, names in helped.items())


def _section(title: str, items: Iterable[str]) -> Iterable[str]:
    lines = [
        line
        for item in items
        for line in textwrap.wrap(item, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]
    if lines:
        yield f"\n{title}:"
        yield from lines
