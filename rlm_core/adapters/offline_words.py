"""Which words of a question are worth searching for, and in which forms they may appear. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

MOST_TERMS = 16  # each term is one pass over the text; a longer question is mostly filling

MOST_PHRASES = 8

WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['\u2019]s\b")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]+")
_ENDINGS = ("ically", "ingly", "edly", "ings", "ies", "ied", "ing", "est", "ers", "ed", "es", "ly")
_LEAST_STEM = 4
_STOP_TEXT = """
a about after all also am an and any are as at be because been before being between both but by
can could did do does doing during each either else ever every find for from further get give
given gives had has have having he her here him his how i if in into is it its itself just let
like made make many may me might more most much must my name no nor not now of off on once one
only or other our out over own please said same say says shall she should show so some such
tell than that the their them then there these they this those through to too under until up
upon us use used uses using very was we were what when where whether which while who whom
whose why will with within would you your
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())


def question_terms(question: str) -> list[str]:
    """The question's telling words, lower case, each once, in order.

    "port" stands for that word alone, "cop*" for words that go on with at most three letters more
    ("copy", "copies"), "*ab*" for these characters anywhere, as in scripts without spaces.
    """
    words = _words(question)
    telling = [word for word in words if word not in _STOP_WORDS] or words
    terms = [term for word in telling for term in _terms(word)]
    return list(dict.fromkeys(terms))[:MOST_TERMS]


def question_phrases(question: str) -> list[str]:
    """Each telling word with the next one and what stands between: "code of the vault"."""
    words = _words(question)
    telling = [index for index, word in enumerate(words) if word not in _STOP_WORDS]
    phrases = [" ".join(words[left : right + 1]) for left, right in pairwise(telling)]
    return list(dict.fromkeys(phrases))[:MOST_PHRASES]


def _words(question: str) -> list[str]:
    return WORD.findall(_POSSESSIVE.sub("", question.lower()))


def _terms(word: str) -> list[str]:
    if _UNSPACED.search(word):
        return [f"*{word[start : start + 2]}*" for start in range(max(1, len(word) - 1))]
    if len(word) < _LEAST_STEM or any(letter.isdigit() for letter in word):
        return [word]
    return [f"{_stem(word)}*"]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM - 1:
            return word[: -len(ending)].removesuffix("y")
    if word.endswith("y") or (len(word) > _LEAST_STEM and word[-1] in "es" and word[-2] != "s"):
        return word[:-1]
    return word
