"""Hook points in the words of the libraries that train dictionaries, as sites."""

import re

from core.spec.errors import Error
from core.spec.site import Site, site

# TransformerLens' names; the order of the keys is the order in which they are tried.
_TRANSFORMER_LENS = {
    "hook_resid_pre": "resid_pre",
    "hook_resid_mid": "resid_mid",
    "hook_resid_post": "resid_post",
    "hook_attn_out": "attn_out",
    "hook_mlp_out": "mlp_out",
    "attn.hook_z": "head",
    "mlp.hook_post": "neuron",
}


def site_of(hook: str) -> Site:
    """The site of `blocks.L.hook_resid_post` and the like. Raises `Error`."""
    found = re.fullmatch(r"blocks\.(\d{1,4})\.([a-z0-9_.]+)", hook)
    if found is None or found[2] not in _TRANSFORMER_LENS:
        raise Error(f"{hook!r} is no hook point known here; say site= where the dictionary reads")
    return site(f"L{found[1]}.{_TRANSFORMER_LENS[found[2]]}")
