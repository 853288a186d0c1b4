"""Labels by rule of all features of a gallery, in a file of its own beside the table."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core.galleries.reading import FeatureGallery

log = logging.getLogger("eidoscope")

FILE = "rules-1.parquet"  # the number rises when the rules or their scores change
COLUMNS = {
    "feature": pa.int32(),
    "label": pa.string(),
    "rule": pa.string(),
    "kind": pa.string(),
    **dict.fromkeys(("f1", "precision", "recall", "weighted_recall", "control_f1"), pa.float32()),
    "strong_rule": pa.string(),
    "strong_f1": pa.float32(),
}


def rules_file(gallery: FeatureGallery) -> Path:
    """Where the labels lie, whether or not they were made."""
    return gallery.folder / FILE


def write_rules(gallery: FeatureGallery, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Keep the labels, one entry per feature in each column; a disk that refuses costs only that.

    columns  those of COLUMNS but "feature"; see `FeatureLabel`
    """
    feature = np.arange(gallery.n_features, dtype=np.int32)
    whole = {"feature": feature, **columns}
    arrays = [pa.array(whole[name], kind) for name, kind in COLUMNS.items()]
    temporary = gallery.folder / f".{secrets.token_hex(6)}.part"
    try:
        parquet.write_table(pa.table(arrays, names=list(COLUMNS)), temporary)
        temporary.replace(rules_file(gallery))
    except OSError as fault:
        log.warning("labels are not kept with their gallery: %s", fault.strerror or fault)
        with suppress(OSError):
            temporary.unlink()


def read_rules(gallery: FeatureGallery) -> dict[str, np.ndarray] | None:
    """The labels by column, [feature] each; None where none were made or they cannot be read."""
    path = rules_file(gallery)
    if not path.is_file():
        return None
    try:
        table = parquet.read_table(path, columns=list(COLUMNS))
        found = {name: table.column(name).to_numpy() for name in COLUMNS}
    except (OSError, pa.ArrowException, KeyError) as fault:
        log.warning("the labels of a gallery are damaged and left alone: %s", fault)
        return None
    if not np.array_equal(found["feature"], np.arange(gallery.n_features)):
        log.warning("the labels of a gallery are of other features and left alone")
        return None
    return found
