"""How size, correlation and gradient of a stack travel in theory: a recursion over layers, with finite-width bands.

Every quantity is a logarithm's or a cosine's mean and variance over draws of the weights. v_l is the mean square of the
state that leaves layer l (v_0 of the input), c_l the correlation of two samples, q the variance of what enters phi.
Bands are first order in 1 / C: variances of independent layers add, after what later layers make of an early deviation.
"""

import math
from dataclasses import dataclass

import numpy as np

from mhc_core.theory.mean_field import (
    ACTIVATIONS,
    Noise,
    correlation,
    mean_square_slope,
    measure_noise,
    second_moment,
)

Array = np.ndarray
NOISE_POINTS = 12  # layers at which the noise is computed; it changes slowly, and lies on lines in between


@dataclass(frozen=True)
class Network:
    """One stream through branches a F(u), F(u) = W_2 phi(W_1 u) or phi(W_1 u).

    skip: 1 with a residual connection, else 0. norm: where it stands. scale_L: a of each layer. norm_gain_L: squared
    factor on the pre-norm's output. gain_in, gain_out: variance of the entries of W_1 and W_2 times their fan-in.
    hidden: rows of W_1. two: whether there is W_2. isometric: W_1 is orthogonal and all there is. correlation: of every
    two samples of the input; 1 is the widest band, for samples that may repeat.
    """

    width: int
    samples: int
    skip: float
    norm: str
    activation: str
    scale_L: Array
    norm_gain_L: Array
    gain_in: float
    gain_out: float
    hidden: int
    two: bool
    isometric: bool
    correlation: float


@dataclass(frozen=True)
class Prediction:
    """Means and variances over draws, (L), of ln v, ln g^2 and the correlation c; gradients relative to the loss's own.

    `doubt` is what a first-order theory leaves open: a bound on its own error, of the same unit as the mean.
    """

    mean: Array
    variance: Array
    doubt: Array


