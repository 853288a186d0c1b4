"""Features out to files that Neuronpedia reads, and labels in from such files."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import home
from core.analyses.feature_card import feature_card
from core.analyses.feature_lens import feature_lens
from core.analyses.feature_neighbours import feature_neighbours
from core.analyses.feature_rows import check_features, opened_dictionary
from core.analyses.name_feature import BY as OWN
from core.analyses.runs import Progress
from core.galleries import labels, layout
from core.models.loaded import Loaded
from core.results.neuronpedia import batch_json, feature_json, labels_in
from core.spec.errors import Error

MOST_FEATURES = 4_096
MAX_BYTES = 500_000_000  # of a file of labels, unpacked
BY = "Neuronpedia"


def export_features(
    loaded: Loaded,
    progress: Progress,
    dictionary: str,
    features: int | Sequence[int],
    path: Path,
    **corpus: Any,
) -> Path:
    """Write features as a batch of SAEDashboard, with contexts of the gallery of `corpus` options.

    Lists of neighbours come from the gallery's activations, which are made where there are none; a
    dictionary that no lens reads has no token lists. Raises `Error`.
    """
    own = opened_dictionary(loaded, dictionary)
    found = []
    for number, one in enumerate(asked := check_features(own, features, MOST_FEATURES)):
        progress.step(number / len(asked), f"feature {number + 1} of {len(asked)}")
        place: dict[str, Any] = {"dictionary": dictionary, "feature": one}
        near = feature_neighbours(loaded, progress, **place, **corpus)
        card = feature_card(loaded, progress, **place, **corpus)
        try:
            lens = feature_lens(loaded, progress, **place)
        except Error:
            lens = None
        row = own.decoder_row(one).cpu().numpy()
        found.append(feature_json(card, lens, near, row))
    try:
        path.write_bytes(batch_json(loaded.name, card, found))
    except OSError as fault:
        raise Error(f"{path} cannot be written: {fault.strerror or fault}") from None
    return path


def import_labels(loaded: Loaded, dictionary: str, path: Path) -> int:
    """Take labels over from a file of Neuronpedia or SAEDashboard, also packed (.gz); how many.

    A file of a dictionary of another size or layer is refused. Labels of one's own stay. They have
    no score here: whether they hold is for `label_test` to say.
    """
    if home.hosted():
        raise Error("this server keeps no labels of its visitors")
    own = opened_dictionary(loaded, dictionary)
    found = labels_in(_read(path), own.n_features, own.site.layer)
    fingerprint = layout.dictionary_fingerprint(own)
    held = labels.added(fingerprint)
    new = {}
    for feature, text in sorted(found.items()):
        label = labels.Label(labels.shortened(text), by=BY)
        before = held.get(feature, labels.Label(""))
        if label.text and before.by != OWN and (before.text, before.by) != (label.text, BY):
            new[feature] = label
    if new:
        labels.add_all(fingerprint, new)
    return len(new)


def _read(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Error(f"{path.name} holds more than {MAX_BYTES // 1_000_000} MB of labels")
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as fault:
        raise Error(f"{path} cannot be read: {getattr(fault, 'strerror', None) or fault}") from None
