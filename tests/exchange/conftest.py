"""Settings for the tests of formats, which must be made before the other programs are imported."""

import importlib.util
import os

# Keras computes with TensorFlow if nothing else is said, and the tests do not need that.
if "KERAS_BACKEND" not in os.environ:
    for backend in ("jax", "torch"):
        if importlib.util.find_spec(backend):
            os.environ["KERAS_BACKEND"] = backend
            break
