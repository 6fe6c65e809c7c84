"""The other libraries do the same work; each is tested where it is installed."""

import math
import sys

import numpy as np
import pytest

from mbbp.bench import measure as measuring
from mbbp.bench.agreement import TOLERANCES, Agreement
from mbbp.bench.cases import WHATS, Case, make_case_data
from mbbp.bench.implementations import BookLoop
from mbbp.bench.measure import measure_case
from mbbp.bench.peers import PEERS, Sklearn, TorchCompiled

pytestmark = pytest.mark.usefixtures("quick")

ALL = [kind for kinds in PEERS.values() for kind in kinds]
SHAPES = [((4, 5, 3), 4), ((3, 4, 1), 5), ((5, 3), 1), ((4, 5, 4, 3), 2)]


@pytest.fixture(params=ALL, ids=lambda kind: kind.name)
def kind(request):
    pytest.importorskip(request.param.package)
    if request.param is TorchCompiled:
        request.getfixturevalue("_torch_warns")
    return request.param


@pytest.fixture
def _torch_warns(recwarn):
    """Ignore the warnings of torch while it compiles."""
    import warnings

    warnings.simplefilter("ignore")


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("sizes", "m"), SHAPES)
def test_a_peer_does_what_the_book_does(kind, what, dtype, sizes, m):
    if what not in kind.whats:
        pytest.skip("does not support this work")
    if kind is TorchCompiled and (sizes, m) != SHAPES[0]:
        pytest.skip("compiling takes seconds")
    case = Case(sizes, m, dtype, what)
    data = make_case_data(case, 0)
    one = kind(case, data)
    assert one.dtype == dtype
    np.testing.assert_array_equal(one.theta(), data.theta)
    assert Agreement(case, data).difference(one) < TOLERANCES[dtype] / 10


def test_a_peer_is_timed(kind):
    found = measure_case(Case((4, 5, 3), 4), [BookLoop, kind], 0.05, 0)
    result = found.of(kind.name)
    assert result is not None, found.results[1].refused
    assert len(result.us) >= measuring.LEAST_ROUNDS
    assert math.isfinite(found.speedup(result))
    assert (result.bytes_per_step is not None) == kind.tracks_memory


def test_networks_of_one_process_do_not_disturb_each_other(kind):
    for m in (4, 2):
        case = Case((4, 5, 3), m)
        data = make_case_data(case, 0)
        assert Agreement(case, data).difference(kind(case, data)) < 2e-4


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_peer_that_is_missing_is_an_import_error_where_it_is_made(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind.package, None)
    monkeypatch.setitem(sys.modules, f"{kind.package}.neural_network", None)  # a submodule may be loaded already
    case = Case((4, 5, 3), 4)
    with pytest.raises(ImportError):
        kind(case, make_case_data(case, 0))
    assert kind.missing() == "not installed"


def test_no_step_is_no_work(kind):
    case = Case((4, 5, 3), 4)
    data = make_case_data(case, 0)
    one = kind(case, data)
    one.steps(np.arange(0))
    np.testing.assert_array_equal(one.theta(), data.theta)


def test_the_compiled_step_is_refused_where_it_cannot_be_compiled(monkeypatch):
    torch = pytest.importorskip("torch")

    def no_compiler(*_, **__):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", no_compiler)
    found = measure_case(Case((4, 5, 3), 4), [BookLoop, TorchCompiled], 0.0, 0)
    assert found.results[1].refused == "RuntimeError: no C++ compiler"
    assert not found.results[1].is_wrong


def test_sklearn_has_no_gradient_to_call():
    pytest.importorskip("sklearn")
    case = Case((4, 5, 3), 4)
    one = Sklearn(case, make_case_data(case, 0))
    with pytest.raises(NotImplementedError):
        one.gradient(np.arange(4))
    with pytest.raises(NotImplementedError):
        one.flat(None)
    found = measure_case(Case((4, 5, 3), 4, what="gradient"), [BookLoop, Sklearn], 0.0, 0)
    assert found.results[1].refused == "does not support gradient"
