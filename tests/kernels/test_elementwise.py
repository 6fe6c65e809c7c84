"""The public kernels: arrays of any shape and layout, from Python and from jitted code."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbbp import reference
from mbbp.kernels import hadamard, sigmoid, sigmoid_prime
from tests.conftest import JIT

UNARY = {sigmoid: reference.sigmoid, sigmoid_prime: reference.sigmoid_prime}
DTYPES = [np.float32, np.float64]
ULPS = 4

unary = pytest.mark.parametrize("kernel", UNARY, ids=lambda kernel: kernel.__name__)
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def read_only(array):
    array.flags.writeable = False
    return array


LAYOUTS = {
    "C": lambda array: array.copy("C"),
    "F": lambda array: array.copy("F"),
    "every second": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "backwards": lambda array: array[..., ::-1].copy()[..., ::-1],
    "read-only": lambda array: read_only(array.copy()),
}
# Each kind of array compiles for itself, which takes a third of a second: not every shape comes in both dtypes.
SHAPES = {
    (): np.float64,
    (0,): np.float32,
    (7,): np.float32,
    (3, 5): np.float64,
    (0, 4): np.float64,
    (2, 3, 4): np.float32,
    (2, 1, 3, 2): np.float64,
}


def weighted_inputs(shape, dtype, seed=0):
    return np.array(10 * np.random.default_rng(seed).standard_normal(shape), dtype)


def ulps_from(exact, result):
    """Return by how many units in the last place of its own dtype a result is off, at most."""
    off = np.abs(result.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(result.dtype))
    vanishing = 2 * np.finfo(result.dtype).tiny  # about where exp starts to return 0
    return np.where((np.abs(exact) < vanishing) & (np.abs(result) < vanishing), 0, off).max(initial=0)


def exactly(kernel, z):
    """Return the textbook's formula in more digits than z has."""
    return UNARY[kernel](z.astype(np.float64 if z.dtype == np.float32 else np.longdouble))


@unary
@pytest.mark.parametrize(("shape", "dtype"), SHAPES.items(), ids=str)
def test_any_shape(kernel, dtype, shape):
    z = weighted_inputs(shape, dtype)
    before = z.copy()
    result = kernel(z)
    assert (result.shape, result.dtype) == (shape, dtype)
    assert ulps_from(exactly(kernel, z), result) <= ULPS
    np.testing.assert_array_equal(z, before)


@unary
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(kernel, layout):
    z = weighted_inputs((3, 5), np.float32)
    np.testing.assert_array_equal(kernel(LAYOUTS[layout](z)), kernel(z))


@unary
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "read-only"])
def test_out_takes_the_result_in_any_layout(kernel, layout):
    z = weighted_inputs((3, 5), np.float32)
    out = LAYOUTS[layout](np.zeros_like(z))
    kernel(z, out)
    np.testing.assert_array_equal(out, kernel(z))


@unary
@pytest.mark.parametrize("layout", ["C", "every second"])
def test_out_may_be_the_argument_itself(kernel, layout):
    z = weighted_inputs((3, 5), np.float32)
    expected, out = kernel(z), LAYOUTS[layout](z)
    kernel(out, out)
    np.testing.assert_array_equal(out, expected)


@unary
def test_a_strided_out_leaves_what_lies_between_alone(kernel):
    z, room = weighted_inputs((3, 5), np.float32), np.full((3, 10), 7, np.float32)
    kernel(z, room[:, ::2])
    np.testing.assert_array_equal(room[:, ::2], kernel(z))
    assert (room[:, 1::2] == 7).all()


@unary
@given(z=hnp.arrays(np.float32, 20, elements=st.floats(-1e4, 1e4, width=32)))
def test_float32_is_right_to_a_few_ulps(kernel, z):
    assert ulps_from(exactly(kernel, z), kernel(z)) <= ULPS


@unary
@given(z=hnp.arrays(np.float64, 20, elements=st.floats(-700, 700)))
def test_float64_is_right_to_a_few_ulps(kernel, z):
    assert ulps_from(exactly(kernel, z), kernel(z)) <= ULPS


