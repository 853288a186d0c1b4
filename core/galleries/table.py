"""features.parquet: a row per feature with everything that is sorted and searched by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core.galleries.layout import TABLE
from core.galleries.reading import RARE, FeatureGallery
from core.spec.errors import Error

BEFORE, AFTER = 6, 2  # tokens around a peak
N_PEAKS, N_TOKENS = 3, 5
ONE_TOKEN, ONE_PLACE = 0.9, 0.9  # shares of the firings above which a badge is given
DRIFT = 1.0  # doublings between the halves above which a badge is given
SORTS = {
    "feature": "number",
    "density": "share of tokens on which it fires",
    "max": "largest activation",
    "mean_active": "mean activation where it fires",
    "contribution": "share of what is read that it explains",
    "cosine": "cosine of encoder and decoder",
    "concentration": "how far its firings fall on few tokens",
    "drift": "doublings of density from one half of the documents to the other",
    "lens_z": "how far its first lens token sticks out",
    "label_score": "F1 of its label",
    "mystery": "contribution without a label",
    "fires": "share of the token's occurrences on which it fires",
}
BADGES = ("dead", "rare", "dense", "one token", "position", "one half")


@dataclass(frozen=True)
class Lens:
    """First lens tokens of every feature as text, [feature][token], and the z of the first."""

    tokens: Sequence[Sequence[str]]
    z: np.ndarray


def write(gallery: FeatureGallery, lens: Lens | None = None) -> None:
    """Write the table of a gallery; replaced as a whole."""
    path = gallery.folder / TABLE
    temporary = path.with_name(f"{TABLE}.new")
    parquet.write_table(made(gallery, lens), temporary, compression="zstd")
    temporary.replace(path)


def made(gallery: FeatureGallery, lens: Lens | None = None) -> pa.Table:
    """The table, one row per feature, activations in the dictionary's own units."""
    n = gallery.n_features
    concentration, share = _concentration(gallery)
    top = _top_tokens(gallery)
    peaks = _peaks(gallery)
    none: list[list[str]] = [[] for _ in range(n)]
    half = gallery.half_count + 1.0
    tokens = gallery.stats["n_tokens"] + 2.0
    drift = np.log2(half[1] / tokens[1]) - np.log2(half[0] / tokens[0])
    place = gallery.by_position.max(axis=1) / np.maximum(gallery.count, 1)
    columns: dict[str, Any] = {
        "feature": np.arange(n, dtype=np.int32),
        "density": gallery.density.astype(np.float32),
        "count": gallery.count,
        "max": gallery.max,
        "mean_active": gallery.mean_active.astype(np.float32),
        "length": gallery.lengths,
        "contribution": gallery.contribution.astype(np.float32),
        "cosine": gallery.stats["cosine"],
        "contexts": gallery.contexts_fired.astype(np.int32),
        "concentration": concentration,
        "token_share": share,
        "position_share": place.astype(np.float32),
        "drift": drift.astype(np.float32),
        "lens_z": np.full(n, np.nan, np.float32) if lens is None else lens.z.astype(np.float32),
        "tokens": pa.array(top, pa.list_(pa.string())),
        "peaks": pa.array(peaks, pa.list_(pa.string())),
        "lens": pa.array(none if lens is None else lens.tokens, pa.list_(pa.string())),
        "badges": pa.array(_badges(gallery, share, place, drift), pa.list_(pa.string())),
    }
    # A missing value is null: engines that trust the file's ranges do not expect NaN.
    return pa.table(
        {
            name: pa.array(column, from_pandas=True) if isinstance(column, np.ndarray) else column
            for name, column in columns.items()
        }
    )


