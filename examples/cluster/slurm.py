"""Workers on Slurm for one search: each worker is a Slurm job of its own.

Run it on a node that the others reach, in the environment that nas_search is installed in::

    pip install '.[dask]' dask-jobqueue
    python slurm.py --workers 40 --partition cpu -- search_space=darts budget=thorough

What stands after ``--`` is the search's own; it is started with the address of the scheduler, and
the workers end with it. Jobs that reach their time are replaced by new ones; none of it changes the
history.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from typing import Any


def cluster(options: argparse.Namespace) -> Any:
    """Return a cluster of Slurm jobs of one worker with one thread each."""
    from dask_jobqueue.slurm import SLURMCluster

    return SLURMCluster(
        queue=options.partition,
        cores=1,
        processes=1,
        memory=options.memory,
        walltime=options.walltime,
        # A GPU per worker: the search is told device=cuda below.
        job_extra_directives=["--gres=gpu:1"] if options.gpu else [],
        job_script_prologue=["export OMP_NUM_THREADS=1"],
        scheduler_options={"dashboard_address": None},
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--partition")
    parser.add_argument("--memory", default="4GB", help="per worker; Python and torch take 0.8 GB")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--show", action="store_true", help="print a worker's job script and stop")
    parser.add_argument("search", nargs="*", help="arguments of the search, after --")
    options = parser.parse_args()
    with cluster(options) as workers:
        if options.show:
            print(workers.job_script())
            return 0
        workers.adapt(minimum=options.workers, maximum=options.workers)  # replaces those that end
        command = [
            *(sys.executable, "-m", "nas_search", *options.search),
            *("executor=dask", f"executor.address={workers.scheduler_address}"),
            f"device={'cuda' if options.gpu else 'cpu'}",
        ]
        search = subprocess.Popen(command)
        # Both end the search, which says how to continue it, and then the workers.
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to the search itself
        signal.signal(signal.SIGTERM, lambda *_: search.terminate())
        return search.wait()


if __name__ == "__main__":
    sys.exit(main())
