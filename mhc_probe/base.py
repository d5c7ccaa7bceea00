"""Run the batch of an edited pass without edits first, to have a base with which to compare it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from mhc_core.spec import EditSpec
from mhc_probe.candidates import Candidates
from mhc_probe.edits import ModelEdits, UneditedPass, check_model_edits
from mhc_probe.mixing import find_mixings
from mhc_probe.recording.heads import find_heads
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.outputs import find_logits, find_loss, keep_rows
from mhc_probe.recording.unchanged import copy_arguments, keep_unchanged

if TYPE_CHECKING:
    from mhc_probe.attachment import Attachment


class BaseRunner:
    """Records a pass without edits for each edited pass, with the gradients of the loss that the model returns.

    Gradients of parameters, buffers and random numbers stay as they were.

    Attributes
    ----------
    logits: (N, V) of each pass; [] if the model returns none.
    is_running: whether a pass without edits is running.
    """

    def __init__(self, attachment: "Attachment", edits: Sequence[EditSpec]) -> None:
        self.attachment, self.edits = attachment, edits
        self.logits: list[torch.Tensor] = []
        self.is_running = False

    @property
    def candidates(self) -> Candidates:
        """Return the possible adapters, of which the pass without edits confirms one."""
        return self.attachment.candidates

    @property
    def is_due(self) -> bool:
        """Return whether the next call is first run without edits. Without gradients only the first call is."""
        return torch.is_grad_enabled() or not self.attachment.has_passes

    def run(self, args: Any, kwargs: Any) -> ModelEdits:
        """Run the model without edits on a batch, and return the edits for its call with them.

        Raises
        ------
        SpecError
            If the model does not allow an edit.
        NoPassError
            If the call does not reach all layers.
        """
        self.is_running = True
        try:
            with self.attachment:
                output = self._call_copied(args, kwargs)
                self._take_gradients(find_loss(output, self.attachment.loss))
            return self._build_edits(output, args, kwargs)
        finally:
            self.is_running = False

    def join(self) -> JoinedPasses:
        """Return all passes without edits joined into one, with H_res chosen from its candidates."""
        return join_base(self.attachment)

    def _call_copied(self, args: Any, kwargs: Any) -> Any:
        """Call the model with copies of the arguments; random numbers and buffers stay as they were."""
        model = self.attachment.model
        with keep_unchanged(model):
            return model(*copy_arguments(args), **copy_arguments(kwargs))

    def _take_gradients(self, loss: torch.Tensor | None) -> None:
        """Backpropagate the loss to the states, whose hooks record the gradients. Parameters get no gradient."""
        states = self.attachment.take_watched()
        if loss is not None and loss.requires_grad and states:
            torch.autograd.grad(loss, states, allow_unused=True)

    def _build_edits(self, output: Any, args: Any, kwargs: Any) -> ModelEdits:
        """Build the edits of a model's call from its pass without edits; raise if the model does not allow one."""
        recorded, (adapter,) = self.join(), self.candidates.adapters
        latest = self.attachment.get_latest()
        logits = find_logits(output)
        self.logits += [] if logits is None else [keep_rows(logits, latest.mask)]
        check_model_edits(self.edits, adapter, recorded, type(self.attachment.model).__name__)
        with torch.no_grad():
            heads = find_heads(self.edits, adapter, recorded, lambda: self._call_copied(args, kwargs))
        return ModelEdits(self.edits, adapter, UneditedPass(recorded, latest, heads))


def join_base(attachment: "Attachment") -> JoinedPasses:
    """Return the passes of an attachment without edits joined into one, with H_res chosen from its candidates."""
    recorded, recorder = attachment.choose()
    find_mixings(recorded, recorder.autocast)
    return recorded
