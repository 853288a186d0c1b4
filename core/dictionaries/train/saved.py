"""A dictionary's folder while it is trained: usable at every checkpoint, in the layout of SAELens.

cfg.json and sae_weights.safetensors are what others open; training.json says how it was trained
and how far, train_log.jsonl holds the curves, checkpoint.state what going on needs.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core import home
from core.dictionaries.save import tensors_of
from core.dictionaries.sparse import SparseDict
from core.spec.errors import Error
from core.spec.site import HEADS, Site
from kernels.feature_topk import Activation

FOLDER = "dictionaries"  # below $EIDOSCOPE_HOME
CONFIG, WEIGHTS, RECORD = "cfg.json", "sae_weights.safetensors", "training.json"
# The checkpoint holds safetensors too, under a name that no reader of dictionaries takes.
LOG, CHECKPOINT = "train_log.jsonl", "checkpoint.state"
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,99}", re.ASCII)
State = Literal["new", "unfinished", "finished"]


def refuse_name(name: str) -> None:
    """Raise `Error` for what is no name of a dictionary, and where none may be kept."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Error(
            f"{str(name)[:40]!r} is no name for a dictionary: letters, digits, '.', '-' and "
            "'_', beginning with a letter or digit"
        )
    if home.hosted():
        raise Error(
            "this server keeps no dictionaries of its visitors; run Eidoscope on your own "
            "machine to train one"
        )


class Saved:
    """The folder of the dictionary `name`; `key` tells one training from another."""

    def __init__(self, name: str, key: str) -> None:
        refuse_name(name)
        self.name, self.key = name, key
        self.folder = home.home() / FOLDER / name

    def state(self) -> State:
        """What is there. Raises `Error` when it is another dictionary's."""
        if not os.path.lexists(self.folder):
            return "new"
        record = self.record()
        if record.get("key") != self.key:
            raise Error(
                f"there is a dictionary {self.name!r} already and it was made otherwise; take "
                "another name="
            )
        return "finished" if record.get("finished") is True else "unfinished"

    def record(self) -> dict[str, Any]:
        """training.json; {} where it cannot be read."""
        try:
            found = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def checkpoint(self) -> dict[str, Tensor]:
        """What the last checkpoint kept; {} where there is none that can be read."""
        try:
            return safetensors.torch.load_file(self.folder / CHECKPOINT)
        except (OSError, SafetensorError, ValueError):
            return {}

    def refuse_if_full(self, needed: int) -> None:
        """Raise `Error` unless the disk has room for that many bytes, before hours are spent."""
        above = self.folder
        while not above.exists():
            above = above.parent
        free = shutil.disk_usage(above).free
        if free < needed:
            raise Error(
                f"training {self.name!r} keeps {needed / 1e6:,.0f} MB on disk and "
                f"{free / 1e6:,.0f} MB are free; make room or choose fewer features"
            )

    def write(
        self,
        dictionary: SparseDict,
        config: Mapping[str, Any],
        record: Mapping[str, Any],
        log: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Tensor],
    ) -> None:
        """Everything, each file replaced as a whole; without a checkpoint the run is finished."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if checkpoint:
                self._replace(CHECKPOINT, safetensors.torch.save(dict(checkpoint)))
            # The record before what others open: a folder with a dictionary in it has its key.
            own = {"key": self.key, "finished": not checkpoint, **record}
            self._replace(RECORD, (json.dumps(own, indent=1) + "\n").encode())
            self._replace(LOG, "".join(json.dumps(row) + "\n" for row in log).encode())
            self._replace(WEIGHTS, safetensors.torch.save(tensors_of(dictionary)))
            self._replace(CONFIG, (json.dumps(config, indent=1) + "\n").encode())
            if not checkpoint:
                (self.folder / CHECKPOINT).unlink(missing_ok=True)
        except OSError as fault:
            raise Error(
                f"the dictionary {self.name!r} cannot be written: {fault.strerror or fault}; what "
                "was written before is kept"
            ) from None

    def log(self) -> list[dict[str, Any]]:
        """The rows of train_log.jsonl that can be read."""
        rows = []
        with suppress(OSError, ValueError):
            for line in (self.folder / LOG).read_text(encoding="utf-8").splitlines():
                rows.append(json.loads(line))
        return rows

    def dictionary(self, site: Site, k: int) -> SparseDict:
        """What was written, without asking which format it is. Raises `Error` when damaged."""
        try:
            found = safetensors.torch.load_file(self.folder / WEIGHTS)
            kind = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))["architecture"]
            act = Activation(
                "relu" if kind == "standard" else kind,
                k=k if kind == "topk" else 0,
                threshold=found.get("threshold"),
                r_mag=found.get("r_mag"),
                b_mag=found.get("b_mag"),
            )
            return SparseDict(
                name=self.name,
                site=site,
                out_site=site,
                W_enc=found["W_enc"],
                b_enc=found["b_gate"] if kind == "gated" else found["b_enc"],
                W_dec=found["W_dec"],
                b_in=found["b_dec"],
                b_out=found["b_dec"],
                act=act,
                heads=site.component in HEADS,
            )
        except (OSError, SafetensorError, ValueError, KeyError):
            raise Error(
                f"the dictionary {self.name!r} is damaged; remove its folder and train it again"
            ) from None

    def _replace(self, name: str, content: bytes) -> None:
        temporary = self.folder / f".{secrets.token_hex(6)}.part"
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.folder / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
