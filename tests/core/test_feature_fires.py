"""Pattern to features: a planted one comes first, scores are those of brute force, luck is told."""

from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_fires as module
from core.analyses.feature_gallery import opened
from core.analyses.feature_targets import targets
from core.analyses.runs import Silent
from core.corpus.chunks import contexts
from core.models.loaded import Loaded
from tests.core.feature_models import carrying, dictionary, reads

WORDS = "the cat went to a big house and saw them play with some red ball there"
RARE = "dragon"


def text(seed: int) -> str:
    """Random words, now and then a rare one."""
    generator = np.random.default_rng(seed)
    words = generator.choice(WORDS.split(), 14).tolist()
    if seed % 9 == 0:
        words[3] = RARE
    return " ".join(words) + f" {seed}."


TEXTS = tuple(map(text, range(80)))
ASK: dict[str, Any] = {"dictionary": "made", "corpus": TEXTS, "window": 64}
CAT, PART = 5, 6


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """Feature 5 fires on "cat" and on a rare word besides, feature 6 on cat, house and ball."""
    made = dictionary(stories, "L0.resid_pre", n=32)
    reads(made, stories, CAT, ["cat", RARE], TEXTS)
    reads(made, stories, PART, ["cat", "house", "ball"], TEXTS)
    return carrying(stories, made)


def test_a_planted_feature_comes_first_with_its_noise(planted: Loaded) -> None:
    found = api.run("feature_fires", planted, pattern=r"\b(cat)\b", least_precision=0.75, **ASK)
    assert found.table[0] == CAT
    assert found.table_recall[0] == 1
    assert 0.75 < found.table_precision[0] < 1
    assert found.table_f1[0] > found.control_f1.max()
    assert found.targets[0][0].strip().endswith("cat"[-1])
    assert found.union[0] == CAT
    assert found.n_found >= 1
    assert not found.relaxed


def test_scores_are_those_of_the_dense_codes_on_the_held_out_half(planted: Loaded) -> None:
    found = api.run("feature_fires", planted, words=["ball"], baselines=False, **ASK)
    g = opened(planted, Silent(), **ASK)
    made = contexts(planted, TEXTS, window=64)
    meant = targets(g, made, words=["ball"])
    on = np.zeros((g.text.n_tokens, g.n_features), dtype=bool)
    value = np.zeros(on.shape)
    for feature in range(g.n_features):
        token, own = g.need_codes().of_feature(feature)
        on[token, feature], value[token, feature] = True, own
    held = (g.text.token_half == 1) & g.text.keep
    hits = (on & meant.mask[:, None] & held[:, None]).sum(0)
    assert meant.n == (
        int((meant.mask & (g.text.token_half == 0)).sum()),
        int((meant.mask & held).sum()),
    )
    fires = (on & held[:, None]).sum(0)
    assert set(found.feature.tolist()) == set(np.flatnonzero(hits).tolist())
    np.testing.assert_allclose(found.precision, (hits / np.maximum(fires, 1))[found.feature])
    np.testing.assert_allclose(found.recall, (hits / meant.n[1])[found.feature], rtol=1e-6)
    for row, feature in enumerate(found.table[:5].tolist()):
        level = found.threshold[row] / g.lengths[feature]
        above = (value[:, feature] > level + 1e-7) & held
        right = (above & meant.mask).sum()
        assert found.threshold_recall[row] == pytest.approx(right / meant.n[1])
    taken = on[:, list(found.union)].any(1) & held
    right = (taken & meant.mask).sum()
    f1 = 2 * right / (taken.sum() + meant.n[1])
    assert found.union_scores[2] == pytest.approx(f1)
    assert 1 <= len(found.union) <= 5


def test_the_best_unit_is_the_one_that_was_planted(stories: Loaded) -> None:
    from tests.core.planted import plant_reader

    m = plant_reader(stories, layer=0, neuron=11, word="cat")
    made = dictionary(m, "L0.resid_pre", n=16)
    reads(made, m, CAT, ["cat"], TEXTS)
    found = api.run("feature_fires", carrying(m, made), pattern="(cat)", **ASK)
    assert found.baselines[0] == "L0.neuron[11]"
    assert found.baseline_precision[0] > 0.95
    assert found.baseline_recall[0] > 0.95
    assert found.baseline_f1[0] > 0.95
    assert found.baselines[1].startswith("L0.resid_pre[")


def test_marks_are_turned_inside_their_documents(planted: Loaded) -> None:
    g = opened(planted, Silent(), **ASK)
    meant = targets(g, contexts(planted, TEXTS, window=64), words=["cat"])
    document = g.text.document[g.text.context]
    for moved in meant.turned(20, seed=0):
        assert g.text.keep[moved].all()
        np.testing.assert_array_equal(document[moved], document[meant.token])
        assert (moved != meant.token).all()
        assert len(np.unique(moved)) == len(moved)


def test_the_token_after_is_meant_with_a_shift(planted: Loaded) -> None:
    g = opened(planted, Silent(), **ASK)
    made = contexts(planted, TEXTS, window=64)
    plain, after = (targets(g, made, words=["cat"], shift=shift) for shift in (0, 1))
    assert set(after.token.tolist()) <= set((plain.token + 1).tolist())
    assert len(after.token) >= len(plain.token) - 5


def test_without_a_precise_feature_the_table_is_by_f1_and_says_so(planted: Loaded) -> None:
    found = api.run(
        "feature_fires", planted, words=["went"], baselines=False, least_precision=1.0, **ASK
    )
    assert found.relaxed
    assert found.n_found == 0
    assert found.baselines == ()
    assert len(found.table) > 0


def test_greedy_stops_when_nothing_is_gained(planted: Loaded) -> None:
    g = opened(planted, Silent(), **ASK)
    meant = targets(g, contexts(planted, TEXTS, window=64), words=["cat"])
    hits = module._hits(g, meant.token, meant.half)
    found = module._union(g, meant, module._Scores(g, hits, meant.n))
    assert found["union"][0] == CAT
    assert torch.tensor(found["union_scores"]).isfinite().all()


def test_what_cannot_be_scored_is_a_sentence(planted: Loaded) -> None:
    def ask(**options: Any) -> None:
        api.run("feature_fires", planted, **ASK, **options)

    with pytest.raises(api.Error, match="pattern= or words="):
        ask()
    with pytest.raises(api.Error, match="is nowhere in"):
        ask(pattern="(zebra)")
    with pytest.raises(api.Error, match="does not compile"):
        ask(pattern="(cat")
    with pytest.raises(api.Error, match="least_recall is a share"):
        ask(pattern="(cat)", least_recall=2)
    with pytest.raises(api.Error, match="shift is a number"):
        ask(pattern="(cat)", shift=-1)
