"""A question about each of several pieces of text."""

from __future__ import annotations

from rlm_core.context import Context, DocumentSpans
from rlm_core.guest.questions import Questions
from rlm_core.short_answers import short_answer
from rlm_core.sketches import as_text

PIECE_CHARS = 2000
"""Characters of a piece, where a context is cut and nobody said how."""


class Pieces:
    """Functions of the session that ask about pieces; `parallel` says whether at once unasked."""

    def __init__(self, questions: Questions, *, parallel: bool) -> None:
        self._questions = questions
        self._parallel = parallel

    def llm_query_batch(
        self,
        chunks: object,
        *args: object,
        model: str | None = None,
        max_tokens: int | None = None,
        chunk_size: int | None = None,
        overlap: int = 0,
        question: str | None = None,
        parallel: bool | None = None,
    ) -> list[str]:
        """Ask about each of several pieces; also takes (question, pieces) the other way round."""
        rest = list(args)
        if isinstance(chunks, str) and rest and isinstance(rest[0], (list, tuple, Context)):
            question, chunks = chunks, rest.pop(0)
        question = question if question is not None else _question_among(rest)
        prompts = _prompts(question, _pieces(chunks, chunk_size, overlap))
        if self._parallel if parallel is None else parallel:
            return self._questions.llm_batch(prompts, model=model, max_tokens=max_tokens)
        unique = list(dict.fromkeys(prompts))
        replies = self._questions.one_by_one(unique, model=model, max_tokens=max_tokens)
        answers = dict(zip(unique, replies, strict=True))
        return [answers[prompt] for prompt in prompts]

    def ask(self, question: str, text: str, *, max_tokens: int | None = None) -> str:
        """Ask a question about a piece of text."""
        prompt = _prompt(question, as_text(text))
        return self._questions.llm_query(prompt, max_tokens=max_tokens)

    def ask_chunks(
        self,
        question: str,
        chunks: object,
        *,
        max_tokens: int | None = None,
        chunk_size: int | None = None,
        overlap: int = 0,
        parallel: bool | None = None,
    ) -> list[str]:
        """Ask a question about each of several pieces."""
        return self.llm_query_batch(
            chunks,
            question=question,
            max_tokens=max_tokens,
            chunk_size=chunk_size,
            overlap=overlap,
            parallel=parallel,
        )

    def ask_chunks_first(
        self,
        question: str,
        chunks: object,
        *,
        max_tokens: int | None = None,
        chunk_size: int | None = None,
        overlap: int = 0,
    ) -> str | None:
        """Ask about one piece after the other, up to the first short clear answer."""
        for prompt in dict.fromkeys(_prompts(question, _pieces(chunks, chunk_size, overlap))):
            answer = short_answer(self._questions.llm_query(prompt, max_tokens=max_tokens))
            if answer is not None:
                return answer
        return None


def pick_first_answer(answers: object) -> str | None:
    """The first of several answers that is short and clear, without its preamble, or None."""
    if not isinstance(answers, (list, tuple)):
        return None
    short = (short_answer(item) for item in answers if isinstance(item, str))
    return next((item for item in short if item is not None), None)


def _question_among(values: list[object]) -> str | None:
    for value in values:
        if isinstance(value, str):
            return value
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return value[0]
    return None


def _pieces(chunks: object, chunk_size: int | None, overlap: int) -> list[str]:
    if isinstance(chunks, Context):
        return [text for _, _, text in chunks.chunk(chunk_size or PIECE_CHARS, overlap=overlap)]
    if isinstance(chunks, str):
        if not bool(chunk_size):
            return [chunks]
        return [text for _, _, text in Context.from_text(chunks).chunk(chunk_size, overlap)]
    if not isinstance(chunks, (list, tuple, DocumentSpans)):
        return []
    pieces: list[str] = []
    for item in chunks:
        if isinstance(item, str):
            pieces.append(item)
        elif isinstance(item, tuple) and len(item) >= 3:
            pieces.append(str(item[2]))
    return pieces


def _prompt(question: str, piece: str) -> str:
    return f"Question: {question}\nSnippet:\n{piece}"


def _prompts(question: str | None, pieces: list[str]) -> list[str]:
    return [_prompt(question, piece) for piece in pieces] if bool(question) else pieces
