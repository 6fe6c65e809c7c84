"""How large and how fast the headers of `mbbp.to_c` are: ``python benchmarks/c_headers.py`` prints the README's table.

Each program predicts 1,000 different examples, again and again; the fastest turn counts. It needs gcc.
"""

import platform
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import mbbp

NETWORKS = (
    ([64, 30, 10], "sigmoid"),
    ([784, 30, 10], "sigmoid"),
    ([784, 30, 10], ["relu", "softmax"]),
    ([4, 32, 16, 4], ["relu", "relu", "identity"]),
)
OPTIONS = {"-O2": ["-O2"], "-O3 -march=native": ["-O3", "-march=native"]}
PROGRAM = r"""
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>
#include "model.h"

int main(void)
{
    static float x[1000][model_N_INPUTS];
    float out[model_N_OUTPUTS];
    double best = 1e30, sum = 0;
    unsigned random = 1;
    int turn, i, j;
    for (i = 0; i < 1000; ++i)
        for (j = 0; j < model_N_INPUTS; ++j)
            x[i][j] = (float)((random = random * 1664525u + 1013904223u) >> 8) / 16777216.0f;
    for (turn = 0; turn < 50; ++turn) {
        struct timespec begin, end;
        double time;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (i = 0; i < 1000; ++i) {
            model_predict(x[i], out);
            sum += out[0];
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        time = 1e9 * (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec);
        best = time < best ? time : best;
    }
    fprintf(stderr, "%g\n", sum);
    printf("%g\n", best / 1000);
    return 0;
}
"""


def nanoseconds_in_python(net):
    """Return how long `feedforward` takes for one example."""
    x = np.random.default_rng(0).random((net.sizes[0], 1)).astype(np.float32)
    best = np.inf
    for _ in range(50):
        begin = time.perf_counter_ns()
        for _ in range(500):
            net.feedforward(x)
        best = min(best, (time.perf_counter_ns() - begin) / 500)
    return best


def nanoseconds_in_c(folder, options):
    """Return how long a prediction takes with these options of gcc."""
    subprocess.run(["gcc", "-std=c99", *options, "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
    return float(subprocess.run([folder / "main"], capture_output=True, text=True, check=True).stdout)


def bytes_of_code(folder):
    """Return the size of predict and all that it calls."""
    source = '#include "model.h"\nvoid f(const float *x, float *out);\n'
    (folder / "code.c").write_text(source + "void f(const float *x, float *out) { model_predict(x, out); }\n")
    subprocess.run(["gcc", "-std=c99", "-O2", "-c", "code.c", "-o", "code.o"], cwd=folder, check=True)
    told = subprocess.run(["size", "-A", "code.o"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return sum(int(n) for n in re.findall(r"^\.text\S*\s+(\d+)", told, re.MULTILINE))


def main():
    print(f"{platform.machine()}, {subprocess.run(['gcc', '-dumpfullversion'], capture_output=True, text=True).stdout}")
    print(f"| | weights | constants | code | {' | '.join(f'gcc {name}' for name in OPTIONS)} | `feedforward` |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.c").write_text(PROGRAM)
        for sizes, activation in NETWORKS:
            net = mbbp.Network(sizes, activation, rng=0)
            in_python = nanoseconds_in_python(net)
            shown = activation if isinstance(activation, str) else ", ".join(dict.fromkeys(activation))
            for weights in ("float32", "int8"):
                header = mbbp.to_c(net, folder / "model.h", weights=weights)
                constants = int(re.search(r"_CONSTANT_BYTES (\d+)", header)[1])
                times = [f"{nanoseconds_in_c(folder, options):,.0f} ns" for options in OPTIONS.values()]
                print(
                    f"| {sizes}, {shown} | {weights} | {constants:,} bytes | {bytes_of_code(folder):,} bytes |"
                    f" {' | '.join(times)} | {in_python:,.0f} ns |"
                )


if __name__ == "__main__":
    main()
