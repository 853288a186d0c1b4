"""At which depth something can be read, and what a probe shows."""

from core.analyses.calibration import calibration
from core.analyses.depth import depth
from core.analyses.depth_emergence import depth_emergence
from core.analyses.depth_noise import depth_noise
from core.analyses.detect_guide import detect_guide
from core.analyses.lens_depth import lens_depth
from core.analyses.listed import Analysis
from core.analyses.meaning_control import meaning_control
from core.analyses.minimal_pairs import minimal_pairs
from core.analyses.probe_controls import probe_controls
from core.analyses.probe_family import probe_family
from core.analyses.probe_sites import probe_sites
from core.analyses.transfer import transfer
from core.analyses.unlabelled_probe import unlabelled_probe

ANALYSES: dict[str, Analysis] = {
    "depth": Analysis(
        depth, "At which layer a concept becomes readable, and what words alone already tell."
    ),
    "probe_family": Analysis(
        probe_family, "Which linear probe reads a concept at each layer, and where each points."
    ),
    "transfer": Analysis(
        transfer, "Is a probe of one labelled set right on others, and at other layers?"
    ),
    "lens_depth": Analysis(
        lens_depth, "Many prompts by the lens: when the answer stands, and what is said before."
    ),
    "unlabelled_probe": Analysis(
        unlabelled_probe, "Does a probe without labels find the concept, or the loudest contrast?"
    ),
    "probe_sites": Analysis(
        probe_sites,
        "Which heads and sites carry a concept: a probe at each, beside the best of chance.",
    ),
    "probe_controls": Analysis(
        probe_controls,
        "Is it the model or the probe? Which texts, bits and dimensions reading takes.",
    ),
    "minimal_pairs": Analysis(
        minimal_pairs,
        "Does the model prefer the right text of a pair, and from which layer on is it read?",
    ),
    "meaning_control": Analysis(
        meaning_control,
        "Is a meaning in the states or made by the probe? The words given other meanings.",
    ),
    "calibration": Analysis(
        calibration, "Can a probe's score be trusted as a probability, and how early is it sure?"
    ),
    "depth_noise": Analysis(
        depth_noise, "How fragile is a depth? The curve on noisy texts and coarser weights."
    ),
    "detect_guide": Analysis(
        detect_guide, "Is the direction that reads a concept best also the one that guides best?"
    ),
    "depth_emergence": Analysis(
        depth_emergence,
        "When in training, at which layer and at what size a concept becomes readable.",
    ),
}
