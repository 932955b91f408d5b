"""The offline model's program: finds the passages that share the most telling words (BM25)."""

import bisect
import heapq
import math
import re

BIN = 400  # characters; a passage is two neighbouring bins and what stands around them
WINDOW = 4_000_000  # characters searched at once, so that lower case costs little memory
ENOUGH = 8  # hits of one term in one bin; more say nothing more
PASSAGES = 8  # how many the sub-model is asked about


def pattern(term):
    """Whole words in lower-case text; "cop*" may go on by three letters, "*ab*" is anywhere."""
    body = re.escape(term.strip("*"))
    if term.startswith("*"):
        return re.compile(body)
    tail = r"[^\W\d_]{0,3}" if term.endswith("*") else ""
    return re.compile(rf"(?<![^\W_]){body}{tail}(?![^\W_])")


def count(text, terms):
    """How often each term stands in each bin of the text."""
    counts = [bytearray(len(text) // BIN + 3) for _ in terms]
    for base in range(0, len(text), WINDOW):
        window = text[base : base + WINDOW + 50].lower()
        for term, bins in zip(terms, counts, strict=True):
            mark(window, base, term.strip("*"), pattern(term), bins)
    return counts


def mark(window, base, literal, regex, bins):
    """Count one term in one window: finding is fast, only what is found is looked at closely."""
    position = window.find(literal)
    while 0 <= position < WINDOW:
        after = position + len(literal)
        if regex.match(window, position):
            index = (base + position) // BIN
            bins[index] = min(ENOUGH, bins[index] + 1)
            if bins[index] == ENOUGH:
                after = max(after, (index + 1) * BIN - base)
        position = window.find(literal, after)


def weigh(counts):
    """Rare terms tell more (BM25's inverse document frequency)."""
    total = len(counts[0]) if counts else 0
    found = [total - bins.count(0) for bins in counts]
    return [math.log(1 + (total - n + 0.5) / (n + 0.5)) if n else 0.0 for n in found]


def favour(paths, terms):
    """Documents whose file's name holds a term, and what that is worth: {index: gain}."""
    names = [path.rpartition("/")[2].lower() for path in paths]
    gains = {}
    for term in terms:
        named = [index for index, name in enumerate(names) if pattern(term).search(name)]
        for index in named:
            gain = 0.5 * math.log(1 + len(names) / (len(named) + 0.5))
            gains[index] = gains.get(index, 0.0) + gain
    return gains


def rank(counts, weights, bounds, gains):
    """(score, bin) of the best pairs of neighbouring bins, the best first, none overlapping."""
    scored, bonus = [], {}
    for index, gain in gains.items():
        for place in range(bounds[2 * index] // BIN - 1, bounds[2 * index + 1] // BIN + 1):
            bonus[place] = max(gain, bonus.get(place, 0.0))
    pairs = [(weight, bins) for weight, bins in zip(weights, counts, strict=True) if weight]
    for place in range(len(counts[0]) - 1 if counts else 0):
        score = 0.0
        for weight, bins in pairs:
            hits = bins[place] + bins[place + 1]
            if hits:
                score += weight * 1.5 * hits / (hits + 0.5)
        if score:
            scored.append((score + bonus.get(place, 0.0), -place))
    best = []
    for score, place in heapq.nlargest(20 * PASSAGES, scored):
        if all(abs(place + other) > 1 for _, other in best):
            best.append((score, -place))
    return best[: 4 * PASSAGES]


def cut(text, bounds, place):
    """(document, start, passage) of two bins and half a bin around, each of one document."""
    low, high = max(0, place * BIN - BIN // 2), min(len(text), (place + 2) * BIN + BIN // 2)
    first = max(0, bisect.bisect_right(bounds[0::2], low) - 1)
    for index in range(first, len(bounds) // 2):
        start, end = max(low, bounds[2 * index]), min(high, bounds[2 * index + 1])
        if bounds[2 * index] >= high:
            break
        if start > bounds[2 * index]:  # begin with a whole line
            start = text.find("\n", start, start + BIN // 2) + 1 or start
        if start < end:
            yield index, start, text[start:end]


def closeness(passage, terms, weights):
    """(weight, line) of two neighbouring lines and the terms in them; pairs count extra."""
    regexes = [pattern(term) for term in terms]
    lines, best = passage.splitlines(), (0.0, 0.0, "")
    for first, second in zip(lines, [*lines[1:], ""], strict=True):
        both, score, alone, last = f"{first} {second}".lower(), 0.0, 0.0, None
        for regex, weight in zip(regexes, weights, strict=True):
            match = regex.search(both)
            score += weight if match else 0.0
            alone += weight if match and match.start() < len(first) else 0.0
            if match and last and 0 < match.start() - last.end() <= 3:
                score += 0.5 * weight
            last = match
        best = max(best, (score, alone, first))
    return best[0], best[2]


def choose(answers, numeric):
    """The first answer, or, where a number was asked for, the first nearly as good that has one."""
    for score, answer, where in answers if numeric else ():
        if score > 0.7 * answers[0][0] and re.search(r"\b\d", answer):
            return f"{answer}\n(found in {where})"
    for _, answer, where in answers:
        return f"{answer}\n(found in {where})"
    return "No passage of the text answers this question."


def find_answer(question, terms, numeric, text, ctx, llm_batch):
    """The sub-model's answer about the best passage that holds one, and where that stands."""
    counts, spans = count(text, terms), ctx.spans()
    bounds = [0, len(text)] if spans is None else spans.bounds()
    weights, gains, candidates = weigh(counts), favour(ctx.paths, terms), []
    for score, place in rank(counts, weights, bounds, gains):
        for index, start, passage in cut(text, bounds, place):
            close, line = closeness(passage, terms, weights)
            worth = close + 0.2 * score + gains.get(index, 0.0)
            if close:
                candidates.append((worth, -start, passage, line.strip()))
    candidates = sorted(candidates, reverse=True)[:PASSAGES]
    replies = llm_batch([f"Question: {question}\nSnippet:\n{part[2]}" for part in candidates])
    answers = []
    for (score, start, passage, line), reply in zip(candidates, replies, strict=True):
        # Without a sub-model (its limit is reached, say) the line that lies closest must do.
        answer = reply.strip() if isinstance(reply, str) and reply[:1] != "[" else line
        words = [re.escape(word) for word in answer.split()[:8]]
        match = re.search(r"\W+".join(words), passage)
        where = ctx.locate(-start + (match.start() if match else 0))
        print(f"{score:6.1f}  {where}: {answer[:80]}")  # noqa: T201 - shown in the session
        if answer and answer != "NO_ANSWER":
            answers.append((score, answer, where))
    return choose(answers, numeric)
