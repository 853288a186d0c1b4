"""Features of a concept: planted ones are found, shuffled labels and noise are not."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_concept as module
from core.analyses.feature_pooled import pooled
from core.analyses.runs import Silent
from core.analyses.scores import auc
from core.analyses.states import encoded
from core.models.loaded import Loaded
from tests.core.feature_models import carrying, dictionary

N = 100  # texts of a side


WORDS = "the cat went to a big house and saw them play with some red ball there"


def texts(seed: int, word: str = "") -> list[str]:
    """Random words, the planted one among them; without one a word of the text stands twice."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(N):
        words = list(generator.choice(WORDS.split(), 6, replace=False))
        words.insert(int(generator.integers(1, 6)), word or words[0])
        found.append(" ".join(words))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """Features 3 and 17 read the embedding of " dog", the others random directions without it."""
    made = dictionary(stories, "L0.resid_pre", n=64)
    rows = stories.module.get_input_embeddings().weight.detach()
    pieces = stories.tokenizer("dog", add_special_tokens=False)["input_ids"]
    basis, _ = torch.linalg.qr(rows[pieces].T)
    made.W_enc.sub_(basis @ (basis.T @ made.W_enc))
    made.b_enc.fill_(-0.1)
    others = stories.tokenizer(WORDS, add_special_tokens=False)["input_ids"]
    centre, token = rows[others].mean(0), rows[pieces[-1]]
    own = (token - centre) / (token - centre).norm()
    for feature, share in ((3, 0.75), (17, 0.7)):
        made.W_enc[:, feature] = own
        made.b_enc[feature] = -float(share * token @ own + (1 - share) * centre @ own)
    return carrying(stories, made)


def test_planted_features_come_first_and_no_others_are_beyond_chance(planted: Loaded) -> None:
    up, down = texts(0, "dog"), texts(1)
    found = api.run("feature_concept", planted, dictionary="made", positive=up, negative=down, k=64)
    assert set(found.feature[:2].tolist()) == {3, 17}
    assert set(found.feature[found.beyond].tolist()) == {3, 17}
    assert found.n_beyond == 2
    assert (found.auc_test[:2] > 0.99).all()
    assert (found.separation[:2] > 0.9).all()
    assert found.n_texts == (len(up), len(down), len(up) // 2 + len(down) // 2)
    assert found.sparse_accuracy[0] > 0.95 > found.random_accuracy[0]
    np.testing.assert_allclose(found.p[:2], 1 / 201)


def test_of_labels_without_a_meaning_nothing_is_beyond_chance(planted: Loaded) -> None:
    both = [*texts(0, "dog"), *texts(1)]
    order = np.random.default_rng(5).permutation(len(both))
    mixed = [both[i] for i in order]
    found = api.run(
        "feature_concept", planted, dictionary="made", positive=mixed[:90], negative=mixed[90:]
    )
    assert found.n_beyond == 0
    assert not found.beyond.any()
    assert (found.baseline_low[1:] < 0.6).all()


def test_pooled_values_are_those_of_each_text_alone(planted: Loaded) -> None:
    made = planted.dictionaries["made"]
    some = [*texts(0, "dog")[:3], "a", "dog dog dog dog dog dog dog dog dog dog"]
    ids = encoded(planted, some)
    for pool in ("max", "mean", "last"):
        found = pooled(planted, Silent(), made, ids, pool)
        for row, text in enumerate(some):
            at = api.trace(planted, text, ["L0.resid_pre", "L0.neuron"])
            # Position 0 is the special token of this model.
            f = made.encode(torch.tensor(at["L0.resid_pre"][1:])) * made.lengths
            reduce = {"max": lambda v: v.amax(0), "mean": lambda v: v.mean(0)}
            own = reduce.get(pool, lambda v: v[-1])
            np.testing.assert_allclose(found.features.toarray()[row], own(f), rtol=1e-4, atol=1e-5)
            neurons = torch.tensor(at["L0.neuron"][1:])
            np.testing.assert_allclose(found.neurons[row], own(neurons), rtol=1e-3, atol=1e-5)


def test_many_aucs_are_aucs(planted: Loaded) -> None:
    generator = np.random.default_rng(0)
    values = generator.integers(0, 4, (20, 3)).astype(float)
    members = generator.random((5, 20)) < 0.4
    members[:, 0], members[:, 1] = True, False
    found = module.many_aucs(values, members)
    for row, member in enumerate(members):
        for unit in range(3):
            assert found[row, unit] == pytest.approx(auc(values[:, unit], member))


def test_pairs_stay_together_when_halved_and_shuffled() -> None:
    member = np.arange(20) < 10
    test = module.halves(member, True, seed=0)
    np.testing.assert_array_equal(test[:10], test[10:])
    assert test.sum() == 10
    for labels in module.shuffled_labels(member, True, 50, seed=0):
        np.testing.assert_array_equal(labels[:10], ~labels[10:])


def test_a_feature_of_the_negative_texts_is_found_too(planted: Loaded) -> None:
    found = api.run(
        "feature_concept",
        planted,
        dictionary="made",
        positive=texts(1),
        negative=texts(0, "dog"),
    )
    assert set(found.feature[:2].tolist()) == {3, 17}
    assert (found.auc_test[:2] < 0.01).all()
    assert found.baseline_auc[0] > 0.99


def test_what_cannot_be_told_apart_is_a_sentence(planted: Loaded) -> None:
    def ask(**options: object) -> None:
        api.run("feature_concept", planted, dictionary="made", **options)

    with pytest.raises(api.Error, match="say which concept"):
        ask()
    with pytest.raises(api.Error, match="at least 4 are needed on each side"):
        ask(positive=["a", "b", "c"], negative=["d", "e", "f"])
    four = {"positive": list("abcd"), "negative": list("efgh")}
    with pytest.raises(api.Error, match="pooled by max, mean, last"):
        ask(**four, pool="sum")
    with pytest.raises(api.Error, match="k must be a whole number"):
        ask(**four, k=0)
