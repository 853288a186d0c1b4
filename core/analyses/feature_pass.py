"""The pass that makes a gallery: batches through the model and the encoder into running counts."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.analyses.feature_rows import stream_rows
from core.analyses.runs import Progress
from core.corpus.chunks import Contexts
from core.dictionaries.sparse import Normed, SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.engine.token_scores import decoded, vocabulary
from core.galleries import layout, table, tally, writing
from core.galleries.codes import Scratch
from core.galleries.layout import Manifest
from core.galleries.reading import read
from core.galleries.table import Lens
from core.galleries.tally import Place, Tally
from core.galleries.text import GalleryText, flat
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.spec.errors import Error
from core.spec.interventions import Intervention

log = logging.getLogger("eidoscope")

TOKENS_AT_ONCE = {"cpu": 2_048, "cuda": 16_384}
CHECKPOINT_SECONDS = 5.0
CHECKPOINT_SHARE = 30  # a checkpoint comes after this many times as long as the last one took
MAX_CODES = 200_000_000  # activations of all tokens, 2.4 GB on disk
LENS_WORK = {"cpu": 2e11, "cuda": 2e15}  # multiplications and additions
N_LENS = 5
RANDOM_EVERY = 16  # tokens, of which one is encoded by random directions too
_STRIDE = 5  # so that these are not all at the same positions


class Build:
    """A gallery being made in its part folder, from a checkpoint where there is one."""

    def __init__(
        self,
        loaded: Loaded,
        dictionary: SparseDict,
        made: Contexts,
        manifest: Manifest,
        part: Path,
    ) -> None:
        self.loaded, self.made, self.manifest, self.part = loaded, made, manifest, part
        self.dictionary = _on(dictionary, loaded.device)
        self.batch_tokens = TOKENS_AT_ONCE.get(loaded.device.type, TOKENS_AT_ONCE["cpu"])
        self.batches = _order(made.batches(self.batch_tokens))
        self.text = _text(loaded, made)
        self.half = self.text.half[self.text.document]  # of each context
        self.rotation: torch.Tensor | None = None
        self.scratch: Scratch | None = None
        self.done, self.tally = self._resumed()
        self._began = self._written = time.monotonic()
        self._took = 0.0
        writing.write_text_files(part, self.text)

    def _resumed(self) -> tuple[int, Tally]:
        """(batches done, what they gave)."""
        path = self.part / layout.CHECKPOINT
        if self.manifest.codes:
            self.scratch = Scratch(self.part, self.dictionary.n_features)
        if path.is_file():
            try:
                arrays = layout.read_arrays(path)
                numbers = arrays.pop("progress").tolist()
                done, total, batch_tokens, has_codes, *written = numbers
                if (total, batch_tokens) == (len(self.batches), self.batch_tokens):
                    found = tally.opened(arrays, self.loaded.device)
                    if self.scratch is not None and has_codes:
                        self.scratch.resume(*written)
                    elif self.scratch is not None:
                        self._too_many()
                    return done, found
            except (Error, OSError, KeyError, ValueError, TypeError) as fault:
                log.warning("a gallery is begun again: %s", fault)
        if self.scratch is not None:
            self.scratch.remove()
        own, asked = self.dictionary, self.manifest
        device = self.loaded.device
        return 0, tally.new(own.n_features, own.d_in, asked.window, seed=asked.seed, device=device)

    def read(self, number: int, interventions: Sequence[Intervention], progress: Progress) -> None:
        """One batch of contexts through model and encoder, and into the tally."""
        numbers, own = self.batches[number], self.dictionary
        batch = rows(self.loaded, [self.made.windows[at].ids for at in numbers])
        seen = run(
            self.loaded,
            batch,
            read=[own.site],
            change=[interventions],
            logits="none",
            check=progress.check,
        )
        keep = torch.from_numpy(self.made.keep_mask(numbers, batch.ids.shape[1]))
        keep = keep.to(self.loaded.device)
        with self.loaded.busy(), torch.no_grad():
            x = own.flat(seen.values[own.site][keep])
            normed = own.normed(x)
            codes = own.codes_of(normed)
            place = self._place(numbers, keep)
            tally.add(self.tally, codes, place)
            tally.add_inputs(self.tally, x)
            some = (place.context * _STRIDE + place.position) % RANDOM_EVERY == 0
            tally.add_random(self.tally, own.codes_of(self._turned(normed, some)))
        if self.scratch is not None:
            self.scratch.append(codes)
            if self.scratch.n_entries > MAX_CODES:
                self._too_many()
        self.done = number + 1

    def _place(self, numbers: Sequence[int], keep: torch.Tensor) -> Place:
        row, position = keep.nonzero(as_tuple=True)
        context = torch.tensor(numbers, device=keep.device)[row]
        half = torch.from_numpy(self.half[numbers].astype(np.int64)).to(keep.device)
        return Place(context, position, half[row])

    def _turned(self, normed: Normed, some: torch.Tensor) -> Normed:
        """Some tokens turned at random, as the dictionary sees them: then its directions are
        random ones, with all lengths, angles and biases kept."""
        own = self.dictionary
        if self.rotation is None:
            generator = torch.Generator().manual_seed(self.manifest.seed)
            drawn = torch.randn(own.d_in, own.d_in, generator=generator)
            self.rotation = torch.linalg.qr(drawn).Q.to(normed.x)
        shift = own.b_in if own.b_in is not None else 0.0
        return Normed((normed.x[some] - shift) @ self.rotation + shift, 1.0, 0.0)

    def _too_many(self) -> None:
        """No longer keep every activation."""
        assert self.scratch is not None
        self.scratch.remove()
        self.scratch = None
        note = f"there are more than {MAX_CODES:,} of them"
        self.manifest = replace(self.manifest, codes=False, codes_note=note)

    def checkpoint_is_due(self) -> bool:
        waited = time.monotonic() - self._written
        return waited >= max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self._took)

    def checkpoint(self) -> None:
        """What a killed process goes on from, and what others can look at meanwhile."""
        began = time.monotonic()
        self._numbers(self.done / len(self.batches))
        written = [0, 0, 0]
        if self.scratch is not None:
            self.scratch.flush()
            written = [self.scratch.n_tokens, self.scratch.n_entries, self.scratch.n_clamped]
        state = [self.done, len(self.batches), self.batch_tokens, self.scratch is not None]
        arrays = self.tally.arrays() | {"progress": np.array([*state, *written])}
        layout.write_arrays(self.part / layout.CHECKPOINT, arrays)
        self._written = time.monotonic()
        self._took = self._written - began

    def _numbers(self, share: float) -> None:
        writing.write_numbers(self.part, self.tally, self.text, self.dictionary)
        n_clamped = self.scratch.n_clamped if self.scratch is not None else 0
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.manifest = replace(
            self.manifest,
            share=share,
            n_clamped=n_clamped,
            made=now,
            seconds=round(time.monotonic() - self._began, 2),
        )
        layout.write_text(self.part / layout.MANIFEST, self.manifest.text())
        lens = self._lens() if share == 1 else None
        table.write(read(self.part), lens)

    def _lens(self) -> Lens | None:
        """First lens tokens of every feature where that is cheap beside the pass."""
        own, loaded = self.dictionary, self.loaded
        most = LENS_WORK.get(loaded.device.type, LENS_WORK["cpu"])
        if 2.0 * own.n_features * loaded.d_model * loaded.d_vocab > most:
            return None
        try:
            return lens_tokens(loaded, own, range(own.n_features))
        except Error:  # nothing leads from there to the vocabulary
            return None

    def finish(self) -> None:
        """Every file of the finished gallery."""
        if self.scratch is not None:
            order = np.concatenate([self._kept(batch) for batch in self.batches])
            self.scratch.assemble(order, self.text.n_tokens)
            self.scratch.remove()
        (self.part / layout.CHECKPOINT).unlink(missing_ok=True)
        self._numbers(1.0)

    def _kept(self, numbers: Sequence[int]) -> np.ndarray:
        """Places of the tokens that count, in the order in which a batch is read."""
        start, keep = self.text.start, self.text.keep
        parts = [start[at] + keep[start[at] : start[at + 1]].nonzero()[0] for at in numbers]
        return np.concatenate(parts)


def lens_tokens(loaded: Loaded, dictionary: SparseDict, features: Sequence[int]) -> Lens:
    """The tokens that features promote most, and how far the first one sticks out.

    Raises `Error` where a dictionary's features cannot be read as tokens.
    """
    words = vocabulary(loaded)
    with loaded.busy(), torch.no_grad():
        ends = decoded(words, stream_rows(loaded, dictionary, list(features)), N_LENS)
    ids = ends.top_ids.cpu()
    read_pieces = pieces(loaded, ids.flatten().tolist())
    width = ids.shape[1]
    tokens = [read_pieces[at : at + width] for at in range(0, len(read_pieces), width)]
    return Lens(tokens, ends.top_z[:, 0].cpu().numpy())


def _order(batches: list[list[int]]) -> list[list[int]]:
    """Batches of short contexts are not all read first, so that what there is stands for all."""
    order = np.random.default_rng(0).permutation(len(batches))
    return [batches[at] for at in order.tolist()]


def _text(loaded: Loaded, made: Contexts) -> GalleryText:
    text = flat(made)
    return replace(text, pieces=pieces(loaded, text.piece_ids.tolist()))


def _on(dictionary: SparseDict, device: torch.device) -> SparseDict:
    """The dictionary with its numbers on a device."""
    if dictionary.W_enc.device == device:
        return dictionary

    def moved(record: Any, names: Sequence[str]) -> dict[str, Any]:
        tensors = {name: getattr(record, name) for name in names}
        return {name: one.to(device) for name, one in tensors.items() if one is not None}

    act = replace(dictionary.act, **moved(dictionary.act, ("threshold", "r_mag", "b_mag")))
    names = ("W_enc", "b_enc", "W_dec", "b_out", "b_in", "W_skip")
    return replace(dictionary, act=act, **moved(dictionary, names))
