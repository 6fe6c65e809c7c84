"""Settings for the tests of formats, which must be made before the other programs are imported."""

import importlib.util
import os

# Keras computes with TensorFlow if nothing else is said, and the tests do not need that. With PyTorch they are fastest;
# with KERAS_BACKEND=jax they also compare numbers of float64 to the last digits.
if "KERAS_BACKEND" not in os.environ:
    for backend in ("torch", "jax"):
        if importlib.util.find_spec(backend):
            os.environ["KERAS_BACKEND"] = backend
            break
