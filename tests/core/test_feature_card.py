"""One feature's card: texts and numbers are those of the dense codes, also where none are kept."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_card as module
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying, dictionary, reads

WORDS = "the cat went to a big house and saw them play with some red ball there"
TEXTS = tuple(
    " ".join(np.random.default_rng(seed).choice(WORDS.split(), 6)) + f" {seed}."
    for seed in range(120)
)
ASK: dict[str, Any] = {"dictionary": "made", "corpus": TEXTS, "window": 64}
GRADED, CAT, TWIN, NEVER = 3, 5, 6, 7


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """Feature 5 fires on "cat" alone, 6 does too and writes nearly the same, 7 never fires; 3 fires
    on five words, each with a value of its own."""
    made = dictionary(stories, "L0.resid_pre", n=32)
    for feature in (CAT, TWIN):
        reads(made, stories, feature, ["cat"], TEXTS)
    graded = ["cat", "house", "ball", "red", "big"]
    reads(made, stories, GRADED, graded, TEXTS, [0.5, 1.5, 2.5, 3.5, 4.5])
    drift = torch.randn(stories.d_model, generator=torch.Generator().manual_seed(3))
    made.W_dec[TWIN] = made.W_dec[CAT] + 0.2 * drift
    made.b_enc[NEVER] = -1e6
    return carrying(stories, made)


def card(m: Loaded, feature: int, **options: Any) -> Any:
    return api.run("feature_card", m, feature=feature, **{**ASK, **options})


def dense(g: FeatureGallery, feature: int) -> np.ndarray:
    found = np.zeros(g.text.n_tokens)
    token, value = g.need_codes().of_feature(feature)
    found[token] = value * g.lengths[feature]
    return found


def test_every_shown_context_holds_the_features_own_values(planted: Loaded) -> None:
    found = card(planted, GRADED)
    g = opened(planted, Silent(), **ASK)
    own = dense(g, GRADED)
    assert set(found.group) == {
        "top",
        "+5",
        "+4",
        "+3",
        "+2",
        "+1",
        "importance",
        "sample",
        "silent",
    }
    for row, context in enumerate(found.context.tolist()):
        span = slice(g.text.start[context], g.text.start[context + 1])
        n = len(found.tokens[row])
        np.testing.assert_allclose(found.activation[row, :n], own[span], rtol=2e-3, atol=1e-5)
        assert np.isnan(found.activation[row, n:]).all()
        assert found.peak[row] == found.activation[row, found.position[row]]
        assert found.tokens[row] == g.text.context_pieces(context)
    groups = np.array(found.group)
    top = found.peak[groups == "top"]
    assert (np.diff(top) <= 1e-6).all()
    assert top[0] == pytest.approx(found.largest, rel=2e-3)
    for band in range(1, 6):
        peaks = found.peak[groups == f"+{band}"] / found.largest * 5
        assert ((peaks > band - 1 - 0.01) & (peaks <= band + 0.01)).all()
    assert (found.peak[groups == "sample"] > 0).all()
    silent = found.activation[groups == "silent"]
    assert len(silent)
    assert np.nanmax(silent) == 0
    others = [
        one for one, group in zip(found.of_feature, found.group, strict=True) if group == "silent"
    ]
    assert GRADED not in others


def test_the_numbers_are_those_of_the_dense_codes(planted: Loaded) -> None:
    found = card(planted, CAT)
    g = opened(planted, Silent(), **ASK)
    own = dense(g, CAT)
    kept, half = own[g.text.keep], g.text.token_half[g.text.keep]
    fires = kept > 0
    assert found.n_fires == fires.sum()
    assert found.density == pytest.approx(fires.mean())
    assert found.largest == pytest.approx(kept.max(), rel=2e-3)
    assert found.mean_active == pytest.approx(kept[fires].mean(), rel=2e-3)
    for side in (0, 1):
        mine = half == side
        assert found.half_density[side] == pytest.approx(fires[mine].mean())
        assert found.half_mean[side] == pytest.approx(kept[mine & fires].mean(), rel=2e-3)
    assert found.band_share.sum() == pytest.approx(1, abs=1e-4)
    assert found.counts.sum() == pytest.approx(found.n_fires, rel=1e-3)
    assert found.log_counts.sum() == found.n_fires
    assert found.log_edges[-1] == pytest.approx(found.largest, rel=1e-4)
    assert found.top_share == 1
    assert found.top_share > found.random_share[1]
    assert "one token" in found.badges
    position = g.text.position[g.text.keep]
    bucket = np.minimum(position * 16 // found.window, 15)
    for place in range(16):
        here = bucket == place
        share = fires[here].mean() if here.any() else 0
        assert found.by_position[place] == pytest.approx(share, abs=1e-6)


def test_a_twin_is_named_as_a_duplicate(planted: Loaded) -> None:
    assert card(planted, CAT).duplicate == TWIN
    assert card(planted, TWIN).duplicate == CAT
    assert card(planted, GRADED).duplicate == -1


def test_without_stored_codes_the_shown_contexts_are_run_and_say_the_same(
    planted: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = opened(planted, Silent(), **ASK)
    whole = card(planted, GRADED)
    monkeypatch.setattr(module, "opened", lambda *a, **k: replace(g, codes=None))
    alone = card(planted, GRADED)
    fires = np.array(whole.group) != "silent"
    assert alone.context[: fires.sum()].tolist() == whole.context[fires].tolist()
    n = int(fires.sum())
    width = min(alone.activation.shape[1], whole.activation.shape[1])
    np.testing.assert_allclose(
        alone.activation[:n, :width], whole.activation[:n, :width], rtol=2e-3, atol=1e-4
    )
    assert np.nanmax(alone.activation[np.array(alone.group) == "silent"]) == 0
    assert not card(planted, CAT).duplicate_known


@pytest.mark.parametrize("at", ["L1.head", "L1.neuron", "L1.mlp_out"])
def test_cards_of_topk_dictionaries_at_other_places(gpt2: Loaded, at: str) -> None:
    made = dictionary(gpt2, at, n=40, act=Activation("topk", k=4))
    m = carrying(gpt2, made)
    found = card(m, 2, corpus=TEXTS[:12])
    assert found.n_fires > 0
    assert found.site.startswith(at)
    assert (found.peak[[group != "silent" for group in found.group]] > 0).all()


def test_a_feature_that_never_fires_has_a_card(planted: Loaded) -> None:
    found = card(planted, NEVER)
    assert found.n_fires == 0
    assert "dead" in found.badges
    assert np.isnan(found.mean_active)
    assert set(found.group) <= {"silent"}
    assert found.top_piece == ""


def test_what_is_not_there_is_a_sentence(planted: Loaded) -> None:
    with pytest.raises(api.Error, match="has features 0 to 31"):
        card(planted, 32)
    with pytest.raises(api.Error, match="n_top must be a whole number"):
        card(planted, 3, n_top=-1)