@dtypes
def test_extremes_overflow_nothing(dtype):
    z = np.array([-np.inf, -1e4, 0, 1e4, np.inf], dtype)
    np.testing.assert_array_equal(sigmoid(z), np.array([0, 0, 0.5, 1, 1], dtype))
    np.testing.assert_array_equal(sigmoid_prime(z), np.array([0, 0, 0.25, 0, 0], dtype))


@unary
@dtypes
def test_nan_passes_through_alone(kernel, dtype):
    result = kernel(np.array([0, np.nan, 1], dtype))
    np.testing.assert_array_equal(np.isnan(result), [False, True, False])


@pytest.mark.parametrize(("shape", "dtype"), SHAPES.items(), ids=str)
def test_hadamard_of_any_shape(dtype, shape):
    s, t = (weighted_inputs(shape, dtype, seed) for seed in (1, 2))
    result = hadamard(s, t)
    assert (result.shape, result.dtype) == (shape, dtype)
    np.testing.assert_array_equal(result, s * t)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hadamard_of_any_layout(layout):
    s, t = (weighted_inputs((3, 5), np.float32, seed) for seed in (1, 2))
    np.testing.assert_array_equal(hadamard(LAYOUTS[layout](s), t), s * t)
    np.testing.assert_array_equal(hadamard(s, LAYOUTS[layout](t)), s * t)


@pytest.mark.parametrize("layout", ["C", "F", "every second"])
def test_hadamard_into_a_factor_or_another_array(layout):
    s, t = (weighted_inputs((3, 5), np.float32, seed) for seed in (1, 2))
    out = LAYOUTS[layout](np.zeros_like(s))
    hadamard(s, t, out)
    np.testing.assert_array_equal(out, s * t)
    out[...] = s
    hadamard(out, t, out)
    np.testing.assert_array_equal(out, s * t)


OVERLAPS = {
    "the next number": lambda a: (a[:-1], a[1:]),
    "the number before": lambda a: (a[1:], a[:-1]),
    "backwards": lambda a: (a, a[::-1]),
    "every second": lambda a: (a[:10], a[::2][:10]),
    "transposed": lambda a: (a[:16].reshape(4, 4), a[:16].reshape(4, 4).T),
    "the same": lambda a: (a, a),
    "apart": lambda a: (a[:10], a[10:]),
}
overlaps = pytest.mark.parametrize("overlap", OVERLAPS.values(), ids=OVERLAPS)


def jitted_sigmoid(z, out):
    return numba.njit(lambda z, out: sigmoid(z, out))(z, out)


def jitted_hadamard(s, t, out):
    return numba.njit(lambda s, t, out: hadamard(s, t, out))(s, t, out)


@overlaps
@pytest.mark.parametrize("kernel", [sigmoid, jitted_sigmoid], ids=lambda kernel: kernel.__name__)
def test_out_may_overlap_with_z(kernel, overlap):
    z, out = overlap(weighted_inputs(20, np.float64))
    expected = sigmoid(z.copy())
    kernel(z, out)
    np.testing.assert_array_equal(out, expected)


@overlaps
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kernel", [hadamard, jitted_hadamard], ids=lambda kernel: kernel.__name__)
def test_out_may_overlap_with_a_factor(kernel, place, overlap):
    one, out = overlap(weighted_inputs(20, np.float64))
    other = np.array(weighted_inputs(one.shape, np.float64, 1))
    expected = one * other
    kernel(*((one, other) if place == 0 else (other, one)), out)
    np.testing.assert_array_equal(out, expected)


@unary
def test_out_of_another_shape_is_refused(kernel):
    with pytest.raises(ValueError, match=r"out: expected the shape of z, \(3, 5\), got \(5, 3\)"):
        kernel(np.zeros((3, 5)), np.zeros((5, 3)))


def test_hadamard_refuses_other_shapes():
    one, other = np.zeros((3, 5)), np.zeros((3, 1))
    with pytest.raises(ValueError, match="t: expected the shape of s"):
        hadamard(one, other)
    with pytest.raises(ValueError, match="out: expected the shape of s"):
        hadamard(one, one, other)


