"""States of words, clouds and whitening: what concept geometry stands on."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses.clouds import components, prepared, silhouette, varied
from core.analyses.item_states import item_states
from core.analyses.runs import Silent
from core.analyses.whitening import Moments, unembedding, whitening
from core.models.words import in_text
from core.spec.errors import Error


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


def test_the_state_of_a_word_is_what_a_trace_of_its_contexts_shows(model):
    found = item_states(model, Silent(), ["dog", "Paris"], contexts=("The word is {}", "I see {}"))
    for item, word in enumerate(found.words):
        for place, context in enumerate(found.contexts):
            text = context.replace("{}", word)
            seen = api.trace(model, text, ["L0.resid_pre", "L3.resid_post"])
            assert np.allclose(found.apart[0, place, item], seen["L0.resid_pre"][-1], atol=1e-4)
            assert np.allclose(found.apart[4, place, item], seen["L3.resid_post"][-1], atol=1e-4)
    assert np.allclose(found.at(4), found.in_contexts(4).mean(axis=0))


def test_the_mean_of_a_word_is_the_mean_of_its_pieces(model):
    found = item_states(
        model, Silent(), ["dog", "stegosaurus"], contexts=("The word is {}",), read="mean"
    )
    seen = api.trace(model, "The word is stegosaurus", ["L2.resid_post"])["L2.resid_post"]
    n = found.n_pieces[1]
    assert n > 1
    assert found.n_pieces[0] == 1
    assert np.allclose(found.at(3)[1], seen[-n:].mean(axis=0), atol=1e-4)


def test_a_second_question_about_the_same_words_runs_no_model(model, monkeypatch):
    words = ["dog", "cat", "pig"]
    first = item_states(model, Silent(), words)
    monkeypatch.setattr("core.analyses.item_states.states", None)
    assert item_states(model, Silent(), words) is first


@pytest.mark.parametrize(
    ("words", "contexts", "said"),
    [
        (["dog"], (), "at least two"),
        (["dog", "dog"], (), "1 of 1"),
        (["dog", "cat"], ("{} is a word",), "does not end with"),
        (["dog", "cat"], ("no slot",), "does not end with"),
        (["dog", "\ud800"], (), "at least two"),
    ],
)
def test_words_that_cannot_be_read_give_a_sentence(model, words, contexts, said):
    with pytest.raises(Error, match=said):
        item_states(model, Silent(), words, contexts=contexts)


def test_streamed_covariance_equals_two_passes_far_from_the_origin():
    rng = np.random.default_rng(0)
    rows = rng.normal(30, 1, (4_000, 24)) @ np.diag(np.logspace(0, -3, 24))
    moments = Moments()
    for part in np.array_split(rows, 7):
        moments.add(torch.tensor(part, dtype=torch.float64))
    assert np.allclose(moments.mean, rows.mean(axis=0), rtol=1e-10)
    truth = np.cov(rows.T, bias=True)
    assert np.abs(moments.covariance - truth).max() < 1e-6 * np.abs(truth).max()
    assert np.linalg.eigvalsh(moments.covariance)[0] > 0


def test_whitened_rows_have_the_unit_covariance():
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    rows = rng.normal(size=(5_000, 16)) * np.logspace(0, -2.9, 16) @ turned
    white = whitening(rows.mean(axis=0), np.cov(rows.T, bias=True), len(rows))
    assert np.abs(np.cov(white.white(rows).T, bias=True) - np.eye(16)).max() < 1e-8
    assert white.floored == 0
    assert np.allclose(white.root @ white.inverse, np.eye(16), atol=1e-8)


def test_unembedding_rows_give_the_models_logits(model):
    found = unembedding(model)
    state = torch.randn(model.d_model)
    with torch.no_grad():
        logits = model.head(state.to(model.device))
    assert torch.allclose(found.rows @ state, logits[: len(found.rows)], atol=1e-4)
    g = found.g(range(len(found.rows)))[found.used.numpy()]
    assert np.abs(np.cov(g.T, bias=True) - np.eye(model.d_model)).max() < 1e-3


def test_a_word_after_a_blank_is_the_token_that_texts_hold(model):
    ids = in_text(model, "dog")
    assert len(ids) == 1
    assert api.tokens(model, "The dog")[-1].strip() == "dog"
    assert model.tokenizer("The dog")["input_ids"][-1] == ids[0]


def test_preprocessing_does_what_its_name_says():
    rng = np.random.default_rng(0)
    cloud = rng.normal(5, 1, (50, 8))
    cloud[:, 3] = 7.0  # a dimension that never varies
    assert np.allclose(prepared(cloud, "centre").mean(axis=0), 0)
    scaled = prepared(cloud, "zscore")
    assert np.allclose(np.delete(scaled.std(axis=0), 3), 1)
    assert not scaled[:, 3].any()
    assert np.allclose(np.linalg.norm(prepared(cloud, "unit"), axis=1), 1)
    axis = components(cloud - cloud.mean(axis=0), 1)
    assert np.abs(prepared(cloud, "drop-1") @ axis.T).max() < 1e-8
    with pytest.raises(Error, match="prepare="):
        prepared(cloud, "whatever")


def test_components_agree_whichever_side_is_smaller():
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(12, 30)) * np.linspace(3, 0.1, 30)
    cloud -= cloud.mean(axis=0)
    _, _, right = np.linalg.svd(cloud, full_matrices=False)
    assert np.allclose(np.abs((components(cloud, 3) * right[:3]).sum(axis=1)), 1)
    many = np.concatenate([cloud] * 4)
    assert np.allclose(components(many, 3), components(cloud, 3), atol=1e-6)
    low = rng.normal(size=(12, 5)) @ rng.normal(size=(5, 30))
    axes = components(low - low.mean(axis=0), 8)
    assert np.allclose(axes @ axes.T, np.diag([1.0] * 5 + [0.0] * 3), atol=1e-6)


def test_silhouette_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    cloud, labels = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    assert silhouette(cloud, labels) == pytest.approx(metrics.silhouette_score(cloud, labels))
    assert silhouette(cloud, labels, cosine=True) == pytest.approx(
        metrics.silhouette_score(cloud, labels, metric="cosine")
    )


def test_states_that_never_vary_are_said():
    with pytest.raises(Error, match="no variance"):
        varied(np.ones((4, 6)))
