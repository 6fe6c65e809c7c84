"""Builds the libraries of compiled kernels that come with the package: one for each level of processor.

    python -m mbbp.building.libraries FOLDER LEVELS

LEVELS is ``all``, ``host``, or names such as ``x86-64-v3`` with commas between them.

Each level and dtype is compiled in a process of its own, because Numba reads once for which processor it compiles. The
C compiler ``cc`` links the object files, or that of the package ziglang if there is no other. Beside the libraries
stands `INDEX`, which says from which source and by which Numba they were made, and holds the SHA-256 of each.

The same source, Numba and linker give the same bytes.
"""

import argparse
import concurrent.futures
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mbbp.kernels.lowlevel import processor
from mbbp.kernels.lowlevel.prebuilt import INDEX, SOURCE, file_of, hash_of

ROOT = Path(__file__).parents[2]
LINK = ("-shared", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,defs")
EXPORTS = "{ global: mbbp_*; local: *; };"


def levels_of(text: str) -> list[str]:
    """Return the levels that a text names.

    Raises
    ------
    ValueError
        If it names an unknown one, or kernels cannot be built on this system.
    """
    if not sys.platform.startswith("linux") or processor.host_level() is None:
        raise ValueError("levels: kernels can be built on Linux with an x86-64 processor only")
    if text == "all":
        return list(processor.LEVELS)
    names = [processor.host_level()] if text == "host" else text.split(",")
    levels = [name for name in names if name in processor.LEVELS]
    if levels != names:
        raise ValueError(f"levels: expected all, host, or some of {', '.join(processor.LEVELS)}, got {text!r}")
    return levels


def emit(dtype: str, folder: str) -> None:
    """Write the object files of all kernels for a dtype, for the processor that Numba's settings name."""
    import numpy as np

    from mbbp.kernels.catalogue import all_kernels
    from mbbp.kernels.lowlevel.emit import object_code

    for kernel in all_kernels(np.dtype(dtype)):
        code = object_code(kernel, np.dtype(dtype))
        Path(folder, f"{kernel.symbol(np.dtype(dtype))}.o").write_bytes(code)


def compiler() -> list[str]:
    """Return the command of a C compiler.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if shutil.which("cc"):
        return ["cc"]
    if importlib.util.find_spec("ziglang") is None:
        raise FileNotFoundError("the kernels need a C compiler to be linked: expected cc or the Python package ziglang")
    return [sys.executable, "-m", "ziglang", "cc"]


def link(objects: Path, library: Path) -> None:
    """Link object files to a shared library that exports the kernels alone."""
    exports = objects / "exports"
    exports.write_text(EXPORTS, encoding="utf-8")
    files = sorted(str(path) for path in objects.glob("*.o"))
    command = [*compiler(), *LINK, f"-Wl,--version-script={exports}", "-o", str(library), *files, "-lm", "-lc"]
    subprocess.run(command, check=True)


def build(folder: Path, levels: Sequence[str]) -> None:
    """Build the libraries of these levels, and the index of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mbbp-kernels-") as temporary:
        places = {level: Path(temporary) / level for level in levels}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in [
                pool.submit(_emit_in_process, level, dtype, places[level])
                for level in levels
                for dtype in ("float32", "float64")
            ]:
                done.result()
        for level, objects in places.items():
            link(objects, folder / file_of(level))
    write_index(folder, levels)


def write_index(folder: Path, levels: Sequence[str]) -> None:
    """Write the index of the libraries in a folder."""
    hashes = {level: hash_of(folder / file_of(level)) for level in levels}
    index = {"source": SOURCE, "numba": importlib.metadata.version("numba"), "libraries": hashes}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _emit_in_process(level: str, dtype: str, objects: Path) -> None:
    objects.mkdir(exist_ok=True)
    # no other setting of Numba's may change what is compiled
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= processor.settings(level)
    environment |= {
        "NUMBA_DISABLE_INTEL_SVML": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "NUMBA_CACHE_DIR": str(objects / f"cache-{dtype}"),
    }
    program = f"from mbbp.building.libraries import emit; emit({dtype!r}, {str(objects)!r})"
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def main() -> None:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("levels")
    options = parser.parse_args()
    try:
        levels = levels_of(options.levels)
    except ValueError as error:
        parser.error(str(error))
    build(options.folder, levels)


if __name__ == "__main__":
    main()
