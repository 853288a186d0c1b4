"""Dictionaries by name: kept, listed, refused, and never taken for another."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from core import analyses, answers, api
from core.dictionaries import names, shelf
from core.dictionaries.fit import fitted
from core.dictionaries.hook_names import PRE
from core.dictionaries.save import save
from core.dictionaries.sparse import About
from core.models.loaded import Loaded
from core.queue import Progress, Work
from core.spec.errors import Error
from core.spec.interventions import Clamp, Control
from core.spec.request import ask
from tests.core.small_dictionaries import at_place, drawn
from tests.core.written_formats import numbers, saelens

TEXT = "the cat sat on the mat"


@pytest.fixture
def m(folder: Path) -> Loaded:
    """A tiny Llama in a folder of its own, loaded anew."""
    return api.load(folder, device="cpu")


@pytest.fixture
def made(m: Loaded, tmp_path: Path) -> Path:
    """A dictionary of its L1.resid_post, on disk."""
    save(at_place(m, "L1.resid_post", seed=1), tmp_path / "made")
    return tmp_path / "made"


def test_a_dictionary_beside_the_weights_is_there_by_the_name_of_its_folder(m: Loaded) -> None:
    save(at_place(m, "L1.resid_post"), m.folder / "sae" / "mine")
    fresh = shelf.Shelf(m)
    assert list(fresh) == ["mine"]
    assert fresh["mine"].n_features == 24
    assert "other" not in fresh
    with pytest.raises(KeyError):
        fresh["other"]


def test_the_shipped_dictionaries_have_their_names_and_places() -> None:
    loaded = api.load("embedded")
    assert list(loaded.dictionaries) == ["topk-L1", "topk-L2", "topk-L4"]
    d = api.dictionary("topk-L2", loaded)
    assert (d.n_features, str(d.site), d.d_in) == (2048, "L2.resid_post", 192)
    x = api.trace(loaded, "Tom walked home.", ["L2.resid_post"])["L2.resid_post"]
    f = d.encode(x)
    assert f.shape == (len(x), 2048)
    assert f.dtype == np.float32
    assert ((f > 0).sum(1) <= 16).all()
    error = np.square(x[1:] - d.decode(f)[1:]).sum() / np.square(x[1:] - x[1:].mean(0)).sum()
    assert error < 0.5


def test_what_was_added_is_a_site_also_for_the_next_session(m: Loaded, made: Path) -> None:
    d = api.add_dictionary(m, made, "mine")
    assert repr(d) == "<mine: 24 features of L1.resid_post>"
    x = api.trace(m, TEXT, ["L1.resid_post"])["L1.resid_post"]
    unit = int(d.encode(x).max(0).argmax())
    place = f"L1.resid_post.feature[mine:{unit}]"
    np.testing.assert_allclose(api.trace(m, TEXT, [place])[place], d.encode(x)[:, unit], atol=1e-6)
    before = api.logits(m, TEXT)
    assert np.abs(api.logits(m, TEXT, [api.Clamp(place, 9.0)]) - before).max() > 0.01
    assert list(shelf.Shelf(m)) == ["mine"]
    with pytest.raises(Error, match="has a dictionary 'mine' already"):
        api.add_dictionary(m, made, "mine")
    api.remove_dictionary(m, "mine")
    assert list(m.dictionaries) == []
    assert made.is_dir()


def test_what_is_said_of_it_is_kept_with_the_name(m: Loaded, made: Path) -> None:
    api.add_dictionary(m, made, "other", site="L2.resid_post", subtract=False, scale=0.5)
    found = shelf.Shelf(m)["other"]
    assert (str(found.site), found.b_in, found.norm.scale) == ("L2.resid_post", None, 0.5)


def test_a_name_means_the_bytes_that_were_added(m: Loaded, made: Path) -> None:
    api.add_dictionary(m, made, "mine")
    config = json.loads((made / "cfg.json").read_text())
    (made / "cfg.json").write_text(json.dumps(config | {"apply_b_dec_to_input": False}))
    m.dictionaries.look()  # type: ignore[attr-defined]  # a second has gone by
    fresh = shelf.Shelf(m)
    with pytest.raises(Error, match="the files of mine changed since it was added"):
        fresh["mine"]
    with pytest.raises(Error, match="changed since it was added"):
        api.trace(m, TEXT, ["L1.resid_post.feature[mine:2]"])


def test_one_in_the_models_folder_is_opened_anew_when_it_changes(
    m: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = m.folder / "sae" / "mine"
    save(at_place(m, "L1.resid_post", seed=1), place)
    fresh = shelf.Shelf(m)
    first = fresh["mine"]
    assert fresh["mine"] is first
    config = json.loads((place / "cfg.json").read_text())
    (place / "cfg.json").write_text(json.dumps(config | {"apply_b_dec_to_input": False}))
    monkeypatch.setattr(shelf, "FRESH_SECONDS", 0.0)
    assert fresh["mine"].b_in is None
    assert fresh["mine"].about.fingerprint != first.about.fingerprint


def test_what_does_not_fit_the_model_is_refused_in_a_sentence(
    m: Loaded, made: Path, tmp_path: Path
) -> None:
    wide = tmp_path / "wide"
    save(drawn(40, at="L1.resid_post"), wide)
    with pytest.raises(Error, match=r"wide reads 40 numbers and L1\.resid_post of .* holds 36"):
        api.dictionary(wide, m)
    with pytest.raises(Error, match=r"made reads at L7\.resid_post: .* has layers 0 to 2"):
        api.dictionary(made, m, site="L7.resid_post")
    with pytest.raises(Error, match="there is no dictionary 'nothing' for this model; there are"):
        api.dictionary("nothing", m)
    with pytest.raises(Error, match="no name for a dictionary"):
        api.add_dictionary(m, made, "a/b")
    with pytest.raises(Error, match="would write in front of where it reads"):
        api.dictionary(made, m, site="L1.resid_post", out_site="L0.resid_post", subtract=False)


def test_only_streams_of_models_with_layer_norm_are_centred(llama: Loaded, gpt2: Loaded) -> None:
    for loaded, at, kept in (
        (gpt2, "L1.resid_post", True),
        (gpt2, "L1.mlp_out", True),
        (gpt2, "L1.neuron", False),
        (llama, "L1.resid_post", False),
    ):
        assert fitted(at_place(loaded, at, center=True), loaded).center is kept


def test_the_gate_is_what_hook_pre_means_where_there_is_one(llama: Loaded, gpt2: Loaded) -> None:
    for loaded, place in ((llama, "L1.gate"), (gpt2, "L1.up")):
        about = About(notes=(PRE,))
        assert str(fitted(at_place(loaded, "L1.up", about=about), loaded).site) == place


def test_a_missing_scale_is_estimated_on_the_reference_text(m: Loaded, tmp_path: Path) -> None:
    path = saelens(
        tmp_path, "standard", numbers(1), normalize_activations="expected_average_only_in"
    )
    wide = at_place(m, "L1.resid_post", "relu")
    from safetensors.torch import save_file

    stored = {"W_enc": wide.W_enc, "b_enc": wide.b_enc, "W_dec": wide.W_dec, "b_dec": wide.b_out}
    save_file(stored, path / "sae_weights.safetensors")
    d = api.add_dictionary(m, path, "scaled")
    from core.corpus.reference import paragraphs

    seen = api.trace(m, paragraphs()[0][:80], ["L1.resid_post"])["L1.resid_post"]
    length = np.linalg.norm(seen[1:], axis=1).mean()
    assert d.inner.norm.scale == pytest.approx(36**0.5 / length, rel=0.2)
    assert shelf.Shelf(m)["scaled"].norm.scale == d.inner.norm.scale


def test_a_hosted_server_takes_no_paths(
    m: Loaded, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    for call in (api.dictionary, lambda path, m: api.add_dictionary(m, path, "x")):
        with pytest.raises(Error, match="no paths"):
            call(made, m)


def test_a_notebook_gives_and_takes_float32_arrays(m: Loaded, made: Path) -> None:
    d = api.dictionary(made, m)
    x = api.trace(m, TEXT, [str(d.site)])[str(d.site)].astype("float64")
    f = d.encode(x.tolist())
    assert f.dtype == d.decode(f).dtype == np.float32
    np.testing.assert_allclose(
        d.decode(f), d.inner.reconstructed(torch.tensor(x).float()), atol=1e-6
    )
    with pytest.raises(Error, match=r"values of L1\.resid_post should be \[n, 36\], got \[2, 7\]"):
        d.encode(np.ones((2, 7)))
    with pytest.raises(Error, match=r"activations should be \[n, 24\], got \[24\]"):
        d.decode(np.ones(24))
    with pytest.raises(Error, match="infinite or not a number"):
        d.encode(np.full((1, 36), np.nan))
    with pytest.raises(Error, match="should be numbers"):
        d.encode([["a"]])


def test_a_transcoder_goes_there_and_back_through_saelens_layout(m: Loaded, tmp_path: Path) -> None:
    inner = at_place(m, "L1.mlp_in", "jumprelu", out="L1.mlp_out")
    save(inner, tmp_path / "there")
    d = api.dictionary(tmp_path / "there", m)
    again = api.save_dictionary(d, tmp_path / "back")
    x = api.trace(m, TEXT, ["L1.mlp_in"])["L1.mlp_in"]
    np.testing.assert_allclose(again.encode(x), inner.encode(torch.tensor(x)), atol=1e-6)
    assert (str(again.site), str(again.out_site)) == ("L1.mlp_in", "L1.mlp_out")


# Stored answers


def _request(m: Loaded, name: str, **more: object):  # type: ignore[no-untyped-def]
    change = Clamp(f"L1.resid_post.feature[{name}:3]", 9.0)  # type: ignore[arg-type]
    return ask("next_tokens", m.ref, TEXT, interventions=(change,), **more)


def test_names_in_options_sites_and_interventions_are_found(m: Loaded) -> None:
    change = Clamp("L1.resid_post.feature[a:1]", 2.0)
    request = ask(
        "steer",
        m.ref,
        TEXT,
        interventions=(change, Control(Clamp("L1.resid_post.feature[b:1]", 2.0))),
        dictionary="c",
        with_dictionary="d",
        dictionaries=("e", "f"),
        site="L1.resid_post.feature[g:4]",
        changes=(("x", "L1.resid_post.feature[h:4]@3"),),
    )
    assert names.asked(request) == tuple("abcdefgh")
    assert names.asked(ask("steer", m.ref, TEXT)) == ()


def test_an_answer_is_stored_under_the_fingerprint_of_its_dictionary(m: Loaded, made: Path) -> None:
    plain = ask("scale", m.ref, site="L1.resid_post")
    bare = analyses.salt(plain)
    api.add_dictionary(m, made, "mine")
    assert analyses.salt(plain) == bare
    first = analyses.salt(_request(m, "mine"))
    assert shelf.Shelf(m)["mine"].about.fingerprint in first
    api.remove_dictionary(m, "mine")
    missing = analyses.salt(_request(m, "mine"))
    api.add_dictionary(m, made, "mine", subtract=False)
    second = analyses.salt(_request(m, "mine"))
    assert len({bare, first, missing, second}) == 4


def test_a_changed_file_under_a_name_serves_no_old_answer(m: Loaded) -> None:
    place = m.folder / "sae" / "mine"
    save(at_place(m, "L1.resid_post", seed=1), place)
    request = _request(m, "mine")
    progress = Progress(Work("key", "label", None), lambda: None)
    assert answers.known(request) is None
    first = answers.answer(request, progress)
    assert answers.known(request) is not None
    later = time.time() + 5
    config = json.loads((place / "cfg.json").read_text())
    (place / "cfg.json").write_text(json.dumps(config | {"normalize_activations": "layer_norm"}))
    os.utime(place / "cfg.json", (later, later))
    assert answers.known(request) is None
    again = answers.answer(request, progress)
    clamped = [np.asarray(each.arrays()["probability"]) for each in (first, again)]
    assert not np.array_equal(*clamped)
