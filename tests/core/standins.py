"""A backend that answers at once, and answers to store; for the tests of jobs and store."""

import hashlib
from collections.abc import Callable

import numpy as np

from core.results.attention import AttentionResult
from core.results.base import Result
from core.spec.request import ModelRef, Request, ask

MODEL = ModelRef("embedded")


def question(text: str = "hello") -> Request:
    return ask("attention", MODEL, text, layer=1)


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def answer_to(number: int, side: int = 4) -> AttentionResult:
    """An answer whose every number follows from `number`; `side`² bytes."""
    seeded = np.random.default_rng(number)
    return AttentionResult(
        request={"number": number},
        tokens=tuple(str(number + i) for i in range(4)),
        special=(True, False, False, False),
        layer=number,
        head=1,
        pattern=seeded.integers(0, 256, (side, side), dtype=np.uint8),
        uniform=seeded.random(4),
        entropy=np.array([np.nan, 0.5]),
    )


def same(one: Result, other: Result) -> bool:
    """Equal labels, arrays equal bit for bit."""
    return one.labels() == other.labels() and _bits(one) == _bits(other)


def _bits(result: Result) -> dict[str, tuple[object, ...]]:
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in result.arrays().items()}


class Backend:
    """Counts what it computes; `meanwhile` runs inside each computation."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self.weights = "weights 1"
        self.files = "files 1"
        self.meanwhile: Callable[..., None] = lambda progress: None

    def fetch(self, model, progress):
        progress.check()

    def answer(self, request, progress):
        self.computed.append(request.prompts[0])
        self.meanwhile(progress)
        return answer_to(len(request.prompts[0]))

    def salt(self, request):
        return self.weights

    def stamp(self, model):
        return self.files
