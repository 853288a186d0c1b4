"""Features in interventions: what they add, what they leave alone, and that order is no matter."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core import api
from core.dictionaries.sparse import Norm, SparseDict
from core.engine.forward import run
from core.engine.rows import rows, text_rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Control
from core.spec.site import Site
from tests.core.small_dictionaries import KINDS, NORMS, at_place, feature, holding

TEXT = "the cat sat on the mat"
SITES = ("L1.resid_post", "L1.resid_pre", "L1.mlp_out", "L1.head", "L1.neuron", "L1.mlp_in")


def values(m: Loaded, place: Site, *changes: object) -> Tensor:
    """What the site holds of TEXT, [token, ...]."""
    seen = run(m, text_rows(m, TEXT), read=[place], change=[changes], logits="none")  # type: ignore[list-item]
    return seen.values[place][0]


def logits(m: Loaded, *changes: object) -> Tensor:
    found = run(m, text_rows(m, TEXT), change=[changes]).logits  # type: ignore[list-item]
    assert found is not None
    return found[0]


def busy(d: SparseDict, x: Tensor) -> tuple[int, int]:
    """(token, feature) that fires."""
    codes = d.codes(x)
    return int(codes.token[0]), int(codes.feature[0])


def error(d: SparseDict, x: Tensor, f: Tensor) -> Tensor:
    """What is left of x beside the given activations."""
    flat = d.flat(x)
    return flat - d.decode(f, d.normed(flat))


@pytest.mark.parametrize("at", SITES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_clamp_adds_the_difference_along_the_decoder_row(
    kind: str, at: str, llama: Loaded
) -> None:
    d = at_place(llama, at, kind)
    m = holding(llama, d)
    x = values(m, d.site)
    _, unit = busy(d, x)
    f = d.encode(x)
    after = values(m, d.site, api.Clamp(feature(d, unit), 3.0))
    wanted = f.clone()
    wanted[:, unit] = 3.0
    moved = (wanted - f) @ d.W_dec
    torch.testing.assert_close(d.flat(after), d.flat(x) + moved, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        d.flat(after) - d.decode(wanted), error(d, x, f), rtol=1e-5, atol=1e-5
    )
    assert float(moved.norm()) > 0.1


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.kind)
@pytest.mark.parametrize("center", [False, True])
def test_the_reconstruction_error_stays_whatever_is_normalised(
    norm: Norm, center: bool, gpt2: Loaded
) -> None:
    d = at_place(gpt2, "L1.resid_post", norm=norm, center=center)
    m = holding(gpt2, d)
    x = values(m, d.site)
    _, unit = busy(d, x)
    normed = d.normed(d.flat(x))
    f = d.encode(x)
    wanted = f.clone()
    wanted[:, unit] = 2.5
    after = values(m, d.site, api.Clamp(feature(d, unit), 2.5))
    shift = d.decode(wanted, normed) - d.decode(f, normed)
    torch.testing.assert_close(after - x, shift, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clamp_at_the_current_value_changes_no_logit(kind: str, llama: Loaded) -> None:
    d = at_place(llama, "L1.resid_post", kind)
    m = holding(llama, d)
    before = logits(m)
    token, unit = busy(d, values(m, d.site))
    place = feature(d, unit, token)
    now = float(values(m, place)[0])
    assert now > 0
    # Where latents compete the number of tokens at once decides about the last bit.
    torch.testing.assert_close(logits(m, api.Clamp(place, now)), before, rtol=0, atol=2e-6)
    assert float((logits(m, api.Clamp(place, now + 1)) - before).abs().max()) > 1e-3


def test_every_change_of_one_number_acts_on_a_feature_as_on_a_neuron(llama: Loaded) -> None:
    d = at_place(llama, "L1.resid_post")
    m = holding(llama, d)
    x = values(m, d.site)
    _, unit = busy(d, x)
    place = feature(d, unit)
    f = values(m, place)
    source = "a dog ran off the mat"
    other = api.trace(m, source, [place])[str(place)]
    cases = [
        (api.Clamp(place, -2.0), torch.full_like(f, -2.0)),
        (api.Scale(place, 3.0), 3 * f),
        (api.Ablate(place), torch.zeros_like(f)),
        (api.Ablate(place, "mean"), f.mean().expand_as(f)),
        (api.Limit(place, high=0.01), f.clamp(max=0.01)),
        (api.Add(place, [1.0], 0.7), f + 0.7),
        (api.Clamp(place, 5.0, where="2,4-"), where(f, [2, *range(4, len(f))], 5.0)),
        (api.Clamp(feature(d, unit, 3), 5.0), where(f, [3], 5.0)),
    ]
    if len(other) == len(f):
        cases.append((api.Patch(place, source), torch.tensor(other)))
    for change, wanted in cases:
        after = values(m, d.site, change)
        torch.testing.assert_close(
            after, x + (wanted - f)[:, None] * d.W_dec[unit], rtol=1e-5, atol=1e-6, msg=str(change)
        )
    with pytest.raises(Error, match="a feature is one number"):
        logits(m, api.Project(place, [1.0]))


def where(f: Tensor, tokens: list[int], value: float) -> Tensor:
    new = f.clone()
    new[tokens] = value
    return new


def test_resampling_puts_in_the_features_value_on_the_reference_text(llama: Loaded) -> None:
    d = at_place(llama, "L1.resid_post", "relu")
    m = holding(llama, d)
    m.memo = {}
    x, place = values(m, d.site), feature(d, 5)
    f = values(m, place)
    moved = values(m, d.site, api.Ablate(place, "resample", 3)) - x
    put_in = moved @ d.W_dec[5] / d.W_dec[5].square().sum() + f
    assert float(put_in.std()) < 1e-5
    from core.corpus.reference import reference_chunks

    there = run(m, rows(m, reference_chunks(m)[:1]), read=[place], logits="none").values[place][0]
    assert float((there - put_in[0]).abs().min()) < 1e-5


def test_the_control_of_a_feature_moves_the_stream_as_far_another_way(llama: Loaded) -> None:
    for at in SITES:
        d = at_place(llama, at)
        m = holding(llama, d)
        x = values(m, d.site)
        _, unit = busy(d, x)
        change = api.Clamp(feature(d, unit), 4.0)
        moved = d.flat(values(m, d.site, change) - x)
        control = d.flat(values(m, d.site, Control(change, 5)) - x)
        if at not in ("L1.head", "L1.neuron"):
            torch.testing.assert_close(moved.norm(dim=1), control.norm(dim=1), rtol=1e-4, atol=1e-5)
        assert float(torch.cosine_similarity(moved, control).abs().max()) < 0.95
        again = d.flat(values(m, d.site, Control(change, 5)) - x)
        assert torch.equal(control, again)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_rows_of_a_batch_are_those_of_single_runs(family: str, tiny) -> None:  # type: ignore[no-untyped-def]
    loaded = api.load(tiny(family), device="cpu")
    d = at_place(loaded, "L1.resid_post")
    m = holding(loaded, d)
    units = [busy(d, values(m, d.site))[1], 3, 7]
    lists = [[api.Clamp(feature(d, unit), 2.0 + i)] for i, unit in enumerate(units)]
    lists.append([Control(lists[0][0], 1)])
    text = rows(m, [m.tokenizer(TEXT)["input_ids"]] * len(lists))
    together = run(m, text, change=lists).logits
    assert together is not None
    for row, changes in enumerate(lists):
        torch.testing.assert_close(together[row], logits(m, *changes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["topk", "jumprelu"])
def test_writing_with_the_cache_is_writing_with_whole_forwards(kind: str, stories: Loaded) -> None:
    d = at_place(stories, "L2.resid_post", kind)
    m = holding(stories, d)
    text = "Once upon a time"
    seen = api.trace(m, text, [d.site])[str(d.site)]
    _, unit = busy(d, torch.tensor(seen))
    changes = [api.Clamp(feature(d, unit), 6.0), api.Ablate(feature(d, (unit + 1) % 24), "mean")]
    written = api.generate(m, text, [changes[0]], max_new_tokens=8)
    ids = [int(i) for i in m.tokenizer(text)["input_ids"]]
    for _ in range(8):
        answer = run(m, rows(m, [ids]), change=[[changes[0]]], logits="last").logits
        assert answer is not None
        ids.append(int(answer[0, -1].argmax()))
    assert m.tokenizer.decode(ids, skip_special_tokens=True).endswith(written)
    assert written != api.generate(m, text, max_new_tokens=8)


def test_a_transcoders_feature_is_read_at_its_input_and_acts_at_its_output(llama: Loaded) -> None:
    d = at_place(llama, "L1.mlp_in", "relu", out="L1.mlp_out")
    m = holding(llama, d)
    read, out = d.site, d.out_site
    x, y = values(m, read), values(m, out)
    f = d.encode(x)
    change = api.Clamp(feature(d, 3), 2.0)
    assert torch.equal(values(m, read, change), x)
    moved = (2.0 - f[:, 3])[:, None] * d.W_dec[3]
    torch.testing.assert_close(values(m, out, change), y + moved, rtol=1e-5, atol=1e-6)
    control = values(m, out, Control(change, 2)) - y
    torch.testing.assert_close(control.norm(dim=1), moved.norm(dim=1), rtol=1e-4, atol=1e-5)


def test_two_features_are_changed_in_the_order_given(llama: Loaded) -> None:
    d = at_place(llama, "L1.resid_post", "relu")
    m = holding(llama, d)
    x = values(m, d.site)
    first = x + (3.0 - d.encode(x)[:, 2])[:, None] * d.W_dec[2]
    second = first + (1.0 - d.encode(first)[:, 9])[:, None] * d.W_dec[9]
    after = values(m, d.site, api.Clamp(feature(d, 2), 3.0), api.Clamp(feature(d, 9), 1.0))
    torch.testing.assert_close(after, second, rtol=1e-5, atol=1e-6)


def test_a_feature_at_another_layer_than_its_dictionarys_is_refused(llama: Loaded) -> None:
    m = holding(llama, at_place(llama, "L1.resid_post"))
    with pytest.raises(Error, match=r"small reads L1\.resid_post; write L1\.resid_post\.feature"):
        api.logits(m, TEXT, [api.Clamp("L2.resid_post.feature[small:3]", 1.0)])
    with pytest.raises(Error, match="features 0 to 23"):
        api.logits(m, TEXT, [api.Clamp("L1.resid_post.feature[small:24]", 1.0)])
    with pytest.raises(Error, match="no dictionary 'other'"):
        api.logits(m, TEXT, [api.Clamp("L1.resid_post.feature[other:2]", 1.0)])


def test_one_feature_of_a_topk_dictionary_is_what_all_codes_say(llama: Loaded) -> None:
    d = at_place(llama, "L1.resid_post")
    x = torch.tensor(api.trace(llama, TEXT, [d.site])[str(d.site)])
    whole = d.encode(x)
    alone = torch.stack([d.feature(x, unit) for unit in range(d.n_features)], dim=1)
    np.testing.assert_allclose(alone.numpy(), whole.numpy(), atol=1e-6)
