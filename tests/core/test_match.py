"""Counterparts of units: planted orders are found again, strangers share none beyond chance."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses import match as module
from core.figures import match as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.match import Match
from core.spec.errors import Error
from tests.core.copies import writable
from tests.core.two_models import LONG, TEXTS, reordered, stranger, twin


@pytest.mark.parametrize("unit", ["neuron", "head"])
@pytest.mark.parametrize("by", ["activation", "writes"])
def test_every_unit_of_a_model_is_its_own_counterpart(unit: str, by: str, llama: Loaded) -> None:
    result = api.run("match", llama, other=twin(llama), unit=unit, by=by, texts=LONG)
    n = len(result.likeness)
    assert result.partner.tolist() == list(range(n))
    np.testing.assert_allclose(result.likeness, 1, atol=1e-4)
    np.testing.assert_allclose(result.same_index, 1, atol=1e-4)
    assert result.control_index.mean() < 0.8
    assert result.mutual.all()
    assert result.matched.all()
    assert (result.flow == np.eye(3)).all()
    assert result.control.mean() < 0.9


@pytest.mark.parametrize("by", ["activation", "writes"])
def test_neurons_that_were_put_in_another_order_are_found(by: str, llama: Loaded) -> None:
    other, went = reordered(llama)
    result = api.run("match", llama, other=other, by=by, texts=LONG)
    wanted = [layer * llama.d_mlp + place for layer, row in enumerate(went) for place in row]
    assert result.partner.tolist() == wanted
    assert result.back_partner[result.partner].tolist() == list(range(len(wanted)))
    assert result.matched.all()
    assert (result.partner == np.arange(len(wanted))).mean() < 0.1
    assert result.same_index.mean() < 0.5


def test_heads_that_changed_places_are_found(gpt2: Loaded) -> None:
    other = replace(writable(gpt2), name="turned", fingerprint="turned")
    width, n = gpt2.d_head, gpt2.n_heads
    order = torch.cat([torch.arange(h * width, (h + 1) * width) for h in [*range(1, n), 0]])
    with torch.no_grad():
        for block in other.stacks[""].blocks:
            into = block.attn.c_attn
            columns = torch.cat([order + part * gpt2.d_model for part in range(3)])
            into.weight.copy_(into.weight[:, columns])
            into.bias.copy_(into.bias[columns])
            block.heads.weight.copy_(block.heads.weight[order])
    wanted = [layer * n + (h - 1) % n for layer in range(gpt2.n_layers) for h in range(n)]
    for by in ("activation", "writes"):
        result = api.run("match", gpt2, other=other, unit="head", by=by, texts=LONG)
        assert result.partner.tolist() == wanted
        np.testing.assert_allclose(result.likeness, 1, atol=1e-3)


@pytest.mark.parametrize("by", ["activation", "writes"])
def test_a_stranger_has_no_counterparts_beyond_random_mixtures(by: str, llama: Loaded) -> None:
    result = api.run("match", llama, other=stranger(llama), by=by, texts=LONG)
    # Both answer to the same words, so a few neurons of any two models go together.
    assert result.matched.mean() < 0.15
    assert result.likeness.mean() - result.control.mean() < 0.12
    assert abs(result.same_index.mean()) < 0.1
    assert result.flow.max() < 0.75
    if by == "activation":
        assert result.shuffled.mean() < result.likeness.mean()


def test_layers_read_in_groups_give_the_same_answer(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = api.run("match", llama, other=stranger(llama), texts=LONG)
    monkeypatch.setattr(module, "HELD", 1)
    parts = api.run("match", llama, other=stranger(llama), texts=LONG)
    for name, values in whole.arrays().items():
        np.testing.assert_allclose(parts.arrays()[name], values, atol=1e-5, err_msg=name)


def test_likeness_is_the_correlation_of_what_a_notebook_reads(
    llama: Loaded, stories: Loaded
) -> None:
    result = api.run("match", llama, other=stories, texts=TEXTS, most=5_000)
    unit = 7
    partner = int(result.partner[unit])
    columns = []
    for m, there, site in ((llama, False, unit), (stories, True, partner)):
        name = result.site(site, there)
        values = {t: api.trace(m, t, [name])[name] for t in result.texts}
        columns.append((m, values))
    from core.analyses.aligned import matched, spans

    rows = []
    for text in result.texts:
        pairs = matched(spans(llama, text), spans(stories, text))
        rows += [(columns[0][1][text][a], columns[1][1][text][b]) for a, b in pairs if a and b]
    assert len(rows) == result.n_tokens
    one, two = np.array(rows).T
    assert result.likeness[unit] == pytest.approx(np.corrcoef(one, two)[0, 1], abs=1e-4)
    assert result.why_no_index
    assert len(result.same_index) == 0


def test_what_is_written_is_compared_over_the_tokens_both_have(
    llama: Loaded, stories: Loaded
) -> None:
    m, other = api.load("embedded", device="cpu"), stories
    result = api.run("match", m, other=other, by="writes")
    assert 100 < result.n_tokens < 512
    from core.analyses.paired_units import token_names
    from core.engine.readout import reading_matrix
    from core.engine.writes import neuron_writes

    ids = [token_names(each) for each in (m, other)]
    both = sorted(set(ids[0]) & set(ids[1]))
    unit = int(result.listed[0])
    partner = int(result.partner[unit])
    said = []
    for each, own, at in ((m, ids[0], unit), (other, ids[1], partner)):
        layer, number = divmod(at, each.d_mlp)
        matrix = reading_matrix(each)[[own[name] for name in both]]
        said.append((matrix @ neuron_writes(each, layer)[number]).numpy())
    assert result.likeness[unit] == pytest.approx(np.corrcoef(*said)[0, 1], abs=1e-4)


def test_neurons_of_a_tuned_model_are_those_of_its_base() -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("match", m, other="embedded-tuned", by="writes")
    own = result.partner == np.arange(len(result.partner))
    assert own.mean() > 0.95
    heads = api.run("match", m, other="embedded-tuned", unit="head", most=500)
    assert (heads.partner == np.arange(len(heads.partner))).mean() > 0.9
    assert heads.matched.mean() > 0.9
    assert heads.shuffled.max() < 0.2


def test_features_of_one_dictionary_are_followed_into_the_tuned_model() -> None:
    m, tuned = (api.load(name, device="cpu") for name in ("embedded", "embedded-tuned"))
    name = next(iter(m.dictionaries))
    there = replace(tuned, dictionaries=m.dictionaries)
    result = api.run("match", m, other=there, unit="feature", dictionary=name, most=600)
    known = result.likeness > 0.3
    assert known.sum() > 50
    assert (result.partner == np.arange(len(result.partner)))[known].mean() > 0.85
    assert result.why_no_index == ""
    assert len(result.says_here) == len(result.listed)


@pytest.mark.parametrize("family", ["bert", "t5", "mixtral"])
def test_heads_of_every_kind_are_matched(
    family: str, llama: Loaded, tiny: Callable[[str], Path]
) -> None:
    other = api.load(tiny(family), device="cpu")
    result = api.run("match", llama, other=other, unit="head", texts=LONG)
    assert np.isfinite(result.likeness).all()
    assert result.why_no_index
    drawing.figure(result, Look(), view="pairs")
    if family == "mixtral":
        with pytest.raises(Error, match="no single neurons"):
            api.run("match", llama, other=other, texts=LONG)
    if family == "t5":
        with pytest.raises(Error, match="through the decoder only"):
            api.run("match", llama, other=other, by="writes", unit="head")


def test_the_figures_show_counterparts_and_chance(llama: Loaded) -> None:
    result: Match = api.run("match", llama, other=reordered(llama)[0], texts=LONG)
    for look in (Look(), Look(dark=True)):
        for view in drawing.VIEWS:
            assert drawing.figure(result, look, view=view).data
    assert drawing.title(result).startswith("100% of the neurons of")
    assert "random mixtures" in drawing.caption(result)
    fig = drawing.figure(result, Look(), view="flow")
    np.testing.assert_allclose(np.array(fig.data[0].z, float), np.eye(3))
    frame = result.to_frame()
    assert frame["matched"].all()
    assert frame["unit"][0] == "L0.neuron[0]"
    with pytest.raises(Error, match="is seen as"):
        drawing.figure(result, Look(), view="pie")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "layer"}, "units to match are"),
        ({"by": "name"}, "units are matched by"),
        ({"unit": "feature"}, "with dictionary="),
        ({"dictionary": "x"}, "goes with unit='feature'"),
        ({"most": 2}, "most= is a whole number"),
        ({"texts": ["Tom has a dog"]}, "at least 30"),
    ],
)
def test_what_cannot_be_matched_is_a_sentence(
    options: dict[str, object], said: str, llama: Loaded
) -> None:
    with pytest.raises(Error, match=said):
        api.run("match", llama, other=llama, **options)
