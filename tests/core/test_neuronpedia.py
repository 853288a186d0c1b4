"""Features in Neuronpedia's JSON: what goes out is what the card says, and labels come back in."""

import gzip
import json
from pathlib import Path

import pytest

from core import api
from core.galleries import labels, layout
from core.models.loaded import Loaded
from core.results.feature_card import FeatureCard
from core.results.neuronpedia import labels_in
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary

CORPUS = (
    "The dog ran to the red house. The cat sat in the house.",
    "A bird sang in the tree. " * 3,
)
OPTIONS = {"corpus": CORPUS, "window": 16}
KEYS = (
    *("feature_index", "neuron_alignment_indices", "neuron_alignment_values"),
    *("neuron_alignment_l1", "correlated_neurons_indices", "correlated_neurons_pearson"),
    *("correlated_neurons_l1", "correlated_features_indices", "correlated_features_pearson"),
    *("correlated_features_l1", "pos_str", "pos_values", "neg_str", "neg_values", "frac_nonzero"),
    *("freq_hist_data_bar_heights", "freq_hist_data_bar_values", "logits_hist_data_bar_heights"),
    *("logits_hist_data_bar_values", "decoder_weights_dist", "n_prompts_total"),
    *("n_tokens_in_prompt", "activations"),
)
SHOWN = ["tokens", "values", "bin_min", "bin_max", "bin_contains", "qualifying_token_index"]


@pytest.fixture
def m(llama: Loaded) -> Loaded:
    return carrying(llama, dictionary(llama))


def test_a_feature_goes_out_with_every_key_and_the_cards_own_numbers(
    m: Loaded, tmp_path: Path
) -> None:
    path = api.export_features(m, "made", [3, 5], tmp_path / "batch.json", **OPTIONS)
    plain = json.loads(path.read_text())
    assert (plain["layer"], plain["sae_set"], plain["n_features"]) == (1, "made", 24)
    assert [one["feature_index"] for one in plain["features"]] == [3, 5]
    one = plain["features"][0]
    assert set(KEYS) <= set(one)
    card = api.run("feature_card", m, dictionary="made", feature=3, **OPTIONS)
    assert isinstance(card, FeatureCard)
    assert one["frac_nonzero"] == pytest.approx(card.density, abs=1e-6)
    assert all(set(SHOWN) <= set(each) for each in one["activations"])
    first = one["activations"][0]
    assert tuple(first["tokens"]) == card.tokens[0]
    # In the dictionary's own units, not in the length of what is written.
    gallery = api.run("gallery", m, dictionary="made", **OPTIONS)
    assert max(first["values"]) == pytest.approx(gallery.arrays()["max_activation"][3], rel=1e-3)
    assert abs(card.length - 1) > 0.1
    assert first["values"][first["qualifying_token_index"]] == max(first["values"])
    assert (first["bin_min"], first["bin_contains"]) == (-1, -1)
    inner = [each for each in one["activations"] if each["bin_contains"] >= 0]
    assert inner
    for each in inner:
        peak = each["values"][each["qualifying_token_index"]]
        assert 0.999 * each["bin_min"] <= peak <= 1.001 * each["bin_max"]  # kept in float16
        fifth = round(5 * each["bin_max"] * card.length / card.largest) - 1
        assert each["bin_contains"] == pytest.approx(card.band_share[fifth], abs=1e-6)
    lens = api.run("feature_lens", m, dictionary="made", feature=3)
    assert one["pos_str"] == list(lens.read(lens.top_ids[0]))
    row = m.dictionaries["made"].decoder_row(3).numpy()
    assert one["neuron_alignment_indices"][0] == int(row.argmax())


def fingerprint(m: Loaded) -> str:
    return layout.dictionary_fingerprint(m.dictionaries["made"])


def test_labels_that_went_out_come_back_in_once_and_below_ones_own(
    m: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels.add_all(fingerprint(m), {3: labels.Label("dogs"), 5: labels.Label("a <b> house")})
    path = api.export_features(m, "made", [3, 5, 7], tmp_path / "batch.json", **OPTIONS)
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "another"))
    labels.add(fingerprint(m), 5, labels.Label("mine", by="yours"))
    assert api.import_labels(m, "made", path) == 1
    assert api.import_labels(m, "made", path) == 0
    found = labels.added(fingerprint(m))
    assert {number: each.text for number, each in found.items()} == {3: "dogs", 5: "mine"}
    assert found[3].by == "Neuronpedia"
    card = api.run("feature_card", m, dictionary="made", feature=3, **OPTIONS)
    assert (card.label, card.label_by) == ("dogs", "Neuronpedia")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"features": [{"feature_index": 24, "label": "x"}]}', "feature 24, and the dictionary"),
        ('{"n_features": 25, "features": [{"index": 1}]}', "of 25 features, this one has 24"),
        ('[{"index": "3", "layer": "6-res-jb", "description": "x"}]', "of layer 6"),
        ('{"a": 1}', "no features"),
        ("[1, 2]", "no features"),
        ("no json", "neither JSON"),
        ("[" * 100_000, "neither JSON"),
    ],
)
def test_a_file_of_another_dictionary_or_of_nothing_is_refused(
    m: Loaded, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(Error, match=says):
        api.import_labels(m, "made", path)
    assert labels.added(fingerprint(m)) == {}


def test_explanations_of_neuronpedia_are_read_line_by_line_and_packed(
    m: Loaded, tmp_path: Path
) -> None:
    lines = [
        {"modelId": "tiny", "layer": "1-made", "index": "2", "description": "red\nthings " * 30},
        {"modelId": "tiny", "layer": "1-made", "index": "4", "explanations": [{}, {"text": "b"}]},
        {"modelId": "tiny", "layer": "1-made", "index": "6", "description": " "},
        {"unrelated": True},
    ]
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    assert api.import_labels(m, "made", path) == 2
    found = labels.added(fingerprint(m))
    assert found[4].text == "b"
    assert found[2].text.startswith("red things red")
    assert len(found[2].text) == labels.MAX_LABEL
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Error, match="cannot be read"):
        api.import_labels(m, "made", path)


def test_what_is_no_number_is_null_and_a_feature_that_never_fires_goes_out(
    m: Loaded, tmp_path: Path
) -> None:
    m.dictionaries["made"].b_enc[9] = -1e6
    path = api.export_features(m, "made", 9, tmp_path / "one.json", **OPTIONS)
    one = json.loads(path.read_text(), parse_constant=pytest.fail)["features"][0]
    assert one["activations"] == []
    assert one["frac_nonzero"] == 0


def test_the_first_explanation_that_says_something_is_taken() -> None:
    text = json.dumps({"index": 1, "label": "outer", "explanations": [{"description": "a"}]})
    assert labels_in(text, 2, 0) == {1: "a"}
