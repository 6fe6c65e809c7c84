"""Runs on every rank under mpiexec, and writes what happened on all of them to a file.

mpiexec -n 4 python -m tests.ranks.worker RESULTS [CASE]
"""

import contextlib
import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

import mbbp
from mbbp.methods.data_parallel import DataParallel
from mbbp.ranks import SharedVector
from tests.ranks.problem import BATCH_SIZE, CASES, COUNTS, EPOCHS, data, network, part

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size


def given(name=None, **more):
    """Return a network and the arguments of a case, with the rows of this rank."""
    case = dict(CASES[name or "sgd"]) | more
    X, y, weights, (X_test, y_test) = data()
    mine, tested = part(RANK, COUNTS[SIZE]), slice(RANK, None, SIZE)
    # another seed on each rank: the networks must take over that of rank 0
    kept = {one: case.pop(one) for one in ("dtype", "scaling", "dropout") if one in case}
    net = network(seed=RANK, **kept)
    if case.pop("weighted", False):
        case["example_weights"] = weights[mine]
    case = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "comm": COMM, "progress": False} | case
    if case.pop("validated", True):
        case["validation_data"] = X_test[:, tested], y_test[tested]
    return net, {"X": X[:, mine], "y": y[mine], **case}


def run(net, arguments):
    """Train, and return what is left."""
    net.fit(arguments.pop("X"), arguments.pop("y"), **arguments)
    return left(net)


def left(net):
    state = net.optimizer_state
    return {
        "theta": net.theta.copy(),
        "moments": None if state is None else state.moments.copy(),
        "steps": None if state is None else int(state.steps[0]),
        "rows": list(net.history),
        "rng": str(net.rng.bit_generator.state),
        "scaling": str(net.scaling),
        "has_ended": net.history.has_ended,
        "was_interrupted": net.history.was_interrupted,
    }


def failure(net, arguments):
    """Return the error of a training, and what it left of the network."""
    before = net.theta.copy(), str(net.scaling)
    try:
        run(net, arguments)
    except (Exception, KeyboardInterrupt) as error:
        unchanged = bool((before[0] == net.theta).all()) and before[1] == str(net.scaling)
        return type(error).__name__, str(error), unchanged
    return None


def on(rank, callback):
    """Return a callback of one rank alone."""
    return callback if rank == RANK else lambda net, row: None


def stop_after_two(net, row):
    if row.epoch == 2:
        raise mbbp.StopTraining


def interrupt(net, row):
    if row.epoch == 2:
        os.kill(os.getpid(), signal.SIGINT)


def fail(net, row):
    raise OSError("no space left")


def while_it_is_trained(net, arguments):
    """Return the error where the network of rank 0 is being trained."""
    with net.engine.writer.fitting() if RANK == 0 else contextlib.nullcontext():
        return failure(net, arguments)


def pressed_twice():
    """Return the error, and the epochs that were kept, where Ctrl-C is pressed twice on one rank between two steps."""
    before = DataParallel._sum_gradients

    def presses(self, order, learning_rate):
        if RANK == SIZE - 1 and len(self.trained.history) == 1:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
        return before(self, order, learning_rate)

    DataParallel._sum_gradients = presses
    net, arguments = given(epochs=9)
    try:
        return *failure(net, arguments)[:2], len(net.history)
    finally:
        DataParallel._sum_gradients = before


def sums():
    """Return sums of vectors of both ways, on this rank."""
    found = {}
    for n, dtype in ((5, "float32"), (301, "float64"), (400_001, "float32"), (400_001, "float64")):
        vector = SharedVector(COMM, n, np.dtype(dtype))
        for _ in range(2):  # the memory is used again
            vector.values[:] = np.random.default_rng(RANK).standard_normal(n)
            vector.add_up()
        found[n, dtype] = vector.values[:2000].copy(), vector.values.sum(), vector._is_gathered
    return found


def same_rows(rate):
    """Train on ranks that all have the same rows, and alone on these; return both results."""
    X, y, _, _ = data()
    found = []
    for more in ({"batch_size": 8 * SIZE, "comm": COMM}, {"batch_size": 8}):
        net = network(dropout=rate)
        net.fit(X[:, :16], y[:16], epochs=2, shuffle=False, progress=False, **more)
        found.append(net.theta.copy())
    return found


