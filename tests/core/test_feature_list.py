"""gallery and feature_list: planted features are found by what one asks for, shipped or made."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_gallery
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.dictionaries import findings
from core.figures import table as figures
from core.figures.theme import Look
from core.galleries import labels, layout
from core.galleries.labels import Label
from core.galleries.shipping import ship
from core.galleries.table import SORTS, Query, chosen, made
from core.models.loaded import Loaded
from core.results.feature_list import FeatureList
from core.results.gallery import Gallery
from core.spec.errors import Error
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying, dictionary
from tests.core.test_feature_gallery import CORPUS

ASKED: dict[str, Any] = {"corpus": CORPUS, "window": 64, "dictionary": "made"}
N, CAT, ALWAYS, NEVER = 12, 3, 5, 7


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def planted(llama: Loaded) -> Loaded:
    """A dictionary of the embedding, so that features are functions of the token alone: one of
    " cat", one of every token, one of none, the rest random."""
    own = dictionary(llama, "L0.resid_pre", n=N, act=Activation("relu"))
    ids = llama.tokenizer(" cat", add_special_tokens=False)["input_ids"]
    embedding = llama.module.get_input_embeddings().weight.detach()  # type: ignore[operator]
    row = embedding[ids[-1]]
    scores = embedding @ row
    rival = scores[torch.arange(len(scores)) != ids[-1]].max()
    own.W_enc[:, CAT], own.b_enc[CAT] = row, -(rival + scores[ids[-1]]) / 2
    own.W_enc[:, ALWAYS], own.b_enc[ALWAYS] = 0.0, 2.0
    own.W_enc[:, NEVER], own.b_enc[NEVER] = 0.0, -1.0
    return carrying(llama, own)


def cat_piece(m: Loaded) -> str:
    return api.tokens(m, " cat")[-1]


def asked(m: Loaded, **options: Any) -> FeatureList:
    return api.run("feature_list", m, **{**ASKED, **options})


def test_gallery_tells_dead_from_dense_and_both_from_the_planted(planted: Loaded) -> None:
    r: Gallery = api.run("gallery", planted, **ASKED)
    assert r.density[NEVER] == 0
    assert np.isnan(r.mean_activation[NEVER])
    assert r.density[ALWAYS] == 1
    assert r.mean_activation[ALWAYS] == pytest.approx(2)
    assert 0 < r.density[CAT] < 0.1
    assert r.n_dead >= 1
    assert r.n_dense >= 1
    # Turned at random, a feature of one direction fires as random ones do: the two that look
    # nowhere stay as they are.
    assert r.random_density[ALWAYS] == 1
    assert r.random_density[NEVER] == 0
    assert 0 < r.n_random < r.n_tokens / 8
    assert Path(r.folder).is_dir()
    assert r.bytes_per_feature < 4_000
    words = figures.caption(r)
    assert "turned at random" in words
    assert f"{r.n_random:,} token" in words
    fig = figures.figure(r, Look())
    drawn = np.array(fig.data[1].customdata)
    assert NEVER not in drawn
    assert {CAT, ALWAYS} <= set(drawn.tolist())
    at = list(drawn).index(CAT)
    assert fig.data[1].y[at] == pytest.approx(r.mean_activation[CAT] * r.lengths[CAT], rel=1e-5)
    raw = figures.figure(r, Look(dark=True), raw=True)
    assert raw.data[1].y[at] == pytest.approx(r.mean_activation[CAT], rel=1e-5)


def test_features_are_found_by_the_token_they_fire_on(planted: Loaded) -> None:
    word = cat_piece(planted)
    found = asked(planted, fires_on=word, sort="fires")
    assert found.fires_from == "every token"
    assert CAT in found.features
    assert NEVER not in found.features
    shares = found.fires_share
    assert (np.diff(shares) <= 0).all()
    assert shares[found.features.index(CAT)] == 1
    with pytest.raises(Error, match="no token of pasted text reads 'zzz'"):
        asked(planted, fires_on="zzz")
    with pytest.raises(Error, match="fires_on names a token"):
        asked(planted, sort="fires")


def test_peaks_tokens_and_lens_are_searched_and_shown(planted: Loaded) -> None:
    word = cat_piece(planted)
    found = asked(planted, text=word.strip(), within=("tokens",), among=(CAT, NEVER, ALWAYS, 400))
    assert CAT in found.features
    row = found.features.index(CAT)
    assert found.tokens[row][0] == word
    for pieces, at in zip(found.peaks[row], found.peak_at[row], strict=True):
        assert pieces[at] == word
    assert found.spark[row].sum() == round(float(found.density[row]) * found.n_tokens)
    assert found.sites[row] == f"L0.resid_pre.feature[made:{CAT}]"
    lens = api.run("feature_lens", planted, dictionary="made", feature=CAT)
    assert found.lens[row] == lens.read(lens.top_ids[0][:5])
    assert asked(planted, text="no such text").total == 0
    assert asked(planted, text="100%' or 1=1 --").total == 0


def test_filters_and_pages_cut_one_order(planted: Loaded) -> None:
    whole = asked(planted, sort="density", limit=200)
    assert whole.total == N
    assert (np.diff(whole.density) <= 0).all()
    pages = [asked(planted, sort="density", limit=5, offset=at) for at in (0, 5, 10)]
    assert sum((page.features for page in pages), ()) == whole.features
    assert NEVER in asked(planted, badges=["dead"]).features
    assert (asked(planted, badges=["dead"]).density == 0).all()
    assert ALWAYS in asked(planted, badges=["dense"]).features
    assert NEVER not in asked(planted, without=["dead"]).features
    part = asked(planted, min_density=0.001, max_density=0.2, limit=200)
    assert all(0.001 <= one <= 0.2 for one in part.density)
    assert part.total == sum(0.001 <= one <= 0.2 for one in whole.density)
    # No activation where it fires: last, whichever way.
    for descending in (True, False):
        ordered = asked(planted, sort="mean_active", descending=descending)
        silent = ordered.density == 0
        assert silent[-silent.sum() :].all()
    for name in set(SORTS) - {"fires"}:
        assert asked(planted, sort=name).total == N


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sort": "density; drop table f"}, "cannot sort by"),
        ({"badges": ["nice"]}, "no badge 'nice'"),
        ({"within": ["everywhere"], "text": "a"}, "cannot search in"),
        ({"limit": 0}, "a page holds"),
        ({"min_density": 0.5, "max_density": 0.1}, "the lower one first"),
        ({"text": "a" * 300}, "at most 200"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    planted: Loaded, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Error, match=words):
        asked(planted, **options)


def test_labels_come_with_their_score_and_chance(planted: Loaded, tmp_path: Path) -> None:
    rows = [{"label": f"label {n}", "f1": n / 20} for n in range(N)]
    plain = {"features": rows, "chance": 0.07}
    (tmp_path / findings.SHIPPED_LABELS).write_text(json.dumps(plain))
    own = planted.dictionaries["made"]
    key = layout.dictionary_fingerprint(own)
    found = labels.of(str(tmp_path), key)
    assert found[CAT] == Label(f"label {CAT}", CAT / 20, 0.07, "shipped")
    labels.add(key, CAT, Label("cats", 0.9, 0.1, "me"))
    labels.add(key, ALWAYS, Label("all of it"))
    labels.add(key, ALWAYS, Label(""))  # taken back
    assert labels.of(str(tmp_path), key)[CAT].text == "cats"
    best = asked(planted, sort="label_score", labelled=0.5)
    assert best.features == (CAT,)
    assert best.label == ("cats",)
    assert best.label_chance[0] == pytest.approx(0.1)
    assert "0.1 in 1 of 100" in figures.caption(best)
    assert asked(planted, text="CATS", within=("label",)).features == (CAT,)
    assert asked(planted).label[asked(planted).features.index(ALWAYS)] == ""
    with pytest.raises(Error, match="one line"):
        labels.add(key, 1, Label("two\nlines"))


def test_a_shipped_gallery_is_opened_for_its_own_model_and_dictionary_alone(
    planted: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_gallery, "N_CONTEXTS", 4)
    from dataclasses import replace

    own = planted.dictionaries["made"]
    own = replace(own, about=replace(own.about, path=str(tmp_path / "sae")))
    (tmp_path / "sae").mkdir()
    m = carrying(planted, own)
    small = {"dictionary": "made", "corpus": "reference", "n_contexts": 4}
    whole = opened(m, Silent(), **small)
    size = ship(whole, tmp_path / "sae" / findings.SHIPPED_GALLERY)
    assert size < 60_000
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "elsewhere"))
    shipped = opened(carrying(planted, own), Silent(), **small, with_codes=False)
    assert shipped.folder.parent == tmp_path / "sae"
    assert not (tmp_path / "elsewhere").exists()
    np.testing.assert_array_equal(shipped.count, whole.count)
    np.testing.assert_array_equal(shipped.text.keep, whole.text.keep)
    np.testing.assert_array_equal(shipped.top.context, whole.top.context[:, :10])
    with pytest.raises(Error, match="ships with the dictionary leaves them out"):
        shipped.need_codes()
    listed = api.run("feature_list", carrying(planted, own), **small, fires_on="the")
    assert listed.fires_from == "listed contexts"
    # Asked for every activation, it is made; afterwards the whole one is what is opened.
    again = carrying(planted, own)
    assert opened(again, Silent(), **small).codes is not None
    assert opened(again, Silent(), **small, with_codes=False).codes is not None
    # Another dictionary under the same name leaves it alone.
    other = replace(own, b_enc=own.b_enc + 0.01)
    assert opened(carrying(planted, other), Silent(), **small, with_codes=False).codes is not None
    # So does another version.
    path = tmp_path / "sae" / findings.SHIPPED_GALLERY / layout.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 0}))
    assert opened(carrying(planted, own), Silent(), **small, with_codes=False).codes is not None


def test_a_packed_file_that_is_cut_off_is_a_sentence(tmp_path: Path) -> None:
    layout.write_packed(tmp_path / layout.STATS, {"a": np.arange(10_000)})
    packed = tmp_path / f"{layout.STATS}.gz"
    assert (layout.read_arrays(tmp_path / layout.STATS)["a"] == np.arange(10_000)).all()
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(Error, match="damaged"):
        layout.read_arrays(tmp_path / layout.STATS)


def test_the_embedded_dictionaries_have_galleries_that_need_no_pass() -> None:
    m = api.load("embedded")
    began = time.perf_counter()
    for name, own in m.dictionaries.items():
        manifest = Path(own.about.path) / findings.SHIPPED_GALLERY / layout.MANIFEST
        assert manifest.is_file(), f"{name}: run python -m tools.embedded gallery"
        told = layout.read_manifest(manifest.parent)
        if told.model_fingerprint != m.fingerprint:
            pytest.skip("the galleries are of other weights: run python -m tools.embedded gallery")
        page: FeatureList = api.run("feature_list", m, dictionary=name, sort="label_score")
        assert len(page.features) == 24
        assert page.label_score[0] > 0.8
        assert all(page.peaks)
    assert time.perf_counter() - began < 20


def test_the_table_is_one_row_per_feature_with_what_is_sorted_by(planted: Loaded) -> None:
    g = opened(planted, Silent(), **ASKED)
    rows = made(g)
    assert rows.num_rows == N
    assert set(SORTS) - set(rows.column_names) == {"label_score", "mystery", "fires"}
    total, page = chosen(g.table, Query(sort="feature", descending=False), {})
    assert total == N
    assert page["feature"].to_pylist() == list(range(N))
    # One token alone: concentrated on it; every token: spread as the text is.
    concentration = np.array(rows["concentration"].to_pylist())
    assert concentration[CAT] == pytest.approx(1)
    assert concentration[ALWAYS] < 0.3
