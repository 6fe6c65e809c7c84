"""Files that older versions wrote are still read. Their outputs were written down when they were made."""

from pathlib import Path

import numpy as np
import pytest

import mbbp

X = np.linspace(-1, 1, 20).reshape(4, 5)
FOLDER = Path(__file__).parent
FIRST_COLUMNS = {1: [0.03190173, 0.89996609, 0.06813218], 2: [-0.6034841, 4.9869394, -4.4777517]}


@pytest.mark.parametrize("number", FIRST_COLUMNS)
def test_its_outputs(number):
    net = mbbp.load(FOLDER / f"format-{number}.npz")
    np.testing.assert_allclose(net.feedforward(X)[:, 0], FIRST_COLUMNS[number], rtol=3e-7)
    assert len(net.history) == 0
    assert net.optimizer_state is None


def test_what_the_second_format_holds():
    net = mbbp.load(FOLDER / "format-2.npz")
    assert net.scaling == mbbp.Scaling([1, 2, 3, 4], [0.5, 1, 2, 3])
    assert net.dropout == (0.1, 0.2)
    assert net.cost_function == mbbp.costs.huber(0.5)
    net.fit(X, X[:3], epochs=1)


@pytest.mark.parametrize("number", FIRST_COLUMNS)
def test_it_is_written_in_todays_format(number, tmp_path):
    net = mbbp.load(FOLDER / f"format-{number}.npz")
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    assert repr(back) == repr(net)
    assert back.theta.tobytes() == net.theta.tobytes()
