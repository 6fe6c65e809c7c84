"""How much memory reading takes, the network among it: about three times the size of the file."""

import subprocess
import sys

import pytest

import mbbp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CODE = """
import sys
import mbbp

def kilobytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))

read, small, large = getattr(mbbp, sys.argv[1]), *sys.argv[2:]
read(small)
before = kilobytes("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the most memory from here on
net = read(large)
print((kilobytes("VmHWM") - before) * 1024)
"""


@pytest.mark.parametrize(("package", "write"), [("onnx", mbbp.to_onnx), ("safetensors", mbbp.to_safetensors)])
def test_reading_takes_little_more_than_three_times_the_file(package, write, tmp_path):
    pytest.importorskip(package)
    for name, sizes in (("small", [2, 1]), ("large", [2000, 2000, 1000, 1])):
        write(mbbp.Network(sizes, "identity", rng=0), tmp_path / name)
    command = [sys.executable, "-c", CODE, f"from_{package}", str(tmp_path / "small"), str(tmp_path / "large")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "clear_refs" in done.stderr:
        pytest.skip("the most memory cannot be measured here")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3.4 * (tmp_path / "large").stat().st_size
