"""Every activation of a corpus, sparse and on disk: by token (CSR) and by feature (CSC)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.format import open_memmap

from kernels.feature_topk import Codes

FILES = (
    *("rows_start", "rows_feature", "rows_value"),
    *("columns_start", "columns_token", "columns_value"),
)
LARGEST, SMALLEST = 65_504.0, 2.0**-24  # of float16; nothing that fires becomes 0
_AT_ONCE = 4_000_000  # entries moved at once
_SCRATCH = ("scratch_counts", "scratch_feature", "scratch_value")


class Rows(NamedTuple):
    """Codes of some tokens: those of token t are start[t]:start[t + 1], by falling value."""

    start: np.ndarray  # [token + 1] int64
    feature: np.ndarray  # [entry] int64
    value: np.ndarray  # [entry] float32


@dataclass(frozen=True)
class CodeStore:
    """Memory maps of a gallery's codes; values are float16 on disk, so right to 1 in 2,000."""

    rows_start: np.ndarray
    rows_feature: np.ndarray
    rows_value: np.ndarray
    columns_start: np.ndarray
    columns_token: np.ndarray
    columns_value: np.ndarray

    @property
    def n_entries(self) -> int:
        return len(self.rows_value)

    def of_feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """(tokens [entry] int64 ascending, activations float32) where a feature fires."""
        start, end = self.columns_start[feature], self.columns_start[feature + 1]
        token = self.columns_token[start:end].astype(np.int64)
        return token, self.columns_value[start:end].astype(np.float32)

    def of_tokens(self, start: int, stop: int) -> Rows:
        """What fires on tokens start:stop."""
        bounds = self.rows_start[start : stop + 1]
        entries = slice(int(bounds[0]), int(bounds[-1]))
        return Rows(
            np.asarray(bounds - bounds[0], dtype=np.int64),
            self.rows_feature[entries].astype(np.int64),
            self.rows_value[entries].astype(np.float32),
        )

    def columns(self, at_once: int = _AT_ONCE) -> Iterator[tuple[range, np.ndarray, np.ndarray]]:
        """(features, tokens, activations) of neighbouring features, about `at_once` entries each.

        The entries of feature f are columns_start[f] - columns_start[first] on.
        """
        first, n = 0, len(self.columns_start) - 1
        while first < n:
            limit = self.columns_start[first] + at_once
            last = int(np.searchsorted(self.columns_start, limit, side="right")) - 1
            last = min(max(first + 1, last), n)
            part = slice(int(self.columns_start[first]), int(self.columns_start[last]))
            token = self.columns_token[part].astype(np.int64)
            yield range(first, last), token, self.columns_value[part].astype(np.float32)
            first = last


def opened(folder: Path) -> CodeStore | None:
    """The codes in a gallery's folder, None where it keeps none."""
    if not (folder / f"{FILES[-1]}.npy").is_file():
        return None
    return CodeStore(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in FILES))


