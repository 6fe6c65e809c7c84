"""What a header says and holds: names, strings, sizes, exact constants, labels; and what is refused."""

import itertools
import re

import numpy as np
import pytest

import mbbp
from mbbp.exchange.c import twin
from mbbp.exchange.c.accuracy import measured
from mbbp.exchange.c.model import model_of, quantized
from mbbp.exchange.c.text import KEYWORDS
from mbbp.exchange.plain import plain
from tests.exchange.compilers import FOUND, NO_COMPILER, run

NASTY = [
    '"quoted\\" */ /* //',
    "back\\slash at the end\\",
    "??/ ??= ??( trigraphs ???/",
    "line\nbreak\r\ttab\x07\x7f",
    "Überfluß 中文 \U0001f600",
    "\u202eright to left\u202c",
    "7 digits after\x01" + "777",
    "%s %n ${HOME} `ls` */",
    "\ud800 half a pair",
    "",
]
needs_compiler = pytest.mark.skipif(not FOUND, reason=NO_COMPILER)


@pytest.fixture
def net():
    return mbbp.Network([4, 5, 3], "sigmoid", rng=0)


def values_of(header, name):
    """Return the numbers of an array in a header, read by Python."""
    text = re.search(rf" {name}\[\d+\] = {{(.*?)}};", header, re.DOTALL)[1]
    return [float(one.rstrip("f")) for one in text.replace("\n", " ").split(",")[:-1]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_constants_are_exact(dtype, rng):
    net = mbbp.Network([4, 5, 3], dtype=dtype, scaling=mbbp.Scaling(rng.standard_normal(4), rng.random(4)), rng=0)
    largest = np.finfo(dtype).max
    theta = rng.standard_normal(net.theta.size) * 10.0 ** rng.integers(-30, 30, net.theta.size)
    theta[:8] = [0, -0.0, largest, -largest, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal, 1, 1 / 3]
    net.theta = theta
    header = mbbp.to_c(net)
    for place, layer in enumerate(net.layers, 1):
        for name, array in (("w", layer.W.T), ("b", layer.b)):
            found = np.array(values_of(header, f"model_{name}{place}")).astype(dtype)
            assert found.tobytes() == np.ascontiguousarray(array).tobytes()
    assert np.array(values_of(header, "model_mean"), dtype).tobytes() == net.scaling.mean.astype(dtype).tobytes()


def test_the_same_network_gives_the_same_text(net, tmp_path):
    first, path = mbbp.to_c(net), tmp_path / "model.h"
    assert mbbp.to_c(net, path) == first == mbbp.to_c(net, str(path)) == path.read_text(encoding="ascii")
    mbbp.save(net, tmp_path / "net.npz")
    assert mbbp.to_c(mbbp.load(tmp_path / "net.npz")) == first


def test_the_default_precision_is_that_of_the_network():
    assert "const float *x" in mbbp.to_c(mbbp.Network([2, 1]))
    assert "const double *x" in mbbp.to_c(mbbp.Network([2, 1], dtype="float64"))


def test_the_comment_tells_what_the_network_is(net):
    net.schema = mbbp.Schema([mbbp.Column("length"), mbbp.Column("colour", ["blue", "red", "*/"])], ["a", "b", "c"])
    net.metadata = {"licence": "MIT */ int x;"}
    comment = mbbp.to_c(net, weights="int8").split("*/")[0]
    for text in ("[4, 5, 3]", "sigmoid, sigmoid", "quadratic", "float32", '"colour=red"', '"MIT *\\057', "8-bit"):
        assert text in comment
    assert "-lm" in comment
    relu = mbbp.to_c(mbbp.Network([2, 3, 1], ["relu", "identity"]))
    assert "-lm" not in relu
    assert "#include <math.h>" not in relu


def test_without_scaling_there_is_no_arithmetic_of_it(net):
    header = mbbp.to_c(net)
    assert "const float x0 = x[i];" in header
    assert "_mean" not in header


@needs_compiler
def test_strings_of_any_letters(net, tmp_path):
    """Strings come out as they went in, and a comment with them ends where it should."""
    net = mbbp.Network([len(NASTY), 3, len(NASTY)], rng=0)
    net.schema = mbbp.Schema([mbbp.Column(text) for text in NASTY], classes=NASTY, targets=["*/ \\"])
    net.metadata = {text: text for text in NASTY}
    mbbp.to_c(net, tmp_path / "nasty.h", name="nasty")
    source = tmp_path / "main.c"
    source.write_text(
        '#include "nasty.h"\n#include <stdio.h>\n#include <string.h>\nint main(void)\n{\n'
        "    int label;\n    for (label = -1; label <= nasty_N_CLASSES; ++label)\n"
        "        fwrite(nasty_class_name(label), 1, strlen(nasty_class_name(label)) + 1, stdout);\n    return 0;\n}\n"
    )
    wanted = ["", *NASTY, ""]
    for place, compiler in enumerate(FOUND.values()):
        answer = run([str(compiler.program(source, tmp_path / f"program{place}"))]).stdout
        assert answer.decode("utf-8", "surrogatepass").split("\0")[:-1] == wanted


@needs_compiler
def test_ties_thresholds_and_nan(tmp_path):
    """A label of equal outputs is the first; an output at the threshold is no 1; NaN is no class."""
    several = mbbp.Network([1, 3], "sigmoid", rng=0)
    several.theta = np.array([1, 1, -1, 0, 0, 0], np.float32)
    single = mbbp.Network([1, 1], "sigmoid", rng=0)
    single.theta = np.array([1, 0], np.float32)
    hinge = mbbp.Network([1, 1], "identity", cost="squared_hinge", rng=0)
    hinge.theta = np.array([1, 0], np.float32)
    inputs = [-1.0, -1e-30, 0.0, 1e-30, 1e-3, 2.0]
    lines = ["#include <math.h>", "#include <stdio.h>"]
    calls, wanted = [], []
    for name, net in (("several", several), ("single", single), ("hinge", hinge)):
        mbbp.to_c(net, tmp_path / f"{name}.h", name=name)
        lines.append(f'#include "{name}.h"')
        calls += [f'x = {one!r}f; printf("%d\\n", {name}_classify(&x));' for one in inputs]
        calls.append(f'x = (float)NAN; printf("%d\\n", {name}_classify(&x));')
        wanted += [*net.classify(np.array([inputs], np.float32)).tolist(), -1]
    source = tmp_path / "main.c"
    source.write_text("\n".join([*lines, "int main(void)", "{", "float x;", *calls, "return 0;", "}", ""]))
    for place, compiler in enumerate(FOUND.values()):
        if "-std=c++98" in compiler.options:
            continue  # it has no NAN
        answer = run([str(compiler.program(source, tmp_path / f"program{place}"))]).stdout
        assert [int(line) for line in answer.split()] == wanted
    assert {0, 1, 2, -1} == set(wanted)


@needs_compiler
def test_several_files_of_a_program_include_it(net, tmp_path):
    mbbp.to_c(net, tmp_path / "one.h", name="one")
    (tmp_path / "other.c").write_text(
        '#include "one.h"\nfloat other(const float *x);\nfloat other(const float *x)\n'
        "{\n    float out[one_N_OUTPUTS];\n    one_predict(x, out);\n    return out[0];\n}\n"
    )
    (tmp_path / "main.c").write_text(
        '#include "one.h"\n#include "one.h"\n#include <stdio.h>\nfloat other(const float *x);\nint main(void)\n{\n'
        "    float x[one_N_INPUTS] = {1, 2, 3, 4}, out[one_N_OUTPUTS];\n    one_predict(x, out);\n"
        '    printf("%d\\n", out[0] == other(x));\n    return 0;\n}\n'
    )
    for compiler in FOUND.values():
        objects = [str(tmp_path / f"{name}.o") for name in ("main", "other")]
        for made in objects:
            compiler.object_file(made.replace(".o", ".c"), made)
        program = str(tmp_path / "program")
        run(["gcc" if "gcc" in FOUND else compiler.command[0], *compiler.link, *objects, "-o", program, "-lm"])
        assert run([program]).stdout == b"1\n"


def macro(header, name):
    return int(re.search(rf"#define model_{name} (\d+)", header)[1])


@pytest.mark.parametrize("weights", ["float32", "float64", "int8"])
def test_the_sizes_are_told(weights):
    net = mbbp.Network([7, 5, 6, 4, 3], scaling=mbbp.Scaling(np.arange(7), 2.0), rng=0)
    header = mbbp.to_c(net, weights=weights)
    size = {"float32": 4, "float64": 8, "int8": 4}[weights]
    n_weights, n_biases = 35 + 30 + 24 + 12, 18
    assert macro(header, "N_INPUTS") == 7
    assert macro(header, "N_OUTPUTS") == macro(header, "N_CLASSES") == 3
    assert macro(header, "N_LAYERS") == 4
    assert macro(header, "N_WEIGHTS") == n_weights
    assert macro(header, "N_BIASES") == n_biases
    n_bytes = n_weights + 2 * n_biases * size if weights == "int8" else (n_weights + n_biases) * size
    assert macro(header, "CONSTANT_BYTES") == n_bytes + 7 * size  # and the means
    assert macro(header, "STACK_BYTES") == (5 + 6 + 3) * size
    assert declared_bytes(header) == macro(header, "CONSTANT_BYTES")


def declared_bytes(header):
    declared = re.findall(r"static const (float|double|signed char) \w+\[(\d+)\]", header)
    sizes = {"float": 4, "double": 8, "signed char": 1}
    return sum(sizes[kind] * int(n) for kind, n in declared)


def test_rows_of_bytes_are_made_a_little_longer_where_that_fills_vectors():
    header = mbbp.to_c(mbbp.Network([5, 30, 10], rng=0), weights="int8")
    assert macro(header, "N_WEIGHTS") == 5 * 30 + 30 * 10
    assert macro(header, "CONSTANT_BYTES") == declared_bytes(header) == 5 * 32 + 30 * 10 + 2 * 4 * 40
    assert macro(header, "STACK_BYTES") == 4 * (30 + 32 + 10)
    rows = np.array(values_of(header, "model_w1")).reshape(5, 32)
    assert not rows[:, 30:].any()
    assert rows[:, :30].any(axis=1).all()


def test_weights_of_8_bits(rng):
    W = (rng.standard_normal((6, 50)) * np.array([1e-45, 1e-38, 1e-3, 1, 1e30, 0])[:, np.newaxis]).astype(np.float32)
    integers, scale = quantized(W)
    assert integers.dtype == np.int8
    assert abs(integers.astype(int)).max(axis=0).tolist()[2:5] == [127, 127, 127]
    step = scale.astype(np.float64)[:, np.newaxis]
    assert (abs(integers.T * step - W) <= 0.5001 * step).all()
    assert not integers[:, 5].any()


def test_the_loss_of_accuracy_is_told():
    data = mbbp.datasets.load_digits()
    net = mbbp.Network([64, 30, 10], scaling=data.scaling, rng=0)
    net.fit(data.x_train, data.y_train, epochs=3, learning_rate=3.0)
    X, y = data.x_test, data.y_test
    header = mbbp.to_c(net, weights="int8", X=X, y=y)
    model = model_of(plain(net, "test"), "int8")
    outputs = twin.predict(model, X.T.astype(np.float32))
    difference = abs(outputs.astype(np.float64) - net.feedforward(X).T)
    accuracy = (twin.classify(model, outputs) == y).mean()
    assert f"{difference.max():.2g} at most and {difference.mean():.2g} on average" in header
    assert f"Accuracy on them: {net.accuracy(X, y):.2%} in mbbp, {accuracy:.2%} here." in header
    assert 1e-5 < difference.max() < 0.1
    assert "at most and" not in mbbp.to_c(net, weights="int8")
    assert header.split("#ifndef")[1] == mbbp.to_c(net, weights="int8").split("#ifndef")[1]


def test_the_error_of_a_regression_is_told_in_the_units_of_the_targets(rng):
    X = rng.standard_normal((3, 200))
    Y = (X.sum(axis=0) * 100 + 1000).reshape(1, -1)
    net = mbbp.regressor(X, Y, hidden=(8,), epochs=20, rng=0)
    header = mbbp.to_c(net, X=X, y=Y)
    found = re.search(r"squared error on them: ([\d.]+) in mbbp, ([\d.]+) here", header)
    wanted = np.sqrt(np.square(net.feedforward(X) - Y).mean())
    assert float(found[1]) == pytest.approx(wanted, rel=1e-3)
    assert float(found[2]) == pytest.approx(wanted, rel=1e-3)
    assert "_classify" not in header


@pytest.mark.parametrize("name", ["", "2a", "a-b", "a b", "_a", "int", "class", "ä", "a" * 41, "a\n", "a;int"])
def test_a_bad_name_is_refused(net, name):
    with pytest.raises(ValueError, match="name: expected"):
        mbbp.to_c(net, name=name)


def test_all_keywords_are_refused(net):
    assert len(KEYWORDS.split()) > 90
    for name in KEYWORDS.split():
        with pytest.raises(ValueError, match="name: expected no keyword"):
            mbbp.to_c(net, name=name)


def test_what_else_is_refused(net, tmp_path):
    with pytest.raises(ValueError, match=r"path: expected a name that ends in \.h"):
        mbbp.to_c(net, tmp_path / "a.c")
    with pytest.raises(ValueError, match="weights: expected one of float32, float64, int8, got 'int4'"):
        mbbp.to_c(net, weights="int4")
    with pytest.raises(ValueError, match="y: expected None without X"):
        mbbp.to_c(net, y=[0])
    with pytest.raises(TypeError, match=r"net: expected an mbbp\.Network"):
        mbbp.to_c("net")
    wide = mbbp.Network([2, 1], dtype="float64", rng=0)
    wide.theta[0] = 1e300
    for weights in ("float32", "int8"):
        with pytest.raises(ValueError, match="weights: expected a precision that holds the weights"):
            mbbp.to_c(wide, weights=weights)
    small = mbbp.Network([2, 1], dtype="float64", scaling=1e-300, rng=0)
    with pytest.raises(ValueError, match="weights: expected a precision that holds the factors"):
        mbbp.to_c(small, weights="float32")
    with pytest.raises(ValueError, match="scaling is learnt"):
        mbbp.to_c(mbbp.Network([2, 1], scaling="standardize"))
    net.schema = mbbp.Schema(classes=["a", "b\0c", "d"])
    with pytest.raises(ValueError, match="net: expected names of classes without the letter of code 0"):
        mbbp.to_c(net)
    net.schema = mbbp.Schema(classes=["a", "b" * 5000, "d"])
    with pytest.raises(ValueError, match="net: expected names of classes of at most 4095 bytes"):
        mbbp.to_c(net)
    assert list(tmp_path.iterdir()) == []


def test_the_example_includes_the_file_that_is_written(net, tmp_path):
    assert '#include "model.h"' in mbbp.to_c(net)
    assert '#include "small.h"' in mbbp.to_c(net, name="small")
    found = mbbp.to_c(net, tmp_path / "other-name.h", name="small")
    assert '#include "other-name.h"' in found
    assert '"small.h"' not in found
    nasty = mbbp.to_c(net, tmp_path / '"*\\ \n int x;.h')
    assert len(nasty.splitlines()) == len(mbbp.to_c(net).splitlines())


def names_in(header):
    """Return all names that a header gives to the whole program."""
    code = header.split("*/", 1)[1]
    return set(re.findall(r"^static [^(\[]*?(\w+)[(\[]", code, re.MULTILINE)) | set(re.findall(r"#define (\w+)", code))


@needs_compiler
def test_names_of_two_models_of_which_one_begins_with_the_other_do_not_collide(tmp_path):
    nets = {
        "m": mbbp.Network([2, 3, 1], ["leaky_relu", "identity"], rng=0),
        "m_leaky": mbbp.Network([2, 3, 1], ["relu", "identity"], rng=0),
        "m_f": mbbp.Network([2, 3, 1], ["relu", "sigmoid"], rng=0),
        "m_f_leaky": mbbp.Network([2, 3, 1], ["relu", "sigmoid"], rng=0),
    }
    headers = {name: mbbp.to_c(net, tmp_path / f"{name}.h", name=name) for name, net in nets.items()}
    assert "m_f_leaky_relu" in names_in(headers["m"])
    for one, other in itertools.combinations(headers, 2):
        assert not names_in(headers[one]) & names_in(headers[other])
    calls = " ".join(f"{name}_predict(x, out);" for name in nets)
    lines = [f'#include "{name}.h"' for name in nets]
    lines.append(f"int main(void) {{ float x[2] = {{0}}, out[1]; {calls} return 0; }}")
    (tmp_path / "main.c").write_text("\n".join(lines) + "\n")
    next(iter(FOUND.values())).object_file(tmp_path / "main.c", tmp_path / "main.o")


def test_the_difference_is_that_from_the_network_with_its_scaled_targets():
    net = mbbp.Network([2, 8, 1], ["tanh", "identity"], rng=0)
    X = np.random.default_rng(0).standard_normal((2, 50)).astype(np.float32)
    scaling = mbbp.Scaling(1e6, 0.5)  # a copy whose outputs are in these units loses digits
    net.schema = mbbp.Schema(targets=["y"], target_scaling=scaling)
    model = model_of(plain(net, "test"), "float32")
    exact = scaling.undo(net.feedforward(X).astype(np.float64)).T
    wanted = abs(twin.predict(model, X.T) - exact).max()
    assert wanted > 0.01
    lines = list(measured(net, model, X, exact.T))
    assert lines[1].startswith(f"{wanted:.2g} at most")
    assert lines[-1].startswith("Root of the mean squared error on them: 0 in mbbp")
