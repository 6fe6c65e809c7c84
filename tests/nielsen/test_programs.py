"""The programs of the book's chapters 1 to 3, unchanged except for the import, on very little data."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mbbp.nielsen import mnist_loader
from tests.conftest import JIT
from tests.nielsen.helpers import labelled, seed, training

N = 12

# What readers of the book type, with the book's numbers of epochs. A name begins with the chapter.
PROGRAMS = {
    "1, the first network": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network
net = network.Network([784, 30, 10])
net.SGD(training_data, 30, 10, 3.0, test_data=test_data)
net = network.Network([784, 100, 10])
net.SGD(training_data, 30, 10, 3.0, test_data=test_data)
net = network.Network([784, 100, 10])
net.SGD(training_data, 30, 10, 0.001, test_data=test_data)
net = network.Network([784, 30, 10])
net.SGD(training_data, 30, 10, 100.0, test_data=test_data)
net = network.Network([784, 10])
net.SGD(training_data, 30, 10, 3.0, test_data=test_data)
""",
    "2, the gradient of each example": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network
net = network.Network([784, 30, 10])
for x, y in training_data[:10]:
    nabla_b, nabla_w = net.backprop(x, y)
    assert [one.shape for one in nabla_b] == [one.shape for one in net.biases]
    assert [one.shape for one in nabla_w] == [one.shape for one in net.weights]
net.update_mini_batch(training_data[:10], 3.0)
""",
    "3, the cross-entropy": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network2
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.large_weight_initializer()
net.SGD(training_data, 30, 10, 0.5, evaluation_data=test_data, monitor_evaluation_accuracy=True)
""",
    "3, overfitting": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network2
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.large_weight_initializer()
net.SGD(training_data[:1000], 400, 10, 0.5, evaluation_data=test_data,
monitor_evaluation_accuracy=True, monitor_training_cost=True)
""",
    "3, regularization": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network2
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.large_weight_initializer()
net.SGD(training_data[:1000], 400, 10, 0.5,
evaluation_data=test_data, lmbda = 0.1,
monitor_evaluation_cost=True, monitor_evaluation_accuracy=True,
monitor_training_cost=True, monitor_training_accuracy=True)
net = network2.Network([784, 100, 10], cost=network2.CrossEntropyCost)
net.large_weight_initializer()
net.SGD(training_data, 30, 10, 0.5, lmbda=5.0,
evaluation_data=validation_data,
monitor_evaluation_accuracy=True)
""",
    "3, weight initialization": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network2
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.large_weight_initializer()
net.SGD(training_data, 30, 10, 0.1, lmbda = 5.0,
evaluation_data=validation_data,
monitor_evaluation_accuracy=True)
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.SGD(training_data, 30, 10, 0.1, lmbda = 5.0,
evaluation_data=validation_data,
monitor_evaluation_accuracy=True)
""",
    "3, hyper-parameters": """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
import network2
net = network2.Network([784, 30, 10])
net.SGD(training_data, 30, 10, 10.0, lmbda = 1000.0,
evaluation_data=validation_data, monitor_evaluation_accuracy=True)
net = network2.Network([784, 10])
net.SGD(training_data[:1000], 30, 10, 10.0, lmbda = 1000.0,
evaluation_data=validation_data[:100],
monitor_evaluation_accuracy=True)
net = network2.Network([784, 10])
net.SGD(training_data[:1000], 30, 10, 10.0, lmbda = 20.0,
evaluation_data=validation_data[:100],
monitor_evaluation_accuracy=True)
net = network2.Network([784, 30, 10])
net.SGD(training_data[:1000], 30, 10, 1.0, lmbda = 20.0,
evaluation_data=validation_data[:100],
monitor_evaluation_accuracy=True)
""",
}
LINES = re.compile(
    r"Epoch \d+: \d+ / 12|Epoch \d+ training complete|(Cost|Accuracy) on (training|evaluation) data: (\S+|\d+ / 12)|"
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # lambda = 1000 is for more examples, so weights overflow
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_runs(name, monkeypatch, capsys):
    def load_data_wrapper():
        return training(N, n_in=784), labelled(N, seed=2, n_in=784), labelled(N, seed=3, n_in=784)

    monkeypatch.setattr(mnist_loader, "load_data_wrapper", load_data_wrapper)
    text = re.sub(r"^import (\w+)$", r"from mbbp.nielsen import \1", PROGRAMS[name], flags=re.MULTILINE)
    text, count = re.subn(r"(SGD\([^,]*), (30|400), ", r"\1, 3, ", text)
    assert text.count("mbbp.nielsen") == 2
    seed()
    namespace = {}
    exec(text, namespace)
    printed = capsys.readouterr().out.splitlines()
    assert all(LINES.fullmatch(line) for line in printed)
    assert len([line for line in printed if line.startswith("Epoch")]) == 3 * count
    assert np.shape(namespace["net"].weights[-1])[0] == 10


@pytest.mark.skipif(not JIT, reason="times compiled kernels")
def test_the_benchmark_runs_and_finds_that_all_agree():
    script = Path(__file__).parents[2] / "benchmarks" / "nielsen.py"
    words = ["--data", "digits", "--epochs", "2", "--rounds", "1", "--compare", "2"]
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, timeout=300, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mbbp, float64") == done.stdout.count("mbbp, float32") == 2
    assert done.stdout.count("printed accuracies agree: ") == 2
    assert done.stdout.count("state of Python's generator the same") == 2
