"""Writes the README's performance table and picture from a run of ``mbbp bench --table``.

    python benchmarks/readme_table.py [--peers torch,jax,sklearn] [--seconds 120]

There is a table for each level of processor. The one of this machine's level is replaced, or of the level that Numba's
settings name. It contains the name of the machine, the versions and the date. Libraries that are not installed have a
dash in their column.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from mbbp.bench.cases import Case
from mbbp.kernels.lowlevel import processor

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
OTHERS = {
    "per-example": "the book's loop",
    "numpy": "NumPy",
    "jax": "JAX, scan",
    "torch": "torch",
    "torch, compiled": "torch, compiled",
    "sklearn": "scikit-learn",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="all")
    parser.add_argument("--seconds", default="120")
    options = parser.parse_args()
    bench = [sys.executable, "-m", "mbbp", "bench"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.json"
        run = [*bench, "--table", "--peers", options.peers, "--seconds", options.seconds, "--json", str(path)]
        subprocess.run(run, check=True)
        record = json.loads(path.read_text(encoding="utf-8"))
    subprocess.run([*bench, "--plot", str(ROOT / "benchmarks" / "speedup.png")], check=True)
    text = README.read_text(encoding="utf-8")
    begin, end = (f"<!-- {slash}measured {processor.level()} -->\n" for slash in ("", "/"))
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    README.write_text(before + begin + table(record) + end + after, encoding="utf-8")


def table(record: dict) -> str:
    """Return the record as Markdown: a row for each case, and for each other implementation how many times as long."""
    machine = record["machine"]
    versions = machine["versions"]
    named = ", ".join(
        f"{name} {versions[name]}" for name in ("numpy", "numba", "jax", "torch", "scikit-learn") if name in versions
    )
    lines = [
        f"{machine['processor']} with {machine['vector_bits']}-bit vectors, {machine['threads']} thread, "
        + (f"pinned to core {machine['pinned_to'][0]}" if machine["pinned_to"] else "not pinned")
        + f"; Python {machine['python']}, {named}; {machine['date'][:10]}.",
        "",
        "| float32, m = batch size | µs a step | of the sgemm roof | " + " | ".join(OTHERS.values()) + " |",
        "|---" * (3 + len(OTHERS)) + "|",
    ]
    for case in record["cases"]:
        measured = {one["engine"]: one for one in case["engines"] if one.get("us_median")}
        ours = measured["mbbp"]
        name = Case(case["sizes"], case["batch_size"], case["dtype"], case["what"], case["n"]).name
        cells = [name, f"{ours['us_median']:.1f}"]
        cells.append(f"{ours['share_of_roof']:.0%}")
        for name in OTHERS:
            ratio = measured[name]["us_median"] / ours["us_median"] if name in measured else None
            cells.append("-" if ratio is None else f"{ratio:.0f}x" if ratio >= 1000 else f"{ratio:.3g}x")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
