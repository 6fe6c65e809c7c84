"""Puts compiled kernels into a wheel while it is built; used by the build backend, hatchling, alone.

The environment variable MBBP_KERNELS names the levels: ``all``, ``host``, names such as ``x86-64-v3`` with commas
between them, or ``none``, as it is by default: then the kernels are compiled when they are first used. Nothing is
compiled for an editable install, whose source changes.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARIES = Path("mbbp", "kernels", "libraries")


def _wanted() -> str:
    return os.environ.get("MBBP_KERNELS") or "none"


class KernelsHook(BuildHookInterface[Any]):
    """Builds the libraries of kernels, and names the platform in the wheel's tag."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files of the wheel are collected."""
        folder = Path(self.root) / LIBRARIES
        shutil.rmtree(folder, ignore_errors=True)
        wanted = _wanted()
        if version == "editable" or wanted == "none":
            return
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([self.root, *sys.path])}
        subprocess.run(
            [sys.executable, "-m", "mbbp.building.libraries", str(folder), wanted],
            check=True,
            env=environment,
            cwd=self.root,
        )
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(f"{LIBRARIES.as_posix()}/*")

    def dependencies(self) -> list[str]:
        """Return what must be there to compile and to link; nothing otherwise."""
        if _wanted() == "none":
            return []
        return [*self.metadata.core.dependencies, *([] if shutil.which("cc") else ["ziglang"])]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind beside the source."""
        shutil.rmtree(Path(self.root) / LIBRARIES, ignore_errors=True)
