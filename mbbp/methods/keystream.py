"""Random bits from a cryptographic generator, and what is drawn with them."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from mbbp.extras import load_extra
from mbbp.parameters import Array

KEY_SIZE, BLOCK_SIZE = 32, 16  # bytes
PIECE = 1 << 15  # bytes that are encrypted at a time: they stay in the nearest cache
WORD = 2.0**-52


class Keystream:
    """The bits of AES-256 in counter mode, with a key from the operating system: no one can foresee them.

    Parameters
    ----------
    key : bytes, optional
        A key of 32 bytes, for tests. By default a new one from `os.urandom`.

    Raises
    ------
    ImportError
        If the package ``cryptography`` is not installed.
    """

    def __init__(self, key: bytes | None = None) -> None:
        ciphers: Any = load_extra("dp_sgd", "cryptography.hazmat.primitives.ciphers")
        secret = os.urandom(KEY_SIZE) if key is None else key
        cipher = ciphers.Cipher(ciphers.algorithms.AES(secret), ciphers.modes.CTR(bytes(BLOCK_SIZE)))
        self._cipher = cipher.encryptor()
        self._zeros = memoryview(bytes(PIECE))

    def fill(self, out: Array) -> None:
        """Fill an array of unsigned integers with random bits."""
        room: Any = memoryview(out.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
        for start in range(0, out.nbytes, PIECE):
            piece = room[start : start + PIECE]
            self._cipher.update_into(self._zeros[: len(piece)], piece)

    def uniform(self, n: int) -> Array:
        """Return n numbers, uniform above 0 and below 1, with 52 bits."""
        bits = np.empty(n, np.uint64)
        self.fill(bits)
        found: Array = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * WORD
        return found

    def chosen(self, n_trials: int, probability: float) -> Array:
        """Return which of so many trials succeed, each with this probability: their numbers, in order.

        The gaps between successes have a geometric distribution, so only the successes cost time.
        """
        if probability >= 1.0:
            return np.arange(n_trials)
        of_failure = math.log1p(-probability)
        found: list[Array] = []
        last = -1.0
        while last < n_trials:
            expected = (n_trials - last) * probability
            gaps = self.uniform(int(expected + 4 * math.sqrt(expected) + 16))
            np.log(gaps, out=gaps)
            gaps /= of_failure
            np.floor(gaps, out=gaps)
            gaps += 1.0
            places = last + np.cumsum(gaps)
            found.append(places)
            last = float(places[-1])
        places = np.concatenate(found)
        return places[places < n_trials].astype(np.int64)
