"""A gallery as it lies on disk, or as far as it has grown: everything known of every feature."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.galleries import codes as code_files
from core.galleries.codes import CodeStore
from core.galleries.layout import (
    LISTS,
    MANIFEST,
    PIECES,
    STATS,
    TABLE,
    TEXT,
    Manifest,
    read_arrays,
    read_manifest,
)
from core.galleries.text import GalleryText
from core.models.door import MAX_JSON
from core.spec.errors import Error
from kernels.top_examples.reading import bands, edges
from kernels.top_examples.state import BINS

RARE, DENSE = 15, 0.1  # firings below, share of tokens above


class Listed(NamedTuple):
    """Entries of every feature; context and position -1 and value 0 where there are fewer.

    value [feature, ..., k] float32 activation, context and position int32. `top` by falling value,
    the others in random order.
    """

    value: np.ndarray
    context: np.ndarray
    position: np.ndarray


@dataclass(frozen=True)
class FeatureGallery:
    """Everything a pass has found of every feature; opening it needs no model.

    Activations are the dictionary's own; times `lengths` they are what a feature writes. Tokens
    are addressed by context and position, or by their place in `text`.
    """

    folder: Path
    manifest: Manifest
    text: GalleryText
    stats: dict[str, np.ndarray]
    codes: CodeStore | None  # every activation, None where they are not kept

    @property
    def key(self) -> str:
        return self.manifest.key

    @property
    def partial(self) -> bool:
        """Still growing: `manifest.share` of the text was read."""
        return self.manifest.share < 1

    @property
    def n_features(self) -> int:
        return len(self.stats["largest"])

    @property
    def n_tokens(self) -> int:
        """Tokens that count, so far."""
        return int(self.stats["n_tokens"].sum())

    @property
    def n_contexts(self) -> int:
        return self.text.n_contexts

    @cached_property
    def half_count(self) -> np.ndarray:
        """Tokens on which each feature fires by half of the documents, [2, feature] int64."""
        return self.stats["count"].astype(np.int64)

    @cached_property
    def count(self) -> np.ndarray:
        """Tokens on which each feature fires, [feature] int64."""
        return self.half_count.sum(0)

    @cached_property
    def density(self) -> np.ndarray:
        """Share of tokens on which each feature fires, [feature]."""
        return self.count / max(1, self.n_tokens)

    @cached_property
    def half_density(self) -> np.ndarray:
        """The same by half of the documents, [2, feature]."""
        return self.half_count / np.maximum(1, self.stats["n_tokens"])[:, None]

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of activations, [feature]."""
        return self.stats["total"].sum(0)

    @property
    def half_total(self) -> np.ndarray:
        """The same by half of the documents, [2, feature]."""
        return self.stats["total"]

    @property
    def squares(self) -> np.ndarray:
        """Sum of squared activations, [feature]."""
        return self.stats["squares"]

    @property
    def max(self) -> np.ndarray:
        """Largest activation, [feature] float32, 0 for a feature that never fires."""
        return self.stats["largest"]

    @cached_property
    def mean_active(self) -> np.ndarray:
        """Mean activation where it fires, [feature]; NaN for a feature that never fires."""
        with np.errstate(invalid="ignore"):
            return self.total / np.where(self.count > 0, self.count, np.nan)

    @property
    def lengths(self) -> np.ndarray:
        """Length of each decoder row, [feature]."""
        return self.stats["lengths"]

    @cached_property
    def contribution(self) -> np.ndarray:
        """E[f²] ‖W_dec‖² / E‖x − x̄‖²: its share of what the dictionary reads, [feature]."""
        power = self.squares / max(1, self.n_tokens) * self.lengths.astype(float) ** 2
        return power / max(self.stats["variance"].item(), 1e-30)

    @property
    def contexts_fired(self) -> np.ndarray:
        """Contexts in which each feature fires, [feature]."""
        return self.stats["n_contexts"]

    @property
    def by_position(self) -> np.ndarray:
        """Firings by sixteenth of the window, [feature, 16]; tokens there: `position_tokens`."""
        return self.stats["by_position"]

    @property
    def position_tokens(self) -> np.ndarray:
        return self.stats["position_tokens"]

    @property
    def dead(self) -> np.ndarray:
        """Never fires on this text, [feature] bool."""
        return self.count == 0

    @property
    def rare(self) -> np.ndarray:
        """Fires, but too seldom for statistics, [feature] bool."""
        return (self.count > 0) & (self.count < RARE)

    @property
    def dense(self) -> np.ndarray:
        """Fires on more than a tenth of the tokens, [feature] bool."""
        return self.density > DENSE

    def histogram(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """(edges [bin + 1], counts [bin]) by quarter octaves; the last bin is open."""
        return edges().numpy(), self.counts(feature)

    def counts(self, feature: int) -> np.ndarray:
        """Firings by quarter octave, [bin] int64."""
        first = self.stats["histogram_first"].item()
        full = np.zeros(BINS + 1, dtype=np.int64)
        row = self.stats["histogram"][feature]
        full[first : first + len(row)] = row
        return full

    def band_shares(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Share of the firings and of summed activation in each fifth of (0, max], [band] each."""
        return bands(self.counts(feature), float(self.max[feature]))

    @cached_property
    def _lists(self) -> dict[str, np.ndarray]:
        return read_arrays(self.folder / LISTS)

    @cached_property
    def top(self) -> Listed:
        """Contexts of largest activation that do not repeat each other, [feature, k]."""
        return self._listed("top")

    @cached_property
    def band(self) -> Listed:
        """Contexts whose peak lies in each fifth of (0, max], [feature, band, k], band 0 lowest."""
        return self._listed("band")

    @cached_property
    def sample(self) -> Listed:
        """Firings drawn evenly, [feature, k]."""
        return self._listed("sample")

    @cached_property
    def weighted(self) -> Listed:
        """Firings drawn by value, [feature, k]."""
        return self._listed("weighted")

    def _listed(self, name: str) -> Listed:
        share, context, position = (
            self._lists[f"{name}.{part}"] for part in ("share", "context", "position")
        )
        scale = self.max.reshape(-1, *[1] * (share.ndim - 1))
        value = share.astype(np.float32) * scale
        return Listed(value, context.astype(np.int32), position.astype(np.int32))

    def activations(self, feature: int, context: int) -> np.ndarray:
        """A feature at every token of a context, [token] float32. Needs `codes`."""
        token, value = self.need_codes().of_feature(feature)
        start, end = self.text.start[context], self.text.start[context + 1]
        found = np.zeros(int(end - start), dtype=np.float32)
        first, last = np.searchsorted(token, (start, end))
        found[token[first:last] - start] = value[first:last]
        return found

    def need_codes(self) -> CodeStore:
        """The codes. Raises `Error` where they are not kept."""
        if self.codes is None:
            raise Error(
                f"the gallery of {self.manifest.dictionary} keeps no activations of every token"
                f" ({self.manifest.codes_note or 'they are still being read'})"
            )
        return self.codes

    @property
    def table(self) -> Path:
        """features.parquet, one row per feature."""
        return self.folder / TABLE


def read(folder: Path) -> FeatureGallery:
    """The gallery in a folder, finished or growing. Raises `Error` with a sentence."""
    if not (folder / MANIFEST).is_file():
        raise Error(f"there is no gallery in {folder}: {MANIFEST} is missing")
    manifest = read_manifest(folder)
    return FeatureGallery(
        folder,
        manifest,
        _text(folder),
        read_arrays(folder / STATS),
        code_files.opened(folder) if manifest.codes and manifest.share == 1 else None,
    )


def _text(folder: Path) -> GalleryText:
    import json

    arrays = read_arrays(folder / TEXT)
    path = folder / PIECES
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError
        pieces = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise Error(f"the gallery in {folder.name} is damaged: {PIECES} cannot be read") from None
    return GalleryText(
        ids=arrays["ids"].astype(np.int32),
        start=arrays["start"].astype(np.int64),
        keep=np.unpackbits(arrays["keep"], count=len(arrays["ids"])).astype(bool),
        document=arrays["document"].astype(np.int32),
        half=arrays["half"],
        piece_ids=arrays["piece_ids"].astype(np.int64),
        pieces=tuple(map(str, pieces)),
    )
