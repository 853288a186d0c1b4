"""Hundreds of damaged files at the door."""

import random
from pathlib import Path
from typing import Any

from core.models import door
from core.spec.errors import Error
from tests.core.folders import blob

_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63 - 1, 2**63, 2**64, 1e308, "", "F32", "__metadata__"),
    *([], [0], [0, 0], [0, 16], [16, 0], [2**63, 1], [[1]], {}, {"a": 1}, "\u0000", "\ud800"),
)


def mutated(rng: random.Random) -> bytes:
    """A sound file of four tensors with one to three faults in its JSON or its bytes."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for number in range(4):
        place = [16 * number, 16 * number + 16]
        entries[f"t{number}"] = {"dtype": "F32", "shape": [2, 2], "data_offsets": place}
    for _ in range(rng.randint(0, 2)):
        target = entries[rng.choice([k for k in entries if isinstance(entries[k], dict)])]
        if target:
            target[rng.choice([*target, "extra"])] = rng.choice(_VALUES)
        if rng.random() < 0.2:
            entries[rng.choice(["t1", "t9", "", "__metadata__"])] = rng.choice(_VALUES)
    raw = bytearray(blob(entries, bytes(rng.choice([64] * 9 + [63, 65, 0]))))
    for _ in range(rng.randint(0, 2)):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw[: rng.randrange(len(raw)) if rng.random() < 0.1 else len(raw)])


def test_a_damaged_header_is_an_error_or_sound_and_never_a_crash(tmp_path: Path) -> None:
    """What passes here must also be read by the format's own reader, which is strict."""
    from safetensors import safe_open

    rng, file, passed = random.Random(0), tmp_path / "model.safetensors", 0
    for _ in range(300):
        file.write_bytes(mutated(rng))
        try:
            found = door.inspect(tmp_path)
        except Error:
            continue
        passed += 1
        with safe_open(file, "pt") as reader:
            shapes = {name: tuple(reader.get_slice(name).get_shape()) for name in reader.keys()}  # noqa: SIM118
        assert shapes == {name: tensor.shape for name, tensor in found.tensors.items()}
    assert 20 < passed < 280, "the mutations should be neither all fatal nor all harmless"