def all_cases(folder):
    """Return what each test looks at, by name."""
    results = {f"equal {name}": run(*given(name)) for name in CASES}
    results["sums"] = sums()
    for every in (1, 3, 1000):
        results[f"average {every}"] = run(*given("adam weighted", average_every=every))
    results["average dropout"] = run(*given("sgd", average_every=2, dropout=0.5))
    results["dropout"] = run(*given("sgd", dropout=0.5))
    results["dropout again"] = run(*given("sgd", dropout=0.5))
    for rate in (0.0, 0.5):
        results[f"same rows {rate}"] = same_rows(rate)
    results["stop"] = run(*given(epochs=9, callbacks=on(SIZE - 1, stop_after_two)))
    results["interrupt"] = run(*given(epochs=9, callbacks=on(SIZE - 1, interrupt)))
    early = mbbp.EarlyStopping("validation_cost", patience=2)
    results["early"] = run(*given(epochs=400, learning_rate=0.5, early_stopping=early))
    stuck = mbbp.schedules.ReduceWhenStuck(1.0, monitor="validation_cost", patience=1)
    results["stuck"] = run(*given(epochs=12, learning_rate=stuck))
    results["split"] = run(*given(validated=False, validation_split=0.3))

    net, arguments = given("adam weighted")
    results["self"] = run(net, arguments | {"comm": MPI.COMM_SELF, "average_every": 3})
    net, arguments = given("adam weighted")
    del arguments["comm"]
    results["no comm"] = run(net, arguments)
    results["bad average"] = failure(*given(average_every=0 if RANK == 1 else 2))
    results["other average"] = failure(*given(average_every=2 + RANK))

    for name, is_zero in (("zeros of one rank", RANK == 1), ("zeros of all ranks", True)):
        net, arguments = given("adam weighted")
        arguments["example_weights"] = arguments["example_weights"] * (not is_zero)
        results[name] = failure(net, arguments)

    results["setting"] = failure(*given(learning_rate=0.1 + 0.1 * RANK))
    net, arguments = given(scaling="standardize")
    arguments["X"] = arguments["X"] * (np.nan if RANK == SIZE - 1 else 1.0)
    results["bad input"] = failure(net, arguments)
    results["bad count"] = failure(*given(batch_size=0))
    results["sizes"] = failure(mbbp.Network([4, 5 + RANK, 3], rng=0), given()[1])
    results["solver"] = failure(*given(optimizer="lbfgs"))
    results["callback"] = failure(*given(callbacks=on(1, fail)))
    results["diverged"] = failure(*given(learning_rate=1e300, l2=1.0))
    results["diverged average"] = failure(*given(learning_rate=1e300, l2=1.0, average_every=4))
    results["bad rate"] = failure(*given(learning_rate=lambda epoch: -1.0 if RANK == 1 else 0.1))
    results["busy"] = while_it_is_trained(*given())
    results["pressed twice"] = pressed_twice()
    results["afterwards"] = run(*given("sgd"))  # after all these errors

    # a checkpoint of which all ranks go on, with other ranks' rows as they are
    path = folder / "kept.mbbp"
    arguments = {"optimizer": "adam", "checkpoint": path, "early_stopping": mbbp.EarlyStopping("training_cost", 50)}
    results["whole"] = run(*given(**arguments, epochs=4))
    half = given(**arguments, epochs=4)
    results["half"] = run(half[0], half[1] | {"callbacks": on(0, copy_second(path))})
    COMM.barrier()
    net = mbbp.load(path.with_name("second.mbbp")) if RANK == 0 else network(seed=9)  # rank 0 alone has read it
    results["resumed"] = run(net, given(**arguments, epochs=2)[1])
    return results


def copy_second(path):
    def copy(net, row):
        if row.epoch == 3:  # what was written after the second epoch
            path.with_name("second.mbbp").write_bytes(path.read_bytes())

    return copy


def break_a_step():
    """Let a step fail on the last rank, in the third epoch."""
    before = DataParallel._sum_gradients

    def fails(self, order, learning_rate):
        if RANK == SIZE - 1 and len(self.trained.history) == 2:
            raise ZeroDivisionError("a fault of the test")
        return before(self, order, learning_rate)

    DataParallel._sum_gradients = fails


def kill(net, row):
    if row.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def main(path, case=None):
    if case is None:
        found = COMM.gather(all_cases(path.parent), 0)
        if RANK == 0:
            path.write_bytes(pickle.dumps(found))
        return
    net, arguments = given(epochs=50, checkpoint=path, callbacks=on(SIZE - 1, kill) if case == "kill" else ())
    if case == "break":
        break_a_step()
    run(net, arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
