"""How gradients travel down a random stack in theory, over the draws of `forward`.

A draw's ln g^2, g^2 the mean square of the gradient over all samples, is multiplied in each layer by what the norm or
the slope of phi makes of that draw's own states, and by a random factor of mean 1. Gradients are taken as independent
of the weights but for one thing: a layer whose outputs are large by chance has slopes that are large or small by the
same chance. Sources: Schoenholz et al. 2017; fourth moments and finite width are derived for this program.
"""

import math

import numpy as np

from mhc_core.theory.draws import DRAWS, Fourth, Normals, to_gamma
from mhc_core.theory.forward import Forward
from mhc_core.theory.gaussian import Array
from mhc_core.theory.moments import mean_square_slope, second_moment, squared_slope_of


class Backward:
    """The way down: y (L + 1, D), ln g^2 where the state leaves each layer, the input's first.

    It is relative to the mean square of the loss's own gradient at the stack's output, which is standard normal.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward, self.network = forward, forward.network
        self._normals = Normals(1)
        self.y = np.zeros((self.network.depth + 1, DRAWS))
        self._fourth = Fourth(1 + 2 / self.network.width, 1.0, 1 / self.network.width)
        self._next_share = 0.0  # of the branch above, whose norm divides by this state
        self._tilt = 0.0  # d ln g^2 of one sample above / d ln of its size here
        self._start()
        for layer in reversed(range(self.network.depth)):
            self._descend(layer)

    def _start(self) -> None:
        net, up = self.network, self.forward
        self.y[-1] = np.log(to_gamma(self._fourth.average(net.samples) - 1, self._normals.draw(DRAWS)))
        if net.norm == "pre":  # The final norm.
            self.y[-1] += math.log1p(-1 / net.width) - up.log_v[-1] - up.x[-1] + up.individual(net.depth)
            self._next_share, self._tilt = 1.0, -1.0

    def _descend(self, layer: int) -> None:
        up, net = self.forward, self.network
        past, back = self._find_factors(layer)
        share = back / (past + back)
        variance = self._pass_moments(layer, share)
        own, common = self._covary(layer, share)
        normals = self._correlate(layer, common, variance)
        self.y[layer] = self.y[layer + 1] + math.log(past + back)
        self.y[layer] += np.log((1 - share + share * self._respond(layer)) * to_gamma(variance, normals))
        if net.norm == "post":
            self.y[layer] -= up.divisor[layer]
        self._tell_apart(layer, share, own - common)
        self._next_share = share

    def _tell_apart(self, layer: int, share: float, covariance: float) -> None:
        """What norms and slopes make of samples that differ: of their mean gradient, and of how it differs.

        A sample that is small here was small in layers above, and its gradient large; one whose outputs are large by
        chance has other slopes by the same chance, `covariance`.
        """
        net, up = self.network, self.forward
        favoured, own = self._favour(layer, share)
        if net.norm == "post":
            self.y[layer] += up.divisor_one[layer] - covariance
            spread = up.divisor_one[layer] - 2 * covariance
        else:
            crossed = covariance * self._next_share if net.norm == "pre" else 0.0
            self.y[layer] += favoured - crossed
            spread = own + 2 * favoured - 2 * crossed
        self._fourth = self._fourth._replace(one=self._fourth.one * math.exp(spread))

    def _favour(self, layer: int, share: float) -> tuple[float, float]:
        """Covariance of ln g^2 of one sample above with what this layer adds to it, and the variance of the latter."""
        net, up = self.network, self.forward
        power = -1.0 if net.norm == "pre" else 0.0
        if net.is_bent:
            power = squared_slope_of(net.activation).power(up.ln_q[layer])
        above = float(up.kept[layer] + up.grown[layer] * up.find_power(layer)) * self._tilt
        self._tilt = above + share * power
        return share * power * above * up.individual(layer), (share * power) ** 2 * up.individual(layer)

    def _find_factors(self, layer: int) -> tuple[float, float]:
        """Of a squared gradient: on its way past the branch and through it, with the norms, at expected sizes."""
        net, up = self.network, self.forward
        q = math.exp(up.ln_q[layer])
        scale2 = float(net.scale_L[layer] ** 2) * net.gain_out
        back = scale2 * net.gain_in * net.norm_gain_L[layer] * mean_square_slope(net.activation, q)
        across = 1 - 1 / net.width  # a norm takes away the part along the sample
        if net.norm == "pre":
            return net.skip, back * across * math.exp(-up.log_v[layer])
        if net.norm == "none":
            return net.skip, back * (1 - (1 - up.tables[layer].along) / net.width)
        total = net.skip + scale2 * second_moment(net.activation, q)
        return net.skip * across / total, back * across / total

    def _respond(self, layer: int) -> Array | float:
        """What the branch's factor is at the sizes of each draw, relative to the expected ones."""
        net, up = self.network, self.forward
        individual = up.individual(layer)
        if net.norm == "pre":  # A sample passes the inverse of its own size, whose mean is above that of the mean size.
            return np.exp(individual - up.x[layer])
        if net.is_bent:
            return squared_slope_of(net.activation).respond(up.ln_q[layer], up.x[layer], individual)
        return 1.0

    def _pass_moments(self, layer: int, share: float) -> float:
        """Fourth moments of the gradients below the layer; the relative variance that it adds to their mean square."""
        net, up, before = self.network, self.forward, self._fourth
        pair, width = up.pairs[layer], net.width
        branch = before
        if not net.isometric:
            branch = branch.through_matrix(net.hidden) if net.two else branch
            square = up.tables[layer].square_slope
            branch = branch.through_slopes(net.hidden, square, float(pair.square_slope), up.slope2[layer])
            branch = branch.through_matrix(width)
        past, both, dot = 1 - share, 2 * (1 - share) * share, before.dot * float(pair.slope)
        after = Fourth(
            past**2 * before.one + both * before.one * (1 + 2 / width) + share**2 * branch.one,
            past**2 * before.two + both * (before.two + 2 * dot / width) + share**2 * branch.two,
            past**2 * before.dot + both * (dot + (before.two + dot) / width) + share**2 * branch.dot,
        )
        self._fourth = after._replace(dot=min(after.dot, after.two))
        return max(after.average(net.samples) / before.average(net.samples) - 1, 0.0)

    def _covary(self, layer: int, share: float) -> tuple[float, float]:
        """Covariance of a layer's squared outputs and squared slopes, relative: of one sample, and of their mean."""
        net, up = self.network, self.forward
        if net.isometric:
            return 0.0, 0.0
        unit = float(up.grown[layer]) * share / net.hidden
        one, two = up.tables[layer].cross - 1, float(up.pairs[layer].cross) - 1
        return unit * one, unit * (one / net.samples + (1 - 1 / net.samples) * two)

    def _correlate(self, layer: int, covariance: float, variance: float) -> Array:
        """Normal values with the covariance that is due with those of the layer's outputs."""
        up = self.forward
        spread = math.sqrt(max(variance * up.variance[layer], 1e-30))
        r = min(max(covariance / spread, -0.95), 0.95)
        return r * up.normals[layer] + math.sqrt(1 - r * r) * self._normals.draw(DRAWS)
