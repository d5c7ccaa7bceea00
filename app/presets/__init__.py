"""Named comparisons to start from. The first is what a visitor sees before touching anything."""

from app.presets.papers import HC_FIGURES, MHC_FIGURES
from app.presets.preset import Preset
from app.presets.signals import SIGNALS, STARTS
from app.presets.stacks import COMPARISONS, STACKS

__all__ = ["DEFAULT", "PRESETS", "Preset"]

PRESETS: tuple[Preset, ...] = (*COMPARISONS, *MHC_FIGURES, *HC_FIGURES, *STACKS, *SIGNALS, *STARTS)
DEFAULT = PRESETS[0]
