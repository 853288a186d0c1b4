"""Labels by rule: what is planted is found and holds on the other half; chance does not pass."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.feature_gallery import opened
from core.analyses.label_facts import families
from core.analyses.label_rules import Fired, Rules, shuffled
from core.analyses.runs import Silent
from core.corpus.chunks import Contexts, contexts
from core.dictionaries.sparse import SparseDict
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.galleries import labels
from core.galleries import text as gallery_text
from core.galleries.text import GalleryText
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.feature_label import NO_RULE, SILENT, TOO_FEW, FeatureLabel
from core.spec.errors import Error
from core.spec.site import site
from kernels.feature_topk import Activation

ANIMALS = ("dog", "cat", "bird", "fox", "frog")
OTHERS = ("ball", "cake", "tree", "boat", "hat", "car", "bed", "cup")
VERBS = ("saw", "liked", "found", "lost", "took")


def texts(n: int = 300) -> list[str]:
    drawn = np.random.default_rng(0)
    made = []
    for number in range(n):
        words = [str(drawn.choice(ANIMALS if drawn.random() < 0.4 else OTHERS)) for _ in range(4)]
        verbs = [str(drawn.choice(VERBS)) for _ in range(2)]
        extra = "It was at the lake." if number % 5 == 0 else "It was at home."
        made.append(
            f"The {words[0]} {verbs[0]} a {words[1]}. Then the {words[2]} {verbs[1]} the "
            f"{words[3]}. {extra}"
        )
    return made


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


@pytest.fixture(scope="module")
def made(embedded: Loaded) -> Contexts:
    return contexts(embedded, texts())


@pytest.fixture(scope="module")
def text(embedded: Loaded, made: Contexts) -> GalleryText:
    flat = gallery_text.flat(made)
    return replace(flat, pieces=pieces(embedded, flat.piece_ids.tolist()))


@pytest.fixture(scope="module")
def rules(text: GalleryText, made: Contexts) -> Rules:
    known = families(text, made, [r"(lake|home)\."])
    return Rules(known, text.keep, text.token_half)


def fired(text: GalleryText, *marks: np.ndarray, noise: float = 0.0) -> Fired:
    """Features that fire where marked, a share of the firings moved to random tokens."""
    drawn = np.random.default_rng(1)
    row, token = [], []
    for number, mark in enumerate(marks):
        places = np.flatnonzero(mark & text.keep)
        away = drawn.random(len(places)) < noise
        places[away] = drawn.choice(np.flatnonzero(text.keep), int(away.sum()))
        token.append(np.unique(places))
        row.append(np.full(len(token[-1]), number))
    tokens = np.concatenate(token)
    return Fired(len(marks), np.concatenate(row), tokens, np.ones(len(tokens), np.float32))


def words_at(text: GalleryText) -> np.ndarray:
    """The readable piece of every token, without blanks."""
    found = np.array([piece.strip() for piece in text.pieces])
    return found[np.searchsorted(text.piece_ids, text.ids)]


def named(rules: Rules, best: object, feature: int) -> tuple[str, str, float]:
    """(kind, words, held-out F1) of the rule that is best on half A."""
    top = int(best.chosen[:, feature].argmax())  # type: ignore[attr-defined]
    atoms = [int(a) for a in best.atoms[top, feature] if a >= 0]  # type: ignore[attr-defined]
    family = rules.families[top]
    return family.name, family.words(atoms), float(best.f1[top, feature])  # type: ignore[attr-defined]


def test_every_planted_kind_of_rule_is_found(text: GalleryText, rules: Rules) -> None:
    word = words_at(text)
    after, before = np.roll(word, -1), np.roll(word, 1)
    pair = (before == "the") & (word == "dog")
    animal = np.isin(word, ANIMALS)
    lake = np.isin(text.context, text.context[word == "lake"])
    start = (before == ".") | (text.position == 1)
    marks = {
        "token": animal,
        "previous token": np.isin(before, ["saw", "liked"]),
        "last two tokens": pair,
        "next token": np.isin(after, ["boat", "hat"]),
        "position": np.isin(text.position, [6, 7]),
        "keyword of the text": lake,
        "pattern": np.isin(word, ["lake", "home"]),
        "place": start,
    }
    best = rules.best(fired(text, *marks.values()))
    for number, kind in enumerate(marks):
        family = next(n for n, f in enumerate(rules.families) if f.name == kind)
        assert best.f1[family, number] >= 0.95, kind
    for number, kind in enumerate(("token", "previous token", "last two tokens", "next token")):
        found, words, score = named(rules, best, number)
        assert (found, score) == (kind, pytest.approx(1.0)), words
    assert named(rules, best, 5)[1] == "the text holds “lake”"
    assert named(rules, best, 4)[1] == "position 6 to 7"
    _, words, _ = named(rules, best, 0)
    assert all(animal in words for animal in ANIMALS)
    assert not any(other in words for other in OTHERS)


def test_five_animal_words_are_found_through_noise_and_scores_are_those_by_hand(
    text: GalleryText, rules: Rules
) -> None:
    mark = np.isin(words_at(text), ANIMALS)
    noisy = fired(text, mark, noise=0.05)
    best = rules.best(noisy)
    kind, _, score = named(rules, best, 0)
    top = [f.name for f in rules.families].index(kind)
    assert score >= 0.9
    assert named(rules, rules.best(fired(text, mark)), 0)[2] >= 0.95
    holds = rules.families[top].holds([int(a) for a in best.atoms[top, 0] if a >= 0])
    half_b = text.keep & (text.token_half == 1)
    fires = np.zeros(len(mark), bool)
    fires[noisy.token] = True
    hit = (fires & holds & half_b).sum()
    assert best.precision[top, 0] == pytest.approx(hit / (holds & half_b).sum())
    assert best.recall[top, 0] == pytest.approx(hit / (fires & half_b).sum())
    assert best.said[top, 0] == (holds & half_b).sum()


def test_a_rule_from_half_a_alone_fails_on_half_b(text: GalleryText, rules: Rules) -> None:
    # Fires on animals in half A and on other words in half B: the label must not survive.
    word = words_at(text)
    mark = np.where(text.token_half == 0, np.isin(word, ANIMALS), np.isin(word, OTHERS))
    best = rules.best(fired(text, mark.astype(bool)))
    token = [f.name for f in rules.families].index("token")
    assert best.chosen[token, 0] > 0.9
    assert best.f1[token, 0] < 0.05


def test_random_firings_of_the_same_number_have_no_rule(text: GalleryText, rules: Rules) -> None:
    planted = fired(text, np.isin(words_at(text), ANIMALS), text.position == 3)
    chance = shuffled(planted, rules, seed=0)
    counts = [np.bincount(one.row) for one in (planted, chance)]
    assert (counts[1] > 0.85 * counts[0]).all()
    assert rules.half[planted.token].mean() == pytest.approx(
        rules.half[chance.token].mean(), abs=0.05
    )
    best = rules.best(chance)
    picked = best.chosen.argmax(axis=0)
    assert (best.f1[picked, np.arange(2)] < 0.4).all()


def test_weights_count_by_the_activation(text: GalleryText, rules: Rules) -> None:
    word = words_at(text)
    one = fired(text, np.isin(word, ["dog", "ball"]))
    heavy = replace(one, value=np.where(word[one.token] == "dog", 3.0, 1.0))
    token = [f.name for f in rules.families].index("token")
    atom = int(np.searchsorted(text.piece_ids, text.ids[np.flatnonzero(word == "dog")[0]]))
    family = rules.families[token]
    zero = np.zeros(len(one.token), dtype=np.int64)
    share = family.hits(zero, one.token, 1, heavy.value)[0, atom] / heavy.value.sum()
    plain = family.hits(zero, one.token, 1)[0, atom] / len(one.token)
    assert share > plain + 0.1


def planted(m: Loaded) -> tuple[Loaded, SparseDict]:
    """A model and a dictionary at its embedding; latent 0 fires on the tokens of five animals.

    A latent reads what no other token has: the rows of the embedding are told apart by a
    regression on all of them.
    """
    ids = [
        m.tokenizer(f"The {word}", add_special_tokens=False)["input_ids"][-1] for word in ANIMALS
    ]
    weight = m.module.get_input_embeddings().weight.detach().float()
    used = sorted({t for one in texts() for t in m.tokenizer(one)["input_ids"]})
    want = torch.zeros(len(used), 3)
    want[[used.index(i) for i in ids], 0] = 1.0
    want[:, 1] = (
        torch.randn(len(used), generator=torch.Generator().manual_seed(0)).abs() * 0.4 + 0.4
    )
    x = torch.cat([weight[used], torch.ones(len(used), 1)], dim=1)
    solved = torch.linalg.lstsq(x, want).solution
    assert (x @ solved - want).abs().max() < 1e-2
    book = SparseDict(
        name="planted",
        site=site("L0.resid_pre"),
        out_site=site("L0.resid_pre"),
        W_enc=solved[:-1].contiguous(),
        b_enc=solved[-1] - torch.tensor([0.5, 1.2, 9.0]),
        W_dec=solved[:-1].T.contiguous(),
        b_out=torch.zeros(m.d_model),
        act=Activation("relu"),
    )
    return replace(m, dictionaries={"planted": book}, memo={}), book


@pytest.fixture(scope="module")
def label(embedded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> FeatureLabel:
    m, _ = planted(embedded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EIDOSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        result = api.run("feature_label", m, dictionary="planted", feature=0, corpus=texts())
    assert isinstance(result, FeatureLabel)
    return result


def test_a_planted_feature_has_its_label_interval_and_mistakes(label: FeatureLabel) -> None:
    said = label.label(0)
    assert said.startswith("token in {")
    assert all(word in said for word in ANIMALS)
    assert label.f1[0, 0] >= 0.95
    assert label.f1_low[0, 0] <= label.f1[0, 0] <= label.f1_high[0, 0]
    assert label.control_f1[0, 0] < 0.4
    assert label.fires.shape == (2, 2, 1)
    assert len(label.other_rule[0]) == len(label.families)
    assert label.wrong == ((),)
    assert "held out" in title(label)
    assert "random tokens" in caption(label)
    assert all(figure(label, Look(dark=dark)).data for dark in (False, True))


def test_all_features_are_labelled_at_once_and_kept_with_the_gallery(embedded: Loaded) -> None:
    m, _ = planted(embedded)
    result = api.run("feature_label", m, dictionary="planted", corpus=texts())
    assert [result.label(n) for n in (0, 2)][1] == SILENT
    assert result.f1[0, 0] >= 0.95
    assert figure(result, view="all").data
    gallery = opened(m, Silent(), dictionary="planted", corpus=texts())
    kept = labels.of("", gallery.manifest.dictionary_fingerprint)
    assert 2 not in kept  # it never fires
    assert kept[0].text == result.label(0)
    assert kept[0].score == pytest.approx(result.f1[0, 0])
    assert kept[0].chance == pytest.approx(result.control_f1[0, 0])
    listed = api.run("feature_list", m, dictionary="planted", corpus=texts(), labelled=0.9)
    assert {0} <= set(listed.features) <= set(kept)
    frame = result.to_frame()
    assert frame["label"].tolist()[2] == SILENT


def test_what_has_no_rule_or_too_few_firings_says_so(
    label: FeatureLabel, text: GalleryText
) -> None:
    weak = replace(label, f1=np.array([[0.2], [0.2]]))
    assert weak.label(0) == NO_RULE
    assert "best: token in" in title(weak)
    assert replace(label, f1=np.array([[np.nan], [np.nan]])).label(0) == TOO_FEW


def test_it_refuses_in_sentences(embedded: Loaded, tiny: Callable[[str], Path]) -> None:
    m, _ = planted(embedded)
    with pytest.raises(Error, match="features 0 to 2"):
        api.run("feature_label", m, dictionary="planted", feature=3, corpus=texts(4))
    with pytest.raises(Error, match="does not compile"):
        api.run(
            "feature_label", m, dictionary="planted", feature=0, corpus=texts(4), patterns=["("]
        )
