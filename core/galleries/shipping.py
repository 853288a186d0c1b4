"""A small copy of a gallery to lie beside a dictionary's files, so that it is there at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.galleries.layout import (
    LISTS,
    MANIFEST,
    PIECES,
    STATS,
    TABLE,
    TEXT,
    read_arrays,
    write_packed,
    write_text,
)
from core.galleries.reading import FeatureGallery
from core.galleries.writing import text_arrays

# Entries that a shipped gallery keeps of each list.
KEPT = {"top": 10, "band": 2, "sample": 6, "weighted": 4}


def ship(gallery: FeatureGallery, folder: Path) -> int:
    """Write the copy into a folder, which is made or emptied. Returns its bytes."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    stats = {
        name: array.astype(np.float32) if array.dtype == np.float64 else array
        for name, array in gallery.stats.items()
    }
    lists = {
        name: array[..., : KEPT[name.partition(".")[0]]]
        for name, array in read_arrays(gallery.folder / LISTS).items()
    }
    write_packed(folder / STATS, stats)
    write_packed(folder / LISTS, lists)
    write_packed(folder / TEXT, text_arrays(gallery.text))
    for name in (PIECES, TABLE):
        (folder / name).write_bytes((gallery.folder / name).read_bytes())
    note = "the gallery that ships with the dictionary leaves them out"
    manifest = replace(gallery.manifest, codes=False, codes_note=note, seconds=0.0)
    write_text(folder / MANIFEST, manifest.text())
    return sum(path.stat().st_size for path in folder.iterdir())
