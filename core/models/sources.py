"""From the name of a model to a folder on disk: embedded, local, or fetched from the hub."""

import os
import re
from pathlib import Path
from typing import Any, Protocol

from core import home
from core.models import door, memory
from core.models.header import ITEM_BYTES, TensorInfo, main_dtype, shown
from core.spec.errors import Error
from core.spec.request import ModelRef

DEFAULT = "embedded"
MAX_NAME = 1_000
# What a hub repository may give beside its safetensors files: never pickles, never Python.
FETCHED = (".json", ".model", ".txt", ".jinja")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}/[A-Za-z0-9][\w.\-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w.\-/]{0,199}", re.ASCII)
# Read by the hub's and the model library's code when they are imported.
QUIET = {
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # never ask a server to convert a pickle
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "USE_HUB_KERNELS": "0",
}
os.environ.update(QUIET)

# (name, revision) -> folder: the hub is asked once for each while this process lives.
_fetched: dict[tuple[str, str], Path] = {}


class Progress(Protocol):
    """What long work reports to: `core.queue.Progress`."""

    def check(self) -> None: ...
    def step(self, share: float, note: str = "") -> None: ...
    def tell(self, note: str) -> None: ...


def resolve(ref: ModelRef, progress: Progress | None = None, device: str = "cpu") -> Path:
    """The folder of a model, fetched from the hub when it is not here yet.

    A name is tried as an embedded model, as a folder, as a hub id "owner/name". `device` is
    where it will be loaded: a hub model that cannot fit there is refused before it is fetched.
    """
    _check_name(ref)
    found = _embedded(ref)
    if found is not None:
        return found
    if home.hosted():
        raise Error(
            f"no embedded model {shown(ref.name)}; this server offers {_embedded_names()} only"
        )
    path = Path(os.path.expanduser(ref.name))
    if path.is_absolute() or ref.name.startswith((".", "~")) or os.path.isdir(path):
        return _folder(path, ref)
    if not _HUB_ID.fullmatch(ref.name) or "--" in ref.name:
        raise Error(
            f"no model {shown(ref.name)}: expected {_embedded_names()}, the path of a folder, "
            "or a hub id such as 'owner/name'"
        )
    key = (ref.name, ref.revision)
    if key not in _fetched or not (_fetched[key] / "config.json").is_file():
        _fetched[key] = _fetch(ref, progress, device)
    return _fetched[key]


def _check_name(ref: ModelRef) -> None:
    name = ref.name
    if not isinstance(name, str) or not name.strip():
        raise Error(f"which model? Expected {_embedded_names()}, a folder or a hub id")
    if len(name) > MAX_NAME:
        raise Error(f"a model's name of {len(name)} characters; at most {MAX_NAME} are read")
    if not name.isprintable() or "\\" in name:
        raise Error(f"the model's name {shown(name)} holds characters that no name has")
    if ".." in Path(name).parts:
        raise Error(f"the model's name {shown(name)} holds '..'; give the whole path instead")
    if ref.revision and (not _REVISION.fullmatch(ref.revision) or ".." in ref.revision):
        raise Error(f"no revision {shown(ref.revision)}: expected a branch, a tag or a commit")


def _embedded_names() -> str:
    names = [shown(shipped.name) for shipped in home.embedded()]
    return ", ".join(names) or "an embedded model (none is installed)"


def _embedded(ref: ModelRef) -> Path | None:
    shipped = home.embedded()
    for number, model in enumerate(shipped):
        if ref.name == model.name or (number == 0 and ref.name == DEFAULT):
            if ref.revision:
                raise Error(f"{ref.name} is embedded and has no revision {shown(ref.revision)}")
            return model.folder
        if ref.name.startswith(f"{model.name}/checkpoint"):
            return _checkpoint(model, ref)
    if ref.name == DEFAULT:
        raise Error(
            "no embedded model is installed in assets/models; give a folder or a hub id instead"
        )
    return None


def _checkpoint(model: home.Shipped, ref: ModelRef) -> Path:
    """The checkpoint of an embedded model that is named "<model>/checkpoints/<checkpoint>"."""
    found = {home.called(each): each for each in home.checkpoints_in(model.folder)}
    if ref.name not in found or ref.revision:
        some = ", ".join(list(found)[:3]) or "none"
        raise Error(f"{model.name} has no checkpoint {shown(str(ref))}; it has {some}")
    return found[ref.name]


def _folder(path: Path, ref: ModelRef) -> Path:
    try:
        exists, is_folder = path.exists(), path.is_dir()
        config = (path / "config.json").is_file()
    except OSError as fault:
        raise Error(f"{shown(ref.name)} cannot be read: {fault.strerror}") from None
    if not exists:
        raise Error(f"there is no folder {shown(ref.name)}; check the path")
    if not is_folder:
        raise Error(f"{shown(ref.name)} is a file; give the folder that holds config.json")
    if not config:
        raise Error(
            f"{shown(ref.name)} holds no config.json; a model's folder has config.json, "
            "safetensors weights and a tokenizer"
        )
    if ref.revision:
        raise Error(f"{shown(ref.name)} is a folder and has no revision {shown(ref.revision)}")
    return path.resolve()


