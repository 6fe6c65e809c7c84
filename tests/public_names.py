"""The public functions, classes and methods, for tests that call each of them."""

import inspect

import mbbp
from mbbp import chapter2, costs, datasets, kernels, reference, schedules, tuning
from mbbp.nielsen import mnist_loader, network, network2
from mbbp.solvers import OPTIMIZERS, SOLVERS

MODULES = (mbbp, costs, kernels, chapter2, datasets, schedules, tuning, reference, mnist_loader, network, network2)

# What is left out, and why.
READS_FILES = {  # the tests of each reader damage its files
    "mbbp.Ensemble.load",
    "mbbp.Ensemble.save",
    "mbbp.chunks",
    "mbbp.datasets.load",
    "mbbp.datasets.load_csv",
    "mbbp.datasets.load_mnist",
    "mbbp.datasets.load_npz",
    "mbbp.datasets.read_idx",
    "mbbp.datasets.read_inputs",
    "mbbp.from_json",
    "mbbp.load",
    "mbbp.predict",
    "mbbp.save",
    "mbbp.to_json",
    "mbbp.nielsen.mnist_loader.load_data",
    "mbbp.nielsen.mnist_loader.load_data_wrapper",
    "mbbp.nielsen.network2.Network.save",
    "mbbp.nielsen.network2.load",
}
# they need packages that may be missing; tests/exchange gives them other objects and damaged files
OTHERS = ("jax", "keras", "onnx", "safetensors", "sklearn", "torch")
OF_OTHER_PROGRAMS = {f"mbbp.{way}_{other}" for other in OTHERS for way in ("from", "to")}
RESULTS_OF_SEARCHES = {
    f"{module}.{name}"
    for module in ("mbbp", "mbbp.tuning")
    for name in ("CandidateResult", "SearchResult", "SearchResult.plot")
}
MADE_HERE = {  # what the package makes and a caller only reads; and errors and protocols, which nobody calls
    "mbbp.Chunks",
    "mbbp.DirectionalDerivatives",
    "mbbp.DivergedError",
    "mbbp.Epoch",
    "mbbp.Gradient",
    "mbbp.GradientCheck",
    "mbbp.History",
    "mbbp.EnsembleOutputs",
    "mbbp.Laplace",
    "mbbp.ManyFits",
    "mbbp.StopTraining",
    "mbbp.History.plot",
    "mbbp.Predictions",
    "mbbp.RankError",
    "mbbp.PredictiveDistribution",
    "mbbp.Trainer",
    "mbbp.chapter2.AssumptionCheck",
    "mbbp.chapter2.Backpropagation",
    "mbbp.chapter2.CountedGradient",
    "mbbp.chapter2.Diagnosis",
    "mbbp.chapter2.Diagnosis.plot",
    "mbbp.chapter2.Feedforward",
    "mbbp.chapter2.Finding",
    "mbbp.chapter2.LayerDiagnosis",
    "mbbp.chapter2.PassCount",
    "mbbp.chapter2.Step",
    "mbbp.chapter2.WeightPaths",
    "mbbp.datasets.Dataset",
    "mbbp.datasets.Dataset.restore_targets",
    "mbbp.datasets.Dataset.split",
    "mbbp.reference.NetworkLike",
    "mbbp.schedules.Gains",
    "mbbp.schedules.Gains.gains",
    "mbbp.tuning.Distribution",
    "mbbp.tuning.choice",  # takes any values
    "mbbp.tuning.Distribution.sample",
    *RESULTS_OF_SEARCHES,
}
# classes that a user subclasses or makes: `fit` calls their methods, with what it has made
OWN = (mbbp.Activation, mbbp.Cost, *map(type, (OPTIMIZERS | SOLVERS).values()))
CALLED_BY_FIT = tuple(f"mbbp.{one.__name__}." for one in OWN)
CALLED_BY_FIT += ("mbbp.Optimizer.",)
PARTS_OF_THE_BOOK = {  # the book's functions, which a reader replaces; what they are given the package has checked
    f"mbbp.nielsen.{name}"
    for name in (
        "network.sigmoid",
        "network.sigmoid_prime",
        "network2.sigmoid",
        "network2.sigmoid_prime",
        "network.Network.cost_derivative",
        "network2.CrossEntropyCost",
        "network2.CrossEntropyCost.delta",
        "network2.CrossEntropyCost.fn",
        "network2.QuadraticCost",
        "network2.QuadraticCost.delta",
        "network2.QuadraticCost.fn",
    )
}
LEFT_OUT = READS_FILES | OF_OTHER_PROGRAMS | MADE_HERE | PARTS_OF_THE_BOOK


def public_names():
    """Return the names of all public functions, classes and methods that take an argument."""
    found = {}
    for module in MODULES:
        names = getattr(module, "__all__", None) or [
            name for name, one in vars(module).items() if getattr(one, "__module__", None) == module.__name__
        ]
        for name in names:
            one = getattr(module, name)
            if name.startswith("_") or not callable(one) or isinstance(one, type(int | str)):
                continue
            full = f"{module.__name__}.{name}"
            found[full] = one
            if inspect.isclass(one):
                for method, function in inspect.getmembers(one, inspect.isroutine):
                    if not method.startswith("_") and getattr(function, "__module__", "").startswith("mbbp"):
                        found[f"{full}.{method}"] = function
    return (
        {name for name, one in found.items() if inspect.isclass(one) or _takes_an_argument(one)}
        - LEFT_OUT
        - {name for name in found if name.startswith(CALLED_BY_FIT)}
    )


def _takes_an_argument(function):
    return any(name != "self" for name in inspect.signature(function).parameters)
