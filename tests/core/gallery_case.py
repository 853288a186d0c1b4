"""A small text, a dictionary and what tests of galleries ask of them."""

import json
from typing import Any

import numpy as np

from core.corpus.chunks import contexts
from core.engine.forward import run
from core.engine.rows import rows as batch
from core.galleries import layout
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying, dictionary

CORPUS = (
    "Yesterday Tom walked to the old house. Then he opened the door and saw a cat.",
    "The red cat and the blue dog play in the garden near the river.",
    "Anna has three apples. She gives one apple to Tom and keeps two.",
    "In London the rain falls all day. In Paris the sun shines all day.",
    "A dog.",
    "Tom saw a cat and Anna saw a dog; then the rain fell on London and on the old house.",
)
FAST: dict[str, Any] = {"corpus": CORPUS, "window": 64, "dictionary": "made"}
TOPK = Activation("topk", k=4)


def with_dictionary(m: Loaded, at: str = "L1.resid_post", **parts: Any) -> Loaded:
    return carrying(m, dictionary(m, at, **{"n": 40, "act": TOPK, **parts}))


def all_activations(m: Loaded, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Activations [token, feature] of all tokens in order, and which count; one text at a time."""
    made = contexts(m, CORPUS, window=64)
    own = m.dictionaries["made"]
    found, keep = [], []
    for window in made.windows:
        seen = run(m, batch(m, [window.ids]), read=[own.site], logits="none", **options)
        found.append(own.encode(seen.values[own.site][0]).detach().numpy())
        keep += window.keep
    return np.concatenate(found), np.array(keep)


def files(g: FeatureGallery) -> dict[str, bytes]:
    """All bytes of a gallery but for when and how fast it was made."""
    found = {path.name: path.read_bytes() for path in sorted(g.folder.iterdir())}
    manifest = json.loads(found[layout.MANIFEST])
    del manifest["made"], manifest["seconds"]
    return found | {layout.MANIFEST: json.dumps(manifest).encode()}
