"""Neighbours of a feature: planted parents, children, duplicates and splits; brute-force counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.models.loaded import Loaded
from tests.core.feature_models import carrying, dictionary, reads

WORDS = "the cat went to a big house and saw them play with some red ball there"
TEXTS = tuple(
    " ".join(np.random.default_rng(seed).choice(WORDS.split(), 12)) + f" {seed}."
    for seed in range(60)
)
ASK: dict[str, Any] = {"dictionary": "made", "corpus": TEXTS, "window": 64}
PARENT, CAT, HOUSE, TWIN, SPLIT = 5, 6, 7, 8, 9


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """A parent that fires on cat, house, ball and red, two children, a twin and a split."""
    made = dictionary(stories, "L0.resid_pre", n=32)
    sets = {
        PARENT: ["cat", "house", "ball", "red"],
        CAT: ["cat"],
        HOUSE: ["house"],
        TWIN: ["cat", "house", "ball", "red"],
        SPLIT: ["big"],
    }
    for feature, words in sets.items():
        reads(made, stories, feature, words, TEXTS)
    drift = torch.randn(2, stories.d_model, generator=torch.Generator().manual_seed(3))
    made.W_dec[TWIN] = made.W_dec[PARENT] + 0.2 * drift[0]
    made.W_dec[SPLIT] = made.W_dec[PARENT] + 0.6 * drift[1]
    return carrying(stories, made)


def test_planted_parent_children_duplicate_and_split_are_told(planted: Loaded) -> None:
    found = api.run("feature_neighbours", planted, feature=PARENT, **ASK)
    frame = found.to_frame().set_index(["by", "feature"])
    assert frame.loc[("decoder", TWIN), "hint"] == "duplicate"
    assert frame.loc[("decoder", SPLIT), "hint"] == "split by context"
    assert found.decoder[:2].tolist() == [TWIN, SPLIT]
    assert found.together[0] == TWIN
    assert found.jaccard[0] == 1
    assert found.jaccard[0] > found.chance_jaccard[1]
    assert set(found.children.tolist()) == {CAT, HOUSE}
    np.testing.assert_allclose(found.children_share, 1)
    child = api.run("feature_neighbours", planted, feature=CAT, **ASK)
    # A random feature that always fires on that token is a parent too.
    assert {PARENT, TWIN} <= set(child.parents.tolist())
    assert not {HOUSE, SPLIT} & set(child.parents.tolist())
    assert len(child.children) == 0


def test_counts_phi_lift_and_pearson_are_those_of_the_dense_codes(planted: Loaded) -> None:
    found = api.run("feature_neighbours", planted, feature=CAT, **{**ASK, "k": 31})
    g = opened(planted, Silent(), **ASK)
    dense = np.zeros((g.text.n_tokens, g.n_features))
    for feature in range(g.n_features):
        token, value = g.need_codes().of_feature(feature)
        dense[token, feature] = value
    dense = dense[g.text.keep]
    on, own = dense > 0, dense[:, CAT] > 0
    assert found.n_fires == own.sum()
    assert len(found.together) > 5
    for place, other in enumerate(found.together.tolist()):
        both = (on[:, other] & own).sum()
        assert found.together_both[place] == both
        either = (on[:, other] | own).sum()
        assert found.jaccard[place] == pytest.approx(both / either, rel=1e-5)
        phi = np.corrcoef(on[:, other], own)[0, 1]
        assert found.phi[place] == pytest.approx(phi, abs=1e-5)
        lift = both * len(on) / (own.sum() * on[:, other].sum())
        assert found.lift[place] == pytest.approx(lift, rel=1e-5)
        if own.sum() >= 30 and on[:, other].sum() >= 30:
            r = np.corrcoef(dense[:, other], dense[:, CAT])[0, 1]
            assert found.pearson[place] == pytest.approx(r, abs=2e-3)
        else:
            assert np.isnan(found.pearson[place])


def test_lists_by_rows_are_the_sorted_cosines(planted: Loaded) -> None:
    found = api.run("feature_neighbours", planted, dictionary="made", feature=3, firing=False, k=31)
    made = planted.dictionaries["made"]
    for rows, near, cosine in (
        (made.W_dec, found.decoder, found.decoder_cosine),
        (made.W_enc.T, found.encoder, found.encoder_cosine),
    ):
        wanted = torch.cosine_similarity(rows, rows[3:4])
        np.testing.assert_allclose(cosine, wanted[near.tolist()], rtol=1e-4, atol=1e-6)
        assert (np.diff(cosine) <= 0).all()
        assert sorted([*near.tolist(), 3]) == list(range(32))
    assert found.opposite[0] == found.decoder[-1]
    own = torch.cosine_similarity(made.W_dec[3], made.W_enc[:, 3], dim=0)
    assert found.own_cosine == pytest.approx(float(own), abs=1e-5)
    assert found.why_not == "firing together was not asked for"
    assert (found.decoder_hint == 0).all()


def test_a_feature_that_writes_like_a_neuron_finds_it(gpt2: Loaded) -> None:
    made = dictionary(gpt2, "L1.resid_post")
    made.W_dec[2] = -2 * gpt2.stacks[""].blocks[0].neurons.weight[9].detach()
    m = carrying(gpt2, made)
    found = api.run("feature_neighbours", m, dictionary="made", feature=2, firing=False)
    assert (found.neurons[0], found.neuron_kind[0]) == ("L0.neuron[9]", "out")
    assert found.neuron_cosine[0] == pytest.approx(-1, abs=1e-4)
    assert found.neuron_chance < 1


def test_heads_have_their_shares(gpt2: Loaded) -> None:
    made = dictionary(gpt2, "L1.head")
    made.W_dec[4].zero_()
    made.W_dec[4, gpt2.d_head : 2 * gpt2.d_head] = 1
    m = carrying(gpt2, made)
    found = api.run("feature_neighbours", m, dictionary="made", feature=4, firing=False)
    assert found.head_decoder.tolist() == [1.0 if h == 1 else 0.0 for h in range(gpt2.n_heads)]
    assert found.head_encoder.sum() == pytest.approx(1)
    assert len(found.neurons) > 0


def test_what_is_not_known_is_said(planted: Loaded) -> None:
    made = planted.dictionaries["made"]
    bias = made.b_enc.clone()
    bias[3] = -1e6
    m = carrying(planted, replace(made, b_enc=bias))
    found = api.run("feature_neighbours", m, feature=3, **ASK)
    assert found.why_not.startswith("it fires on 0 of")
    assert len(found.together) == 0
    with pytest.raises(api.Error, match="has features 0 to 31"):
        api.run("feature_neighbours", m, feature=32, **ASK)
    with pytest.raises(api.Error, match="k must be a whole number"):
        api.run("feature_neighbours", m, feature=1, **{**ASK, "k": 0})
    gates = carrying(planted, dictionary(planted, "L0.gate"))
    found = api.run("feature_neighbours", gates, dictionary="made", feature=0, firing=False)
    assert found.neurons == ()
    assert "no single matrix leads" in found.why_no_neurons
    assert found.says == ()
