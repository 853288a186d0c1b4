"""The training text as rows of token ids: generated documents, prose, repeated random pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import sentencepiece
import torch

from core.corpus.world import HELD_OUT_SEEDS, documents
from tools.embedded.prose import held_out_stories, training_stories
from tools.embedded.settings import BEGIN, END, ROW, VOCABULARY

IGNORED = -100  # target of a position without loss
FIRST_PLAIN = 260  # below are special pieces, the newline and single bytes


class Mix:
    """An endless source of training rows; the seed decides all of them.

    `tell` and `seek` give and take the state, so that a stopped run goes on where it was with fresh
    text.
    """

    def __init__(self, tokenizer: Path, seed: int) -> None:
        self.encode = sentencepiece.SentencePieceProcessor(
            model_file=str(tokenizer / "tokenizer.model")
        ).encode
        self.seek(seed)

    def seek(self, seed: int) -> None:
        self.rng = Random(seed)
        self.documents = documents(self.rng.randrange(HELD_OUT_SEEDS))
        self.prose = self._prose()
        self.recent = list(range(FIRST_PLAIN, VOCABULARY))

    def _prose(self) -> Iterator[int]:
        stories = list(training_stories())
        while True:
            self.rng.shuffle(stories)
            for story in stories:
                yield from self.encode(story)
                yield END

    def generated_row(self) -> list[int]:
        row = [BEGIN]
        while len(row) <= ROW:
            row += self.encode(next(self.documents).text.rstrip())
            row.append(END)
        self.recent = row[1 : ROW + 1]
        return row[: ROW + 1]

    def prose_row(self) -> list[int]:
        return [BEGIN, *(next(self.prose) for _ in range(ROW))]

    def repeat_row(self, longest: int) -> tuple[list[int], list[bool]]:
        """Pieces in random order, repeated; the mask is true where a copy can be foretold."""
        row, foretold = [BEGIN], [False]
        while len(row) <= ROW:
            length, times = self.rng.randint(3, longest), self.rng.choice((2, 2, 3))
            pool = range(FIRST_PLAIN, VOCABULARY) if self.rng.random() < 0.5 else self.recent
            piece = [self.rng.choice(pool) for _ in range(length)]
            row += piece * times
            foretold += [False] * (length + 1) + [True] * (length * (times - 1) - 1)
        return row[: ROW + 1], foretold[: ROW + 1]

    def batch(
        self, rows: int, shares: tuple[float, float, float], longest: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """ids and targets [row, ROW]; shares of generated, prose and repeated rows; longest
        repeated piece.
        """
        ids, targets = [], []
        for kind in self.rng.choices(("generated", "prose", "repeats"), shares, k=rows):
            foretold = None
            if kind == "generated":
                row = self.generated_row()
            elif kind == "prose":
                row = self.prose_row()
            else:
                row, foretold = self.repeat_row(longest)
            ids.append(row[:-1])
            targets.append(
                [
                    token if foretold is None or foretold[place] else IGNORED
                    for place, token in enumerate(row)
                    if place
                ]
            )
        return torch.tensor(ids), torch.tensor(targets)


def held_out_rows(tokenizer: Path, count: int) -> dict[str, torch.Tensor]:
    """Rows [row, ROW + 1] that training never sees: generated text of a held-out seed, and held-out
    stories.
    """
    mix = Mix(tokenizer, seed=0)
    mix.documents = documents(HELD_OUT_SEEDS)
    generated = [mix.generated_row() for _ in range(count)]
    prose: list[int] = []
    for story in held_out_stories():
        prose += [*mix.encode(story), END]
    rows = [[BEGIN, *prose[start : start + ROW]] for start in range(0, len(prose) - ROW, ROW)][
        :count
    ]
    return {"generated": torch.tensor(generated), "prose": torch.tensor(rows)}
