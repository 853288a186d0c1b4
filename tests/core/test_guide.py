"""Guidance and removal on real models: scores by hand, judges that built nothing, controls."""

import numpy as np
import pytest

from core import api
from core.analyses.judges import by_words
from core.models.loaded import Loaded
from core.results.guide import GuideResult
from core.results.remove import RemoveResult

PROMPTS = ["Once upon a time there was", "One day Tom"]


@pytest.fixture(scope="module")
def guided(embedded: Loaded) -> GuideResult:
    found = api.run(
        "guide", embedded, concept="gender", layers=[1, 4], alphas=[-0.5, 0.25, 0.5, 3.0],
        prompts=PROMPTS, new_tokens=12,
    )  # fmt: skip
    assert isinstance(found, GuideResult)
    return found


@pytest.fixture(scope="session")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


def perplexity(m: Loaded, prompt: str, said: str) -> tuple[float, int]:
    """Summed surprise and number of tokens of a continuation, from the logits."""
    logits = api.logits(m, prompt + said).astype(np.float64)
    n, ids = len(api.tokens(m, prompt)), m.tokenizer(prompt + said)["input_ids"]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -float(sum(log_p[i - 1, ids[i]] for i in range(n, len(ids)))), len(ids) - n


def test_a_cell_holds_the_texts_of_adding_the_direction_by_hand(
    embedded: Loaded, guided: GuideResult
) -> None:
    row, column = 1, list(guided.alpha).index(0.25)
    add = api.Add(
        "L4.resid_post", guided.direction[row] * guided.mean_norm[row], guided.alpha[column]
    )
    wanted = [api.generate(embedded, text, [add], max_new_tokens=12) for text in PROMPTS]
    assert list(guided.texts[row][column]) == wanted
    clean = [api.generate(embedded, text, max_new_tokens=12) for text in PROMPTS]
    assert list(guided.texts[row][list(guided.alpha).index(0.0)]) == clean
    losses = [
        [perplexity(embedded, p, t) for p, t in zip(PROMPTS, texts, strict=True)]
        for texts in (clean, wanted)
    ]
    before, after = (sum(x for x, _ in one) / sum(n for _, n in one) for one in losses)
    assert guided.base_perplexity[0] == pytest.approx(np.exp(before), rel=1e-3)
    assert guided.fluency[row, column] == pytest.approx(min(1, np.exp(before - after)), rel=1e-3)


def test_the_score_is_the_harmonic_mean_of_effect_and_fluency(guided: GuideResult) -> None:
    room = np.where(guided.alpha >= 0, 1 - guided.base[:, None], guided.base[:, None])
    sign = np.where(guided.alpha >= 0, 1, -1)
    effect = np.maximum(0, sign * (guided.success - guided.base[:, None]) / room)
    effect[:, list(guided.alpha).index(0.0)] = 0
    np.testing.assert_allclose(guided.effect, effect, atol=1e-9)
    both = guided.effect + guided.fluency
    np.testing.assert_allclose(guided.score, 2 * guided.effect * guided.fluency / both, atol=1e-9)
    assert (guided.score[:, list(guided.alpha).index(0.0)] == 0).all()


def test_a_planted_concept_is_guided_better_than_by_chance_and_too_much_is_no_text(
    guided: GuideResult,
) -> None:
    assert guided.score[:, [0, 2, 3]].mean() > 1.5 * guided.control_score[:, [0, 2, 3]].mean()
    assert (guided.fluency[:, -1] < 0.3).all()
    assert guided.score.max() > 0.4


def test_the_judge_reads_another_layer_than_the_guided_one(
    embedded: Loaded, guided: GuideResult
) -> None:
    assert (guided.judge_layer != guided.layer).all()
    assert (guided.judge_separation > 0.9).all()
    every = api.run(
        "guide", embedded, concept="gender", alphas=[0.1], prompts=["One day"], new_tokens=2
    )
    assert (every.judge_layer != every.layer).all()
    assert len(every.layer) == 6


def test_another_model_can_judge_and_so_can_words(embedded: Loaded, stories: Loaded) -> None:
    asked = {"alphas": [0.25], "prompts": ["One day"], "new_tokens": 4, "layers": [2]}
    result = api.run("guide", embedded, concept="gender", other=stories, **asked)
    assert stories.name in result.judge
    assert result.judge_layer[0] < stories.n_layers
    said = api.run("guide", embedded, concept="gender", words=["He", "she"], **asked)
    assert np.isnan(said.judge_separation).all()
    assert set(said.success.ravel()) <= {0.0, 1.0}


