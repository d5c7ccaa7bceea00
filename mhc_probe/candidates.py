"""List the ways in which the layers of a model may be joined, and choose the one that a recorded pass confirms."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.adapter import Adapter, LayerSite
from mhc_probe.recording.joined import JoinedPasses, NoPassError, join
from mhc_probe.recording.pass_recorder import PassRecorder


class AdapterRecording(NamedTuple):
    """An adapter and the recorder of its passes."""

    adapter: Adapter
    recorder: PassRecorder


class Candidates:
    """Adapters that fit the structure of a model, the most specific first. Many attachments can share them.

    Names and shapes of weights propose an adapter; only the states of a pass confirm one. `refusal` is the error to
    raise if no adapter is confirmed and the structure is not that of a plain residual model.
    """

    def __init__(self, adapters: Sequence[Adapter], refusal: SpecError | None = None) -> None:
        self.adapters, self.refusal = list(adapters), refusal
        self._is_settled = False

    @property
    def sites(self) -> Sequence[LayerSite]:
        """Return the layers of the model as the first adapter finds them. They may be complete only after a pass."""
        return self.adapters[0].sites

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all adapters, without repetition."""
        return list(dict.fromkeys(parameter for adapter in self.adapters for parameter in adapter.parameters()))

    def choose(self, recordings: Sequence[AdapterRecording]) -> tuple[JoinedPasses, PassRecorder]:
        """Choose the first adapter that the recorded states confirm; return its joined passes and its recorder.

        Later attachments use only this adapter. If none is confirmed, choose the first that needs no confirmation, as
        for a model with a norm after each layer's sum, where H_res is unknown.

        Raises
        ------
        NoPassError, SpecError
            If no adapter fits.
        """
        found: list[tuple[JoinedPasses, AdapterRecording]] = []
        errors: dict[Adapter, Exception] = {}
        remaining = [item for item in recordings if item.adapter in self.adapters]
        for item in [item for item in remaining if item.recorder.is_confirmed] or remaining:
            try:
                joined = join(item.recorder.passes, item.adapter)
            except (NoPassError, SpecError) as error:
                errors[item.adapter] = error
                continue
            # Keep the first decision: training may make the states infinite later.
            is_match = self._is_settled or item.adapter.matches(joined, item.recorder.autocast)
            if is_match:
                return self._keep_only(joined, item)
            if item.adapter.needs_confirmation:
                errors[item.adapter] = SpecError("model", "coefficients that the states do not obey", "one that does")
            else:
                found.append((joined, item))
        if not found:
            raise self._find_error(remaining, errors)
        return self._keep_only(*found[0])

    def _keep_only(self, joined: JoinedPasses, item: AdapterRecording) -> tuple[JoinedPasses, PassRecorder]:
        """Use only this adapter from now on, also in later attachments. Return its joined passes and their recorder."""
        self.adapters, self._is_settled = [item.adapter], True
        return joined, item.recorder

    def _find_error(self, recordings: Sequence[AdapterRecording], errors: dict[Adapter, Exception]) -> Exception:
        """Return the error that best explains why no adapter can read the model."""
        confirmed = [item for item in recordings if item.recorder.is_confirmed]
        if confirmed or not any(item.recorder.returned or item.recorder.passes for item in recordings):
            return errors[(confirmed or recordings)[-1].adapter]
        plain = [item for item in recordings if not item.adapter.needs_confirmation]
        reached = [item for item in plain if any(one.layers for one in item.recorder.passes)]
        last = plain[-1] if plain else None
        if last is not None and (last.adapter.explain() or len(reached) > 1):  # it found sums between the layers
            return errors[last.adapter]
        if self.refusal is not None:
            return self.refusal
        if not reached:
            seen = f"{len(plain[0].adapter.sites)} modules that the forward pass does not call"
            return SpecError("layers", seen, "modules that the model calls, each with the state of the one before")
        return errors[reached[0].adapter]
