"""One address type for every place in a model that can be read or written.

The text form is used on screen, in links, in file names and in test names, and
parses back to the same `Site`:

    L5.resid_post            the stream behind block 5
    L5.mlp_in                what the MLP of layer 5 reads, behind its norm
    L5.head[3]               head 3 of layer 5, before the output matrix
    L5.neuron[1203]@7        one neuron at token 7
    L5.gate[1203]            its gate before the nonlinearity; L5.up[1203] what that multiplies
    L6.resid_post.feature[name:1203]   a latent of the dictionary `name`
    enc.L2.resid_post        the encoder stack of an encoder-decoder model
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.spec.errors import Error

Component = Literal[
    "resid_pre",
    "resid_mid",
    "resid_post",
    "attn_out",
    "mlp_in",
    "mlp_out",
    "head",
    "neuron",
    "up",
    "gate",
    "pattern",
    "cross_out",
    "cross_head",
    "cross_pattern",
]
COMPONENTS: tuple[str, ...] = get_args(Component)

# What holds one value per query and key instead of one vector per token.
PATTERNS = ("pattern", "cross_pattern")
# What lies in the residual stream or joins it: vectors of width d_model.
STREAM = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "cross_out")
# Vectors of that width which no one adds to the stream: what an MLP reads, behind its norm.
BESIDE_STREAM = ("mlp_in",)
HEADS = ("head", "cross_head")
# What has one value per neuron: act(gate) x up is the neuron; without a gate act(up) is.
MLP_PARTS: tuple[Component, ...] = ("up", "gate")
NEURONS = ("neuron", *MLP_PARTS)

_FORM = re.compile(
    r"(?P<stack>enc\.)?L(?P<layer>\d{1,4})\.(?P<component>[a-z_]+)"
    r"(?:\[(?P<unit>\d{1,9})\])?"
    r"(?:\.feature\[(?P<dictionary>[A-Za-z0-9][\w.\-]{0,99}):(?P<feature>\d{1,9})\])?"
    r"(?:@(?P<position>\d{1,7}))?"
)


@dataclass(frozen=True, slots=True)
class Site:
    """One place in the forward pass that can be read or written.

    `unit` indexes heads for `head`, otherwise the component's last axis; None means all.
    `position` indexes the token axis, 0 is the first token; None means every token.
    `dictionary` names a sparse dictionary; `unit` is then its feature number.
    `stack` is "enc" for the encoder of an encoder-decoder model, else "".
    """

    layer: int
    component: Component
    unit: int | None = None
    position: int | None = None
    dictionary: str = ""
    stack: str = ""

    def __str__(self) -> str:
        stack = f"{self.stack}." if self.stack else ""
        text = f"{stack}L{self.layer}.{self.component}"
        if self.dictionary:
            text += f".feature[{self.dictionary}:{self.unit}]"
        elif self.unit is not None:
            text += f"[{self.unit}]"
        return text if self.position is None else f"{text}@{self.position}"

    def whole(self) -> "Site":
        """The same component without unit, position or dictionary: the place of the hook."""
        return replace(self, unit=None, position=None, dictionary="")


def site(text: "str | Site") -> Site:
    """Parse the text form; a `Site` passes through. Raises `Error` naming what was found."""
    if isinstance(text, Site):
        return text
    found = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise Error(f"not a site: {str(text)[:80]!r}; expected e.g. 'L5.neuron[1203]@7'")
    if found["component"] not in COMPONENTS:
        raise Error(
            f"no component {found['component']!r} in {text[:80]!r}; "
            f"there are {', '.join(COMPONENTS)}"
        )
    if found["unit"] and found["feature"]:
        raise Error(f"not a site: {text[:80]!r} names a unit and a feature; use one of them")
    unit = found["feature"] or found["unit"]
    return Site(
        layer=int(found["layer"]),
        component=found["component"],  # type: ignore[arg-type]  # checked against COMPONENTS
        unit=None if unit is None else int(unit),
        position=None if found["position"] is None else int(found["position"]),
        dictionary=found["dictionary"] or "",
        stack="enc" if found["stack"] else "",
    )
