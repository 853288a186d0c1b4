"""From what was counted to the files of a gallery."""

import json
from pathlib import Path

import numpy as np
import torch

from core.dictionaries.sparse import SparseDict
from core.galleries.layout import LISTS, PIECES, STATS, TEXT, write_arrays, write_text
from core.galleries.tally import N_SAMPLE, N_TOP, N_WEIGHTED, Tally
from core.galleries.text import GalleryText
from kernels.top_examples.state import BINS, EMPTY, Slots

N_BANDS, PER_BAND = 5, 5
ALIKE = 16  # tokens up to the peak; contexts that agree in all of them are shown once
NO_TOKEN = -2
_AT_ONCE = 4_096  # features


def text_arrays(text: GalleryText) -> dict[str, np.ndarray]:
    """The text in the smallest integers that hold it."""
    return {
        "ids": smallest(text.ids),
        "start": smallest(text.start),
        "keep": np.packbits(text.keep),
        "document": smallest(text.document),
        "half": text.half,
        "piece_ids": smallest(text.piece_ids),
    }


def write_text_files(folder: Path, text: GalleryText) -> None:
    write_arrays(folder / TEXT, text_arrays(text))
    write_text(folder / PIECES, json.dumps(text.pieces, ensure_ascii=True))


def write_numbers(folder: Path, tally: Tally, text: GalleryText, dictionary: SparseDict) -> None:
    """stats.safetensors and lists.safetensors."""
    write_arrays(folder / STATS, statistics(tally, dictionary))
    write_arrays(folder / LISTS, lists(tally, text))


