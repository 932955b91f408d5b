"""The offline model as a sub-model: the sentence or value of a snippet that answers best. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.adapters.offline_search import pattern
from rlm_core.adapters.offline_words import question_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_ANSWER = "NO_ANSWER"
LONGEST_SENTENCE = 400  # characters; what goes on longer has no sentences
LONGEST_VALUE = 60  # characters; what is longer is told as a sentence

_ASKED = re.compile(
    r"\s*question:\s*(?P<question>.*?)\n\s*(?:snippet|context|text|passage|document):?[ \t]*\n?"
    r"(?P<text>.*)",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z0-9])|(?<=[\u3002\uff01\uff1f])")
_MARGIN = re.compile(r"^(?:[#*>|;%\s]|//|-\s)*(?:[rRbBuUfF]?(?:\"\"\"|'''))?")
_CODE_ENDS = (":", "{", "}", ";", "(", ")", ",", "=", "\\", "[", "]")
_ASKS_A_NUMBER = re.compile(
    r"\bhow (many|much|long|old|far|often)\b|\bwhen\b|\b(years?|dates?|numbers?|ports?)\b"
)
_ASKS_A_VALUE = re.compile(r"\s*(what|which|who|when|where|how (many|much|long|old|far|often))\b")
_SEPARATOR = re.compile(r"\s*=\s*|:\s+|\s+(?:is|are|was|were)\s+")


@dataclass(frozen=True)
class Asked:
    """A question, and the text in which the answer may stand."""

    question: str
    text: str


def asked_in(prompt: str) -> Asked:
    """The question and the text in a sub-model's prompt, labelled or not."""
    labelled = _ASKED.match(prompt)
    if labelled:
        return Asked(labelled["question"].strip(), labelled["text"])
    lines = prompt.strip().splitlines() or [""]
    asking = [index for index in (0, len(lines) - 1) if lines[index].rstrip().endswith("?")]
    index = asking[0] if asking else 0
    if len(lines) == 1:
        head, mark, rest = lines[0].partition(": ")
        return Asked(head, rest) if mark else Asked(lines[0], lines[0])
    return Asked(lines[index], "\n".join(lines[:index] + lines[index + 1 :]))


def best_answer(asked: Asked) -> str:
    """The sentence, line or value that shares most with the question, else NO_ANSWER."""
    regexes = [re.compile(pattern(term)) for term in question_terms(asked.question)]
    units = split_units(asked.text)
    weights = [_weight(regex, units) for regex in regexes]
    best, best_score = "", 0.0
    before: list[bool] = []
    for index, unit in enumerate(units):
        held = [bool(regex.search(unit.lower())) for regex in regexes]
        score = _score(held, before, weights) + _kind_bonus(asked.question, unit, held)
        before = held
        if _is_enough(held) and score > best_score:
            best_score = score
            best = _answer_to(unit, units[index + 1 : index + 2])
    if not best:
        return NO_ANSWER
    return value_in(asked.question, best, regexes) or _clipped(best, regexes)


def asks_a_number(question: str) -> bool:
    """True for questions such as "how many", "when", "which port"."""
    return _ASKS_A_NUMBER.search(question.lower()) is not None


def split_units(text: str) -> list[str]:
    """Sentences of prose, and lines of what is not prose, without comment signs and quotes."""
    units: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [_bare(line) for line in block.splitlines()]
        lines = [line for line in lines if line]
        whole = _SENTENCE_END.split(" ".join(lines)) if _is_prose(lines) else []
        if whole and max(map(len, whole)) <= LONGEST_SENTENCE:
            units += whole
        else:
            units += [part for line in _rejoined(lines) for part in _SENTENCE_END.split(line)]
    return [unit.strip() for unit in units if unit.strip()]


def value_in(question: str, sentence: str, regexes: Sequence[re.Pattern[str]]) -> str | None:
    """The right side of "the asked thing is VALUE" or "ASKED_THING = VALUE", if it is that."""
    if not _ASKS_A_VALUE.match(question.lower()):
        return None
    for match in reversed(list(_SEPARATOR.finditer(sentence))):
        left, right = sentence[: match.start()].lower(), sentence[match.end() :]
        value = right.strip().rstrip(".;,").strip("\"'`\u201c\u201d ")
        held = [regex for regex in regexes if regex.search(sentence.lower())]
        if not value or len(value) > LONGEST_VALUE or len(value.split()) > 6:
            continue
        if asks_a_number(question) and not any(letter.isdigit() for letter in value):
            continue
        if all(regex.search(left) for regex in held) and not any(
            regex.search(right.lower()) for regex in held
        ):
            return value
    return None


def _bare(line: str) -> str:
    return _MARGIN.sub("", line).removesuffix('"""').removesuffix("'''").strip()


def _rejoined(lines: list[str]) -> list[str]:
    """Lines, with those put together again that were wrapped in the middle of a sentence."""
    joined: list[str] = []
    for line in lines:
        last = joined[-1] if joined else ""
        if (
            40 <= len(last) <= LONGEST_SENTENCE // 2
            and line[0].islower()
            and not last.endswith((".", *_CODE_ENDS))
        ):
            joined[-1] = f"{last} {line}"
        else:
            joined.append(line)
    return joined


def _clipped(sentence: str, regexes: Sequence[re.Pattern[str]]) -> str:
    """What stands around the question's words in a line that has no end."""
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    places = [match.start() for regex in regexes if (match := regex.search(sentence.lower()))]
    middle = min(places, default=0)
    start = max(0, middle - LONGEST_SENTENCE // 4)
    return sentence[start : start + LONGEST_SENTENCE].strip()


def _is_prose(lines: list[str]) -> bool:
    """Wrapped text: more than a line, few that end as code does, none that is much shorter."""
    if len(lines) < 2:
        return False
    like_code = sum(line.endswith(_CODE_ENDS) or " = " in line for line in lines)
    return like_code * 4 <= len(lines) and min(len(line) for line in lines[:-1]) >= 40


def _weight(regex: re.Pattern[str], units: list[str]) -> float:
    """A term that stands in every sentence of the snippet tells little about any of them."""
    holding = sum(1 for unit in units if regex.search(unit.lower()))
    return 1.0 / (1.0 + math.log1p(holding)) if holding else 0.0


def _score(held: list[bool], before: list[bool], weights: list[float]) -> float:
    """The weight of the terms held; those of the sentence before count for less."""
    score = sum(weight for here, weight in zip(held, weights, strict=True) if here)
    near = before or [False] * len(held)
    return score + 0.4 * sum(
        weight
        for here, there, weight in zip(held, near, weights, strict=True)
        if there and not here
    )


def _kind_bonus(question: str, unit: str, held: list[bool]) -> float:
    """A sentence of the kind that was asked for is more likely the answer."""
    if not any(held):
        return 0.0
    bonus = -0.001 * min(len(unit), 300)
    if asks_a_number(question) and re.search(r"\d", unit):
        bonus += 0.4
    return bonus


def _is_enough(held: list[bool]) -> bool:
    """One word in common is no answer to a question of four telling words."""
    return sum(held) >= (2 if len(held) >= 4 else 1)


def _answer_to(unit: str, following: list[str]) -> str:
    """Where the text asks the question itself, the answer is what follows."""
    return following[0] if unit.endswith("?") and following else unit