def _concentration(gallery: FeatureGallery) -> tuple[np.ndarray, np.ndarray]:
    """(1 - H(token | fires) / log(different tokens of the text), share of the firings on the most
    common token), [feature] float32; NaN for a feature that never fires.

    From every firing where they are kept, from the sample otherwise.
    """
    n = gallery.n_features
    concentration, share = np.full((2, n), np.nan, dtype=np.float32)
    kinds = max(2, len(np.unique(gallery.text.ids[gallery.text.keep])))
    for features, feature, token in _firings(gallery):
        if not len(token):
            continue
        kind = gallery.text.ids[token].astype(np.int64)
        width = int(kind.max()) + 1
        pair, times = np.unique(feature * width + kind, return_counts=True)
        owner = pair // width - features.start
        total = np.bincount(owner, times, len(features))
        p = times / total[owner]
        entropy = np.bincount(owner, -p * np.log(p), len(features))
        most = np.zeros(len(features))
        np.maximum.at(most, owner, p)
        fires = total > 0
        part = slice(features.start, features.stop)
        concentration[part] = np.where(fires, 1 - entropy / np.log(kinds), np.nan)
        share[part] = np.where(fires, most, np.nan)
    return concentration, share


def _firings(gallery: FeatureGallery) -> Any:
    """(features, feature of each firing, its token) in portions."""
    if gallery.codes is not None:
        for features, token, _ in gallery.codes.columns():
            counts = np.diff(gallery.codes.columns_start[features.start : features.stop + 1])
            yield features, np.repeat(np.arange(features.start, features.stop), counts), token
        return
    listed = gallery.sample
    feature, at = (listed.context >= 0).nonzero()
    token = gallery.text.token(listed.context[feature, at], listed.position[feature, at])
    yield range(gallery.n_features), feature, token


def _top_tokens(gallery: FeatureGallery) -> list[list[str]]:
    """The tokens most common among the top contexts' peaks, most common first."""
    listed, text = gallery.top, gallery.text
    there = listed.context >= 0
    feature, rank = there.nonzero()
    ids = text.ids[text.token(listed.context[there], listed.position[there])].astype(np.int64)
    width = int(ids.max()) + 1 if len(ids) else 1
    pair, first, times = np.unique(feature * width + ids, return_index=True, return_counts=True)
    owner = pair // width
    order = np.lexsort((rank[first], -times, owner))  # equals: the one of the higher peak first
    pieces = text.read(pair[order] % width)
    found: list[list[str]] = [[] for _ in range(gallery.n_features)]
    for number, piece in zip(owner[order].tolist(), pieces, strict=True):
        if len(found[number]) < N_TOKENS:
            found[number].append(piece)
    return found


def _peaks(gallery: FeatureGallery) -> list[list[str]]:
    """The text around the highest peaks of every feature."""
    listed, text = gallery.top, gallery.text
    context, position = listed.context[:, :N_PEAKS], listed.position[:, :N_PEAKS]
    places = np.searchsorted(text.piece_ids, text.ids)
    pieces = np.array(text.pieces, dtype=object)
    found = []
    for contexts, positions in zip(context.tolist(), position.tolist(), strict=True):
        row = []
        for c, p in zip(contexts, positions, strict=True):
            if c >= 0:
                start, end = around(text.start, c, p)
                row.append("".join(pieces[places[start:end]]))
        found.append(row)
    return found


def around(start: np.ndarray, context: int, position: int) -> tuple[int, int]:
    """Places of the tokens shown around a peak: (first, behind the last)."""
    begin, end = int(start[context]), int(start[context + 1])
    at = begin + position
    return max(begin, at - BEFORE), min(end, at + AFTER + 1)


def _badges(
    gallery: FeatureGallery, share: np.ndarray, place: np.ndarray, drift: np.ndarray
) -> list[list[str]]:
    enough = gallery.count >= RARE
    usual = gallery.position_tokens.max() / max(1, gallery.position_tokens.sum())
    flags = {
        "dead": gallery.dead,
        "rare": gallery.rare,
        "dense": gallery.dense,
        "one token": enough & (share >= ONE_TOKEN),
        "position": enough & (place >= ONE_PLACE) & (usual < ONE_PLACE / 2),
        "one half": enough & (np.abs(drift) >= DRIFT),
    }
    table = np.stack(list(flags.values()), axis=1)
    names = list(flags)
    return [[names[at] for at in row.nonzero()[0]] for row in table]


