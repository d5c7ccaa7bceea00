"""Theory of the backward pass: sizes of gradients in a random stack, for the same draws as in `forward`.

g^2 is the mean square of the gradient over all samples. From layer to layer, the g^2 of a draw is multiplied by a
factor that the norm or the slope of phi gives for the states of that draw, and by a random factor of mean 1. Gradients
are assumed to be independent of the weights, with one exception: in a layer whose outputs are large by chance, slopes
are correlated with the outputs. Sources: Schoenholz et al. 2017; fourth moments and finite width are derived for this
program.
"""

import math

import numpy as np

from mhc_core.theory.activations import ACTIVATIONS
from mhc_core.theory.draws import DRAWS, Fourth, Normals, interpolate_concentration, to_gamma
from mhc_core.theory.forward import Forward
from mhc_core.theory.gaussian import Array
from mhc_core.theory.moments import mean_square_slope, second_moment, square_of, squared_slope_of


class Backward:
    """The backward pass of one network. `y` (L + 1, D) is ln g^2 at the state after each layer; y[0] is that of the
    input.

    g^2 is relative to the mean square of the gradient at the stack's output, which is standard normal.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward, self.network = forward, forward.network
        self._normals = Normals(1)
        self.y = np.zeros((self.network.depth + 1, DRAWS))
        self._fourth = Fourth(1 + 2 / self.network.width, 1.0, 1 / self.network.width)
        self._next_share = 0.0  # share of the next layer's branch, whose norm divides by this state, in g^2
        self._tilt = 0.0  # d ln g^2 of one sample in the next layer / d ln of the sample's size here
        self._radial = 1.0  # mean of (m . g)^2 / (|m|^2 |g|^2), times width; for a norm after the addition
        self._start_at_output()
        for layer in reversed(range(self.network.depth)):
            self._step_down(layer)

    def _start_at_output(self) -> None:
        """Set the size of the gradient at the output, and the factor of the final norm."""
        net, up = self.network, self.forward
        self.y[-1] = np.log(to_gamma(self._fourth.average(net.samples) - 1, self._normals.draw(DRAWS)))
        if net.norm == "pre":  # The final norm.
            self.y[-1] += math.log1p(-1 / net.width) - up.log_v[-1] - up.x[-1] + up.individual(net.depth)
            self._next_share, self._tilt = 1.0, -1.0

    def _step_down(self, layer: int) -> None:
        """Compute ln g^2 of each draw before a layer, y[layer], from that after it, y[layer + 1]."""
        up, net, before = self.forward, self.network, self._fourth
        past, back = self._find_factors(layer)
        share = back / (past + back)
        self._pass_moments(layer, share)
        own, common = self._covary(layer, share)
        apart, spread = self._tell_apart(layer, share, own - common)
        variance_D = self._find_variance(before, spread)
        self._fourth = self._fourth._replace(one=self._fourth.one * math.exp(spread))
        normals = self._correlate(layer, common, variance_D)
        self.y[layer] = self.y[layer + 1] + math.log(past + back) + apart
        self.y[layer] += np.log((1 - share + share * self._respond(layer)) * to_gamma(variance_D, normals))
        if net.norm == "post":
            self.y[layer] -= up.divisor[layer]
        self._next_share = share

    def _tell_apart(self, layer: int, share: float, covariance: float) -> tuple[float, float]:
        """Return two effects of differences between samples: what they add to ln g^2 of the mean over samples, and to
        the variance of ln g^2 of one sample.

        A sample that is small here is also small in later layers, so that its gradient is large. Slopes of a sample are
        correlated with its outputs: `covariance`.
        """
        net, up = self.network, self.forward
        favoured, own = self._add_covariance(layer, share)
        if net.norm == "post":
            found = up.divisor_one[layer] - covariance
            spread = up.divisor_one[layer] - 2 * covariance
        else:
            crossed = covariance * self._next_share if net.norm == "pre" else 0.0
            found = favoured - crossed
            spread = own + 2 * favoured - 2 * crossed
        return float(found), float(spread)

    def _find_variance(self, before: Fourth, spread: float) -> Array:
        """Return the relative variance that a layer adds to the mean squared gradient of each draw (D).

        It is the variance of single samples if few of them contribute most of the mean, and that of pairs otherwise.
        Factors of norms and slopes were computed for the mean over samples. They add `spread` if one sample is the
        whole mean.
        """
        samples = self.network.samples
        alone_D = interpolate_concentration(samples, math.log(before.one / before.two))
        one, two = self._fourth.one / before.one - 1, self._fourth.two / before.two - 1
        more_D = spread * (alone_D - 1 / samples) / max(1 - 1 / samples, 1 / samples)
        return np.maximum(alone_D * one + (1 - alone_D) * two + more_D, 0.0)

    def _add_covariance(self, layer: int, share: float) -> tuple[float, float]:
        """Return the covariance of ln g^2 of one sample with this layer's contribution to it, and the variance of this
        contribution. Layers must come from the last to the first, because each adds to the sum over those above.
        """
        net, up = self.network, self.forward
        power = -1.0 if net.norm == "pre" else 0.0
        if net.is_bent:
            power = squared_slope_of(net.activation).power(up.ln_q[layer])
        above = float(up.kept[layer] + up.grown[layer] * up.find_power(layer)) * self._tilt
        self._tilt = above + share * power
        return share * power * above * up.individual(layer), (share * power) ** 2 * up.individual(layer)

    def _find_factors(self, layer: int) -> tuple[float, float]:
        """Return the factors of a squared gradient on the skip path and through the branch, at expected sizes."""
        net, up = self.network, self.forward
        q = math.exp(up.ln_q[layer])
        scale2 = float(net.scale_L[layer] ** 2) * net.gain_out
        back = scale2 * net.gain_in * net.norm_gain_L[layer] * mean_square_slope(net.activation, q)
        across = 1 - 1 / net.width  # a norm removes the component along the sample
        if net.norm == "pre":
            return net.skip, back * across * math.exp(-up.log_v[layer])
        if net.norm == "none":
            return net.skip, back * (1 - (1 - up.tables[layer].along) / net.width)
        return self._pass_norm(layer, back, scale2 * second_moment(net.activation, q))

    def _pass_norm(self, layer: int, back: float, added: float) -> tuple[float, float]:
        """Return the factors of `_find_factors` for a norm after the addition, to first order in 1 / width.

        With z = x + F and J = dF/dx, let u be the gradient before the norm: it is orthogonal to z, and otherwise has a
        random direction. E |u + J^t u|^2 follows from tr J J^t and |z + J^t z|^2, in which F^t J x = E[phi phi' h]. The
        component of the gradient along x, which the previous layer's norm removes, follows in the same way; it is 0
        for a branch of degree one. `added` is E F^2; `back` is E[phi'^2] with its gains. Derived for this program.
        """
        net, table = self.network, self.forward.tables[layer]
        total = net.skip + added
        power = (
            1.0 if ACTIVATIONS[net.activation].degree_one else square_of(net.activation).power(self.forward.ln_q[layer])
        )
        common = added * power  # E[phi phi' h]
        met = back * added * table.cross * net.width / net.hidden if net.two else back * added * (table.cross - 1)
        lost = 0.0 if net.isometric else back * (1 - table.along)
        lost += (2 * net.skip * common + (0.0 if net.isometric else common**2 + met)) / total
        entering = (1 - self._radial / net.width) / total
        bent = back * table.along + added - 2 * common - (common - added) ** 2 / total
        self._radial = max(bent, 0.0) / (net.skip + back)
        return net.skip * entering, (back - lost / net.width) * entering

    def _respond(self, layer: int) -> Array | float:
        """Return the factor of a squared gradient through the branch at the sizes of each draw, over that at expected
        sizes.
        """
        net, up = self.network, self.forward
        individual = up.individual(layer)
        if net.norm == "pre":  # The mean over samples of 1 / size is larger than 1 / mean size.
            return np.exp(individual - up.x[layer])
        if net.is_bent:
            return squared_slope_of(net.activation).respond(up.ln_q[layer], up.x[layer], individual)
        return 1.0

    def _pass_moments(self, layer: int, share: float) -> None:
        """Compute the fourth moments of the gradients before a layer from those after it."""
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

    def _covary(self, layer: int, share: float) -> tuple[float, float]:
        """Return the relative covariance of squared outputs and squared slopes: for one sample, and for the mean over
        samples.
        """
        net, up = self.network, self.forward
        if net.isometric:
            return 0.0, 0.0
        unit = float(up.grown[layer]) * share / net.hidden
        one, two = up.tables[layer].cross - 1, float(up.pairs[layer].cross) - 1
        return unit * one, unit * (one / net.samples + (1 - 1 / net.samples) * two)

    def _correlate(self, layer: int, covariance: float, variance_D: Array) -> Array:
        """Return one normal value per draw, with this covariance with the random factor of the layer's outputs."""
        up = self.forward
        spread_D = np.sqrt(np.maximum(variance_D * up.variance[layer], 1e-30))
        r_D = np.clip(covariance / spread_D, -0.95, 0.95)
        return r_D * up.normals[layer] + np.sqrt(1 - r_D * r_D) * self._normals.draw(DRAWS)
