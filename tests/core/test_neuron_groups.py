"""Groups of neurons against planted truth, chance and the engine read another way."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from core import api
from core.analyses.core_neurons import jaccard, strongest, top_set
from core.analyses.neuron_sets import batches, random_like, text_losses
from core.analyses.runs import Silent
from core.analyses.shared_neurons import corrected_jaccard, overlaps
from core.models.loaded import Loaded
from core.spec.claims import kinds_of_text
from tests.core.planted_words import planted, words

NEURONS = [(1, unit) for unit in (3, 9, 20, 31, 40)] + [(2, unit) for unit in (0, 7, 15, 33, 50)]
TWO = [("x", ["a b"] * 4), ("y", ["a b"] * 4)]
GROUPS = ("task_spot", "shared_neurons", "domain_neurons")


def lines(known: list[str], n: int, seed: int, length: int = 12) -> list[str]:
    drawn = Random(seed)
    return [" ".join(drawn.choice(known) for _ in range(length)) for _ in range(n)]


def pairs_of_words(first: list[str], second: list[str], n: int, seed: int) -> list[str]:
    drawn = Random(seed)
    return [
        " ".join(w for _ in range(6) for w in (drawn.choice(first), drawn.choice(second)))
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def spotted(llama: Loaded) -> tuple[Loaded, list[str], list[str]]:
    """A model with ten neurons that foretell one class of words behind another, and texts."""
    known = words(llama, 30)
    read, write, rest = known[:6], known[6:12], known[12:]
    m = planted(llama, NEURONS, read, write, strength=0.05)
    return m, pairs_of_words(read, write, 12, 0), lines(rest, 12, 0)


# --- task spots ----------------------------------------------------------------------------


def test_planted_neurons_are_found_and_only_their_texts_break_without_them(spotted) -> None:
    m, target, other = spotted
    share = len(NEURONS) / (m.n_layers * m.d_mlp)
    result = api.run(
        "task_spot", m, texts=target, other_texts=other, share=share, shares=(), n_random=10
    )
    found = set(zip(result.layer.tolist(), result.unit.tolist(), strict=True))
    assert len(found & set(NEURONS)) >= 0.9 * len(NEURONS)
    assert result.ratio[result.asked, 0] >= 10
    assert result.low[result.asked, 0] > 0.3
    assert result.n_random == result.gain.shape[2] - 1 == 10
    assert np.abs(result.gain[0, 0, 1:]).max() < result.gain[0, 0, 0] / 10


def test_without_a_difference_between_the_texts_there_is_no_spot(spotted) -> None:
    m, _, other = spotted
    same = lines(words(m, 30)[12:], 12, 1)
    result = api.run("task_spot", m, texts=same, other_texts=other, share=0.06, shares=())
    assert abs(result.ratio[0, 0]) < 5
    assert abs(result.gain[0, 0, 0]) < 0.1


def test_larger_spots_hold_the_smaller_ones_and_cost_at_least_as_much(spotted) -> None:
    m, target, other = spotted
    shares = (0.01, 0.03, 0.06)
    result = api.run("task_spot", m, texts=target, other_texts=other, share=0.06, shares=shares)
    assert (np.diff(result.size) > 0).all()
    assert (np.diff(result.gain[:, 0, 0]) > -0.02).all()
    assert result.in_layer.sum() == result.size[result.asked] == len(result.unit)


def test_losses_with_a_set_silent_are_those_of_ablating_its_neurons(stories: Loaded) -> None:
    texts = ["Once upon a time there was a dog.", "Tom was sad."]
    chosen = torch.zeros(stories.n_layers, stories.d_mlp, dtype=torch.bool)
    chosen[1, [3, 50]] = chosen[4, 5] = True
    found = text_losses(stories, Silent(), batches(stories, texts), chosen)
    changes = [api.Ablate(f"L{layer}.neuron[{unit}]") for layer, unit in chosen.nonzero().tolist()]
    for text, loss in zip(texts, found, strict=True):
        log_p = torch.log_softmax(torch.tensor(api.logits(stories, text, changes)), -1)
        ids = stories.tokenizer(text)["input_ids"]
        wanted = -log_p[:-1].gather(1, torch.tensor(ids[1:])[:, None]).mean()
        assert loss == pytest.approx(float(wanted), abs=1e-4)


def test_random_sets_have_the_shape_of_the_set_and_none_of_its_neurons() -> None:
    chosen = torch.zeros(3, 40, dtype=torch.bool)
    chosen[0, :5] = chosen[2, 10:18] = True
    drawn = list(random_like(chosen, 10, seed=4))
    assert all((one.sum(1) == chosen.sum(1)).all() for one in drawn)
    assert not any((one & chosen).any() for one in drawn)
    assert len({tuple(one.flatten().tolist()) for one in drawn}) == 10


# --- shared neurons ------------------------------------------------------------------------


def test_chance_is_hypergeometric_layer_by_layer() -> None:
    drawn = np.random.default_rng(0)
    both = []
    for _ in range(300):
        pair = torch.zeros(2, 1, 60, dtype=torch.bool)
        for row, size in zip(pair, (12, 20), strict=True):
            row[0, drawn.permutation(60)[:size]] = True
        overlap, expected, p = overlaps(pair)
        both.append((overlap[0, 1, 0], p[0, 1, 0]))
    assert expected[0, 1, 0] == 4.0
    assert np.mean([n for n, _ in both]) == pytest.approx(4.0, abs=0.3)
    assert np.mean([p < 0.05 for _, p in both]) < 0.08


def test_ids_pooled_over_layers_would_inflate_the_overlap_and_do_not_here() -> None:
    one, two = torch.zeros(2, 2, 50, dtype=torch.bool)
    one[0, :10] = two[1, :10] = True  # the same numbers, in different layers
    overlap, _, _ = overlaps(torch.stack([one, two]))
    assert overlap[0, 1].sum() == 0


def test_the_corrected_jaccard_is_one_for_equal_sets_and_zero_at_chance() -> None:
    assert corrected_jaccard(np.array([8, 4]), np.array([1.0, 0.5]), 24) == pytest.approx(1.0)
    assert corrected_jaccard(np.array([2, 1]), np.array([2.0, 1.0]), 24) == pytest.approx(0.0)


def test_texts_of_one_kind_share_more_neurons_than_texts_of_two(stories: Loaded) -> None:
    known = kinds_of_text()
    tales = known["stories"]
    groups = [("tales", tales[:6]), ("more tales", tales[6:]), ("code", known["code"])]
    result = api.run("shared_neurons", stories, groups=groups, n_random=2, agree=0.6)
    assert result.corrected[0, 1] > result.corrected[0, 2] > 0
    assert result.silenced[0] == "shared by all"
    assert len(result.unit) == result.silenced_size[0]
    assert (result.size.max(axis=1) <= round(0.1 * stories.d_mlp) * 2).all()


def test_a_model_shares_every_neuron_with_itself(stories: Loaded) -> None:
    tales = kinds_of_text()["stories"]
    result = api.run("shared_neurons", stories, groups=[("tales", tales)], other=stories)
    assert result.corrected[0, 1] == pytest.approx(1.0)
    assert (result.overlap[0, 1] == result.size[0]).all()


def test_models_of_two_shapes_have_no_neurons_to_match(stories: Loaded, llama: Loaded) -> None:
    with pytest.raises(api.Error, match="one shape"):
        api.run("shared_neurons", stories, groups=[("a", ["in the"] * 4)], other=llama)


# --- core neurons --------------------------------------------------------------------------


def test_a_token_keeps_the_share_of_its_positive_activations() -> None:
    values = torch.tensor([[3.0, -5.0, 1.0, 2.0, 0.5], [-1.0, -2.0, -3.0, -4.0, 0.1]])
    assert strongest(values, 0.4).tolist() == [
        [True, False, False, True, False],
        [False] * 4 + [True],
    ]
    assert strongest(-values.abs(), 0.4).sum() == 0


def test_all_neurons_together_cost_nothing_and_few_cost_more(stories: Loaded) -> None:
    text = " ".join(kinds_of_text()["stories"][:2])
    result = api.run("core_neurons", stories, text=text, betas=(0.1, 0.4, 1.0), n_random=5)
    whole = result.loss[result.betas == 1.0][0]
    assert whole == pytest.approx(result.base, abs=1e-4)
    few = result.loss[result.betas == 0.4][0]
    assert result.base < few[0] < few[2:].mean()  # the core beats random sets of its size
    assert result.stability[-1] == pytest.approx(1.0)
    assert result.stability[len(result.prefix) // 2].mean() > 2 * result.chance[0]


def test_core_neurons_are_counted_as_a_loop_would(stories: Loaded) -> None:
    text = "Once upon a time there was a big dog named Tom and"
    result = api.run("core_neurons", stories, text=text, beta=0.1, betas=(), n_random=1)
    values = api.trace(stories, text, ["L2.neuron"])["L2.neuron"][: result.n_first]
    counts = np.zeros(stories.d_mlp)
    for row in np.abs(values):
        counts[np.argsort(-row)[: int(np.ceil(0.4 * (row > 0).sum()))]] += 1
    best = np.sort(counts)[::-1][: result.unit.shape[1]]
    assert (counts[result.unit[2]] == best).all()
    assert result.often[2] == pytest.approx(best / result.n_first)


def test_jaccard_and_top_sets() -> None:
    one = top_set(torch.tensor([[5.0, 4, 3, 2, 1]]), 2)
    two = top_set(torch.tensor([[1.0, 5, 4, 0, 0]]), 2)
    assert one.tolist() == [[True, True, False, False, False]]
    assert float(jaccard(one, two)) == pytest.approx(1 / 3)


# --- neurons of a kind of text -------------------------------------------------------------


def test_neurons_planted_for_one_kind_are_listed_under_it(llama: Loaded) -> None:
    known = words(llama, 30)
    m = planted(llama, NEURONS, known[:6], known[6:12], strength=0.05)
    groups = [("planted", lines(known[:6], 12, 0)), ("rest", lines(known[12:], 12, 1))]
    share = len(NEURONS) / (m.n_layers * m.d_mlp)
    result = api.run("domain_neurons", m, groups=groups, share=share, n_random=2)
    listed = list(zip(result.layer.tolist(), result.unit.tolist(), strict=True))
    assert len(set(listed) & set(NEURONS)) >= 0.9 * len(NEURONS)
    kinds = [kind for place, kind in zip(listed, result.kind, strict=True) if place in NEURONS]
    assert set(kinds) == {0}
    assert result.entropy[0] < 0.05


def test_dealt_out_at_random_no_kind_has_neurons_of_its_own(stories: Loaded) -> None:
    known = kinds_of_text()
    groups = [(name, known[name]) for name in ("stories", "code", "French and Spanish")]
    result = api.run("domain_neurons", stories, groups=groups, n_random=1)
    centre = (result.edge[1:] + result.edge[:-1]) / 2
    true = (result.count * centre).sum() / result.count.sum()
    null = (result.null_count * centre).sum() / result.null_count.sum()
    assert true < null - 0.02
    assert result.null_count[:10].sum() == 0


# --- every family, and bad input -----------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "opt", "bloom", "gemma2", "phi3", "olmo2"])
@pytest.mark.parametrize("name", [*GROUPS, "core_neurons"])
def test_groups_are_found_in_every_kind_of_decoder(
    name: str, family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    one, two = ["the cat sat on the mat", "a dog"] * 2, ["In Paris the sun", "two, three"] * 2
    options = {
        "task_spot": {"texts": one, "other_texts": two, "share": 0.05, "shares": ()},
        "core_neurons": {"text": one[0], "betas": (0.5,)},
    }.get(name, {"groups": [("one", one), ("two", two)]})
    result = api.run(name, m, n_random=2, **options)
    assert all(np.isfinite(array).all() for array in result.arrays().values())


@pytest.mark.parametrize("name", [*GROUPS, "core_neurons"])
@pytest.mark.parametrize(("family", "said"), [("bert", "next token"), ("mixtral", "experts")])
def test_models_that_cannot_say_so(
    name: str, family: str, said: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    options = {
        "task_spot": {"texts": ["a b"] * 4, "other_texts": ["a b"] * 4},
        "core_neurons": {"text": "a b c d e f g h i j"},
    }.get(name, {"groups": [("one", ["a b"] * 4), ("two", ["a b"] * 4)]})
    with pytest.raises(api.Error, match=said):
        api.run(name, m, **options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("task_spot", {"texts": [], "other_texts": ["a b"] * 4}, "empty"),
        ("task_spot", {"texts": ["a b"], "other_texts": ["a b"] * 4}, "at least 4"),
        ("task_spot", {"texts": ["a b"] * 4, "other_texts": ["a b"] * 4, "share": 2}, "share"),
        ("task_spot", {"texts": [1, 2, 3, 4], "other_texts": ["a b"] * 4}, "list of texts"),
        ("shared_neurons", {"groups": [("one", ["a b"] * 4)]}, "give 2 to"),
        ("shared_neurons", {"groups": [1, 2]}, "pairs of a name"),
        ("shared_neurons", {"groups": [("x", ["a b"] * 4)] * 2}, "same name"),
        ("domain_neurons", {"groups": TWO, "share": 0}, "share"),
        ("core_neurons", {"text": "the"}, "at least 8"),
        ("core_neurons", {"text": "a b c d e f g h i", "by": "magic"}, "positive"),
        ("core_neurons", {"text": "a b c d e f g h i", "alpha": 0}, "shares"),
    ],
)
def test_bad_input_is_one_sentence(stories: Loaded, name: str, options: dict, said: str) -> None:
    with pytest.raises(api.Error, match=said):
        api.run(name, stories, **options)
