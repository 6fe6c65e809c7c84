"""The C and C++ compilers of the tests, and programs that run many headers at once."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mbbp

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wshadow", "-Wdouble-promotion"]
CPP = ["-x", "c++", "-Wall", "-Wextra", "-Werror"]
ZIG = [sys.executable, "-m", "ziglang"]
HAS_ZIG = importlib.util.find_spec("ziglang") is not None
CLANG = ["clang"] if shutil.which("clang") else [*ZIG, "cc"] if HAS_ZIG else None
CLANG_CPP = ["clang++"] if shutil.which("clang++") else [*ZIG, "c++"] if HAS_ZIG else None
GCC = ["gcc"] if shutil.which("gcc") else None
GCC_CPP = ["g++"] if shutil.which("g++") else None
NO_COMPILER = "no C compiler here: install gcc, or pip install ziglang"


@dataclass(frozen=True)
class Compiler:
    """A compiler with its options. `link` is what makes a program of an object file."""

    command: list[str] | None
    options: list[str]
    link: list[str] = field(default_factory=list)

    def object_file(self, source, target):
        """Compile a file."""
        run([*self.command, *self.options, "-c", str(source), "-o", str(target)])

    def program(self, source, target):
        """Compile a file, and link it."""
        made = Path(f"{target}.o")
        self.object_file(source, made)
        # zig would build a C library of its own to link, which takes half a minute
        linker = GCC or self.command
        run([*linker, *self.link, str(made), "-o", str(target), "-lm"])
        return target


# Fused products and sums give other last digits. Without them, sums are those of NumPy to the bit; clang++ may fuse.
EXACT = "-ffp-contract=off"
# clang's undefined behaviour ends the program by a trap, for which it needs no library
COMPILERS = {
    "gcc": Compiler(GCC, ["-std=c99", "-O2", EXACT, *STRICT]),
    "gcc, sanitized": Compiler(
        GCC,
        ["-std=c99", "-O0", "-g", EXACT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        ["-fsanitize=address,undefined"],
    ),
    "g++": Compiler(GCC_CPP, ["-O2", EXACT, *CPP]),
    "g++, C++98": Compiler(GCC_CPP, ["-O0", EXACT, *CPP, "-std=c++98", "-Wpedantic"]),
    "clang": Compiler(CLANG, ["-std=c99", "-O2", EXACT, *STRICT]),
    "clang, sanitized": Compiler(
        CLANG,
        ["-std=c99", "-O0", EXACT, "-fsanitize=undefined", "-fsanitize-trap=undefined", "-fno-sanitize-recover=all"],
    ),
    "clang++": Compiler(CLANG_CPP, ["-O2", *CPP]),
}
FOUND = {name: one for name, one in COMPILERS.items() if one.command is not None}


def run(command, **options):
    """Run a command, and return its result; an AssertionError with all that it said if it fails."""
    folder = Path(tempfile.gettempdir()) / f"mbbp-zig-{os.getuid()}"
    environment = os.environ | {
        "ZIG_GLOBAL_CACHE_DIR": os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(folder)),
        "ZIG_LOCAL_CACHE_DIR": os.environ.get("ZIG_LOCAL_CACHE_DIR", str(folder)),
    }
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr.decode()[-6000:]}"
    return done


@dataclass
class Case:
    """A network, how it is written, and the inputs (m, n_in) that are given to it."""

    name: str
    net: mbbp.Network
    weights: str
    rows: np.ndarray

    @property
    def dtype(self):
        return np.dtype("float64" if self.weights == "float64" else "float32")

    @property
    def header(self):
        return mbbp.to_c(self.net, name=self.name, weights=self.weights)

    @property
    def is_classifier(self):
        return f"{self.name}_classify" in self.header


RUNNER = """
static int run_{name}(void)
{{
    {real} x[{name}_N_INPUTS], out[{name}_N_OUTPUTS];
    int n, label = 0;
    if (fread(&n, sizeof n, 1, stdin) != 1)
        return 1;
    while (n-- > 0) {{
        if (fread(x, sizeof x, 1, stdin) != 1)
            return 1;
        {name}_predict(x, out);
        {classify}
        if (fwrite(out, sizeof out, 1, stdout) != 1 || fwrite(&label, sizeof label, 1, stdout) != 1)
            return 1;
    }}
    return 0;
}}
"""


def write_program(cases, folder):
    """Write a C program that includes the headers of all cases, and return its path."""
    parts = ["#include <stdio.h>"]
    for case in cases:
        (folder / f"{case.name}.h").write_text(case.header, encoding="ascii")
        parts.append(f'#include "{case.name}.h"')
    for case in cases:
        real = "double" if case.dtype == np.float64 else "float"
        classify = f"label = {case.name}_classify(x);" if case.is_classifier else ""
        parts.append(RUNNER.format(name=case.name, real=real, classify=classify))
    calls = " || ".join(f"run_{case.name}()" for case in cases)
    parts.append(f"int main(void)\n{{\n    return {calls};\n}}\n")
    path = folder / "main.c"
    path.write_text("\n".join(parts), encoding="ascii")
    return path


def outputs_of(program, cases):
    """Run the program on the inputs of all cases, and return for each name its outputs (m, n_out) and labels (m,)."""
    given = b"".join(np.int32(len(c.rows)).tobytes() + c.rows.astype(c.dtype).tobytes() for c in cases)
    answer, found, place = run([str(program)], input=given).stdout, {}, 0
    for case in cases:
        kind = np.dtype([("out", case.dtype, (case.net.sizes[-1],)), ("label", np.int32)])
        found[case.name] = np.frombuffer(answer, kind, len(case.rows), place)
        place += len(case.rows) * kind.itemsize
    assert place == len(answer)
    return {name: (rows["out"], rows["label"]) for name, rows in found.items()}
