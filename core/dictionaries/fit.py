"""Does a dictionary fit a model: its layer, its place, its width? What the model alone can say."""

from dataclasses import replace

from core.dictionaries.hook_names import PRE
from core.dictionaries.sparse import SparseDict
from core.engine.readout import centres
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import HEADS, STREAM, Site


def fitted(dictionary: SparseDict, loaded: Loaded) -> SparseDict:
    """The dictionary on the model's device, with what depends on the family settled.

    Raises `Error` when a layer, a place or a width does not fit.
    """
    dictionary = _gate(dictionary, loaded)
    places = [("reads", dictionary.site, dictionary.d_in)]
    places += [("writes", dictionary.out_site, dictionary.d_out)]
    for verb, place, width in places:
        try:
            loaded.check(place)
        except Error as fault:
            raise Error(f"{dictionary.name} {verb} at {fault}") from None
        there = width_at(loaded, place)
        if width != there:
            raise Error(
                f"{dictionary.name} {verb} {width:,} numbers and {place} of {loaded.name} holds "
                f"{there:,}: it is made for another model ({dictionary.about.model or 'unnamed'})"
            )
    if dictionary.out_site.layer < dictionary.site.layer:
        raise Error(f"{dictionary.name} would write in front of where it reads; exchange the sites")
    if dictionary.center and not centred(dictionary.site, loaded):
        dictionary = replace(dictionary, center=False)
    return dictionary.to(loaded.device)


def width_at(loaded: Loaded, place: Site) -> int:
    """Numbers that one token holds at a whole site, heads side by side."""
    if place.component in HEADS:
        return loaded.n_heads * loaded.d_head
    return loaded.width(place)


def centred(place: Site, loaded: Loaded) -> bool:
    """Would TransformerLens centre what is there: the stream of a model whose norms do it too?"""
    norm = loaded.stacks[place.stack].norm or loaded.block(place).norm_mlp
    return place.component in STREAM and norm is not None and centres(norm)


def _gate(dictionary: SparseDict, loaded: Loaded) -> SparseDict:
    """`mlp.hook_pre` is the gate's output where there is a gate."""
    if PRE not in dictionary.about.notes or dictionary.site.component != "up":
        return dictionary
    layers = loaded.stacks[dictionary.site.stack].blocks
    if dictionary.site.layer >= len(layers) or layers[dictionary.site.layer].gate is None:
        return dictionary
    gate = replace(dictionary.site, component="gate")
    out = dictionary.out_site if dictionary.transcoder else gate
    return replace(dictionary, site=gate, out_site=out)