@unary
def test_an_out_that_is_read_only_is_refused(kernel):
    with pytest.raises(ValueError, match="out: expected an array that can be written to"):
        kernel(np.zeros(3), read_only(np.zeros(3)))


NO_FLOATS = [np.arange(3), np.array([1.0, None]), np.ones(2, complex), np.ones(2, ">f4"), 0.5, [0.5], [[1], [1, 2]]]
NO_FLOATS += ["z", None, np.zeros(2, "M8[s]"), np.ma.masked_array([1.0, 2.0], [True, False])]


@unary
@pytest.mark.parametrize("z", NO_FLOATS, ids=repr)
def test_what_is_no_array_of_floats_is_refused(kernel, z):
    with pytest.raises(TypeError, match=r"^z: expected an array of float32 or float64, got "):
        kernel(z)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_hadamard_refuses_what_is_no_array_of_floats(place):
    arguments = [np.ones(2), np.ones(2), np.ones(2)]
    arguments[place] = np.ones(2, int)
    with pytest.raises(TypeError, match=f"^{['s', 't', 'out'][place]}: expected an array of float32 or float64, got"):
        hadamard(*arguments)


@pytest.mark.parametrize("place", [1, 2])
def test_hadamard_refuses_another_dtype(place):
    arguments = [np.ones(2), np.ones(2), np.ones(2)]
    arguments[place] = np.ones(2, np.float32)
    message = f"{['s', 't', 'out'][place]}: expected float64, the dtype of s, got float32; convert one of them"
    with pytest.raises(TypeError, match=f"^{message}"):
        hadamard(*arguments)
    if JIT:
        with pytest.raises(numba.TypingError, match=message):
            jitted_hadamard(*arguments)


@unary
def test_an_out_of_another_dtype_is_refused(kernel):
    with pytest.raises(TypeError, match=r"^out: expected float32, the dtype of z, got float64"):
        kernel(np.ones(2, np.float32), np.ones(2))


@pytest.mark.skipif(not JIT, reason="compiles")
def test_jitted_code_refuses_what_python_refuses():
    with pytest.raises(numba.TypingError, match="z: expected an array of float32 or float64, got int64"):
        numba.njit(lambda z: sigmoid(z))(3)
    with pytest.raises(numba.TypingError, match="out: expected an array that can be written to"):
        jitted_sigmoid(np.zeros(3), read_only(np.zeros(3)))
    with pytest.raises(numba.TypingError, match="t: expected the shape of s, got 1 dimensions for 2"):
        jitted_hadamard(np.zeros((3, 3)), np.zeros(3), None)
    with pytest.raises(ValueError, match="out: expected the shape of s"):
        jitted_hadamard(np.zeros(3), np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="out: expected the shape of z"):
        jitted_sigmoid(np.zeros(3), np.zeros(4))


@unary
def test_a_subclass_of_an_array_comes_back_as_out(kernel):
    z = np.ones((2, 2)).view(np.matrix)
    assert kernel(z, z) is z
    assert type(kernel(z)) is np.ndarray


@dtypes
def test_the_kernels_are_called_from_jitted_code(dtype):
    @numba.njit
    def user(z, delta, out):
        return hadamard(delta, sigmoid_prime(z, out)) + sigmoid(z)

    z, delta = weighted_inputs((2, 4), dtype), weighted_inputs((2, 4), dtype, 1)
    np.testing.assert_array_equal(user(z, delta, np.empty_like(z)), delta * sigmoid_prime(z) + sigmoid(z))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "read-only"])
def test_jitted_code_takes_any_layout(layout):
    z = weighted_inputs((3, 5), np.float32)
    out = LAYOUTS[layout](np.zeros_like(z))
    jitted_sigmoid(LAYOUTS[layout](z), out)
    np.testing.assert_array_equal(out, sigmoid(z))
    jitted_hadamard(LAYOUTS[layout](z), z, out)
    np.testing.assert_array_equal(out, z * z)