def config_of(folder: Path) -> dict[str, Any]:
    """config.json of a folder as plain data, read and checked without running anything."""
    door.contained(folder)
    config = door.read_json(folder / "config.json")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not re.fullmatch(r"[\w.\-]{1,80}", model_type):
        raise Error(
            f"config.json has the model_type {shown(model_type)}; expected the name of a family, "
            "such as 'llama'"
        )
    return config


def _fetch(ref: ModelRef, progress: Progress | None, device: str) -> Path:
    """Download what is needed of a hub repository, or take what an earlier download left."""
    import huggingface_hub as hub
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return _cached(ref)
    try:
        info = hub.HfApi().model_info(ref.name, revision=ref.revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        weights = _refuse_if_too_large(ref, device, str(info.sha), sizes)
        files = {
            file: size
            for file, size in sizes.items()
            if file in weights or (file.endswith(FETCHED) and "/" not in file)
        }
        folder = _download(ref.name, str(info.sha), files, progress)
        # So that the branch is found again without the network, as the hub's client notes it.
        branch = folder.parent.parent / "refs" / (ref.revision or constants.DEFAULT_REVISION)
        branch.parent.mkdir(parents=True, exist_ok=True)
        branch.write_text(str(info.sha))
        return folder
    except errors.GatedRepoError:
        raise Error(
            f"{ref.name} is open only to those its owner has let in; ask for access on the hub "
            "and log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise Error(f"{ref.name} has no revision {shown(ref.revision)} on the hub") from None
    except errors.RepositoryNotFoundError:
        raise Error(f"the hub has no model {ref.name} that is open to you") from None
    except Error:
        raise
    except _network_faults() as fault:
        return _cached(ref, type(fault).__name__)


def _network_faults() -> tuple[type[Exception], ...]:
    """What the hub's client raises when the network does; its HTTP library changed over time."""
    from huggingface_hub.errors import HfHubHTTPError

    parents = [base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"]
    return (OSError, HfHubHTTPError, *(base for base in parents if issubclass(base, Exception)))


def _refuse_if_too_large(ref: ModelRef, device: str, sha: str, sizes: dict[str, int]) -> set[str]:
    """Ask the hub for the headers alone, compare with what is free; names the weight files."""
    import huggingface_hub as hub
    from huggingface_hub import errors

    try:
        metadata = hub.get_safetensors_metadata(ref.name, revision=sha)
    except errors.NotASafetensorsRepoError:
        found = next((file for file in sorted(sizes) if file.endswith(door.PICKLES)), "")
        only = f", only {shown(found)}; pickles can run code and are never fetched" if found else ""
        raise Error(f"{ref.name} offers no safetensors weights{only}") from None
    except errors.SafetensorsParsingError:
        raise Error(f"{ref.name}: the safetensors files on the hub are damaged") from None
    tensors = [
        TensorInfo(str(tensor.dtype), tuple(tensor.shape))
        for file in metadata.files_metadata.values()
        for tensor in file.tensors.values()
        if str(tensor.dtype) in ITEM_BYTES
    ]
    dtype = memory.working_dtype(ref.dtype, device, main_dtype(tensors))
    memory.refuse_if_too_large(ref.name, memory.needed(tensors, dtype), device)
    return {file for file in metadata.files_metadata if "/" not in file}


def _download(name: str, sha: str, files: dict[str, int], progress: Progress | None) -> Path:
    """Fetch file by file, so that a cancel is heard between them."""
    import huggingface_hub as hub

    whole, done = sum(files.values()) or 1, 0
    for file, size in sorted(files.items(), key=lambda item: (item[1], item[0])):
        if progress:
            progress.step(done / whole, f"fetching {file} of {name}, {whole / 1e6:,.0f} MB in all")
        path = hub.hf_hub_download(name, file, revision=sha, tqdm_class=_listening(progress))
        done += size
    return Path(path).parent


def _listening(progress: Progress | None) -> Any:
    """A silent progress bar whose updates hear a cancel inside a large file."""
    from huggingface_hub.utils.tqdm import tqdm

    class Listening(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            if progress:
                progress.check()
            return super().update(n)

    return Listening


def _cached(ref: ModelRef, fault: str = "") -> Path:
    """The snapshot an earlier download left, without any network."""
    import huggingface_hub as hub
    from huggingface_hub import errors

    try:
        path = Path(
            hub.snapshot_download(ref.name, revision=ref.revision or None, local_files_only=True)
        )
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError):
        reason = f"the hub cannot be reached ({fault})" if fault else "the network is switched off"
        raise Error(
            f"{ref} is not on this machine and {reason}; give a folder, or load it while online"
        ) from None
    if not (path / "config.json").is_file():
        raise Error(f"{ref} was only fetched in part; load it again while online")
    return path
