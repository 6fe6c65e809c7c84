"""Training in several processes: what all ranks have in the end, against one process with the same mini-batches."""

import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mbbp
from mbbp.loop import Loop
from mbbp.optimizer_state import Rates
from mbbp.solvers import get_optimizer
from tests.conftest import JIT, ROOT
from tests.ranks.problem import BATCH_SIZE, CASES, COUNTS, EPOCHS, N, data, network, part

MPIEXEC = Path(sys.executable).parent / "mpiexec"
if not JIT:
    pytest.skip("as plain Python, the trainings take too long", allow_module_level=True)
pytest.importorskip("mpi4py")
if not MPIEXEC.exists():
    pytest.skip("mpiexec is missing", allow_module_level=True)

STEPS = math.ceil(N / BATCH_SIZE)
RANKS = (2, pytest.param(4, marks=pytest.mark.slow))  # four ranks share two cores, and wait for each other


def launch(ranks, module, *words, **options):
    """Run a module on some ranks."""
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module", params=RANKS)
def results(request, tmp_path_factory):
    """What each rank has for each case."""
    path = tmp_path_factory.mktemp("ranks") / "results"
    done = launch(request.param, "tests.ranks.worker", path)
    assert done.returncode == 0, done.stderr
    return pickle.loads(path.read_bytes())


def every(results, name):
    """Return what a case has left, after a check that it is the same on all ranks, to the bit."""
    found = [one[name] for one in results]
    for other in found[1:]:
        for key, value in found[0].items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, other[key]), key
            else:
                assert value == other[key], key
    return found[0]


def orders(net, n_ranks, *, shuffle):
    """Yield for each epoch the order of each rank's rows."""
    counts = COUNTS[n_ranks]
    for _ in range(EPOCHS):
        words = net.rng.integers(1 << 32, size=4).tolist() if shuffle else []
        yield [
            np.random.default_rng([*words, rank]).permutation(count) if shuffle else np.arange(count)
            for rank, count in enumerate(counts)
        ]