@dataclass(frozen=True)
class Query:
    """Which features, in which order. Empty fields ask for nothing."""

    sort: str = "contribution"
    descending: bool = True
    densities: tuple[float, float] = (0.0, 1.0)
    badges: tuple[str, ...] = ()  # has every one of these
    without: tuple[str, ...] = ()  # has none of these
    labelled: float | None = None  # least F1 of its label
    text: str = ""  # in peaks, tokens, lens or label
    within: tuple[str, ...] = ("peaks", "tokens", "lens", "label")
    among: np.ndarray | None = None  # features [n] to choose from
    fires: np.ndarray | None = None  # [n] of each of them, to sort by
    limit: int = 24
    offset: int = 0


def chosen(
    path: Path, query: Query, labels: dict[int, Any], columns: Sequence[str] = ()
) -> tuple[int, pa.Table]:
    """(how many features there are, the rows of this page) by DuckDB. Raises `Error`."""
    import duckdb

    where, values = _where(query)
    order = _order(query)
    text = ", ".join(columns or ("*",))
    base = "from read_parquet($path) f left join labels l using (feature)"
    with duckdb.connect() as database:
        database.register("labels", _label_table(labels))
        if query.among is not None:
            fires = np.full(len(query.among), np.nan) if query.fires is None else query.fires
            rows = {
                "feature": query.among.astype(np.int32),
                "fires": pa.array(fires, from_pandas=True),
            }
            database.register("among", pa.table(rows))
            base += " join among using (feature)"
        values["path"] = str(path)
        try:
            counted = database.sql(f"select count(*) {base} where {where}", params=values)
            total = counted.fetchall()[0][0]
            paged = values | {"limit": query.limit, "offset": query.offset}
            found = database.sql(
                f"select {text} {base} where {where} order by {order} limit $limit offset $offset",
                params=paged,
            ).to_arrow_table()
        except duckdb.Error as fault:
            raise Error(
                f"the table of the gallery in {path.parent.name} cannot be read "
                f"({str(fault).splitlines()[0][:120]}); delete the folder and it is made again"
            ) from None
    return int(total), found


def _label_table(labels: dict[int, Any]) -> pa.Table:
    numbers = sorted(labels)

    def of(field: str, kind: pa.DataType) -> pa.Array:
        return pa.array([getattr(labels[at], field) for at in numbers], kind, from_pandas=True)

    return pa.table(
        {
            "feature": pa.array(numbers, pa.int32()),
            "label": of("text", pa.string()),
            "label_score": of("score", pa.float32()),
            "label_chance": of("chance", pa.float32()),
            "label_by": of("by", pa.string()),
        }
    )


def _where(query: Query) -> tuple[str, dict[str, Any]]:
    """The condition and its values; texts of people are values and never part of the words."""
    low, high = query.densities
    parts = ["density between $low and $high"]
    values: dict[str, Any] = {"low": low, "high": high}
    for number, badge in enumerate((*query.badges, *query.without)):
        if badge not in BADGES:
            raise Error(f"no badge {badge[:20]!r}; there are {', '.join(BADGES)}")
        turned = "" if number < len(query.badges) else "not "
        parts.append(f"{turned}list_contains(badges, $badge{number})")
        values[f"badge{number}"] = badge
    if query.labelled is not None:
        parts.append("label_score >= $labelled")
        values["labelled"] = query.labelled
    if query.text:
        values["text"] = query.text.lower()
        parts.append(f"({' or '.join(_contains(name) for name in query.within)})")
    return " and ".join(parts), values


_TEXTS = {
    "peaks": "array_to_string(peaks, chr(10))",
    "tokens": "array_to_string(tokens, chr(10))",
    "lens": "array_to_string(lens, chr(10))",
    "label": "coalesce(label, '')",
}


def _contains(name: str) -> str:
    if name not in _TEXTS:
        raise Error(f"cannot search in {name[:20]!r}; use {', '.join(_TEXTS)}")
    return f"contains(lower({_TEXTS[name]}), $text)"


def _order(query: Query) -> str:
    if query.sort not in SORTS:
        raise Error(f"cannot sort by {query.sort[:20]!r}; use {', '.join(SORTS)}")
    name = query.sort
    if name == "fires" and query.among is None:
        raise Error("features are sorted by what they fire on only when fires_on names a token")
    if name == "mystery":
        name = "contribution * (1 - least(1, coalesce(label_score, 0)))"
    if name == "drift":
        name = "abs(drift)"
    return f"{name} {'desc' if query.descending else 'asc'} nulls last, feature"
