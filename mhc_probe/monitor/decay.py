"""Compute which fraction of a model's initial parameters weight decay alone leaves, in closed form.

Some optimisers multiply a parameter by 1 - r w in each update and then add their step, with learning rate r and weight
decay w. Decay alone then leaves the product of these factors. AdamW works in this way, and so does SGD without
momentum, where the decay is part of the gradient. Other optimisers are not supported.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
from torch.optim import SGD, Optimizer


@dataclass(frozen=True)
class Decay:
    """The effect of weight decay alone on the group of parameters that it shrinks most.

    Attributes
    ----------
    log_share: natural logarithm of the fraction of the initial values that is left.
    log_factor: natural logarithm of the factor of the next update.
    parameters: number of entries of the parameters.
    """

    log_share: float
    log_factor: float
    parameters: int

    @property
    def half_life(self) -> float:
        """Return the number of updates in which weight decay halves a parameter, at the present learning rate."""
        return math.inf if self.log_factor == 0 else math.log(0.5) / self.log_factor

    def predict_log_share(self, updates: int) -> float:
        """Predict the logarithm of the fraction that is left after more updates at the present learning rate."""
        return self.log_share + updates * self.log_factor

    def count_updates(self, share: float) -> float:
        """Predict in how many updates only the fraction `share` is left, at the present learning rate; inf if never."""
        left = math.log(share) - self.log_share
        return 0.0 if left >= 0 else math.inf if self.log_factor == 0 else left / self.log_factor


class DecayTracker:
    """Accumulates the decay factors of all updates, for each parameter group of each optimiser."""

    def __init__(self) -> None:
        self._logs: WeakKeyDictionary[Optimizer, dict[int, float]] = WeakKeyDictionary()

    def add(self, optimizer: Optimizer) -> None:
        """Track an optimiser of the model, so that predictions use its learning rate and weight decay."""
        self._logs.setdefault(optimizer, {})

    def count(self, optimizer: Optimizer) -> None:
        """Record the learning rate and weight decay of an update that is about to be made."""
        logs = self._logs.setdefault(optimizer, {})
        for place, group in enumerate(optimizer.param_groups):
            logs[place] = logs.get(place, 0.0) + find_log_factor(optimizer, group)

    def find_decay(self, parameters: Collection[nn.Parameter]) -> Decay | None:
        """Return the strongest decay of these parameters; None if no supported optimiser decays them."""
        wanted = {id(parameter) for parameter in parameters}
        found = []
        for optimizer, logs in self._logs.items():
            for place, group in enumerate(optimizer.param_groups):
                own = [parameter for parameter in group["params"] if id(parameter) in wanted]
                log_factor = find_log_factor(optimizer, group)
                if own and (log_factor or logs.get(place)):
                    count = sum(parameter.numel() for parameter in own)
                    found.append(Decay(logs.get(place, 0.0), log_factor, count))
        return min(found, key=lambda decay: (decay.log_share, decay.log_factor), default=None)


def find_log_factor(optimizer: Optimizer, group: Mapping[str, Any]) -> float:
    """Return log(1 - r w) for one update; 0 if the optimiser does not multiply parameters by such a factor."""
    is_plain = isinstance(optimizer, SGD) and not group.get("momentum") and not group.get("maximize")
    if not (group.get("decoupled_weight_decay") or is_plain):
        return 0.0
    shrinks = float(group["lr"]) * float(group.get("weight_decay", 0.0))
    return math.log1p(-shrinks) if 0 < shrinks < 1 else 0.0 if shrinks <= 0 else -math.inf
