"""Dropout: a random share of a layer's inputs is 0 in a step of training, and the others are larger in return.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, *Dropout: a simple way to prevent neural
networks from overfitting*, JMLR 15 (2014). An input is dropped with the probability p. The others are multiplied by
1 / (1 - p) here, in training, so that nothing is to be done when the network is used.

No mask is stored: backward makes it again. Whether neuron j of example i is dropped depends on the seed of the network,
the layer, the number of the step, i and j alone. So it is the same for any number of threads, and in both orders of a
matrix in memory. Two neighbouring examples share a pair of random words.
"""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Numbers, Real, record
from mbbp.kernels.lowlevel.threefry import random_words
from mbbp.kernels.lowlevel.views import part

WORDS = 4294967296.0  # how many words of 32 bits there are


@record
class Dropping(NamedTuple):
    """A layer's neurons for the examples from `start` to `stop`, and what decides which of them are dropped."""

    source: Numbers  # from the example `start` on: number (j, i) is source[j rs + (i - start) cs]
    target: Numbers  # alike
    n: Int
    rs: Int
    cs: Int
    start: Int
    stop: Int
    rate: Real  # the probability p
    seed: Int  # of the network
    layer: Int  # the index of the layer whose inputs these are
    step: Int  # how many steps were taken before


@inlined
def _drop_columns(d, source, target, threshold, scale):
    """Go through the examples two by two; `source` may be `target`."""
    m, zero = d.stop - d.start, scale - scale
    for pair in range(d.start // 2, (d.stop + 1) // 2):
        i, count = 2 * pair - d.start, pair * d.n
        if i >= 0 and i + 1 < m:
            x, other_x = part(source, i * d.n, d.n), part(source, (i + 1) * d.n, d.n)
            y, other_y = part(target, i * d.n, d.n), part(target, (i + 1) * d.n, d.n)
            for j in range(d.n):
                words = random_words(d.seed, d.layer, d.step, count + j)
                y[j] = x[j] * (scale if words[0] >= threshold else zero)
                other_y[j] = other_x[j] * (scale if words[1] >= threshold else zero)
        else:  # the other example of this pair is another thread's, or there is none
            is_second = i < 0
            x, y = part(source, max(ZERO, i) * d.n, d.n), part(target, max(ZERO, i) * d.n, d.n)
            for j in range(d.n):
                words = random_words(d.seed, d.layer, d.step, count + j)
                y[j] = x[j] * (scale if (words[1] if is_second else words[0]) >= threshold else zero)


@inlined
def _drop_rows(d, source, target, threshold, scale):
    """Go through the neurons, and for each through the examples two by two; `source` may be `target`."""
    m, zero, skipped = d.stop - d.start, scale - scale, d.start % 2
    first_pair, pairs = (d.start + skipped) // 2, (d.stop - d.start - skipped) // 2
    for j in range(d.n):
        x, y = part(source, j * d.rs, m), part(target, j * d.rs, m)
        if skipped and m > 0:
            words = random_words(d.seed, d.layer, d.step, (first_pair - 1) * d.n + j)
            y[0] = x[0] * (scale if words[1] >= threshold else zero)
        u, v = part(source, j * d.rs + skipped, 2 * pairs), part(target, j * d.rs + skipped, 2 * pairs)
        for k in range(pairs):
            words = random_words(d.seed, d.layer, d.step, (first_pair + k) * d.n + j)
            v[2 * k] = u[2 * k] * (scale if words[0] >= threshold else zero)
            v[2 * k + 1] = u[2 * k + 1] * (scale if words[1] >= threshold else zero)
        if skipped + 2 * pairs < m:
            words = random_words(d.seed, d.layer, d.step, (first_pair + pairs) * d.n + j)
            y[m - 1] = x[m - 1] * (scale if words[0] >= threshold else zero)


@inlined
def _drop(d, source, target):
    """Multiply by 0 with the probability p, else by 1 / (1 - p)."""
    threshold = np.uint32(np.int64(d.rate * WORDS))  # words below it drop a neuron
    scale = part(target, ZERO, ZERO).dtype.type(1.0 / (1.0 - d.rate))
    if d.cs == ONE:
        _drop_rows(d, source, target, threshold, scale)
    else:
        _drop_columns(d, source, target, threshold, scale)


@kernel(Dropping)
def drop(at):
    """Set target = source * mask; the two lie apart."""
    d = at[0]
    _drop(d, d.source, d.target)
    return ZERO


@kernel(Dropping)
def drop_in_place(at):
    """Set target = target * mask."""
    d = at[0]
    _drop(d, d.target, d.target)
    return ZERO