def alone(n_ranks, name):
    """Train in this process with the same mini-batches; return the network, the moments, and a row for each epoch."""
    case = dict(CASES[name])
    X, y, weights, (X_test, y_test) = data()
    scaling = mbbp.Scaling.learn(X) if case.get("scaling") else None
    net = network(case.get("dtype", "float64"), scaling)
    factors = weights if case.get("weighted") else np.ones(N)
    if case.get("class_weights"):
        counts = np.bincount(y)
        factors = factors * (N / (np.count_nonzero(counts) * np.maximum(counts, 1)))[y]
    examples = net.engine.examples(X, y, "X", "y", factors)
    optimizer = get_optimizer(case["optimizer"], case.get("weight_decay"))
    state = optimizer.start(net.theta.size, net.theta.dtype)
    loop, rows, counts = Loop(net.engine, examples, N), [], COUNTS[n_ranks]
    rates = Rates(optimizer.default_learning_rate, case.get("l2", 0.0) / N, case.get("clip_norm", math.inf), True)
    for order in orders(net, n_ranks, shuffle=case.get("shuffle", True)):
        loop.reset()
        for k in range(STEPS):
            batch = [
                part(rank, counts).start + one[k * one.size // STEPS : (k + 1) * one.size // STEPS]
                for rank, one in enumerate(order)
            ]
            step = optimizer.step(net.theta, loop.gradient, state, rates)
            assert loop.run(np.concatenate(batch), step)
        totals = loop.totals
        rows.append(
            (
                totals.cost / N,
                totals.correct / N,
                net.cost(X_test, y_test),
                net.accuracy(X_test, y_test),
                totals.gradient_norm,
            )
        )
    return net, state.moments, rows


@pytest.mark.parametrize("name", CASES)
def test_the_ranks_take_the_steps_of_one_process(results, name):
    found = every(results, f"equal {name}")
    net, moments, rows = alone(len(results), name)
    exact = net.dtype == np.float64
    near = {"rtol": 1e-12, "atol": 1e-13} if exact else {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(found["theta"], net.theta, **near)
    np.testing.assert_allclose(found["moments"], moments, **near)
    assert found["steps"] == STEPS * EPOCHS
    assert found["theta"].dtype == net.dtype
    for row, expected in zip(found["rows"], rows, strict=True):
        got = (
            row.training_cost,
            row.training_accuracy,
            row.validation_cost,
            row.validation_accuracy,
            row.gradient_norm,
        )
        np.testing.assert_allclose(got, expected, rtol=1e-11 if exact else 1e-4)
    assert found["rng"] == str(net.rng.bit_generator.state)
    if CASES[name].get("scaling"):
        assert found["scaling"] == str(net.scaling)


def test_sums_have_the_same_bits_on_all_ranks(results):
    for (n, dtype), (first, whole, is_gathered) in results[0]["sums"].items():
        parts = [np.random.default_rng(rank).standard_normal(n).astype(dtype) for rank in range(len(results))]
        near = 1e-6 if dtype == "float32" else 1e-14
        np.testing.assert_allclose(first, sum(parts)[:2000], rtol=near, atol=near)
        assert is_gathered == (n < 400_000)
        for other in results[1:]:
            assert np.array_equal(other["sums"][n, dtype][0], first)
            assert other["sums"][n, dtype][1] == whole


def averaged(n_ranks, k_steps):
    """Train each rank's network by itself in this process, and average them after every few steps."""
    X, y, weights, _ = data()
    counts, first = COUNTS[n_ranks], network()
    optimizer = get_optimizer("adam", None)
    nets = [network() for _ in counts]
    states = [optimizer.start(first.theta.size, first.theta.dtype) for _ in counts]
    loops = []
    for rank, net in enumerate(nets):
        mine = part(rank, counts)
        loops.append(Loop(net.engine, net.engine.examples(X[:, mine], y[mine], "X", "y", weights[mine]), N))
    rates, norms = Rates(optimizer.default_learning_rate, measures_norm=True), [0.0] * n_ranks
    taken = 0
    for order in orders(first, n_ranks, shuffle=True):
        for k in range(STEPS):
            for rank, (net, one) in enumerate(zip(nets, order, strict=True)):
                batch = one[k * one.size // STEPS : (k + 1) * one.size // STEPS]
                if batch.size:
                    loops[rank].run(batch, optimizer.step(net.theta, loops[rank].gradient, states[rank], rates))
                    norms[rank] = loops[rank].totals.gradient_norm
            taken += 1
            if (k + 1) % k_steps == 0 or k == STEPS - 1:
                shares = [count / N for count in counts]
                theta = sum(share * net.theta for share, net in zip(shares, nets, strict=True))
                moments = sum(share * state.moments for share, state in zip(shares, states, strict=True))
                for net, state in zip(nets, states, strict=True):
                    net.theta, state.moments[...], state.steps[0] = theta, moments, taken
    norm = math.sqrt(sum(count * norm**2 for count, norm in zip(counts, norms, strict=True)) / N)
    return theta, moments, norm


@pytest.mark.parametrize("k_steps", [1, 3, 1000])
def test_the_parameters_are_averaged(results, k_steps):
    found = every(results, f"average {k_steps}")
    theta, moments, norm = averaged(len(results), k_steps)
    np.testing.assert_allclose(found["theta"], theta, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found["moments"], moments, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found["rows"][-1].gradient_norm, norm, rtol=1e-11)
    assert found["steps"] == STEPS * EPOCHS


def test_dropout_is_reproducible_and_each_rank_has_masks_of_its_own(results):
    found = every(results, "dropout")
    assert np.array_equal(found["theta"], every(results, "dropout again")["theta"])
    assert not np.array_equal(found["theta"], every(results, "equal sgd")["theta"])
    every(results, "average dropout")
    # with the same rows and the same masks on all ranks, the mean gradient would be that of one rank
    together, alone = results[0]["same rows 0.0"]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    together, alone = results[0]["same rows 0.5"]
    assert np.abs(together - alone).max() > 1e-3


def test_one_rank_ends_the_training_of_all(results):
    stopped = every(results, "stop")
    assert len(stopped["rows"]) == 2
    assert stopped["has_ended"]
    assert not stopped["was_interrupted"]
    interrupted = every(results, "interrupt")
    assert len(interrupted["rows"]) == 2
    assert interrupted["was_interrupted"]
    assert not interrupted["has_ended"]


def test_what_is_decided_after_an_epoch_is_the_same_on_all_ranks(results):
    early = every(results, "early")
    costs = [row.validation_cost for row in early["rows"]]
    assert len(costs) < 400
    assert int(np.argmin(costs)) == len(costs) - 3
    stuck = every(results, "stuck")
    assert len({row.learning_rate for row in stuck["rows"]}) > 1
    split = every(results, "split")
    assert split["rows"][-1].validation_cost is not None


def test_a_communicator_of_one_process_is_ordinary_training(results):
    for one in results:
        assert np.array_equal(one["self"]["theta"], one["no comm"]["theta"])
        assert np.array_equal(one["self"]["moments"], one["no comm"]["moments"])


def test_all_ranks_raise_before_anything_has_changed(results):
    n = len(results)
    name, message, unchanged = results[0]["setting"]
    assert (name, unchanged) == ("ValueError", True)
    assert message == "learning_rate: expected the same on all ranks, got 0.1 on rank 0 and 0.2 on rank 1"
    assert {one["setting"] for one in results} == {results[0]["setting"]}
    assert results[0]["sizes"][1].startswith("sizes: expected the same on all ranks, got (4, 5, 3) on rank 0")
    for rank, one in enumerate(results):
        name, message, unchanged = one["bad input"]
        assert unchanged
        own = "X: expected finite numbers, got nan"
        assert message.startswith(own if rank == n - 1 else f"rank {n - 1}: {own}")
        assert name == ("ValueError" if rank == n - 1 else "RankError")
        own = "average_every: expected 1 or more, got 0"
        assert one["bad average"][1] == (own if rank == 1 else f"rank 1: {own}")
        assert one["other average"][1].startswith("average_every: expected the same on all ranks, got 2 on rank 0")
        assert one["bad count"] == ("ValueError", "batch_size: expected 1 or more, got 0", True)
        assert one["solver"] == (
            "ValueError",
            f"comm: expected None with lbfgs, got a communicator of {n} processes",
            True,
        )
        text = "fit: expected a network that is not being trained"
        assert one["busy"][1].startswith(text if rank == 0 else f"rank 0: {text}")
        assert one["busy"][2]


def test_a_second_ctrl_c_keeps_the_last_whole_epoch_on_all_ranks(results):
    for one in results:
        name, _, epochs = one["pressed twice"]
        assert (name, epochs) == ("KeyboardInterrupt", 2)


def test_all_ranks_raise_what_one_meets_between_two_epochs(results):
    for rank, one in enumerate(results):
        assert one["callback"][:2] == (
            ("OSError", "no space left") if rank == 1 else ("RankError", "rank 1: no space left")
        )
        own = "learning_rate of epoch 1: expected"
        assert one["bad rate"][1].startswith(own if rank == 1 else f"rank 1: {own}")
        for name in ("diverged", "diverged average"):
            assert one[name][0] == "DivergedError"
            assert one[name][1].startswith("epoch 1: the cost became NaN or inf")
    every(results, "afterwards")


def test_a_checkpoint_goes_on_to_the_same_bits(results):
    whole, resumed = every(results, "whole"), every(results, "resumed")
    assert np.array_equal(whole["theta"], resumed["theta"])
    assert np.array_equal(whole["moments"], resumed["moments"])
    assert [row.training_cost for row in whole["rows"]] == [row.training_cost for row in resumed["rows"]]
    assert whole["rng"] == resumed["rng"]


@pytest.mark.parametrize("case", ["break", "kill"])
def test_a_rank_that_fails_ends_the_job_and_leaves_the_checkpoint(case, tmp_path):
    path = tmp_path / "kept.mbbp"
    done = launch(2, "tests.ranks.worker", path, case)
    assert done.returncode != 0
    net = mbbp.load(path)
    assert len(net.history) == 2
    assert np.isfinite(net.theta).all()
    if case == "break":
        assert "rank 1: ZeroDivisionError: a fault of the test" in done.stderr


def test_weights_of_zero_are_refused_if_all_ranks_have_nothing_else(results):
    assert [one["zeros of one rank"] for one in results] == [None] * len(results)
    for kind, message, unchanged in (one["zeros of all ranks"] for one in results):
        assert (kind, unchanged) == ("ValueError", True)
        assert message.startswith("example_weights: expected numbers for the examples to train on, not all of them 0")