def test_words_are_whole_words_of_any_case_and_never_patterns() -> None:
    judge = by_words(["he", "a.c", " "])
    assert judge(["the cat", "He said", "a.c", "abc", "(he)", "h.e"]).tolist() == [0, 1, 1, 0, 1, 0]
    with pytest.raises(api.Error, match="0 words"):
        by_words([" "])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "needs a concept"),
        ({"concept": "gender", "method": "token"}, "no method 'token' for guiding"),
        ({"concept": "gender", "layers": [7]}, "layers 0 to 4"),
        ({"concept": "gender", "alphas": ["x"]}, "a list of numbers"),
        ({"concept": "gender", "alphas": [1e9]}, "at most 100"),
        ({"concept": "gender", "prompts": []}, "between 1 and 400 texts"),
        ({"concept": "gender", "prompts": ["a"] * 99}, "between 1 and 400 texts"),
        ({"concept": "gender", "new_tokens": 0}, "between 1 and"),
    ],
)
def test_what_cannot_be_guided_is_refused_in_a_sentence(asked, says, stories: Loaded) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match=says):
        api.run("guide", stories, **asked)


def test_a_model_that_writes_no_text_is_not_guided(tiny) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match="continues no text"):
        api.run("guide", api.load(tiny("bert")), concept="gender")
    with pytest.raises(api.Error, match="predicts no next token"):
        api.run("remove", api.load(tiny("bert")), concept="gender")


# --- removal -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def removed(embedded: Loaded) -> RemoveResult:
    texts = [f"{name} went to the {place}. Then" for name, place in PEOPLE]
    others = [
        text.replace(name, other)
        for text, (name, _), other in zip(texts, PEOPLE, WOMEN, strict=True)
    ]
    found = api.run(
        "remove", embedded, pairs=list(zip(texts, others, strict=True)), tokens=["he"],
        positions=["last"], prompts=["One day Tom"],
    )  # fmt: skip
    assert isinstance(found, RemoveResult)
    return found


PLACES = ("farm", "beach", "school", "market", "forest", "park")
PEOPLE = [(name, PLACES[i]) for i, name in enumerate(("Tom", "Max", "Ben", "Sam", "Peter", "Luke"))]
WOMEN = ("Anna", "Mia", "Ruth", "Lily", "Sara", "Lucy")


def test_the_behaviour_falls_and_random_directions_leave_it(removed: RemoveResult) -> None:
    assert removed.tokens == (" he",)
    assert removed.before[0] > removed.before[1] + 1  # he follows men's names
    assert removed.removed[0] < removed.before[0] - 0.5
    assert abs(removed.control[:, 0].mean() - removed.before[0]) < 0.5
    assert removed.kl[0] < 1


def test_behaviour_is_the_log_odds_of_the_watched_tokens_behind_the_texts(
    embedded: Loaded, removed: RemoveResult
) -> None:
    from core.analyses.effects import split

    _, held = split(6, 0.5, range(6), 0)
    word = embedded.tokenizer.convert_tokens_to_ids("\u2581he")
    found = []
    for number in held:
        logits = api.logits(embedded, f"{PEOPLE[number][0]} went to the {PEOPLE[number][1]}. Then",
                            api.everywhere(embedded, removed.direction))[-1]  # fmt: skip
        p = np.exp(logits.astype(np.float64) - logits.max())
        p = p[word] / p.sum()
        found.append(np.log(p / (1 - p)))
    assert removed.removed[0] == pytest.approx(np.mean(found), abs=2e-3)


def test_nothing_is_left_along_the_direction_at_any_layer(removed: RemoveResult) -> None:
    assert np.abs(removed.curve_removed).max() < 1e-3 * np.abs(removed.curve_before).max()
    assert np.abs(removed.projection_removed).max() < 1e-3 * np.abs(removed.projection_before).max()
    # The affine form takes both sides to the same place, which is not zero.
    np.testing.assert_allclose(removed.curve_affine[0], removed.curve_affine[1], atol=1e-2)


def test_the_choice_keeps_its_rules(removed: RemoveResult) -> None:
    place, layer = removed.chosen
    if removed.usable.any():
        assert removed.usable[place, layer]
        assert removed.ablated[place, layer] == removed.ablated[removed.usable].min()
    usable = removed.usable
    assert (removed.candidate_kl[usable] <= removed.kl_limit).all()
    assert (removed.added[usable] > removed.before[1]).all()
    assert not usable[:, -1].any()  # the last fifth of the depth


def test_side_effects_are_listed_with_the_largest_first(removed: RemoveResult) -> None:
    assert len(removed.side_effects) == len(removed.side_kl) == 20
    assert (np.diff(removed.side_kl) <= 0).all()
    assert len(removed.to_frame()) == removed.ablated.size


def test_removal_exports_as_weights_that_behave_so(
    embedded: Loaded, removed: RemoveResult, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    changes = api.everywhere(embedded, removed.direction)
    api.export_edited(embedded, changes, tmp_path / "edited")
    text = api.generate(api.load(tmp_path / "edited"), "One day Tom", max_new_tokens=30)
    assert text == removed.texts_removed[0]


def test_too_few_texts_are_refused(stories: Loaded) -> None:
    with pytest.raises(api.Error, match="at least 4 texts on each side"):
        api.run("remove", stories, positive=["a", "b"], negative=["c", "d"])
    with pytest.raises(api.Error, match="removing needs a concept"):
        api.run("remove", stories)
