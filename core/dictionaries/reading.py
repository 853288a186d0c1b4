"""How a dictionary is read where its files do not say so, or say it wrongly."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, get_args

from torch import Tensor

from core.dictionaries.hook_names import hook
from core.dictionaries.sparse import Norm, NormKind, SparseDict
from core.models.header import shown
from core.spec.errors import Error
from core.spec.site import HEADS, PATTERNS, STREAM, Site, site


@dataclass(frozen=True)
class Reading:
    """What a person says about a dictionary; what is left at its default, the files say.

    site, out_site  where it reads, and where it writes when that is elsewhere, as site texts
    subtract        is the decoder's bias taken off before encoding
    norm, scale     what is done to activations first; a scale alone means norm="scale"
    center          is the mean over the width taken off first (models of TransformerLens)
    transpose       the decoder is stored the other way round (as many features as numbers)
    k               features that may fire at a token, where the file does not hold it
    """

    site: str = ""
    out_site: str = ""
    subtract: bool | None = None
    norm: str = ""
    scale: float = 0.0
    center: bool | None = None
    transpose: bool = False
    k: int = 0

    def plain(self) -> dict[str, Any]:
        """What was said, as keyword arguments."""
        default = Reading()
        return {key: v for key, v in asdict(self).items() if v != getattr(default, key)}


@dataclass(frozen=True)
class Places:
    """Where a dictionary reads and writes."""

    site: Site
    out_site: Site
    heads: bool
    hook: str
    notes: tuple[str, ...]


def reading(**said: Any) -> Reading:
    """A `Reading` from keyword arguments. Raises `Error` on what it cannot mean."""
    known = {field.name: field for field in fields(Reading)}
    for key, value in said.items():
        if key not in known:
            raise Error(f"a dictionary has no reading {key[:40]!r}; it has {', '.join(known)}")
        if not _fits(key, value):
            raise Error(f"{key}={value!r:.60} is no reading; see docs/dictionaries.md")
    for key in ("site", "out_site"):
        if said.get(key):
            said[key] = str(_place(str(said[key])))
    found = Reading(**said)
    if found.norm and found.norm not in get_args(NormKind):
        raise Error(f"no norm {found.norm[:20]!r}; there are {', '.join(get_args(NormKind))}")
    if found.norm == "scale" and not found.scale:
        raise Error("norm='scale' needs scale=, the factor that activations are multiplied by")
    return found


def _fits(key: str, value: Any) -> bool:
    if key in ("site", "out_site"):
        return isinstance(value, str | Site)
    if key == "norm":
        return isinstance(value, str)
    if key in ("subtract", "center", "transpose"):
        return value is None or isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) and value >= 0 if key == "k" else 0 <= value < float("inf")


def _place(text: str) -> Site:
    place = site(text)
    if place != place.whole() or place.component in PATTERNS:
        raise Error(f"{place}: a dictionary reads a whole site, as in L5.resid_post")
    return place


def places(said: Reading, name: str, out: str = "", *, input_of: bool = False) -> Places:
    """Where it reads (`name`) and writes (`out`, "" for the same place), in a library's words.

    What was said wins. Raises `Error` when nothing says it.
    """
    notes: tuple[str, ...] = ()
    if said.site:
        read = site(said.site)
    elif name:
        found = hook(name, input_of=input_of)
        read, notes = found.site, ((found.note,) if found.note else ())
    else:
        raise Error("the files do not say where it reads; say it, as in site='L5.resid_post'")
    if said.out_site:
        write = site(said.out_site)
    else:
        write = hook(out).site if out else read
        write = replace(write, layer=read.layer) if out and said.site else write
    return Places(read, write, read.component in HEADS, name, notes)


def changed(dictionary: SparseDict, said: Reading) -> SparseDict:
    """The dictionary read as was said; sites and k are the reader's business."""
    if said.transpose:
        if dictionary.n_features != dictionary.d_out:
            raise Error(f"{dictionary.name}: the decoder is not square, so it lies the only way")
        dictionary = replace(dictionary, W_dec=dictionary.W_dec.T.contiguous())
    if said.subtract is not None:
        dictionary = replace(dictionary, b_in=_bias(dictionary) if said.subtract else None)
    if said.norm or said.scale:
        kind: Any = said.norm or "scale"
        dictionary = replace(dictionary, norm=Norm(kind, said.scale or 1.0))
    if said.center is not None:
        dictionary = replace(dictionary, center=said.center)
    return dictionary


def _bias(dictionary: SparseDict) -> Tensor:
    if dictionary.d_in != dictionary.d_out:
        raise Error(
            f"{shown(dictionary.name)} writes {dictionary.d_out:,} numbers and reads "
            f"{dictionary.d_in:,}: its bias cannot be taken off what it reads"
        )
    return dictionary.b_out


def centred(place: Site, processed: bool) -> bool:
    """Is a stream meant whose mean was removed? `processed`: by TransformerLens, by default."""
    return processed and place.component in STREAM
