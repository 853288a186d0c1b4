"""One pass over a corpus: against brute force, resumed after a kill, and what it finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.analyses import neuron_gallery
from core.analyses.runs import Silent
from core.corpus.chunks import contexts
from core.engine.forward import run
from core.engine.rows import rows as batch
from core.galleries import layout
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_examples import NeuronExamples
from core.results.neuron_texts import NeuronTexts
from core.spec.errors import Cancelled, Error
from core.spec.site import Site
from tests.core.planted import plant_reader

CORPUS = [
    "Yesterday Tom walked to the old house. Then he opened the door and saw a cat.",
    "The red cat and the blue dog play in the garden near the river.",
    "Anna has three apples. She gives one apple to Tom and keeps two.",
    "In London the rain falls all day. In Paris the sun shines all day.",
] * 2
FAST: dict[str, Any] = {"corpus": tuple(CORPUS), "window": 64, "k": 5}


@pytest.fixture(autouse=True)
def nothing_held(llama: Loaded) -> None:
    llama.memo.pop("galleries", None)


def values(m: Loaded, layer: int, **options: Any) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Activations [token, neuron] of all tokens that count, and (context, position) of each."""
    made = contexts(m, FAST["corpus"], window=FAST["window"])
    rows, places = [], []
    for number, window in enumerate(made.windows):
        site = Site(layer, "neuron", stack=m.prompt_stack)
        read = run(m, batch(m, [window.ids]), read=[site], logits="none", **options)
        for position, counts in enumerate(window.keep):
            if counts:
                rows.append(read.values[site][0, position].numpy())
                places.append((number, position))
    return np.stack(rows), places


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "bert", "t5_gated", "gemma2"])
def test_statistics_are_those_of_all_tokens_one_by_one(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = api.load(tiny(family), device="cpu")
    result: NeuronExamples = api.run("neuron_examples", m, **FAST)
    for layer in result.layers:
        wanted, places = values(m, layer)
        assert result.n_tokens == len(wanted)
        np.testing.assert_allclose(result.largest[layer], wanted.max(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result.smallest[layer], wanted.min(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result.mean[layer], wanted.mean(0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(result.std[layer], wanted.std(0), rtol=1e-3, atol=1e-5)
        at = list(zip(result.context[layer], result.position[layer], strict=True))
        there = [wanted[places.index((int(c), int(p))), n] for n, (c, p) in enumerate(at)]
        np.testing.assert_allclose(there, wanted.max(0), rtol=1e-4, atol=1e-5)
        fires = (wanted > 0.1 * wanted.max(0)).mean(0) * (wanted.max(0) > 0)
        assert np.abs(result.density[layer] - fires).max() < 0.05
        below = (wanted < 0.1 * wanted.min(0)).mean(0) * (wanted.min(0) < 0)
        assert np.abs(result.density_negative[layer] - below).max() < 0.05


def test_a_model_without_single_neurons_says_so(tiny: Callable[[str], Path]) -> None:
    with pytest.raises(Error, match="experts"):
        api.run("neuron_examples", api.load(tiny("mixtral"), device="cpu"), **FAST)


def test_a_killed_pass_resumes_where_it_stopped(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(neuron_gallery, "MAX_TOKENS", 48)
    monkeypatch.setattr(neuron_gallery, "LEAST_TOKENS", 48)
    monkeypatch.setattr(neuron_gallery, "CHECKPOINT_SECONDS", 0.0)
    whole = api.run("neuron_examples", llama, **FAST)
    assert whole.resumed == 0
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "other"))
    llama.memo.pop("galleries")
    calls, read = [], neuron_gallery._read

    def dying(*given: Any) -> None:
        if len(calls) == 3:
            raise Cancelled
        calls.append(given[3])
        read(*given)

    monkeypatch.setattr(neuron_gallery, "_read", dying)
    with pytest.raises(Cancelled):
        api.run("neuron_examples", llama, **FAST)
    monkeypatch.setattr(neuron_gallery, "_read", read)
    again = api.run("neuron_examples", llama, **FAST)
    assert again.resumed == 3
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    llama.memo.pop("galleries")
    monkeypatch.setattr(neuron_gallery, "_read", None)  # a finished pass reads nothing
    assert api.run("neuron_examples", llama, **FAST).gallery == whole.gallery


def test_a_damaged_gallery_is_made_again(llama: Loaded) -> None:
    first = api.run("neuron_examples", llama, **FAST)
    path = neuron_gallery.home() / "galleries" / first.gallery / neuron_gallery.FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    llama.memo.pop("galleries")
    again = api.run("neuron_examples", llama, **FAST)
    assert again.resumed == 0
    np.testing.assert_array_equal(again.largest, first.largest)


def test_a_disk_that_refuses_costs_nothing_but_the_resuming(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "file"))
    assert api.run("neuron_examples", llama, **FAST).n_contexts == len(CORPUS)


def test_galleries_used_longest_ago_make_room(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.run("neuron_examples", llama, **FAST)
    monkeypatch.setattr(layout, "MAX_DISK", 1)
    second = api.run("neuron_examples", llama, **{**FAST, "seed": 1})
    there = {folder.name for folder in (neuron_gallery.home() / "galleries").iterdir()}
    assert there == {second.gallery}
    assert first.gallery != second.gallery


def test_the_size_of_batches_shows_only_in_rounding(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = api.run("neuron_examples", llama, **FAST)
    llama.memo.pop("galleries")
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(neuron_gallery, "MAX_TOKENS", 60)
    monkeypatch.setattr(neuron_gallery, "LEAST_TOKENS", 60)
    other = api.run("neuron_examples", llama, **FAST)
    np.testing.assert_allclose(one.largest, other.largest, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-3, atol=1e-5)
    assert (one.context == other.context).mean() > 0.99


def test_a_clamp_over_the_corpus_is_seen_and_a_position_is_refused(llama: Loaded) -> None:
    result = api.run(
        "neuron_examples", llama, interventions=[api.Clamp("L1.neuron[3]", 2.5)], **FAST
    )
    assert result.largest[1, 3] == result.smallest[1, 3] == 2.5
    assert result.sites == ("L1.neuron[3]",)
    with pytest.raises(Error, match="name it without @"):
        api.run("neuron_examples", llama, interventions=[api.Clamp("L1.neuron[3]@2", 1)], **FAST)


def test_some_layers_are_the_rows_of_all(llama: Loaded) -> None:
    every = api.run("neuron_examples", llama, **FAST)
    some = api.run("neuron_examples", llama, layer=[2, 0], **FAST)
    assert some.layers == (0, 2)
    np.testing.assert_array_equal(some.largest, every.largest[[0, 2]])
    np.testing.assert_array_equal(some.context, every.context[[0, 2]])
    for layer in (9, [], [0, 7]):
        with pytest.raises(Error, match="has layers 0 to 2"):
            api.run("neuron_examples", llama, layer=layer, **FAST)


def test_too_many_neurons_for_memory_are_refused(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_gallery, "MAX_STATES", 1_000)
    with pytest.raises(Error, match="choose some layers with layer="):
        api.run("neuron_examples", llama, **FAST)


def test_cancelling_is_heard_between_batches(llama: Loaded) -> None:
    class Stopping(Silent):
        def check(self) -> None:
            raise Cancelled

    from core.analyses.neuron_examples import neuron_examples

    with pytest.raises(Cancelled):
        neuron_examples(llama, Stopping(), **FAST)


def test_a_planted_neuron_is_named_by_its_token(llama: Loaded) -> None:
    m = plant_reader(llama, layer=0, neuron=11, word="cat")
    corpus = [
        f"{text} He saw a cat in the {place}." for text in CORPUS for place in ("sun", "rain")
    ]
    options = {"corpus": corpus, "window": 64, "k": 5}
    result = api.run("neuron_examples", m, **options)
    assert result.pieces[result.top_piece[0, 11]] == api.tokens(m, "cat")[-1]
    assert result.top_share[0, 11] == 1.0
    assert result.top_share[0, 11] > result.random_share[1] >= result.random_share[0]
    window = contexts(m, corpus, window=64).windows[result.context[0, 11]]
    assert api.tokens(m, "cat")[-1] == pieces(m, [window.ids[result.position[0, 11]]])[0]


def texts(m: Loaded, layer: int, neuron: int, **options: Any) -> NeuronTexts:
    result = api.run("neuron_texts", m, layer=layer, neuron=neuron, **{**FAST, **options})
    assert isinstance(result, NeuronTexts)
    return result


def test_shown_texts_are_the_strongest_and_carry_every_tokens_activation(llama: Loaded) -> None:
    result = texts(llama, 1, 4)
    wanted, places = values(llama, 1)
    made = contexts(llama, FAST["corpus"], window=FAST["window"])
    top = [i for i, group in enumerate(result.group) if group == "top"]
    assert result.peak[top[0]] == pytest.approx(wanted[:, 4].max(), rel=1e-4)
    assert (np.diff(result.peak[top]) <= 0).all()
    bottom = [i for i, group in enumerate(result.group) if group == "bottom"]
    assert result.peak[bottom[0]] == pytest.approx(wanted[:, 4].min(), rel=1e-4)
    for row, context in enumerate(result.context):
        ids = made.windows[context].ids
        assert result.tokens[row] == tuple(api.tokens(llama, CORPUS[context]))
        assert np.isnan(result.activation[row, len(ids) :]).all()
        for position in range(1, len(ids)):
            own = wanted[places.index((int(context), position)), 4]
            assert result.activation[row, position] == pytest.approx(own, rel=1e-3, abs=1e-5)
        assert result.peak[row] == result.activation[row, result.position[row]]


def test_bands_hold_what_they_say_and_repeated_texts_are_shown_once(llama: Loaded) -> None:
    result = texts(llama, 0, 2)
    for group, peak, context in zip(result.group, result.peak, result.context, strict=True):
        if group[0] in "+-":
            end = result.largest if group[0] == "+" else -result.smallest
            share = abs(peak) / end
            assert (int(group[1]) - 1) / 5 < share + 1e-4
            assert share - 1e-4 <= int(group[1]) / 5
            own = result.activation[list(result.context).index(context)]
            assert np.nanmax(own[1:] if group[0] == "+" else -own[1:]) <= abs(peak) * (1 + 1e-5)
    # Every text stands twice in the corpus.
    top = [c % 4 for c, group in zip(result.context, result.group, strict=True) if group == "top"]
    assert len(top) == len(set(top))
    np.testing.assert_allclose(result.band_share.sum(1), 1, atol=1e-6)
    assert result.counts.sum() == pytest.approx(result.n_tokens)


def test_a_neuron_beyond_the_model_or_the_pass_is_refused(llama: Loaded) -> None:
    with pytest.raises(Error, match="neuron 0 to 55"):
        texts(llama, 0, 99)
    with pytest.raises(Error, match="layer 0 was not read"):
        texts(llama, 0, 1, layers=[1])


def test_answers_become_tables_and_are_read_back(llama: Loaded, tmp_path: Path) -> None:
    for result in (api.run("neuron_examples", llama, **FAST), texts(llama, 0, 2)):
        again = api.open_result(result.save(tmp_path / result.name))
        assert {**again.labels(), "request": 0} == {**result.labels(), "request": 0}
        shown = len(result.group) if isinstance(result, NeuronTexts) else 3 * 56
        assert len(again.to_frame()) == shown
