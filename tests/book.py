"""The book's two programs, written again: slow and plain, and independent of the library.

They take one example at a time, and use lists of arrays, NumPy float64 and Python's `random.shuffle`, as M. Nielsen's
*Neural Networks and Deep Learning* describes in chapters 1 to 3. `Book` stands for its network.py, `Book2` for its
network2.py. The tests compare `mbbp.nielsen` with them, and `benchmarks/nielsen.py` measures against them. This file
imports nothing from mbbp.
"""

import random
from itertools import pairwise

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def unit_vector(label):
    column = np.zeros((10, 1))
    column[label] = 1.0
    return column


class Book:
    """Chapter 1: the quadratic cost, weights from N(0, 1)."""

    def __init__(self, sizes):
        self.sizes = sizes
        normal = np.random.standard_normal
        self.biases = [normal((n, 1)) for n in sizes[1:]]
        self.weights = [normal((n, n_in)) for n_in, n in pairwise(sizes)]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights, strict=True):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def output_error(self, z, a, y):
        return (a - y) * sigmoid_prime(z)

    def backprop(self, x, y):
        zs, activations = [], [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        delta = self.output_error(zs[-1], activations[-1], y)
        for layer in range(len(zs) - 1, -1, -1):
            nabla_b[layer] = delta
            nabla_w[layer] = np.dot(delta, activations[layer].transpose())
            if layer > 0:
                delta = np.dot(self.weights[layer].transpose(), delta) * sigmoid_prime(zs[layer - 1])
        return nabla_b, nabla_w

    def step(self, mini_batch, eta, keep=1.0):
        sum_b = [np.zeros(b.shape) for b in self.biases]
        sum_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            nabla_b, nabla_w = self.backprop(x, y)
            sum_b = [total + part for total, part in zip(sum_b, nabla_b, strict=True)]
            sum_w = [total + part for total, part in zip(sum_w, nabla_w, strict=True)]
        rate = eta / len(mini_batch)
        self.weights = [keep * w - rate * nabla for w, nabla in zip(self.weights, sum_w, strict=True)]
        self.biases = [b - rate * nabla for b, nabla in zip(self.biases, sum_b, strict=True)]

    def epoch(self, data, m, eta, lmbda=0.0):
        random.shuffle(data)
        for start in range(0, len(data), m):
            self.step(data[start : start + m], eta, 1 - eta * (lmbda / len(data)))

    def right(self, data):
        return sum(int(np.argmax(self.feedforward(x)) == label) for x, label in data)

    def SGD(self, training_data, epochs, mini_batch_size, eta, test_data=None):
        for number in range(epochs):
            self.epoch(training_data, mini_batch_size, eta)
            if test_data:
                print(f"Epoch {number}: {self.right(test_data)} / {len(test_data)}")
            else:
                print(f"Epoch {number} complete")


class Book2(Book):
    """Chapter 3: a choice of costs, better weights, weight decay, monitoring, and early stopping."""

    def __init__(self, sizes, cost="cross_entropy", is_large=False):
        super().__init__(sizes)
        self.cost = cost
        if not is_large:
            self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def output_error(self, z, a, y):
        return a - y if self.cost == "cross_entropy" else super().output_error(z, a, y)

    def cost_of(self, a, y):
        if self.cost == "quadratic":
            return 0.5 * np.linalg.norm(a - y) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)))

    def total_cost(self, data, lmbda):
        mean = 0.0
        for x, y in data:
            mean += self.cost_of(self.feedforward(x), y) / len(data)
        return mean + 0.5 * (lmbda / len(data)) * sum(np.linalg.norm(w) ** 2 for w in self.weights)

    def SGD(self, training_data, epochs, mini_batch_size, eta, lmbda=0.0, evaluation_data=None, *monitored, patience=0):
        """`monitored` has the names of the book's flags without `monitor_`, in any order."""
        found = {"evaluation_cost": [], "evaluation_accuracy": [], "training_cost": [], "training_accuracy": []}
        best, stuck, n = 0, 0, len(training_data)
        for number in range(epochs):
            self.epoch(training_data, mini_batch_size, eta, lmbda)
            print(f"Epoch {number} training complete")
            if "training_cost" in monitored:
                found["training_cost"].append(self.total_cost(training_data, lmbda))
                print(f"Cost on training data: {found['training_cost'][-1]}")
            if "training_accuracy" in monitored:
                accuracy = self.right([(x, np.argmax(y)) for x, y in training_data])
                found["training_accuracy"].append(accuracy)
                print(f"Accuracy on training data: {accuracy} / {n}")
            if "evaluation_cost" in monitored:
                as_columns = [(x, unit_vector(label)) for x, label in evaluation_data]
                found["evaluation_cost"].append(self.total_cost(as_columns, lmbda))
                print(f"Cost on evaluation data: {found['evaluation_cost'][-1]}")
            if "evaluation_accuracy" in monitored:
                accuracy = self.right(evaluation_data)
                found["evaluation_accuracy"].append(accuracy)
                print(f"Accuracy on evaluation data: {accuracy} / {len(evaluation_data)}")
            print()
            if patience > 0:
                stuck = 0 if accuracy > best else stuck + 1
                best = max(best, accuracy)
                if stuck == patience:
                    break
        return tuple(found.values())