def statistics(tally: Tally, dictionary: SparseDict) -> dict[str, np.ndarray]:
    """Numbers of every feature. Activations in the dictionary's own units."""
    state = tally.state
    numbers = {name: tensor.cpu().numpy() for name, tensor in tally.numbers.items()}
    histogram = state.histogram[:, BINS:].cpu().numpy().copy()
    fired = numbers["count"].sum(0)
    histogram[:, 0] -= (state.n_tokens - fired).astype(np.int32)  # tokens at which it is silent
    used = np.flatnonzero(histogram.any(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    return {
        "n_tokens": numbers["n_tokens"],
        "position_tokens": numbers["position_tokens"],
        "count": smallest(numbers["count"]),
        "total": numbers["total"],
        "squares": state.squares.cpu().numpy(),
        "largest": state.largest.clamp_min(0).cpu().numpy(),
        "histogram": smallest(histogram[:, first:last]),
        "histogram_first": np.array(first),
        "by_position": smallest(numbers["by_position"]),
        "n_contexts": smallest(numbers["n_contexts"]),
        "lengths": dictionary.lengths.cpu().numpy(),
        "cosine": _cosine(dictionary),
        "variance": np.array(_variance(numbers, state.n_tokens)),
        **{name: numbers[name] for name in ("random_tokens", "random_largest")},
        "random_count": smallest(numbers["random_count"]),
        "random_total": numbers["random_total"].astype(np.float32),
    }


def lists(tally: Tally, text: GalleryText) -> dict[str, np.ndarray]:
    """Contexts of every feature: value as a share of the feature's largest, context, position."""
    largest = tally.state.largest.cpu().numpy()
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for start in range(0, len(largest), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        slots = {name: _arrays(one, part) for name, one in tally.state.lists.items()}
        found = {
            "top": _chosen(slots["high"], _distinct(slots["high"], text), N_TOP),
            "band": _bands(slots["high_bands"], text, largest[part], PER_BAND),
            "sample": _chosen(slots["firing"], None, N_SAMPLE),
            "weighted": _chosen(slots["importance"], None, N_WEIGHTED),
        }
        for name, (value, context, position) in found.items():
            scale = np.maximum(largest[part], 1e-30).reshape(-1, *[1] * (value.ndim - 1))
            share = (np.nan_to_num(value) / scale).astype(np.float16)
            parts.setdefault(name, []).append((share, context, position))
    arrays: dict[str, np.ndarray] = {}
    for name, each in parts.items():
        share, context, position = (np.concatenate(column) for column in zip(*each, strict=True))
        arrays |= {
            f"{name}.share": share,
            f"{name}.context": smallest(context),
            f"{name}.position": smallest(position),
        }
    return arrays


Entries = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # key, value, context, position


def _arrays(slots: Slots, part: slice) -> Entries:
    parts = ("key", "value", "context", "position")
    return tuple(getattr(slots, name)[part].cpu().numpy() for name in parts)


def _chosen(entries: Entries, kept: np.ndarray | None, k: int) -> tuple[np.ndarray, ...]:
    """The first k entries that are there and kept, [feature, k]; places behind them -1."""
    key, value, context, position = entries
    there = key != EMPTY if kept is None else (key != EMPTY) & kept
    order = np.argsort(~there, axis=1, kind="stable")[:, :k]
    there = np.take_along_axis(there, order, 1)
    parts = (np.take_along_axis(array, order, 1) for array in (value, context, position))
    value, context, position = parts
    return (
        np.where(there, value, 0.0),
        np.where(there, context, -1),
        np.where(there, position, -1),
    )


def _around(entries: Entries, text: GalleryText) -> np.ndarray:
    """A number for the tokens up to every entry, [feature, entry]; equal for equal ones."""
    _, _, context, position = entries
    there = context >= 0
    context, position = np.maximum(context, 0), np.maximum(position, 0)
    begin = text.start[context]
    at = begin + position
    mixed = np.zeros(context.shape, dtype=np.uint64)
    for step in range(1 - ALIKE, 1):
        place = at + step
        inside = (place >= begin) & there
        token = np.where(inside, text.ids[np.where(inside, place, 0)], NO_TOKEN)
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + (token + 3).astype(np.uint64)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _distinct(entries: Entries, text: GalleryText) -> np.ndarray:
    """False for entries that repeat an earlier one up to the peak, [feature, entry]."""
    mixed = _around(entries, text)
    order = np.argsort(mixed, axis=1, kind="stable")
    ordered = np.take_along_axis(mixed, order, 1)
    new = np.ones_like(order, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    kept = np.empty_like(new)
    np.put_along_axis(kept, order, new, 1)
    return kept


def _bands(
    entries: Entries, text: GalleryText, largest: np.ndarray, k: int
) -> tuple[np.ndarray, ...]:
    """k contexts of each fifth of (0, largest], [feature, band, k], drawn by hash."""
    key, value, context, position = entries
    order = np.argsort(-(key & ((1 << 52) - 1)), axis=1, kind="stable")
    drawn = tuple(np.take_along_axis(array, order, 1) for array in entries)
    key, value, context, position = drawn
    kept = _distinct((key, value, context, position), text)
    share = value / np.maximum(largest, 1e-30)[:, None]
    band = np.clip(np.ceil(np.nan_to_num(share) * N_BANDS) - 1, 0, N_BANDS - 1)
    found = [
        _chosen((key, value, context, position), kept & (band == number), k)
        for number in range(N_BANDS)
    ]
    return tuple(np.stack(column, axis=1) for column in zip(*found, strict=True))


def _cosine(dictionary: SparseDict) -> np.ndarray:
    """Cosine of each feature's encoder and decoder vector; NaN where they live in other spaces."""
    if dictionary.d_in != dictionary.d_out:
        return np.full(dictionary.n_features, np.nan, dtype=np.float32)
    read, write = dictionary.W_enc.float(), dictionary.W_dec.float().T.contiguous()
    return torch.cosine_similarity(read, write, dim=0).cpu().numpy()


def _variance(numbers: dict[str, np.ndarray], n_tokens: int) -> float:
    """Mean squared distance of what the dictionary reads from its mean."""
    mean = numbers["input_total"] / max(1, n_tokens)
    return float(numbers["input_squares"][0] / max(1, n_tokens) - (mean**2).sum())


def smallest(array: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest type that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    kinds = ("u1", "u2", "u4", "i8") if low >= 0 else ("i1", "i2", "i4", "i8")
    for kind in kinds:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array
