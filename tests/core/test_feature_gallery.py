"""One pass for all features: against brute force, cut anyhow, killed, with a full disk, damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_pass
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.models.loaded import Loaded
from core.spec.errors import Error
from tests.core.gallery_case import CORPUS, FAST, all_activations, with_dictionary


@pytest.mark.parametrize(
    ("family", "at"),
    [
        ("llama", "L1.resid_post"),
        ("gpt2", "L0.mlp_out"),
        ("bert", "L1.head"),
        ("llama", "L0.neuron"),
    ],
)
def test_what_is_kept_is_that_of_all_tokens_one_by_one(
    tiny: Callable[[str], Path], family: str, at: str
) -> None:
    m = with_dictionary(api.load(tiny(family), device="cpu"), at)
    g = opened(m, Silent(), **FAST)
    values, keep = all_activations(m)
    live = np.where(keep[:, None], values, 0)
    assert (g.text.keep == keep).all()
    assert g.n_tokens == keep.sum()
    np.testing.assert_array_equal(g.count, (live > 0).sum(0))
    np.testing.assert_allclose(g.total, live.sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(g.squares, (live**2).sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(g.max, live.max(0), rtol=1e-4, atol=1e-6)
    for half in (0, 1):
        np.testing.assert_array_equal(
            g.half_count[half], (live[g.text.token_half == half] > 0).sum(0)
        )
    in_contexts = np.stack([live[g.text.context == c].max(0) > 0 for c in range(g.n_contexts)]).sum(
        0
    )
    np.testing.assert_array_equal(g.contexts_fired, in_contexts)
    assert (g.by_position.sum(1) == g.count).all()
    assert g.position_tokens.sum() == g.n_tokens
    for feature in range(g.n_features):
        assert g.counts(feature).sum() == g.count[feature]
        token, value = g.need_codes().of_feature(feature)
        np.testing.assert_array_equal(token, live[:, feature].nonzero()[0])
        np.testing.assert_allclose(value, live[token, feature], rtol=2e-3, atol=1e-6)
    rows = g.need_codes().of_tokens(5, 20)
    dense = np.zeros((15, g.n_features))
    dense[np.repeat(np.arange(15), np.diff(rows.start)), rows.feature] = rows.value
    np.testing.assert_allclose(dense, live[5:20], rtol=2e-3, atol=1e-6)


def test_every_listed_entry_is_where_it_says(llama: Loaded) -> None:
    m = with_dictionary(llama)
    g = opened(m, Silent(), **FAST)
    values, keep = all_activations(m)
    values = np.where(keep[:, None], values, 0)
    for name in ("top", "band", "sample", "weighted"):
        listed = getattr(g, name)
        feature, *_ = np.indices(listed.value.shape)
        there = listed.context >= 0
        token = g.text.token(listed.context[there], listed.position[there])
        assert there.any()
        np.testing.assert_allclose(
            listed.value[there], values[token, feature[there]], rtol=2e-3, atol=1e-6
        )
    peaks = np.stack([values[g.text.context == c].max(0) for c in range(g.n_contexts)])
    np.testing.assert_allclose(g.top.value[:, 0], peaks.max(0), rtol=2e-3)
    assert (np.diff(g.top.value, axis=1) <= 0).all()
    share = g.band.value / np.maximum(g.max, 1e-9)[:, None, None] * 5
    number = np.arange(5)[None, :, None]
    inside = (share > number - 3e-3) & (share < number + 1 + 3e-3)
    assert inside[g.band.context >= 0].all()
    # Fewer firings than places: the sample is all of them.
    few = np.flatnonzero((g.count > 0) & (g.count <= 32))
    assert len(few)
    assert ((g.sample.context[few] >= 0).sum(1) == g.count[few]).all()


def test_contexts_that_repeat_each_other_are_listed_once(llama: Loaded) -> None:
    m = with_dictionary(llama)
    g = opened(m, Silent(), **{**FAST, "corpus": (CORPUS[0],) * 5 + CORPUS[1:]})
    for feature in range(g.n_features):
        there = g.top.context[feature] >= 0
        assert (g.top.context[feature][there] < 5).sum() <= 1


def test_special_tokens_and_the_first_never_fire(llama: Loaded) -> None:
    g = opened(with_dictionary(llama), Silent(), **FAST)
    assert not g.text.keep[g.text.start[:-1]].any()
    rows = g.need_codes().of_tokens(0, g.text.n_tokens)
    assert (np.diff(rows.start)[~g.text.keep] == 0).all()


def test_how_the_text_is_cut_into_batches_changes_nothing(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    # Texts that begin alike have values that are equal but for rounding: one such text is left out.
    asked = {**FAST, "corpus": CORPUS[:4] + CORPUS[5:]}
    whole = opened(with_dictionary(llama), Silent(), **asked)
    monkeypatch.setenv("EIDOSCOPE_HOME", str(own_home / "other"))
    monkeypatch.setitem(feature_pass.TOKENS_AT_ONCE, "cpu", 30)
    parts = opened(with_dictionary(llama), Silent(), **asked)
    assert parts.folder != whole.folder
    np.testing.assert_array_equal(parts.count, whole.count)
    np.testing.assert_allclose(parts.total, whole.total, rtol=1e-5)
    np.testing.assert_array_equal(parts.stats["random_count"], whole.stats["random_count"])
    for name in ("top", "band", "sample", "weighted"):
        one, other = getattr(whole, name), getattr(parts, name)
        np.testing.assert_array_equal(one.context, other.context)
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_allclose(one.value, other.value, rtol=2e-3)
    for feature in range(whole.n_features):
        one, other = (g.need_codes().of_feature(feature) for g in (whole, parts))
        np.testing.assert_array_equal(one[0], other[0])


def test_another_dictionary_text_or_change_is_another_gallery(llama: Loaded) -> None:
    m = with_dictionary(llama)
    asked: list[dict[str, Any]] = [
        {},
        {"corpus": CORPUS[:-1]},
        {"window": 12},
        {"interventions": (api.Scale("L0.mlp_out", 2.0),)},
    ]
    keys = {opened(m, Silent(), **{**FAST, **one}).key for one in asked}
    keys.add(opened(with_dictionary(llama, seed=1), Silent(), **FAST).key)
    assert len(keys) == 5
    with pytest.raises(Error, match="every token"):
        opened(m, Silent(), **FAST, interventions=(api.Scale("L0.mlp_out@2", 2.0),))
    with pytest.raises(Error, match="there is no dictionary 'other'"):
        opened(m, Silent(), **{**FAST, "dictionary": "other"})


def test_a_change_of_the_model_is_a_change_of_the_gallery(llama: Loaded) -> None:
    m = with_dictionary(llama)
    change = api.Scale("L0.mlp_out", 2.0)
    g = opened(m, Silent(), **FAST, interventions=(change,))
    values, keep = all_activations(m, change=[[change]])
    np.testing.assert_array_equal(g.count, (values[keep] > 0).sum(0))


def test_texts_too_long_for_codes_say_so(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = opened(with_dictionary(llama), Silent(), **FAST)
    monkeypatch.setattr(feature_pass, "MAX_CODES", 100)
    g = opened(with_dictionary(llama, seed=1), Silent(), **FAST)
    assert g.codes is None
    with pytest.raises(Error, match="more than 100"):
        g.need_codes()
    assert g.count.sum() > 100
    assert kept.codes is not None


def test_activations_beyond_float16_are_kept_as_its_largest_and_counted(llama: Loaded) -> None:
    m = with_dictionary(llama, W_enc=1e6 * torch.ones(llama.d_model, 40))
    g = opened(m, Silent(), **FAST)
    assert g.manifest.n_clamped > 0
    assert g.need_codes().of_feature(int(g.count.argmax()))[1].max() == 65_504
    assert g.max.max() > 65_504
    np.testing.assert_allclose(g.top.value[:, 0], g.max, rtol=1e-3)


def test_files_and_pasted_texts_are_the_same_corpus(llama: Loaded, tmp_path: Path) -> None:
    m = with_dictionary(llama)
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": text}) + "\n" for text in CORPUS))
    pasted = opened(m, Silent(), **FAST)
    read_file = opened(m, Silent(), **{**FAST, "corpus": str(path)}, field="body")
    assert read_file.key == pasted.key
    with pytest.raises(Error, match="no field"):
        opened(m, Silent(), **{**FAST, "corpus": str(path)})
