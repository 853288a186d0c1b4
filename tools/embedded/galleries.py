"""The galleries that ship beside the dictionaries: what every feature responds to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.dictionaries.findings import SHIPPED_GALLERY
from core.galleries.shipping import ship
from core.models import pool
from core.spec.request import ModelRef


def write(model: Path) -> None:
    """A gallery for each dictionary of a model folder, made anew from its files."""
    loaded = pool.get(ModelRef(str(model)), device="cpu")
    before = os.environ.get("EIDOSCOPE_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["EIDOSCOPE_HOME"] = home
        try:
            for name, dictionary in loaded.dictionaries.items():
                gallery = opened(loaded, Silent(), dictionary=name)
                size = ship(gallery, Path(dictionary.about.path) / SHIPPED_GALLERY)
                print(f"{model.name} {name}: {size / 1e6:.2f} MB")
        finally:
            if before is None:
                del os.environ["EIDOSCOPE_HOME"]
            else:
                os.environ["EIDOSCOPE_HOME"] = before
