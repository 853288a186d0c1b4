"""Planted training runs: what is put in at a step comes at that step, and what is taken is lost."""

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api, home
from core.analyses import training as module
from core.analyses import training_kept
from core.analyses.runs import Silent
from core.analyses.training_circuit import chance, circuits, jaccard
from core.analyses.training_row import matched
from core.analyses.training_steps import step_of
from core.figures import training as drawing
from core.figures.theme import Look
from core.figures.training_time import places
from core.models import pool
from core.models.loaded import Loaded
from core.results.training import NEVER, Training, times
from core.spec.errors import Cancelled, Error
from tests import planted_heads
from tests.core.copies import writable
from tests.tiny import draw

WORDS = [f"w{n}" for n in range(1, 33)]
PLANTED = {"name": "even", "positive": WORDS[1::2], "negative": WORDS[::2]}
SMALL: dict[str, Any] = {
    "concepts": [PLANTED], "n_sequences": 4, "n_cases": 4, "corpus": "reference",
}  # fmt: skip
STAGES = {"step-0": (0.0, 0.0), "step-90": (1.6, 0.0), "step-1000": (1.6, 1.6)}


def run(m: Loaded, **options: Any) -> Training:
    found = api.run("training", m, **{**SMALL, **options})
    assert isinstance(found, Training)
    return found


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Looks one token back from step 90 on, continues repeats from step 1000 on."""
    folder = planted_heads.gpt2(tmp_path_factory.mktemp("runs") / "run")
    for name, (back, match) in STAGES.items():
        planted_heads.gpt2(folder / "checkpoints" / name, back=back, match=match)
    return folder


@pytest.fixture(scope="module")
def found(planted: Path) -> Training:
    return run(api.load(planted, device="cpu"))


def test_heads_come_at_the_steps_they_were_planted_at(found: Training) -> None:
    assert found.checkpoints == ("fresh weights", *STAGES, "run")
    np.testing.assert_array_equal(found.steps, [0, 0, 90, 1000, np.nan])
    came = {one.name: one for one in found.emergences() if one.what == "head"}
    previous, induction = came["previous_token"], came["induction"]
    assert (previous.since, previous.layer, previous.head) == (2, *planted_heads.GPT2_PREVIOUS)
    assert (induction.since, induction.layer, induction.head) == (3, *planted_heads.GPT2_INDUCTION)
    assert previous.value > 0.9
    assert previous.control < 0.3
    assert "duplicate_token" not in came
    assert "previous token heads from step 90 on; induction heads from step 1,000" in (
        drawing.title(found)
    )


def test_a_head_that_only_counts_places_is_no_induction_head(found: Training) -> None:
    """The tokens in random order, asked about the same places, tell the two apart."""
    at = planted_heads.GPT2_INDUCTION
    assert found.scores["induction"][-1][at] > found.shuffled["induction"][-1][at] + 0.3
    back = planted_heads.GPT2_PREVIOUS
    apart = found.scores["previous_token"][-1][back] - found.shuffled["previous_token"][-1][back]
    assert abs(apart) < 0.1  # the place is all it looks at


def test_the_second_copy_and_the_task_can_be_foretold_when_induction_came(found: Training) -> None:
    first, second = found.copy_loss.T
    assert second[3:].max() < second[:3].min() - 0.5
    assert (second[3:] < first[3:] - 0.5).all()
    assert (found.right[:3] < 0.5).all()
    assert (found.right[3:] == 1).all()


def test_the_circuit_is_the_two_planted_heads_once_it_works(found: Training) -> None:
    both = {0 * 4 + 0, 1 * 4 + 0}
    assert found.k == 2
    assert [set(row.tolist()) == both for row in found.top] == [False] * 3 + [True] * 2
    assert found.overlap[3, 4] == found.overlap[4, 4] == 1
    assert found.chance_overlap < 0.2


def test_what_is_taken_away_is_forgotten(tmp_path: Path) -> None:
    folder = planted_heads.gpt2(tmp_path / "run", match=0.0)
    planted_heads.gpt2(folder / "checkpoints" / "step-5")
    found = run(api.load(folder, device="cpu"), fresh_too=False)
    assert not found.fresh
    gone = [one for one in found.emergences() if one.since == NEVER]
    assert [(one.name, one.first, one.lost) for one in gone] == [("induction", 0, 1)]
    kept = [one for one in found.emergences() if one.since != NEVER]
    assert [(one.name, one.since) for one in kept] == [("previous_token", 0)]


def test_wavering_is_no_loss() -> None:
    shown = np.array([False, True, True, False])
    assert times(shown, np.array([0.1, 0.9, 0.95, 0.3])) == (1, NEVER, 3)
    assert times(shown, np.array([0.1, 0.9, 0.95, 0.93])) == (1, NEVER, NEVER)
    assert times(np.array([False, True, False, True]), np.zeros(4)) == (1, 3, NEVER)
    assert times(np.array([True, True]), np.zeros(2)) == (0, 0, NEVER)


def test_noise_separates_nothing_and_no_head_comes(gpt2: Loaded, tmp_path: Path) -> None:
    folder = _copies(gpt2, tmp_path, 2)
    found = run(api.load(folder, device="cpu"))
    assert [one for one in found.emergences() if one.what == "head"] == []
    assert "nothing of what was asked" in drawing.title(found) or found.emergences()


def _copies(m: Loaded, tmp_path: Path, n: int) -> Path:
    """A folder of a model with n checkpoints of other random weights."""
    folder = tmp_path / "model"
    shutil.copytree(m.folder, folder)
    for number in range(n):
        other = writable(m)
        draw(other.module, seed=number)
        place = folder / "checkpoints" / f"step-{number}"
        shutil.copytree(m.folder, place)
        other.module.save_pretrained(place)
    return folder


def test_neurons_find_themselves_in_a_copy_and_at_chance_among_strangers() -> None:
    rng = np.random.default_rng(0)
    here = rng.normal(size=(3, 200, 40))
    here /= np.linalg.norm(here, axis=2, keepdims=True)
    same = matched(here, here + 0.01 * rng.normal(size=here.shape))
    np.testing.assert_array_equal(same["kept"], 1)
    np.testing.assert_allclose(same["cosine"], 1, atol=0.02)
    other = matched(here, rng.permutation(here, axis=1))
    assert (other["kept"] < 0.04).all()
    assert (np.abs(other["control"]) < 0.1).all()


def test_neurons_of_a_run_are_followed_by_their_weights(llama: Loaded, tmp_path: Path) -> None:
    folder = _copies(llama, tmp_path, 1)
    shutil.copytree(llama.folder, folder / "checkpoints" / "step-7")
    found = run(api.load(folder, device="cpu"), fresh_too=False)
    assert found.checkpoints[:2] == ("step-0", "step-7")
    np.testing.assert_array_equal(found.kept_next[1], 1)
    np.testing.assert_array_equal(found.kept_last[1], 1)
    assert found.kept_next[0].mean() < 3 / found.n_neurons
    assert found.overlap[1, 2] == 1
    np.testing.assert_allclose(found.cosine_next[1], 1, atol=1e-2)


def test_chance_is_that_of_random_sets() -> None:
    rng = np.random.default_rng(0)
    drawn = [jaccard(rng.permutation(24)[:5], rng.permutation(24)[:5]) for _ in range(20_000)]
    mean, high = chance(24, 5)
    assert abs(np.mean(drawn) - mean) < 0.003
    assert np.mean(np.array(drawn) <= high) >= 0.95
    assert np.mean(np.array(drawn) < high) < 0.95


def test_halves_of_noise_share_little_and_rows_without_a_task_share_nothing() -> None:
    rng = np.random.default_rng(0)
    steady = np.tile(rng.normal(size=(1, 6, 4)), (8, 1, 1))
    rows = [{"effect": rng.normal(size=(8, 6, 4))}, {"effect": steady}, {}]
    made = circuits(rows, (6, 4), 5)
    assert made["overlap"][1, 1] == 1
    assert made["overlap"][0, 0] < 0.5
    assert np.isnan(made["overlap"][2]).all()
    assert made["top"][2].tolist() == [-1] * 5


def test_steps_are_read_from_what_lies_there(tmp_path: Path) -> None:
    assert step_of(tmp_path, "step-000400") == 400
    assert np.isnan(step_of(tmp_path, "final"))
    (tmp_path / "trainer_state.json").write_text(json.dumps({"global_step": 12}))
    assert step_of(tmp_path, "step-7") == 12
    (tmp_path / "training.json").write_text("[1]")
    assert step_of(tmp_path, "step-7") == 12
    (tmp_path / "training.json").write_text(json.dumps({"step": 3}))
    assert step_of(tmp_path, "step-7") == 3


def test_one_checkpoint_is_in_memory_at_a_time(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[Any]] = []
    real = pool.apart

    def apart(*asked: Any) -> Loaded:
        gc.collect()
        assert [each for each in seen if each() is not None] == []
        made = real(*asked)
        seen.append(weakref.ref(made.module))
        return made

    monkeypatch.setattr(pool, "apart", apart)
    run(api.load(planted, device="cpu"), seed=5)
    assert len(seen) == 3


def test_a_run_that_was_stopped_goes_on_behind_what_it_had(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    m = api.load(planted, device="cpu")
    asked = {**SMALL, "seed": 9}
    read: list[str] = []
    real = module.measured

    def watched(*given: Any) -> Any:
        read.append(given[3])
        return real(*given)

    monkeypatch.setattr(module, "measured", watched)

    class Stopped(Silent):
        def step(self, share: float, note: str = "") -> None:
            if note.startswith("step-1000:"):
                raise Cancelled

    with pytest.raises(Cancelled):
        module.training(m, Stopped(), **asked)
    assert read == ["fresh weights", "step-0", "step-90", "step-1000"]
    read.clear()
    whole = module.training(m, Silent(), **asked)
    assert read == ["step-1000"]  # the end has the same weights
    read.clear()
    again = module.training(m, Silent(), **asked)
    assert read == []
    np.testing.assert_array_equal(again.effect, whole.effect)
    one = sorted(training_kept.folder().iterdir())[0]
    one.write_bytes(one.read_bytes()[:50])
    module.training(m, Silent(), **asked)
    assert len(read) == 1
    module.training(m, Silent(), **{**asked, "n_sequences": 5})
    assert len(read) == 1 + 4


def test_kept_rows_are_few_and_never_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_kept, "MOST", 3)
    for number in range(6):
        training_kept.write(f"{number}", {"x": np.ones(3)})
    (training_kept.folder() / "9.row.npz").write_bytes(b"no archive")
    assert training_kept.read("9") is None
    assert len(list(training_kept.folder().glob("*.part"))) == 0
    assert len(list(training_kept.folder().iterdir())) <= 4


def test_one_checkpoint_alone_is_a_sentence(llama: Loaded) -> None:
    with pytest.raises(Error, match="has no checkpoints: put them into a folder"):
        run(llama)
    with pytest.raises(Error, match="has no checkpoints"):
        run(llama, checkpoints=[])
    with pytest.raises(Error, match=r"no checkpoint of .* could be read\. nowhere: there is no"):
        run(llama, checkpoints=["./nowhere"])


def test_checkpoints_that_cannot_stand_beside_the_model_are_left_out_with_the_reason(
    planted: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    m = api.load(planted, device="cpu")
    names = ["step-90", str(tmp_path / "none"), str(tiny("llama"))]
    found = run(m, checkpoints=names)
    assert found.checkpoints == ("fresh weights", "step-90", "run")
    left = dict(found.left_out)
    assert "there is no folder" in left["none"]
    assert "its shape is not that of" in left[tiny("llama").name]
    assert "left out none: there is no folder" in drawing.caption(found)


@pytest.mark.parametrize(
    ("family", "missing"),
    [("bert", {"loss", "circuit"}), ("t5", {"loss", "circuit"}), ("mixtral", {"neurons"})],
)
def test_every_kind_of_model_answers_what_it_can(
    tiny: Callable[[str], Path], tmp_path: Path, family: str, missing: set[str]
) -> None:
    m = api.load(tiny(family), device="cpu")
    words = ["a dog", "the cat", "big house", "red ball", "she saw"]
    own = {"name": "own", "positive": words, "negative": [f"{one} there" for one in words]}
    found = run(m, checkpoints=[str(tiny(family))], concepts=[own])
    assert {part for part, _ in found.why_not} == missing
    for view in drawing.VIEWS:
        drawing.figure(found, Look(), view=view)
    assert len(found.to_frame()) == found.effect.size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_sequences": 0}, "n_sequences must be a whole number from 1"),
        ({"n_cases": 2}, "n_cases must be a whole number from 4"),
        ({"shuffles": True}, "shuffles must be a whole number"),
        ({"k": 8}, "no choice among the 8 heads"),
        ({"concepts": "gender"}, "a list of concepts"),
        ({"concepts": [{"name": "x", "positive": ["w1"], "negative": ["w2"]}]}, "fewer than 4"),
        ({"checkpoints": "step-0"}, "a list of names"),
        ({"corpus": "/no/such/file.txt"}, "cannot be read|no file|no such"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    planted: Path, options: dict[str, Any], words: str
) -> None:
    m = api.load(planted, device="cpu")
    if "corpus" in options:
        assert dict(run(m, **options).why_not)["loss"]
        return
    with pytest.raises(Error, match=words):
        run(m, **options)


@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_every_view_is_drawn_with_its_control(found: Training, look: Look) -> None:
    for view in ("", *drawing.VIEWS):
        for row in (None, 0, 2):
            drawing.figure(found, look, view=view, row=row)
    curves = drawing.figure(found, look, view="curves", row=2)
    names = [trace.name for trace in curves.data]
    assert names[:2] == ["previous token: largest control", "previous token"]
    assert len(curves.layout.shapes) == 1
    heads = drawing.figure(found, look, view="heads", row=3, kind="induction")
    assert np.array(heads.data[0].z)[planted_heads.GPT2_INDUCTION] > 0.5
    effect = drawing.figure(found, look, view="heads", row=3, kind="effect")
    assert (
        effect.data[0].zmax == drawing.figure(found, look, view="heads", kind="effect").data[0].zmax
    )
    layers = drawing.figure(found, look, view="concepts", concept="even")
    assert np.array(layers.data[0].z).shape == (3, 5)
    for wrong in ({"view": "pie"}, {"view": "heads", "kind": "x"}, {"row": 9},
                  {"view": "concepts", "concept": "odd"}):  # fmt: skip
        with pytest.raises(Error, match=r"show|there are checkpoints"):
            drawing.figure(found, look, **wrong)


def test_steps_stand_by_their_logarithm_and_unknown_ones_evenly(found: Training) -> None:
    where = places(found)
    assert (np.diff(where) > 0).all()
    assert where[3] - where[2] == pytest.approx(np.log10(1000 / 90))
    assert "random sets" in drawing.caption(found, "overlap")
    assert "shuffled labels" in drawing.caption(found, "concepts")


def test_names_are_harmless_in_figures(planted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<b>run"
    shutil.copytree(planted, folder)
    (folder / "checkpoints" / "step-90").rename(folder / "checkpoints" / "<i>early$x$")
    m = api.load(folder, device="cpu")
    made = run(m, concepts=[{**PLANTED, "name": "<b>even"}])
    for view in drawing.VIEWS:
        text = drawing.figure(made, Look(), view=view).to_json()
        assert "<i>early" not in text
        assert "<b>even" not in text


def test_the_small_model_learns_to_look_back_no_later_than_to_continue_repeats() -> None:
    names = [name.rpartition("/")[2] for name in home.checkpoint_names("embedded-small")]
    m = api.load("embedded-small", device="cpu")
    few = [names[0], names[len(names) // 2], names[-1]]
    found = run(m, checkpoints=few, concepts=["embedded: plural", "embedded: animal"])
    came = {one.name: one.since for one in found.emergences() if one.since != NEVER}
    assert came["induction"] >= came["previous_token"] > 1
    assert came["embedded: plural"] > 1
    assert came["embedded: animal"] > 1
    assert found.loss[-1, 0] < found.loss[1, 0] - 1
    assert found.copy_loss[-1, 1] < found.copy_loss[-1, 0] - 2
    assert found.overlap[-2, -1] > found.chance_overlap_high
    assert found.kept_last[-2].mean() > found.kept_last[1].mean() > 0.0
    assert found.kept_next[0].mean() < 0.02  # fresh weights are another model
