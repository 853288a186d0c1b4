"""Codebooks: planted codes are found, what was fitted is what is opened, states have their code."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from core import api, home, jobs
from core.analyses import fit_codebook as module
from core.analyses.runs import Silent
from core.dictionaries import shelf
from core.dictionaries.fold import with_unit_rows
from core.dictionaries.formats import opened
from core.dictionaries.save import save
from core.dictionaries.sparse import Norm
from core.dictionaries.train.codes import Codes
from core.figures.fit_codebook import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.fit_codebook import FitCodebook
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from kernels.feature_topk import Activation
from tests.core.planted_atoms import Atoms
from tests.core.small_dictionaries import drawn
from tests.core.written_formats import codebook, numbers

ATOMS = Atoms(d=16, n=24, active=2.0)
SMALL: dict[str, Any] = {
    "site": "L2.resid_post",
    "name": "own",
    "n_codes": 96,
    "k": 4,
    "rounds": 4,
    "topk_steps": 20,
    "n_contexts": 120,
    "window": 64,
}


def fitted(x: Tensor, n: int, k: int, rounds: int = 10) -> tuple[Codes, list[float]]:
    made = Codes(x, n, k, seed=0)
    return made, [made.round() for _ in range(rounds)]


def test_planted_atoms_are_found_and_rounds_leave_less() -> None:
    x = ATOMS.batch(8_000, 0)
    made, left = fitted(x, 48, 2)
    near = (ATOMS.rows @ made.codes.T).max(dim=1).values
    begun = Codes(x, 48, 2, seed=0)
    assert left[-1] < 0.6 * left[0]
    assert near.min() > 0.95
    assert near.mean() > (ATOMS.rows @ begun.codes.T).max(dim=1).values.mean() + 0.05
    torch.testing.assert_close(made.codes.norm(dim=-1), torch.ones(48))


def test_a_code_that_nobody_takes_begins_anew() -> None:
    x = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    made = Codes(x, 8, 1, seed=0)
    made.codes[3:5] = 0
    made.round()
    assert made.unused == 2
    torch.testing.assert_close(made.codes.norm(dim=-1), torch.ones(8))


def test_states_of_an_automaton_have_a_code_each() -> None:
    """Fifty states in sixteen dimensions, each a vector of its own with noise: more states than
    dimensions, so no coordinate can stand for one; the best code of a state stands for it alone."""
    generator = torch.Generator().manual_seed(0)
    rows = normalize(torch.randn(50, 16, generator=generator), dim=-1) * 4
    moves = torch.randint(0, 50, (50, 4), generator=generator)
    state, states = 0, []
    for symbol in torch.randint(0, 4, (12_000,), generator=generator).tolist():
        state = int(moves[state, symbol])
        states.append(state)
    seen = torch.tensor(states)
    x = rows[seen] + 0.3 * torch.randn(len(seen), 16, generator=generator)
    made, _ = fitted(x[:8_000], 100, 1)
    taken = (x[8_000:] @ made.codes.T).argmax(1)
    scores = precision_recall(taken, seen[8_000:], 100)
    shuffled = seen[8_000:][torch.randperm(4_000, generator=generator)]
    chance = precision_recall(taken, shuffled, 100)
    assert scores[:, 0].mean() > 0.95
    assert scores[:, 1].mean() > 0.6
    assert chance[:, 0].mean() < 0.3


def precision_recall(taken: Tensor, states: Tensor, n: int) -> np.ndarray:
    """Of the code with the best F1 for each state that occurs often, [state, 2]."""
    found = []
    for state in states.unique().tolist():
        own = states == state
        if int(own.sum()) < 20:
            continue
        hits = torch.bincount(taken[own], minlength=n).double()
        said = torch.bincount(taken, minlength=n).double().clamp_min(1)
        f1 = 2 * hits / (said + own.sum())
        best = int(f1.argmax())
        found.append((float(hits[best] / said[best]), float(hits[best] / own.sum())))
    return np.array(found)


@pytest.fixture(scope="module")
def made(stories: Loaded, tmp_path_factory: pytest.TempPathFactory) -> FitCodebook:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EIDOSCOPE_HOME", str(tmp_path_factory.mktemp("codes")))
        return module.fit_codebook(stories, Silent(), **SMALL)


def test_a_fitted_codebook_is_better_than_random_codes_and_pca(made: FitCodebook) -> None:
    own, _, components, random = made.fvu
    assert own < components < 1
    assert own < 0.8 * random
    assert made.l0[0] <= 4
    assert (made.left[1:] <= made.left[:-1] + 0.01).all()
    assert made.delta_ce[0] < made.delta_ce[3]
    for look in (Look(), Look(dark=True, titled=False)):
        assert figure(made, look).data
    assert "TopK" in title(made)
    assert "control: random codes" in caption(made)


def test_what_was_fitted_is_a_dictionary_like_any_other(stories: Loaded) -> None:
    found = module.fit_codebook(stories, Silent(), **SMALL)
    book = shelf.of(stories.dictionaries, "own")
    assert (book.act.kind, book.act.k, book.n_features) == ("pursuit", 4, 96)
    assert book.about.format == "codebook"
    x = torch.from_numpy(api.trace(stories, "Once upon a time", ["L2.resid_post"])["L2.resid_post"])
    dense = book.encode(x)
    assert (dense > 0).sum(1).max() <= 4
    rest = (x - book.reconstructed(x)).pow(2).sum() / (x - x.mean(0)).pow(2).sum()
    assert rest < 1
    for unit in dense.sum(0).topk(3).indices.tolist():
        torch.testing.assert_close(book.feature(x, unit), dense[:, unit])
        before = api.logits(stories, "Once upon a time")
        place = api.site(f"L2.resid_post.feature[own:{unit}]")
        after = api.logits(stories, "Once upon a time", [api.Ablate(place)])
        assert np.abs(after - before).max() > 1e-3
    report = api.run("dictionary_report", stories, dictionary="own", n_contexts=8)
    assert report.arrays()
    with pytest.raises(Error, match="there is a dictionary 'own' already"):
        module.fit_codebook(stories, Silent(), **SMALL)
    assert found.n_codes == 96


@pytest.mark.parametrize("kind", ["code", "pursuit"])
def test_saving_and_opening_gives_the_same_codes(tmp_path: Path, kind: str) -> None:
    codes = normalize(torch.randn(24, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    base = drawn(8, "topk", d_out=8)
    plain: dict[str, Any] = {
        "W_enc": codes.T.contiguous(),
        "b_enc": torch.zeros(24),
        "name": "kept",
    }
    if kind == "code":
        book = replace(
            base,
            **plain,
            W_dec=codes / 4,
            b_in=None,
            b_out=torch.zeros(8),
            norm=Norm("layernorm"),
            act=Activation("code", k=4),
        )
    else:
        book = replace(base, **plain, W_dec=codes, b_in=base.b_out, act=Activation("pursuit", k=4))
    again = save(book, tmp_path / "kept")
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again.encode(x), book.encode(x))
    torch.testing.assert_close(again.reconstructed(x), book.reconstructed(x))
    if kind == "code":
        assert (again.encode(x).sum(1) == 4).all()
        for unit in (0, 5):
            torch.testing.assert_close(again.feature(x, unit), again.encode(x)[:, unit])
    with pytest.raises(Error, match="compete"):
        with_unit_rows(again)
    with pytest.raises(Error, match="so it is no codebook"):
        save(replace(book, W_enc=torch.randn(8, 24)), tmp_path / "other")


def test_several_codebooks_and_other_similarities_are_refused(tmp_path: Path) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"num_codebooks": 4}, "4 codebooks side by side"),
        ({"similarity_metric": "cosine"}, "names the similarity"),
        ({"k_codebook": 0}, "whole number"),
    )
    for number, (config, words) in enumerate(refused):
        place = tmp_path / str(number)
        place.mkdir()
        said = {"codebook_at": "mlp", "layers_to_snap": [1], **config}
        with pytest.raises(Error, match=words):
            opened(codebook(place, numbers(0), **said))
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(Error, match=r"site='L5\.resid_post'"):
        opened(codebook(bare, numbers(0), codebook_at="mlp", layers_to_snap=[1, 2]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 97}, "k must be a whole number from 1 to 96"),
        ({"rounds": 0}, "rounds must be"),
        ({"n_codes": 100_000}, "fewer than 100,000 codes"),
        ({"name": "../x"}, "no name for a dictionary"),
        ({"site": "L2.pattern"}, "a dictionary is trained on all that a site holds"),
    ],
)
def test_what_cannot_be_is_refused(stories: Loaded, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Error, match=words):
        module.fit_codebook(stories, Silent(), **{**SMALL, **options})
    assert "own" not in shelf.listed(stories)


def test_asked_again_it_is_known_and_without_its_folder_fitted_again() -> None:
    model = ModelRef(str(home.ROOT / "tests/data/models/stories260k"))
    question = ask("fit_codebook", model, **{**SMALL, "rounds": 1, "n_contexts": 40})
    for _ in range(2):
        job = jobs.submit(question)
        assert job.wait(30)
        assert job.result is not None, job.error
