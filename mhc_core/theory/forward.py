"""Theory of the forward pass: sizes and cosines of states in a random stack, over draws of its weights.

A draw is not a network but a path of two numbers over layers: ln v, where v is the mean square of a state over all
samples, and the mean cosine of two samples. In each layer, v is multiplied by a random factor of mean 1. Its variance
is of first order in 1 / width and follows from fourth moments. Deviations from earlier layers pass the layer's full
nonlinear function. Cosines of single pairs have separate draws, because all noise depends on them.

L layers, D draws, P pairs; C width, H hidden width, N samples. Sources: Poole et al. 2016; fourth moments and finite
width are derived for this program.
"""

import math

import numpy as np

from mhc_core.theory.draws import DRAWS, PAIRS, Fourth, Normals, to_gamma
from mhc_core.theory.gaussian import Array
from mhc_core.theory.moments import second_moment, square_of
from mhc_core.theory.network import Network
from mhc_core.theory.pairs import Pair, PairTable, build_table, find_table

# Beyond this |ln v|, moments are computed at this value: relative to v they no longer change, and fourth powers would
# overflow or underflow.
MOST_LOG_V = 200.0
LEAST_APART = 1e-12  # least 1 - c of a mean, about what rounding gives for identical samples


class Forward:
    """The forward pass of one network.

    Attributes
    ----------
    log_v: (L + 1), ln E v; entry 0 is the input. x: (L + 1, D), ln v - ln E v.
    cosine: (L + 1, D), mean cosine over pairs; only for a network without a skip path.
    ln_q: (L), logarithm of the variance of the inputs of phi. kept, grown: (L), shares of the skip path and of the
        branch in v.
    tables, pairs: (L), moments of two samples after a layer as functions of their cosine, and their means over pairs.
    slope2: (L), mean over pairs of slope^2.
    one, mean: (L + 1), variance of ln |x_s|^2 for one sample, and for the mean over samples.
    normals: (L, D), the normal value behind each layer's random factor. variance: (L), variance of that factor.
    divisor: (L, D), logarithm of the factor by which a norm after the addition divides v, minus its mean.
    divisor_one: (L), its variance for one sample minus that for the mean over samples.
    """

    def __init__(self, network: Network) -> None:
        self.network, layers = network, network.depth
        self._normals = Normals(0)
        self.log_v, self.one, self.mean = (np.zeros(layers + 1) for _ in range(3))
        self.ln_q, self.kept, self.grown, self.variance, self.slope2, self.divisor_one = np.zeros((6, layers))
        self.x, self.cosine = np.zeros((2, layers + 1, DRAWS))
        self.normals, self.divisor = np.zeros((2, layers, DRAWS))
        self.tables: list[PairTable] = []
        self.pairs: list[Pair] = []
        self._start_at_input()
        for layer in range(layers):
            self._find_shares(layer)
            self._mix(layer)
            self._turn(layer)

    def _start_at_input(self) -> None:
        """Set sizes, cosines and moments of the state before the first layer, for all draws."""
        net = self.network
        self._single = self._draw_cosines(PAIRS, 2)
        self._single[: round(net.same * PAIRS)] = 1.0
        self._fourth = Fourth(1 + 2 / net.width, 1 + 2 * float(np.mean(self._single**2)) / net.width, 0.0)
        self._note_spread(0)
        self.x[0] = np.log(to_gamma(self._fourth.average(net.samples) - 1, self._normals.draw(DRAWS)))
        if net.skip == 0:
            self.cosine[0] = np.minimum(self._draw_cosines(DRAWS, net.samples), 1 - LEAST_APART)

    def _draw_cosines(self, count: int, samples: int) -> Array:
        """Return mean cosines of Gaussian samples, one per draw."""
        c = self.network.correlation
        return (
            np.ones(count)
            if c >= 1
            else self._disturb(np.full(count, c), _look_up_linear(c), self.network.width, samples)
        )

    def _note_spread(self, layer: int) -> None:
        self.one[layer], self.mean[layer] = self._fourth.spread(1), self._fourth.spread(self.network.samples)

    def individual(self, layer: int) -> float:
        """Return the variance of ln |x_s|^2 over the samples of one draw, in the state before the layer."""
        return max(float(self.one[layer] - self.mean[layer]), 0.0)

    # Sizes.

    def _find_shares(self, layer: int) -> None:
        """Set the shares of skip path and branch in the state after a layer, and the logarithm of its expected size."""
        net = self.network
        log_v = 0.0 if net.is_scale_free else max(-MOST_LOG_V, min(self.log_v[layer], MOST_LOG_V))
        v = math.exp(log_v)
        q = net.gain_in * net.norm_gain_L[layer] * (v if net.norm == "none" else 1.0)
        self.ln_q[layer] = math.log(q)
        self.tables.append(find_table(net.activation, q) if net.is_bent else build_table(net.activation, q))
        added = net.scale_L[layer] ** 2 * net.gain_out * second_moment(net.activation, q)
        total = net.skip * v + added
        self.kept[layer], self.grown[layer] = net.skip * v / total, added / total
        if net.norm != "post":
            self.log_v[layer + 1] = self.log_v[layer] - log_v + math.log(total)

    def _mix(self, layer: int) -> None:
        """Set the size of the state after a layer for each draw."""
        net, kept, grown = self.network, self.kept[layer], self.grown[layer]
        after, carried = self._count_moments(layer)
        self.variance[layer] = max(after.average(net.samples) / carried.average(net.samples) - 1, 0.0)
        self.normals[layer] = self._normals.draw(DRAWS)
        factor = to_gamma(self.variance[layer], self.normals[layer])
        if net.norm == "post":
            self.divisor[layer] = np.log(factor)
            self.divisor_one[layer] = max(after.one / carried.one - 1 - self.variance[layer], 0.0)
            return
        self.x[layer + 1] = np.log((kept * np.exp(self.x[layer]) + grown * self._respond(layer)) * factor)
        self._fourth = after
        self._note_spread(layer + 1)

    def _respond(self, layer: int) -> Array | float:
        """Return the branch's squared output at the state's size in each draw, over that at the expected size."""
        net = self.network
        if net.norm != "none":
            return 1.0
        if net.is_scale_free:
            return np.exp(self.x[layer])
        return square_of(net.activation).respond(self.ln_q[layer], self.x[layer], self.individual(layer))

    def _count_moments(self, layer: int) -> tuple[Fourth, Fourth]:
        """Return the fourth moments of the state after a layer, and those without the layer's own random factor."""
        net, kept, grown, table = self.network, self.kept[layer], self.grown[layer], self.tables[layer]
        pair = table.at(self._single)
        self.pairs.append(Pair(*np.stack(pair).mean(1)))
        self.slope2[layer] = np.mean(pair.slope**2)
        one, two, _ = (1.0, 1.0, 0.0) if net.norm == "post" else self._fourth
        power = self.find_power(layer)
        own_one, own_two = one**power**2, two**power**2
        branch = Fourth(own_one, own_two, 0.0)
        if not net.isometric:
            more = (table.square - 1) / net.hidden, (self.pairs[-1].square - 1) / net.hidden
            dot = float(np.mean(pair.rho**2) + np.mean(pair.cosine_variance(2)) / net.hidden)
            branch = Fourth(own_one * (1 + more[0]), own_two * (1 + more[1]), own_two * min(dot, 1.0))
        if net.two:
            branch = branch.through_matrix(net.width)
        crossed = 2 * float(np.mean(self._single * pair.rho)) / net.width
        both = 2 * kept * grown
        after = Fourth(
            kept**2 * one + both * one**power * (1 + 2 / net.width) + grown**2 * branch.one,
            kept**2 * two + both * two**power * (1 + crossed) + grown**2 * branch.two,
            0.0,
        )
        carried = Fourth(
            kept**2 * one + both * one**power + grown**2 * own_one,
            kept**2 * two + both * two**power + grown**2 * own_two,
            0.0,
        )
        return after, carried

    def find_power(self, layer: int) -> float:
        """Return the exponent with which the branch's squared output grows: d ln |F|^2 / d ln |x|^2."""
        net = self.network
        if net.norm != "none":
            return 0.0
        return 1.0 if net.is_scale_free else square_of(net.activation).power(self.ln_q[layer])

    # Cosines.

    def _turn(self, layer: int) -> None:
        """Set the cosines between samples after a layer: of single pairs, and the mean over all pairs."""
        net, kept, grown, table = self.network, self.kept[layer], self.grown[layer], self.tables[layer]
        crossed = math.sqrt(2 * kept * grown / net.width) * (1 - self._single**2)
        turned = kept * self._single + grown * self._turn_branch(table, self._single, 2)
        self._single = np.clip(turned + crossed * self._normals.draw(PAIRS), -1, 1)
        if net.skip == 0:
            self.cosine[layer + 1] = self._turn_branch(table, self.cosine[layer], net.samples)

    def _turn_branch(self, table: PairTable, c: Array, samples: int) -> Array:
        """Return the cosines of samples after a branch, from those before it."""
        net, pair = self.network, table.at(c)
        if net.isometric:
            return pair.rho
        c = self._disturb(pair.rho, pair, net.hidden, samples)
        return self._disturb(c, _look_up_linear(c), net.width, samples) if net.two else c

    def _disturb(self, c: Array, pair: Pair, width: int, samples: int) -> Array:
        """Return mean cosines of vectors of finite width, for an expected cosine c.

        The noise is a factor of 1 - c, so that 1 - c stays positive.
        """
        apart = np.maximum(1 - c - pair.bend / width, LEAST_APART)
        factor = to_gamma(pair.cosine_variance(samples) / (width * apart**2), self._normals.draw(len(c)))
        return np.where(c < 1, np.clip(1 - apart * factor, -1, 1), 1.0)


def _look_up_linear(c: Array | float) -> Pair:
    return build_table("linear", 1.0).at(np.asarray(c))
