"""Directions on disk: read back as written, read by safetensors, and every damage is a sentence."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from core.results.directions_file import about, pack, unpack
from core.spec.errors import Error
from tests.pages import direction_samples


def test_directions_are_read_back_as_they_were_written() -> None:
    result = direction_samples.direction()
    found = unpack(pack(result))
    np.testing.assert_array_equal(found.weights, result.direction)
    np.testing.assert_array_equal(found.bias, -result.middle)
    assert found.about["method"] == "difference"
    json.dumps(about(direction_samples.direction(fixed=True)), allow_nan=False)


def test_the_file_is_one_that_safetensors_reads() -> None:
    result = direction_samples.direction()
    stored = load(pack(result))
    assert set(stored) == {"W", "b", "mean_pos", "mean_neg"}
    np.testing.assert_array_equal(stored["mean_neg"], result.mean_negative)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_probe_files_of_other_programs_are_read(kind: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 8)).astype(kind)
    found = unpack(save({"W": weights, "a": np.arange(4).astype(kind)}))
    np.testing.assert_allclose(found.weights, weights, rtol=1e-3)
    assert found.bias.tolist() == [0, 1, 2, 3]
    assert unpack(save({"W": weights})).bias.tolist() == [0] * 4


GOOD = save({"W": np.ones((2, 3), "float32")})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a safetensors file"),
        (b"\xff" * 40, "header is missing or too long"),
        (GOOD[:8] + b"x" * (len(GOOD) - 8), "not JSON"),
        ((2).to_bytes(8, "little") + b"[]", "not a table"),
        (GOOD[:-1], "lies outside the file"),
        (save({"X": np.ones((2, 3), "float32")}), "no tensor W"),
        (save({"W": np.ones(3, "float32")}), "the shape"),
        (save({"W": np.zeros((2, 3), "float32")}), "length zero"),
        (save({"W": np.full((2, 3), np.nan, "float32")}), "not finite"),
        (save({"W": np.ones((2, 3), "int64")}), "F16, F32 and F64"),
        (save({"W": np.ones((2, 3), "float32"), "b": np.ones(5, "float32")}), "5 biases for 2"),
        (GOOD.replace(b"[2,3]", b"[2,-3]"), "safetensors file|lies outside|not read"),
        (GOOD.replace(b'"data_offsets":[0,24]', b'"data_offsets":[0,99]'), "lies outside"),
    ],
)
def test_a_damaged_file_is_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(Error, match=says):
        unpack(data)


def test_what_a_file_says_of_itself_is_cut_and_never_believed() -> None:
    hostile = {"about": json.dumps({"concept": "<script>" * 100, "n_positive": 3, "x": [1]})}
    from safetensors.numpy import save as write

    found = unpack(write({"W": np.ones((2, 3), "float32")}, metadata=hostile)).about
    assert len(found["concept"]) == 200
    assert "x" not in found
    assert unpack(write({"W": np.ones((2, 3), "float32")}, metadata={"about": "{"})).about == {}
