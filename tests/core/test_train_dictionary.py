"""A dictionary trained from the model: held-out figures, controls, stopping, what others open."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api, home
from core.analyses import site_stream
from core.analyses import train_dictionary as module
from core.analyses.dictionary_exam import pca
from core.analyses.runs import Silent
from core.analyses.site_stream import SiteStream, held_out
from core.corpus.chunks import contexts
from core.dictionaries import shelf
from core.dictionaries.train.recipe import ARCHITECTURES
from core.dictionaries.train.saved import Saved
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.base import Result
from core.spec.errors import Cancelled, Error
from core.spec.site import site

SITE = "L2.resid_post"
SMALL: dict[str, Any] = {
    "site": SITE,
    "n_features": 96,
    "k": 4,
    "steps": 12,
    "batch": 512,
    "n_contexts": 80,
    "window": 64,
    "every": 5,
}


class Stops(Silent):
    """Cancels in front of a step, and keeps what was shown until then."""

    def __init__(self, at: int) -> None:
        self.at, self.steps, self.shown = at, 0, list[Result]()

    def step(self, share: float, note: str = "") -> None:
        if note.startswith("step"):
            if self.steps == self.at:
                raise Cancelled
            self.steps += 1

    def publish(self, partial: object) -> None:
        assert isinstance(partial, Result)
        self.shown.append(partial)


def train(m: Loaded, progress: Silent | None = None, **more: Any) -> Any:
    return module.train_dictionary(m, progress or Silent(), **{"name": "own", **SMALL, **more})


def weights(name: str = "own") -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(home.home() / "dictionaries" / name / "sae_weights.safetensors")


@pytest.fixture(scope="module")
def made(stories: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One run long enough to be better than its controls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EIDOSCOPE_HOME", str(tmp_path_factory.mktemp("trained")))
        return train(stories, steps=150, n_contexts=200, n_features=256, k=8, every=50, rate=3e-3)


def test_a_trained_dictionary_beats_its_controls_on_held_out_text(made: Any) -> None:
    trained, untrained, components = made.final_fvu
    assert trained < components < 1
    assert trained < untrained - 0.2
    assert (made.final_l0 == 8).all()
    assert made.final_delta_ce[0] < made.final_delta_ce[1:].min()
    assert 0 < made.final_delta_ce[0] < made.ablated.min()
    assert made.recovered[0].min() > 0.7
    assert made.fvu[0] > made.fvu[-1]
    assert list(made.step) == [1, 50, 100, 150]
    assert made.finished
    assert "seen about" in made.notes[-1]


def test_figures_show_curves_and_controls_and_say_what_they_rest_on(made: Any) -> None:
    for look in (Look(), Look(dark=True)):
        drawn = figure(made, look)
        assert sum(trace.line.dash == "dash" for trace in drawn.data) == 4
        assert drawn.layout.yaxis.title.text
    assert "FVU" in title(made)
    assert "control, FVU" in caption(made)
    assert "every 10th document" in caption(made)


def test_work_that_is_stopped_leaves_a_dictionary_and_goes_on_to_the_same_bits(
    stories: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, wanted = train(stories), weights()
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "other"))
    stops = Stops(7)
    with pytest.raises(Cancelled):
        train(stories, stops)
    folder = home.home() / "dictionaries/own"
    half, record = weights(), json.loads((folder / "training.json").read_text())
    assert (record["steps"], record["finished"]) == (7, False)
    assert not torch.equal(half["W_dec"], wanted["W_dec"])
    assert [len(shown.step) for shown in stops.shown] == [1, 2]  # type: ignore[attr-defined]
    assert np.isnan(stops.shown[0].final_fvu).all()  # type: ignore[attr-defined]
    assert "step 5 of 12" in title(stops.shown[-1])
    assert "controls follow" in caption(stops.shown[-1])
    assert shelf.of(stories.dictionaries, "own").n_features == 96
    again = train(stories)
    assert again.resumed_at == 7
    for name, value in weights().items():
        assert torch.equal(value, wanted[name]), name
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    assert not (folder / "checkpoint.state").exists()
    assert len((folder / "train_log.jsonl").read_text().splitlines()) == len(whole.step)


def test_a_finished_dictionary_is_judged_again_without_training(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(stories)
    monkeypatch.setattr(module.Trainer, "update", None)
    second = train(stories)
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)


def test_a_damaged_checkpoint_begins_anew(stories: Loaded) -> None:
    with pytest.raises(Cancelled):
        train(stories, Stops(7))
    path = home.home() / "dictionaries/own/checkpoint.state"
    path.write_bytes(path.read_bytes()[:100])
    assert train(stories).resumed_at == 0


def test_batches_do_not_depend_on_where_one_begins_nor_on_what_fits(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = contexts(stories, window=64, n_contexts=40)
    windows, held, words = held_out(corpus)
    assert not set(windows) & set(held)
    assert {corpus.windows[i].document for i in windows}.isdisjoint(
        corpus.windows[i].document for i in held
    )
    assert words == "every 10th document"

    def batches(at: list[int]) -> list[torch.Tensor]:
        stream = SiteStream(stories, corpus, windows, site(SITE), 100, 0)
        stream.prepare(Silent())
        return [stream.batch(Silent(), step) for step in at]

    for room in (None, 64 * 2 * 300):  # all of it; blocks of 300 tokens
        if room:
            monkeypatch.setitem(site_stream.BLOCK_BYTES, "cpu", room)
        whole = batches(list(range(60)))
        for step, alone in zip((59, 3), batches([59, 3]), strict=True):
            assert torch.equal(alone, whole[step])
        assert torch.equal(batches([0])[0], whole[0])
        assert not torch.equal(whole[0], whole[1])


def test_activations_are_scaled_and_begin_behind_the_first_token(stories: Loaded) -> None:
    corpus = contexts(stories, ["Once upon a time there was a dog.", "The sun was hot."])
    stream = SiteStream(stories, corpus, [0, 1], site(SITE), 8, 0)
    assert stream.prepare(Silent()) == 64
    raw = stream.read(Silent(), [0, 1])
    texts = [api.trace(stories, text.text, [SITE])[SITE][1:] for text in corpus.documents]
    np.testing.assert_allclose(raw, np.concatenate(texts), atol=1e-4)
    assert float((raw * stream.scale).norm(dim=-1).mean()) == pytest.approx(8.0, rel=1e-4)


def test_pca_as_a_dictionary_is_the_projection(stories: Loaded) -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 6) @ torch.randn(6, 6) + 1
    made = pca(site(SITE), x, 2, 1.0, False)
    mean = x.mean(0)
    _, _, basis = torch.linalg.svd(x - mean, full_matrices=False)
    wanted = (x - mean) @ basis[:2].T @ basis[:2] + mean
    torch.testing.assert_close(made.reconstructed(x), wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("place", ["L1.head", "L1.neuron", "L0.mlp_out"])
def test_heads_neurons_and_outputs_can_be_trained_on(stories: Loaded, place: str) -> None:
    result = train(stories, site=place, steps=2)
    assert result.finished
    assert np.isfinite(result.final_delta_ce).all()


def test_of_an_encoder_decoder_the_encoder_is_trained_on(tiny: Callable[[str], Path]) -> None:
    t5 = api.load(tiny("t5"), device="cpu")
    small = {"steps": 2, "batch": 64, "n_features": 32}
    assert train(t5, site="enc.L0.resid_post", **small).finished
    assert api.run("feature_attribution", t5, text="the cat sat", dictionary="own").n_active > 0
    with pytest.raises(Error, match=r"name a site of its encoder, such as enc\.L0"):
        train(t5, site="L0.resid_post", name="other", **small)


def test_an_encoder_is_trained_on_without_a_cost(tiny: Callable[[str], Path]) -> None:
    bert = api.load(tiny("bert"), device="cpu")
    result = train(bert, site="L1.resid_post", steps=2, batch=64, n_features=32)
    assert "does not continue a text" in result.loss_missing
    assert np.isnan(result.final_delta_ce).all()
    assert np.isfinite(result.final_fvu).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"site": "L9.resid_post"}, "has layers 0 to 4"),
        ({"site": "L1.pattern"}, "without unit and position"),
        ({"site": "L1.resid_post@3"}, "without unit and position"),
        ({"k": 97}, "k=97 of 96 features"),
        ({"name": "../x"}, "is no name for a dictionary"),
        ({"corpus": ["Once upon a time."]}, "gives one context only"),
        ({"corpus": ["Once upon a time there was.", "A dog ran."]}, "tokens to train on and one"),
        ({"n_features": 50_000}, "fewer than the 50,000 features"),
        ({"rate": 999.0, "architecture": "relu", "steps": 40}, "ran away"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(
    stories: Loaded, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Error, match=words):
        train(stories, **change)


def test_it_is_on_the_shelf_at_once_and_our_own_reader_gives_equal_codes(stories: Loaded) -> None:
    for architecture in ARCHITECTURES:
        train(stories, architecture=architecture, name=architecture)
        read = shelf.of(stories.dictionaries, architecture)
        own = Saved(architecture, "").dictionary(site(SITE), 4)
        x = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)) * 5
        torch.testing.assert_close(read.encode(x), own.encode(x))
        torch.testing.assert_close(read.reconstructed(x), own.reconstructed(x))
        assert (read.site, read.out_site) == (site(SITE), site(SITE))
        assert read.lengths.numpy() == pytest.approx(1.0, abs=1e-5)


def test_a_name_is_taken_once(stories: Loaded) -> None:
    train(stories, steps=2)
    with pytest.raises(Error, match="there is a dictionary 'own' already"):
        train(stories, steps=3)
    (home.home() / "dictionaries/strange").mkdir()
    with pytest.raises(Error, match="there is a dictionary 'strange' already"):
        train(stories, name="strange")


def test_a_full_disk_and_a_server_are_sentences(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("U", (), {"free": 1_000})())
        with pytest.raises(Error, match="MB are free; make room"):
            train(stories)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Error, match="cannot be written: No space left on device"):
            train(stories)
    assert not list((home.home() / "dictionaries/own").glob(".*"))
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    with pytest.raises(Error, match="keeps no dictionaries"):
        Saved("own", "")