class Scratch:
    """Codes in the order in which batches are read, appended to files and never held."""

    def __init__(self, folder: Path, n_features: int) -> None:
        wide = n_features > 65_536
        self.types: tuple[np.dtype, ...] = tuple(
            map(np.dtype, ("u4", "u4" if wide else "u2", "f2"))
        )
        self.folder, self.n_features = folder, n_features
        self.n_tokens = self.n_entries = self.n_clamped = 0

    def paths(self) -> list[Path]:
        return [self.folder / name for name in _SCRATCH]

    def resume(self, n_tokens: int, n_entries: int, n_clamped: int) -> None:
        """Go on behind what a checkpoint counted; what was written after it is dropped.

        Raises `ValueError` when the files hold less.
        """
        self.n_tokens, self.n_entries, self.n_clamped = n_tokens, n_entries, n_clamped
        sizes = (n_tokens, n_entries, n_entries)
        for path, kind, size in zip(self.paths(), self.types, sizes, strict=True):
            if not path.exists() and size == 0:
                continue
            if path.stat().st_size < size * kind.itemsize:
                raise ValueError("the codes written so far are not all there")
            os.truncate(path, size * kind.itemsize)

    def append(self, found: Codes) -> None:
        """The codes of a batch."""
        value = found.value.cpu().numpy()
        parts = (found.start.diff().cpu().numpy(), found.feature.cpu().numpy())
        small = np.clip(value, SMALLEST, LARGEST)
        for path, kind, part in zip(self.paths(), self.types, (*parts, small), strict=True):
            with path.open("ab") as file:
                file.write(part.astype(kind).tobytes())
        self.n_tokens += found.n_tokens
        self.n_entries += len(value)
        self.n_clamped += int((value > LARGEST).sum())

    def flush(self) -> None:
        """Have the disk keep it."""
        for path in self.paths():
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def assemble(self, token: np.ndarray, n_tokens: int) -> None:
        """Write the stored forms. token [read token] int64: places in the order of reading."""
        if self.n_entries:
            paths = zip(self.paths(), self.types, strict=True)
            self._rows(token, n_tokens, *(np.memmap(path, kind, "r") for path, kind in paths))
        else:
            self._rows(token, n_tokens, *self._nothing())
        self._columns()

    def remove(self) -> None:
        for path in self.paths():
            path.unlink(missing_ok=True)

    def _nothing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A memory map of no entries cannot be made."""
        counts = np.zeros(self.n_tokens, self.types[0])
        return counts, np.empty(0, self.types[1]), np.empty(0, self.types[2])

    def _rows(
        self,
        token: np.ndarray,
        n_tokens: int,
        counts: np.ndarray,
        feature: np.ndarray,
        value: np.ndarray,
    ) -> None:
        lengths = np.zeros(n_tokens, dtype=np.int64)
        lengths[token] = counts
        start = np.zeros(n_tokens + 1, dtype=np.int64)
        np.cumsum(lengths, out=start[1:])
        np.save(self.folder / "rows_start.npy", start)
        out_feature = _array(self.folder / "rows_feature.npy", self.types[1], self.n_entries)
        out_value = _array(self.folder / "rows_value.npy", self.types[2], self.n_entries)
        ends = np.cumsum(counts, dtype=np.int64)
        first, before = 0, 0
        while first < len(token):
            last = int(np.searchsorted(ends, before + _AT_ONCE, side="right"))
            last = min(max(first + 1, last), len(token))
            here = counts[first:last].astype(np.int64)
            shift = start[token[first:last]] - (ends[first:last] - here)
            part = np.arange(before, int(ends[last - 1]))
            to = part + np.repeat(shift, here)
            out_feature[to], out_value[to] = feature[part], value[part]
            first, before = last, int(ends[last - 1])

    def _columns(self) -> None:
        """The same by feature, tokens ascending."""
        start = np.load(self.folder / "rows_start.npy")
        feature = np.load(self.folder / "rows_feature.npy", mmap_mode="r")
        value = np.load(self.folder / "rows_value.npy", mmap_mode="r")
        lengths = np.zeros(self.n_features, dtype=np.int64)
        for at in range(0, self.n_entries, _AT_ONCE):
            lengths += np.bincount(feature[at : at + _AT_ONCE], minlength=self.n_features)
        columns = np.zeros(self.n_features + 1, dtype=np.int64)
        np.cumsum(lengths, out=columns[1:])
        np.save(self.folder / "columns_start.npy", columns)
        out_token = _array(self.folder / "columns_token.npy", np.dtype("i4"), self.n_entries)
        out_value = _array(self.folder / "columns_value.npy", self.types[2], self.n_entries)
        following = columns[:-1].copy()
        for at in range(0, self.n_entries, _AT_ONCE):
            part = np.asarray(feature[at : at + _AT_ONCE])
            order = np.argsort(part, kind="stable")
            here = part[order]
            counts = np.bincount(here, minlength=self.n_features)
            rank = np.arange(len(here)) - np.repeat(np.cumsum(counts) - counts, counts)
            to = following[here] + rank
            token = np.searchsorted(start, at + order, side="right") - 1
            out_token[to], out_value[to] = token, value[at : at + _AT_ONCE][order]
            following += counts


def _array(path: Path, kind: np.dtype, size: int) -> np.ndarray:
    """A new .npy file of that size to write into."""
    if size == 0:
        np.save(path, np.empty(0, kind))
        return np.empty(0, kind)
    made = open_memmap(path, mode="w+", dtype=kind, shape=(size,))
    with path.open("r+b") as file:  # a full disk is met here and not while the map is written
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return made
