"""What was found out about dictionaries and is kept below the home: labels and galleries.

Answers that show some of it depend on more than weights and options: they are stored under what
there was of it, and asked again once there is other.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from core.home import home
from core.models.door import read_json
from core.spec.errors import Error
from core.spec.request import Request

LABELS, GALLERIES = "labels", "galleries"  # below the home
SHIPPED_LABELS, SHIPPED_GALLERY = "feature_labels.json", "gallery"  # beside a dictionary's files
MANIFEST = "manifest.json"
# Analyses whose answers show labels.
LABELLED = (
    *("feature_list", "feature_card", "feature_texts", "feature_fires", "feature_concept"),
    *("feature_map", "feature_neighbours"),
)
# Analyses that take numbers from the gallery made last, or from the one in the option `gallery`.
FROM_LAST = ("feature_texts", "feature_map")
# Analyses that show more once the gallery that ships is made in full.
FROM_SHIPPED = ("gallery", "feature_list", "feature_card", "feature_effect")


def stamp(request: Request, path: Path) -> str:
    """Changes when something does that an answer about the dictionary at `path` shows. Cheap."""
    parts = [*(_labels(path, "") if request.analysis in LABELLED else ())]
    if _reads_last(request):
        parts += [_state(place / MANIFEST) for place in sorted(_galleries())]
    return "".join(f"\n{part}" for part in (*parts, *_whole(request, path)))


def salt(request: Request, path: Path, own: str, model: str) -> str:
    """The same by content as far as there are names for it; `own` and `model` are fingerprints."""
    parts = [*(_labels(path, own) if request.analysis in LABELLED else ())]
    if _reads_last(request):
        found = gallery(model, own, path, _key(request))
        parts.append(f"gallery {'none' if found is None else _told(found)[0]}")
    return "".join(f"\n{part}" for part in (*parts, *_whole(request, path)))


def labels_of(own: str) -> str:
    """How the names of the label files of a dictionary begin, by its fingerprint."""
    return own[:40]


def gallery(model: str, own: str, path: Path | None, key: str = "") -> Path | None:
    """The folder of the gallery of that key, None where there is none of this dictionary.

    Without a key: the one made last with nothing changed, else the one that ships at `path`.
    `model` and `own` are fingerprints of the model and of the dictionary.
    """
    if key:
        places = [home() / GALLERIES / key] if key.isalnum() else []
    else:
        places = sorted(_galleries(), key=_made, reverse=True)
    places += [path / SHIPPED_GALLERY] if path else []
    for place in places:
        name, of_model, of_dictionary, changed = _told(place)
        if (of_model, of_dictionary) == (model, own) and (name == key if key else not changed):
            return place
    return None


def _reads_last(request: Request) -> bool:
    """A map by firing together takes its numbers from the gallery that it is made of."""
    return request.analysis in FROM_LAST and request.option("by") != "cofiring"


def _key(request: Request) -> str:
    asked = request.option("gallery")
    return asked if isinstance(asked, str) else ""


def _galleries() -> Iterator[Path]:
    """The finished galleries."""
    for place in (home() / GALLERIES).glob(f"*/{MANIFEST}"):
        if not place.parent.name.startswith("."):
            yield place.parent


def _made(place: Path) -> tuple[int, str]:
    """When a gallery was finished; folders themselves are touched whenever they are opened."""
    try:
        return (place / MANIFEST).stat().st_mtime_ns, place.name
    except OSError:
        return 0, place.name


def _told(place: Path) -> tuple[str, str, str, bool]:
    """(key, fingerprints of the model and of the dictionary, whether something was changed)."""
    return _read(place / MANIFEST, _made(place)[0])


@lru_cache(maxsize=4_096)
def _read(path: Path, _: int) -> tuple[str, str, str, bool]:
    try:
        plain = read_json(path)
        names = ("key", "model_fingerprint", "dictionary_fingerprint")
        key, model, own = (str(plain[name]) for name in names)
        return key, model, own, bool(plain["changes"])
    except (Error, OSError, KeyError, TypeError):
        return "", "", "", True  # damaged: as good as none


def _whole(request: Request, path: Path) -> Iterator[str]:
    """Is the gallery that ships there in full? Nothing for a dictionary without one."""
    if request.analysis in FROM_SHIPPED:
        key = _told(path / SHIPPED_GALLERY)[0]
        if key:
            yield f"whole {(home() / GALLERIES / key / MANIFEST).is_file()}"


def _labels(path: Path, own: str) -> Iterator[str]:
    """State of the label files of a dictionary, of all below the home without a fingerprint."""
    yield _state(path / SHIPPED_LABELS)
    for place in sorted((home() / LABELS).glob(f"{labels_of(own)}*.jsonl")):
        yield _state(place)


def _state(path: Path) -> str:
    """Name, size and time of a file."""
    try:
        status = path.stat()
    except OSError:
        return f"no {path.name}"
    return f"{path.parent.name}/{path.name}:{status.st_size}:{status.st_mtime_ns}"
