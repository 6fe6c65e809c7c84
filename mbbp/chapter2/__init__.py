"""Chapter 2 of M. Nielsen's *Neural Networks and Deep Learning* as functions: how backpropagation works.

Each equation of the book is a small function in plain NumPy, in float64. Its docstring gives the equation and its
number. Layers are numbered as in the book: layer 1 is the input, layer L is the output. Neurons are counted from 0.
"""

from mbbp.chapter2.advice import Finding
from mbbp.chapter2.algorithm import Backpropagation, Step, backpropagation, gradient_descent_step
from mbbp.chapter2.alternative import (
    activation_jacobian,
    backpropagated_error_by_matrix,
    error_as_product,
    output_error_by_matrix,
    sigma_prime_matrix,
)
from mbbp.chapter2.assumptions import (
    AssumptionCheck,
    is_function_of_outputs,
    is_mean_over_examples,
    sparse_activation_cost,
    worst_example_cost,
)
from mbbp.chapter2.counting import (
    CountedGradient,
    PassCount,
    count_passes,
    gradient_by_backpropagation,
    gradient_by_central_differences,
    gradient_by_one_sided_differences,
    pass_table,
)
from mbbp.chapter2.diagnosis import Diagnosis, diagnose
from mbbp.chapter2.equations import (
    backpropagated_error,
    bias_gradient,
    bp1,
    bp2,
    bp3,
    bp4,
    hadamard,
    output_error,
    weight_gradient,
)
from mbbp.chapter2.exercises import backpropagation_with_linear_neurons, backpropagation_with_modified_neuron
from mbbp.chapter2.feedforward import Feedforward, feedforward_by_index, feedforward_by_matrix, feedforward_by_vector
from mbbp.chapter2.numbering import parameters
from mbbp.chapter2.paths import WeightPaths, count_all_paths, count_paths, gradient_by_paths, weight_paths
from mbbp.chapter2.saturation import LayerDiagnosis, low_activation, saturated, slow_share

__all__ = [
    "AssumptionCheck",
    "Backpropagation",
    "CountedGradient",
    "Diagnosis",
    "Feedforward",
    "Finding",
    "LayerDiagnosis",
    "PassCount",
    "Step",
    "WeightPaths",
    "activation_jacobian",
    "backpropagated_error",
    "backpropagated_error_by_matrix",
    "backpropagation",
    "backpropagation_with_linear_neurons",
    "backpropagation_with_modified_neuron",
    "bias_gradient",
    "bp1",
    "bp2",
    "bp3",
    "bp4",
    "count_all_paths",
    "count_passes",
    "count_paths",
    "diagnose",
    "error_as_product",
    "feedforward_by_index",
    "feedforward_by_matrix",
    "feedforward_by_vector",
    "gradient_by_backpropagation",
    "gradient_by_central_differences",
    "gradient_by_one_sided_differences",
    "gradient_by_paths",
    "gradient_descent_step",
    "hadamard",
    "is_function_of_outputs",
    "is_mean_over_examples",
    "low_activation",
    "output_error",
    "output_error_by_matrix",
    "parameters",
    "pass_table",
    "saturated",
    "sigma_prime_matrix",
    "slow_share",
    "sparse_activation_cost",
    "weight_gradient",
    "weight_paths",
    "worst_example_cost",
]
