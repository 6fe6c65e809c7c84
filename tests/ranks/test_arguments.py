"""The arguments of `fit` for several ranks, in one process."""

import subprocess
import sys

import numpy as np
import pytest

import mbbp

X, Y = np.zeros((2, 4)), np.zeros((1, 4))


def test_what_is_no_communicator_is_refused():
    net = mbbp.Network([2, 1], rng=0)
    message = "comm: expected a communicator of mpi4py, such as MPI.COMM_WORLD, got 'world'"
    with pytest.raises(TypeError, match=message):
        net.fit(X, Y, comm="world")
    assert len(net.history) == 0


def test_average_every_needs_a_communicator():
    with pytest.raises(ValueError, match="average_every: expected None without comm, got 8"):
        mbbp.Network([2, 1], rng=0).fit(X, Y, average_every=8)
    with pytest.raises(ValueError, match="average_every: expected 1 or more, got 0"):
        mbbp.Network([2, 1], rng=0).fit(X, Y, average_every=0)


def test_importing_mbbp_imports_no_mpi():
    program = "import mbbp, mbbp.cli, sys; assert not any(name.startswith('mpi4py') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
