"""Follow what weight decay alone leaves of a model's parameters, in closed form.

Where an optimiser multiplies a parameter by 1 - r w in each update, r the learning rate and w the weight decay, and
then adds its step, the share that decay alone leaves after several updates is the product of these factors. AdamW does,
and so does SGD without momentum, whose decay is a part of the gradient. Of other optimisers nothing is known here.
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
    """The effect of weight decay alone on those of some parameters that it shrinks most.

    Attributes
    ----------
    log_share: natural logarithm of the share that it has left so far.
    log_factor: natural logarithm of the factor of the next update.
    parameters: how many numbers the parameters have.
    """

    log_share: float
    log_factor: float
    parameters: int

    @property
    def half_life(self) -> float:
        """Return after how many updates weight decay leaves half of a parameter, at the present learning rate."""
        return math.inf if self.log_factor == 0 else math.log(0.5) / self.log_factor

    def predict_log_share(self, updates: int) -> float:
        """Return the logarithm of the share that is left after further updates at the present learning rate."""
        return self.log_share + updates * self.log_factor

    def count_updates(self, share: float) -> float:
        """Return the further updates until this share is left, at the present learning rate; inf if never."""
        left = math.log(share) - self.log_share
        return 0.0 if left >= 0 else math.inf if self.log_factor == 0 else left / self.log_factor


class DecayTracker:
    """Multiplies the factors of all updates, for each group of parameters."""

    def __init__(self) -> None:
        self._logs: WeakKeyDictionary[Optimizer, dict[int, float]] = WeakKeyDictionary()

    def add(self, optimizer: Optimizer) -> None:
        """Follow an optimiser of the model, whose learning rate and weight decay then count in what is predicted."""
        self._logs.setdefault(optimizer, {})

    def count(self, optimizer: Optimizer) -> None:
        """Record the learning rate and weight decay of an update that is about to be made."""
        logs = self._logs.setdefault(optimizer, {})
        for place, group in enumerate(optimizer.param_groups):
            logs[place] = logs.get(place, 0.0) + find_log_factor(optimizer, group)

    def find_decay(self, parameters: Collection[nn.Parameter]) -> Decay | None:
        """Return the strongest decay of these parameters; None if no optimiser is known to decay them."""
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
    """Return log(1 - r w) of one update; 0 if parameters are not multiplied by such a factor."""
    is_plain = isinstance(optimizer, SGD) and not group.get("momentum") and not group.get("maximize")
    if not (group.get("decoupled_weight_decay") or is_plain):
        return 0.0
    shrinks = float(group["lr"]) * float(group.get("weight_decay", 0.0))
    return math.log1p(-shrinks) if 0 < shrinks < 1 else 0.0 if shrinks <= 0 else -math.inf
