"""Define presets, named comparisons of runs to start from. The first is the default."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from mhc_scope.presets.initialisations import PRESETS_OF_INITIALISATION
from mhc_scope.presets.interventions import INTERVENTIONS
from mhc_scope.presets.opening import OPENING
from mhc_scope.presets.papers import HC_FIGURES, MHC_FIGURES
from mhc_scope.presets.preset import Preset
from mhc_scope.presets.purposes import PURPOSES
from mhc_scope.presets.signals import SIGNALS
from mhc_scope.presets.stacks import COMPARISONS, STACKS, TRAINED

__all__ = ["BY_NAME", "DEFAULT", "FORMER", "KEY", "OPENING", "PRESETS", "TRAINED", "Preset", "find_unchanged_preset"]

KEY = "preset"  # key of the preset's name in a page's state

PRESETS: tuple[Preset, ...] = (
    *COMPARISONS,
    *INTERVENTIONS,
    *PURPOSES,
    *MHC_FIGURES,
    *HC_FIGURES,
    *STACKS,
    *SIGNALS,
    *PRESETS_OF_INITIALISATION,
)
DEFAULT = PRESETS[0]
BY_NAME = {preset.name: preset for preset in PRESETS}
# Name of a preset that was replaced -> name of the preset to which old links lead now.
FORMER = {"init_dynamic": "init_learning"}


def find_unchanged_preset(state: str, run_ids: Sequence[str]) -> Preset | None:
    """Return the preset that a page's state names, if the runs are those of the preset; else None."""
    preset = BY_NAME.get(dict(parse_qsl(state)).get(KEY, ""))
    is_unchanged = preset is not None and [spec.id for spec in preset.specs] == list(run_ids)
    return preset if is_unchanged else None
