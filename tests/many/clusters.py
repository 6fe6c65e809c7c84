"""A small Dask cluster on this machine, for the tests."""

import contextlib
import os


@contextlib.contextmanager
def small_cluster(distributed):
    """Yield a client of two workers. Afterwards the environment is as before: Dask sets OMP_NUM_THREADS in it."""
    before = dict(os.environ)
    try:
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        )
        with cluster, distributed.Client(cluster) as client:
            yield client
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