class Propagation:
    """The recursion of one network."""

    def __init__(self, network: Network) -> None:
        self.network, layers = network, len(network.scale_L)
        self.log_v, self.c = np.zeros(layers + 1), np.full(layers + 1, network.correlation)
        # Entering phi; correlation of phi's outputs; shares of the skip and of the branch in v before a post-norm;
        # squared factors on a gradient that passes by and on one through F, with the norms.
        self.q, self.rho, self.kept, self.grown, self.past, self.back = (np.ones(layers) for _ in range(6))
        for layer in range(layers):
            self._advance(layer)
        self.slope = np.array([self._slope(layer) for layer in range(layers)])
        self.overlap = self._spread_pairs()
        self.noise = self._interpolate_noise(np.sqrt(self.c[:-1] ** 2 + self.overlap[:-1]), network.samples)
        self.noise_of_one = self._interpolate_noise(np.ones(layers), 1)
        self.variance_of_one = self._spread_size(self.noise_of_one, 1)
        self.variance = self._spread_size(self.noise, network.samples)

    def _advance(self, layer: int) -> None:
        net, c = self.network, self.c[layer]
        # Where nothing sets a scale only ratios count, and v may leave the range of floats.
        free = net.norm == "none" and ACTIVATIONS[net.activation].degree_one
        v = 1.0 if free else math.exp(self.log_v[layer])
        a2, gain = net.scale_L[layer] ** 2, net.gain_in * net.norm_gain_L[layer]
        q = gain * (v if net.norm == "none" else 1.0)
        self.q[layer], self.rho[layer] = q, correlation(net.activation, q, c)
        added = a2 * net.gain_out * second_moment(net.activation, q)
        total = net.skip * v + added
        self.kept[layer], self.grown[layer] = net.skip * v / total, added / total
        self.back[layer] = a2 * net.gain_out * gain * mean_square_slope(net.activation, q)
        self.back[layer] /= v if net.norm == "pre" else 1.0
        self.c[layer + 1] = self.kept[layer] * c + self.grown[layer] * self.rho[layer]
        self.past[layer] = net.skip
        if net.norm == "post":
            self.past[layer] *= (1 - 1 / net.width) / total
            self.back[layer] *= (1 - 1 / net.width) / total
        else:
            self.log_v[layer + 1] = (self.log_v[layer] if free else 0.0) + math.log(total)

    def _slope(self, layer: int) -> float:
        """d rho / d c: what the branch leaves of a small difference in correlation."""
        net, step = self.network, 1e-4
        start = min(self.c[layer], 1 - step)
        ends = [correlation(net.activation, self.q[layer], c) for c in (start, start + step)]
        return (ends[1] - ends[0]) / step

    def _spread_pairs(self) -> Array:
        """Variance of one pair's cosine, (L + 1), the input's first: what makes samples alike at finite width."""
        net = self.network
        spread = np.zeros(len(self.q) + 1)
        spread[0] = (1 - self.c[0] ** 2) ** 2 / net.width
        single = self._interpolate_noise(self.c[:-1], 2).cosine
        for layer in range(len(self.q)):
            kept, grown = self.kept[layer], self.grown[layer]
            own = 0.0 if net.isometric else grown**2 * single[layer] / net.hidden
            own += grown**2 * (1 - self.rho[layer] ** 2) ** 2 / net.width if net.two else 0.0
            own += 2 * kept * grown * (1 - self.c[layer] ** 2) ** 2 / net.width
            left = max(1 - spread[layer] / max(1 - self.c[layer] ** 2, 1e-12), 0.0)
            spread[layer + 1] = (kept + grown * self.slope[layer]) ** 2 * spread[layer] + own * left**2
        return np.minimum(spread, 1 - self.c**2)

    def _interpolate_noise(self, c_L: Array, samples: int) -> Noise:
        layers = len(self.q)
        at = np.unique(np.geomspace(1, layers, min(layers, NOISE_POINTS)).round().astype(int)) - 1
        noise = measure_noise(self.network.activation, self.q[at], c_L[at], samples)
        return Noise(*(np.interp(np.arange(layers), at, values) for values in noise))

    def _spread_size(self, noise: Noise, samples: int) -> Array:
        """Variance of ln v over draws, (L + 1), the input's first; v the mean square over `samples` samples."""
        net, layers = self.network, len(self.q)
        variance = np.zeros(layers + 1)
        if net.norm == "post":
            return variance
        alike = self.c**2 + self.overlap
        variance[0] = 2 * _share(samples, alike[0]) / net.width
        for layer in range(layers):
            kept, grown = self.kept[layer], self.grown[layer]
            carried = kept + grown * (noise.response[layer] if net.norm == "none" else 0.0)
            crossed = _share(samples, self.rho[layer] * self.c[layer] + self.overlap[layer])
            own = grown**2 * self._branch_noise(layer, noise, samples) + 4 * kept * grown * crossed / net.width
            variance[layer + 1] = carried**2 * variance[layer] + own
        return variance

    def size(self) -> Prediction:
        """ln v of every layer: its mean is ln E v less half the variance, as for a log-normal."""
        doubt = 0.0 if ACTIVATIONS[self.network.activation].degree_one else 2 / self.network.width
        variance = self.variance[1:]
        return Prediction(self.log_v[1:] - variance / 2, variance, np.full(len(variance), doubt))

    def cosine(self) -> Prediction:
        """c of every layer; the skip must be 0."""
        net, layers = self.network, len(self.q)
        variance, doubt = np.zeros(layers + 1), np.zeros(layers + 1)
        variance[0] = self._linear_cosine(self.c[0]) / net.width
        for layer in range(layers):
            c, slope = self.c[layer], self.slope[layer]
            own = 0.0 if net.isometric else self.noise.cosine[layer] / net.hidden
            own += self._linear_cosine(self.rho[layer]) / net.width if net.two else 0.0
            variance[layer + 1] = slope**2 * variance[layer] + own
            doubt[layer + 1] = slope * doubt[layer] + (0.0 if net.isometric else (1 - c * c) / (2 * net.width))
        return Prediction(self.c[1:], variance[1:], doubt[1:])

    def gradient(self) -> Prediction:
        """ln g^2 where the state leaves each layer, relative to the loss's gradient at the stack's output."""
        net, layers = self.network, len(self.q)
        mean, own, carried, doubt = (np.zeros(layers + 1) for _ in range(4))
        overlap = 1 / net.width  # Mean squared cosine of two samples' gradients.
        own[layers] = 2 / (net.samples * net.width)
        if net.norm == "pre":  # The final norm.
            mean[layers] = math.log1p(-1 / net.width) - self.log_v[layers] + self.variance_of_one[layers]
            carried[layers], doubt[layers] = math.sqrt(self.variance[layers]), 2 / net.width
        for layer in reversed(range(layers)):
            past, back = self.past[layer], self.back[layer] * self._mean_inverse(layer)
            part, shared = back / (past + back), _share(net.samples, overlap)
            bias = self._spread_post(layer, self.noise_of_one, 1)
            mean[layer] = mean[layer + 1] + math.log((past + back) * (1 + bias))
            noise = 0.0 if net.isometric else self.noise.gradient[layer] / net.hidden + 2 * shared / net.width
            noise += 2 * shared / net.hidden if net.two else 0.0
            post = self._spread_post(layer, self.noise, net.samples)
            own[layer] = own[layer + 1] + post + part**2 * noise + 4 * part * (1 - part) * shared / net.width
            # A state larger than it should be passes less gradient: through the norm, or through a flatter phi.
            carried[layer] = carried[layer + 1] + self._sensitivity(layer, part) * math.sqrt(self.variance[layer])
            doubt[layer] = doubt[layer + 1] + bias + (part / net.width if self._is_bent else 0.0)
            fresh = part * (2 - part) * (2 if net.two else 1) * (1 - overlap) ** 2 / net.width
            overlap = (1 - part + part * min(self.slope[layer], 1.0)) ** 2 * overlap + (0.0 if net.isometric else fresh)
        return Prediction(mean[1:] - own[1:] / 2, (own + carried**2)[1:], doubt[1:])

    def _mean_inverse(self, layer: int) -> float:
        """E[1 / x] E[x] of one sample's mean square x, which the pre-norm divides by."""
        return 1 + self.variance_of_one[layer] if self.network.norm == "pre" else 1.0

    def _spread_post(self, layer: int, noise: Noise, samples: int) -> float:
        """Relative variance of what a post-norm divides by."""
        net, kept, grown = self.network, self.kept[layer], self.grown[layer]
        if net.norm != "post":
            return 0.0
        crossed = _share(samples, self.rho[layer] * self.c[layer] + self.overlap[layer])
        return grown**2 * self._branch_noise(layer, noise, samples) + 4 * kept * grown * crossed / net.width

    def _branch_noise(self, layer: int, noise: Noise, samples: int) -> float:
        """Relative variance of the mean square of a branch's output."""
        net = self.network
        second = 2 * _share(samples, self.rho[layer] ** 2 + self.overlap[layer + 1]) / net.width if net.two else 0.0
        return 0.0 if net.isometric else float(noise.size[layer] / net.hidden + second)

    @property
    def _is_bent(self) -> bool:
        """Whether a gradient depends on the size of a sample's state."""
        return self.network.norm != "none" or not ACTIVATIONS[self.network.activation].degree_one

    def _sensitivity(self, layer: int, part: float) -> float:
        """Magnitude of d ln(factor) / d ln v of one layer."""
        net, q = self.network, self.q[layer]
        if net.norm != "none":
            return part if net.norm == "pre" else 0.0
        if ACTIVATIONS[net.activation].degree_one:
            return 0.0
        return abs(math.log(mean_square_slope(net.activation, 1.01 * q) / mean_square_slope(net.activation, q))) * 100

    def _linear_cosine(self, c: float) -> float:
        """Variance, times the width, of the mean cosine of Gaussian samples with correlation c."""
        return float(measure_noise("linear", np.ones(1), np.array([c]), self.network.samples).cosine[0])


def _share(samples: int, alike: float) -> float:
    """Variance of a mean over samples in units of one sample's, `alike` the correlation of every two."""
    return (1 + (samples - 1) * min(alike, 1.0)) / samples
