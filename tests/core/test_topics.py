"""Topics: a head planted to look within a topic, the embedded model, fresh weights, plain texts."""

import copy

import numpy as np
import pytest
import torch

from core import api
from core.analyses import topic_pairs
from core.analyses.latent_topics import latent_topics
from core.analyses.runs import Silent
from core.analyses.topics import topics
from core.concept_sets import named
from core.corpus.chunks import contexts
from core.figures import topics as drawing
from core.figures.theme import Look
from core.models import loaded as loaded_module
from core.models.tokens import known_ids, pieces
from core.models.words import in_text
from core.results.topics import Topics
from core.spec.errors import Error

KINDS = "embedded: kinds of things"
N_TOPICS, EACH = 4, 6


def plant(m):
    """A copy of the embedded model whose head L0H0 looks at words of one topic, and the topics:
    words of all kinds, dealt out at random, so that the model's own heads know nothing of them."""
    words = np.random.default_rng(4).permutation(named(KINDS).items)[: N_TOPICS * EACH].tolist()
    other = copy.copy(m)
    other.module, other.memo = copy.deepcopy(m.module), {}
    other.stacks = {"": loaded_module._stack(other.module, "", m.row, m.config)}
    body = other.module.model
    first, slow = body.layers[0], m.d_head // 2 - N_TOPICS  # dimensions that hardly turn
    with torch.no_grad():
        body.embed_tokens.weight[:, :N_TOPICS] = 0
        size = body.embed_tokens.weight.std()
        for number, word in enumerate(words):
            body.embed_tokens.weight[in_text(m, word)[-1], number // EACH] = 8 * size
        first.input_layernorm.weight[:N_TOPICS] = 1.0
        for linear in (first.self_attn.q_proj, first.self_attn.k_proj):
            linear.weight[: m.d_head] = 0
            for topic in range(N_TOPICS):
                linear.weight[slow + topic, topic] = 0.7
    groups = [{"name": f"t{t}", "items": words[t * EACH : (t + 1) * EACH]} for t in range(N_TOPICS)]
    return other, {"name": "planted", "kind": "categories", "groups": groups}


def test_a_planted_head_is_found_and_words_at_random_are_no_topic(model):
    changed, given = plant(model)
    found = topics(changed, Silent(), concepts=given, n_texts=48, n_shuffles=30)
    assert found.gap[0, 0] > 0.5
    assert found.beyond[0, 0] == 1
    rest = np.abs(found.gap).ravel()[1:]  # what lies in the stream reaches other heads too
    assert found.gap[0, 0] > 3 * rest.max()
    assert found.cosine_gap[0] > found.cosine_chance[:, 0].max() + 0.1
    own = topics(model, Silent(), concepts=given, n_texts=48, n_shuffles=30)
    assert not own.beyond.any()
    assert own.cosine_gap[0] < 0.1


def test_distance_alone_is_no_topic():
    """Neighbours share a topic, and the head looks at neighbours whatever they are."""
    rng = np.random.default_rng(0)
    distance = rng.integers(1, 30, 6_000)
    same = rng.random(6_000) < 1 / distance
    weight = (1 / distance * rng.uniform(0.5, 1.5, 6_000))[None]
    raw = weight[0, same].mean() - weight[0, ~same].mean()
    ratio = topic_pairs.beyond_distance(weight, topic_pairs.bins(distance))
    one, other = topic_pairs.gaps(ratio, same)
    assert raw > 0.15
    assert abs(one[0] - other[0]) < 0.03
    told = topic_pairs.beyond_distance(
        weight * np.where(same, 2.0, 1.0), topic_pairs.bins(distance)
    )
    one, other = topic_pairs.gaps(told, same)
    assert one[0] - other[0] > 0.4


def test_rare_distances_are_taken_together():
    found = topic_pairs.bins(np.repeat([1, 2, 3, 50, 51], [100, 100, 10, 25, 4]))
    assert np.bincount(found).min() >= topic_pairs.LEAST_IN_BIN
    assert found[0] != found[150]
    assert topic_pairs.bins(np.array([4, 9])).tolist() == [0, 0]


def test_many_labellings_at_once_are_each_alone():
    rng = np.random.default_rng(0)
    ratio, tables = rng.random((3, 50)), rng.random((4, 50)) < 0.4
    one, other = topic_pairs.gaps(ratio, tables)
    for number, same in enumerate(tables):
        assert np.allclose(one[number], ratio[:, same].mean(axis=1))
        assert np.allclose(other[number], ratio[:, ~same].mean(axis=1))
    nothing, _ = topic_pairs.gaps(ratio, np.zeros(50, bool))
    assert np.isnan(nothing).all()


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


def test_words_are_found_at_their_last_token_and_never_paired_with_themselves(model):
    text = "The stegosaurus saw a dog, a Cat and a dog."
    made = contexts(model, [text], window=64, n_contexts=1)
    words = ["dog", "cat", "stegosaurus"]
    where = topic_pairs.found_words(made, words)[0]
    assert [words[word] for _, word in where] == ["stegosaurus", "dog", "cat", "dog"]
    window = made.windows[0]
    for position, word in where:
        assert text[: window.spans[position][1]].lower().endswith(words[word])
    found = topic_pairs.pairs([where], ahead=False, rng=np.random.default_rng(0))
    assert (found.key < found.query).all()
    assert (found.one != found.other).all()
    assert len(found) == 5  # six pairs less dog with dog
    both = topic_pairs.pairs([where], ahead=True, rng=np.random.default_rng(0))
    assert len(both) == 10


def test_lists_hold_their_topics_in_random_order():
    table = {"0": ["a", "b", "c", "d"], "1": ["e", "f", "g", "h"], "2": ["i", "j", "k", "l"]}
    found = topic_pairs.lists(table, 30, np.random.default_rng(0), n_topics=2)
    assert all(len(text.split(", ")) == 8 for text in found)
    assert len({text[0] for text in found}) > 5


@pytest.fixture(scope="module")
def result(model) -> Topics:
    return topics(model, Silent(), concepts=KINDS, n_texts=48, untrained_too=True, n_shuffles=20)


def test_the_embedded_model_groups_its_kinds_and_fresh_weights_do_not(result):
    assert result.cosine_gap.min() > 0.2
    assert (result.cosine_gap > result.cosine_chance.max(axis=0)).all()
    assert np.abs(result.untrained_cosine).max() < 0.05
    assert (result.beyond > 0).any()
    assert np.abs(result.untrained_attention).max() < 0.1
    assert result.gap.max() > 3 * np.abs(result.untrained_attention).max()
    assert np.abs(result.attention_chance.mean()) < 0.05
    assert result.n_same < result.n_pairs / 3


def test_topics_are_found_in_texts_without_words_given(model):
    rng = np.random.default_rng(0)
    own = [
        ["lion", "tiger", "bear", "wolf", "fox", "horse", "cow", "goat"],
        ["bread", "cheese", "soup", "apple", "rice", "cake", "pear", "milk"],
        ["hammer", "saw", "nail", "table", "chair", "shelf", "desk", "sofa"],
    ]
    texts = [
        " ".join([*rng.choice(own[n % 3], 9), rng.choice(own[(n + 1) % 3])]) for n in range(90)
    ]
    found = latent_topics(texts, "text", 3, 0)
    assert sorted(sorted(group.items) for group in found.groups) == sorted(map(sorted, own))
    answer = topics(model, Silent(), corpus=texts, n_topics=3, n_texts=30, n_shuffles=5)
    assert answer.set_name == "topics of pasted text"
    assert answer.corpus == "pasted text"


def test_the_figures_hold_the_gaps_their_marks_and_chance(result):
    for look in (Look(), Look(dark=True)):
        for view in drawing.VIEWS:
            drawing.figure(result, look, view=view)
    heads = drawing.figure(result, Look()).data[0]
    np.testing.assert_allclose(np.array(heads.z, float), result.gap, atol=1e-5)
    assert ((np.array(heads.text) == "•") == (result.beyond != 0)).all()
    bars = drawing.figure(result, Look(), view="cosine").data
    np.testing.assert_allclose(np.array(bars[0].y, float), result.cosine_same)
    assert any("chance" in bar.name for bar in bars)
    assert "20 times" in drawing.caption(result)
    assert "heads look more within a topic" in drawing.title(result)
    again = Topics.build(result.arrays(), result.labels())
    assert len(again.to_frame()) == result.gap.size
    with pytest.raises(Error, match="seen as"):
        drawing.figure(result, Look(), view="pie")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "concepts="),
        ({"concepts": ["dog", "cat"]}, "one group"),
        ({"concepts": KINDS, "corpus": ["nothing of the kind is said here"]}, "pairs of words"),
        ({"concepts": KINDS, "n_texts": 1}, "n_texts="),
        ({"concepts": KINDS, "prepare": "x"}, "prepare="),
        ({"corpus": ["one text only"]}, "topics are found in"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, asked, said):
    with pytest.raises(Error, match=said):
        topics(model, Silent(), **asked)


def test_an_encoder_looks_both_ways(tiny):
    m = api.load(tiny("bert"), device="cpu")
    shown = pieces(m, range(known_ids(m)))
    words = [piece for piece in shown if piece.isascii() and piece.isalpha() and len(piece) > 2]
    groups = [{"name": "a", "items": words[:6]}, {"name": "b", "items": words[6:12]}]
    given = {"name": "w", "kind": "categories", "groups": groups}
    found = topics(m, Silent(), concepts=given, n_texts=20, n_shuffles=5)
    assert found.gap.shape[1] == m.n_heads
