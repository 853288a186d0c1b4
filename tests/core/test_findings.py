"""Answers that show labels or numbers of a gallery are other ones once there are others."""

import ast
import os
import shutil
from pathlib import Path

import pytest

from core import answers, api
from core.dictionaries import findings, names
from core.dictionaries.save import save
from core.dictionaries.shelf import Shelf
from core.galleries import layout
from core.home import ROOT
from core.models.loaded import Loaded
from core.queue import Progress, Work
from core.results.base import Result
from core.spec.request import ModelRef, Request, ask
from tests.core.small_dictionaries import at_place

SOME = ("The dog ran to the house. The cat sat in the red house.",)
OTHER = ("Yesterday Tom saw a dog. A bird sang in the tree and it was cold.", *SOME)
OPTIONS = {"window": 16, "n_contexts": 4}


@pytest.fixture
def m(folder: Path, tmp_path: Path) -> Loaded:
    """A tiny Llama with a dictionary of its own in a folder of its own."""
    loaded = api.load(folder, device="cpu")
    save(at_place(loaded, "L1.resid_post", seed=1), folder / "sae" / "own")
    assert isinstance(loaded.dictionaries, Shelf)
    loaded.dictionaries.look()
    return loaded


def request(m: Loaded, analysis: str, **options: object) -> Request:
    if analysis == "feature_texts":
        options["text"] = SOME[0]
    return ask(analysis, ModelRef(str(m.folder)), dictionary="own", **options)


def asked(one: Request) -> Result:
    """As a page asks: through the door of questions, which keeps answers."""
    return answers.answer(one, Progress(Work("k", "", None), lambda: None))


def made(m: Loaded, corpus: tuple[str, ...], **more: object) -> str:
    """A gallery; its key."""
    result = api.run("gallery", m, dictionary="own", corpus=corpus, **OPTIONS, **more)
    return str(result.labels()["gallery"])


def test_what_fires_is_said_by_the_gallery_made_last_and_asked_again_after_a_new_one(
    m: Loaded,
) -> None:
    one = request(m, "feature_texts")
    assert asked(one).labels()["corpus"] == ""
    assert answers.known(one) is not None
    first = made(m, SOME)
    assert answers.known(one) is None
    shares = asked(one).arrays()["share"]
    second = made(m, OTHER)
    assert first != second
    assert answers.known(one) is None
    assert not (asked(one).arrays()["share"] == shares).all()


def test_it_is_the_gallery_on_disk_that_counts_and_not_what_this_process_has_opened(
    m: Loaded,
) -> None:
    first, second = made(m, SOME), made(m, OTHER)
    made(m, SOME)  # opened again, not made again
    os.utime(layout.root() / first)
    assert findings.gallery(m.fingerprint, _own(m), None) == layout.root() / second
    shutil.rmtree(layout.root() / second)
    assert findings.gallery(m.fingerprint, _own(m), None) == layout.root() / first


def _own(m: Loaded) -> str:
    return str(m.dictionaries["own"].about.fingerprint)


def test_a_gallery_that_was_asked_for_by_its_key_counts_once_it_is_there(m: Loaded) -> None:
    key = made(m, SOME)
    made(m, OTHER)
    away = layout.root().parent / "away"
    shutil.move(layout.root() / key, away)
    one = request(m, "feature_map", gallery=key, n_neighbours=3, n_groups=2, method="pca")
    assert asked(one).labels()["n_tokens"] == 0
    shutil.move(away, layout.root() / key)
    assert answers.known(one) is None
    assert asked(one).labels()["n_tokens"] > 0
    salt = names.salt(one)
    made(m, OTHER, seed=3)  # another one says nothing about this one
    assert names.salt(one) == salt


def test_galleries_with_changes_or_of_other_weights_or_that_are_damaged_do_not_count(
    m: Loaded, folder: Path
) -> None:
    key = made(m, SOME)
    made(m, OTHER, interventions=[api.Clamp("L0.neuron[1]", 3.0)])
    assert findings.gallery(m.fingerprint, _own(m), None) == layout.root() / key
    assert findings.gallery("other", _own(m), None) is None
    assert findings.gallery(m.fingerprint, "other", None) is None
    assert findings.gallery(m.fingerprint, _own(m), None, "../" + key) is None
    (layout.root() / key / layout.MANIFEST).write_text("{")
    assert findings.gallery(m.fingerprint, _own(m), None) is None


def test_a_card_is_another_one_when_the_shipped_gallery_is_made_in_full(
    m: Loaded, folder: Path
) -> None:
    key = made(m, SOME)
    shipped = folder / "sae" / "own" / findings.SHIPPED_GALLERY
    shutil.copytree(layout.root() / key, shipped)
    kept = layout.root().parent / "kept"
    shutil.move(layout.root() / key, kept)
    cards = [request(m, name, corpus=SOME, feature=1, **OPTIONS) for name in findings.FROM_SHIPPED]
    lens = request(m, "feature_lens", feature=1)
    before = [(names.stamp(one), names.salt(one)) for one in (*cards, lens)]
    shutil.move(kept, layout.root() / key)
    after = [(names.stamp(one), names.salt(one)) for one in (*cards, lens)]
    for old, new in zip(before[:-1], after[:-1], strict=True):
        assert old[0] != new[0]
        assert old[1] != new[1]
    assert before[-1] == after[-1]


def test_labels_that_come_with_a_dictionary_count_too(m: Loaded, folder: Path) -> None:
    one = request(m, "feature_texts")
    before = names.stamp(one), names.salt(one)
    place = folder / "sae" / "own" / findings.SHIPPED_LABELS
    place.write_text('{"features": [{"label": "dogs", "f1": 0.9}]}')
    after = names.stamp(one), names.salt(one)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_every_analysis_that_reads_labels_or_the_last_gallery_is_known_to() -> None:
    """Besides those that write labels and keep no answers about them."""
    writers = {"feature_label", "name_feature", "feature_known", "neuronpedia"}
    for path in sorted((ROOT / "core" / "analyses").glob("*.py")):
        names_ = _imported(path)
        if path.stem in writers or not names_ & {"known", "named", "labels", "label_files"}:
            continue
        assert path.stem in findings.LABELLED, path.stem
        text = path.read_text()
        if "about.corpus" in text or "about.density" in text:
            assert path.stem in findings.FROM_LAST, path.stem
    for path in sorted((ROOT / "core" / "analyses").glob("*.py")):
        if "with_codes=False" in path.read_text() or '"with_codes": False' in path.read_text():
            assert path.stem in findings.FROM_SHIPPED, path.stem


def _imported(path: Path) -> set[str]:
    """What a module takes from the homes of labels."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in (
            "core.analyses.feature_known",
            "core.galleries",
        ):
            found |= {each.asname or each.name for each in node.names}
    return found
