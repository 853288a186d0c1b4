"""Four probes on planted states and real ones: what they find, where they point, what chance is."""

import re

import numpy as np
import pytest
import torch

from core import api
from core.analyses import probe_asked, probe_splits
from core.analyses import probe_family as family
from core.analyses.probe_trained import METHODS, trained, unit
from core.figures import probe_family as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.probe_family import ProbeFamily
from core.spec.errors import Error

N, D = 400, 24


def planted(
    strength: float, *, loud: float = 0.0, seed: int = 0
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """States whose classes differ along one direction; a loud channel that has nothing to say."""
    rng = np.random.default_rng(seed)
    label = np.arange(N) % 2
    direction = rng.normal(size=D)
    direction[0] = 0
    direction /= np.linalg.norm(direction)
    x = rng.normal(size=(N, D)) + strength * np.outer(label - 0.5, direction)
    x[:, 0] += loud * rng.normal(size=N)
    return torch.tensor(x).float(), label, direction


def fitted(x: torch.Tensor, label: np.ndarray, method: str) -> torch.Tensor:
    found = trained(x, label[:, None], np.ones((len(label), 1), bool), method)
    return unit(found.weight)[:, 0]


def test_every_probe_points_along_a_strong_planted_direction() -> None:
    x, label, direction = planted(6.0)
    for method in METHODS:
        found = fitted(x, label, method).numpy()
        assert found @ direction > 0.9, method


def test_the_first_principal_component_takes_the_loudest_direction_instead() -> None:
    x, label, direction = planted(6.0, loud=20.0)
    assert abs(fitted(x, label, "pca")[0]) > 0.99
    assert fitted(x, label, "logistic").numpy() @ direction > 0.9
    assert fitted(x, label, "lda").numpy() @ direction > 0.9


def test_the_probes_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    x, label, _ = planted(1.0)
    x[:, 3] = x[:, 3] * 50 + 400  # standardising takes scale and offset away
    flat = (x - x.mean(0)) / x.std(0, correction=0)
    wanted = LogisticRegression(C=1.0, max_iter=2_000, tol=1e-10).fit(flat.numpy(), label)
    found = trained(x, label[:, None], np.ones((N, 1), bool), "logistic")
    margin = found.margin(x)[:, 0].numpy()
    np.testing.assert_allclose(margin, wanted.decision_function(flat.numpy()), atol=0.02)
    gap = x[label == 1].double().mean(0) - x[label == 0].double().mean(0)
    difference = trained(x, label[:, None], np.ones((N, 1), bool), "difference")
    np.testing.assert_allclose(difference.weight[:, 0], gap, rtol=1e-3, atol=1e-3)
    middle = (x[label == 1].double().mean(0) + x[label == 0].double().mean(0)) / 2
    np.testing.assert_allclose(middle @ difference.weight[:, 0] + difference.bias, 0, atol=0.05)


def test_a_column_learns_from_its_own_items_alone() -> None:
    x, label, _ = planted(1.0)
    half = np.arange(N) < N // 2
    train = np.stack([half, ~half, np.ones(N, bool)], axis=1)
    labels = np.repeat(label[:, None], 3, axis=1)
    for method in (*METHODS, "random"):
        both = trained(x, labels, train, method)
        alone = trained(x[half], label[half, None], np.ones((N // 2, 1), bool), method)
        np.testing.assert_allclose(
            unit(both.weight)[:, 0], unit(alone.weight)[:, 0], atol=0.02, err_msg=method
        )


@pytest.fixture(scope="module")
def words(stories: Loaded) -> ProbeFamily:
    return api.run("probe_family", stories, labelled="plural", folds=4)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def stories() -> Loaded:
    from tests.core.conftest import STORIES

    return api.load(STORIES, device="cpu")


def test_a_plural_is_read_from_its_own_word_and_shuffled_labels_are_not(words: ProbeFamily) -> None:
    assert words.auc.shape == (4, 6)
    assert words.auc[0].max() > 0.9
    assert abs(words.control_auc.mean() - 0.5) < 0.03
    assert abs(words.random_auc.mean() - 0.5) < 0.15
    method, layer = words.best
    assert words.readable(method, layer)
    assert (words.auc_low <= words.auc + 1e-6).all()
    assert (words.auc <= words.auc_high + 1e-6).all()


def test_directions_have_length_one_and_agree_with_themselves(words: ProbeFamily) -> None:
    np.testing.assert_allclose(np.linalg.norm(words.direction, axis=2), 1, atol=1e-5)
    for row in range(6):
        np.testing.assert_allclose(np.diag(words.cosine[row]), 1, atol=1e-4)
        wanted = words.direction[:, row] @ words.direction[:, row].T
        np.testing.assert_allclose(words.cosine[row], wanted, atol=1e-4)
    wanted = np.einsum("mld,mkd->mlk", words.direction, words.direction)
    np.testing.assert_allclose(words.layer_cosine, wanted, atol=1e-4)
    assert (words.gap > 0).all()
    assert (words.fold_cosine[:3, 1:] > 0.5).all()


def test_a_direction_lies_where_its_site_says(words: ProbeFamily, stories: Loaded) -> None:
    assert words.sites[:2] == ("L0.resid_pre", "L0.resid_post")
    row, text = 3, "I saw the dogs"
    values = api.trace(stories, text, [words.sites[row]])[words.sites[row]][-1]
    one = probe_asked.sides(stories, labelled="plural")
    up = [text for text, y in zip(one.given.texts, one.label, strict=True) if y][:20]
    assert text in up
    along = [
        api.trace(stories, each, [words.sites[row]])[words.sites[row]][-1] @ words.direction[0, row]
        - words.threshold[0, row]
        for each in up
    ]
    assert np.mean(np.array(along) > 0) > 0.8
    assert values.shape == words.direction[0, row].shape


def test_random_labels_are_not_read(stories: Loaded) -> None:
    result = api.run("probe_family", stories, labelled="random labels")
    chance = np.quantile(result.control_auc.max(axis=(1, 2)), 0.95)
    assert result.auc.max() <= chance + 0.05
    assert "No probe reads" in drawing.title(result) or result.auc.max() < 0.68


def test_words_leak_over_random_folds_and_not_over_groups(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Random labels for words that stand in two sentences each: nothing to know but the word.
    rng = np.random.default_rng(0)
    names = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("at", "og", "un", "ip", "en")]
    labels = rng.permutation(np.arange(len(names)) % 2)
    texts = [f"{start} {name}" for name in names for start in ("I saw the", "Tom has the", "My")]
    each = [int(label) for label in labels for _ in range(3)]
    groups = [name for name in names for _ in range(3)]
    grouped = api.run("probe_family", stories, texts=texts, labels=each, groups=groups, C=100.0)
    loose = api.run("probe_family", stories, texts=texts, labels=each, C=100.0)
    assert loose.auc[0].max() > 0.8
    assert grouped.auc[0].max() < 0.65
    assert any("no groups are given" in note for note in loose.notes)


def test_one_of_several_classes_stands_against_the_others(stories: Loaded) -> None:
    result = api.run("probe_family", stories, labelled="languages", positive="French", folds=3)
    assert (result.positive, result.negative) == ("French", "all others")
    assert result.n_positive * 3 == result.n_texts
    assert any("has 3 classes" in note for note in result.notes)
    with pytest.raises(Error, match="no class 'German' in languages"):
        api.run("probe_family", stories, labelled="languages", positive="German")


def test_too_few_groups_make_fewer_folds_and_say_so(stories: Loaded) -> None:
    texts = [f"{a} {b}" for a in ("one", "two", "three") for b in ("dog", "cat", "sun", "cup")]
    labels = [0, 0, 1, 1] * 3
    result = api.run(
        "probe_family", stories, texts=texts, labels=labels, groups=[t.split()[0] for t in texts]
    )
    assert result.n_folds == 3
    assert any("3 groups make as many folds" in note for note in result.notes)
    with pytest.raises(Error, match="one class only"):
        api.run("probe_family", stories, texts=["a", "b"], labels=[1, 1])
    with pytest.raises(Error, match="no labelled set 'nothing here'"):
        api.run("probe_family", stories, labelled="nothing here")


def test_long_texts_are_cut_to_their_ends_and_said(stories: Loaded) -> None:
    texts = [("one dog sat " * 400) + end for end in ("dog", "cat", "dogs", "cats")] + ["a", "b"]
    result = api.run(
        "probe_family", stories, texts=texts, labels=[0, 0, 1, 1, 0, 1], folds=2, seed=1
    )
    assert any("longer than the context" in note for note in result.notes)


def test_figures_say_what_the_result_says(words: ProbeFamily) -> None:
    for look in (Look(), Look(dark=True)):
        fig = drawing.figure(words, look)
        curves = {trace.name: np.asarray(trace.y) for trace in fig.data if trace.name}
        np.testing.assert_allclose(curves["LDA"], words.auc[2], atol=1e-6)
        accuracy = drawing.figure(words, look, score="accuracy")
        assert accuracy.layout.yaxis.title.text == "held-out accuracy"
        cells = drawing.agreement(words, look, layer=2)
        np.testing.assert_allclose(np.array(cells.data[0].z, float), words.cosine[2], atol=1e-6)
        drawing.turning(words, look, method="difference")
    assert re.search(r"control there: shuffled labels 0\.[45]", drawing.caption(words))
    assert "384 texts" in drawing.caption(words)


def test_shuffles_keep_groups_whole() -> None:
    label = np.repeat([0, 1, 0, 1], 5)
    group = np.repeat(np.arange(4), 5)
    mixed = probe_splits.shuffled(label, group % 2, group, 3, np.random.default_rng(0))
    assert all(len(set(column[group == one])) == 1 for column in mixed.T for one in range(4))
    assert family.SHUFFLES == 20
