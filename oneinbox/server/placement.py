"""Which worker takes a call, and what the caller is told where none can."""

from collections.abc import Sequence

from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.server.admission import Limits
from oneinbox.server.worker_process import WorkerProcess

FULL_RETRY_S, DRAINING_RETRY_S = 10, 5


def choose(workers: Sequence[WorkerProcess], limits: Limits, now_s: float, *, draining: bool) -> WorkerProcess:
    """Return the one of ``workers``, which all take calls, that has the most to spare.

    Raises ``AppError`` of kind ``UNAVAILABLE``: ``server_draining``, ``no_worker_available`` or ``server_full``.
    """
    if draining:
        message = "the server is being stopped: it lets its calls finish and takes no more; ask another, or later"
        raise AppError("server_draining", message, ErrorKind.UNAVAILABLE, retry_after_s=DRAINING_RETRY_S)
    if not workers:
        message = "no worker is ready to take the call; try again in a moment, and see `oneinbox doctor`"
        raise AppError("no_worker_available", message, ErrorKind.UNAVAILABLE, retry_after_s=2)
    fullness = {worker: worker.gauge.fullness(len(worker.calls), limits, now_s) for worker in workers}
    worker = min(workers, key=fullness.__getitem__)
    if fullness[worker] > 1:
        message = "the server has as many calls as it can carry; try again later"
        raise AppError("server_full", message, ErrorKind.UNAVAILABLE, retry_after_s=FULL_RETRY_S)
    return worker
