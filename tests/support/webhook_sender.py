"""A process that delivers webhooks until it is killed. Forked from a server that has everything loaded, so that many can be."""

import asyncio
import multiprocessing
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from oneinbox.api.db.database import open_database
from oneinbox.api.webhooks.deliverer import Deliverer
from oneinbox.api.webhooks.sender import Sender
from oneinbox.api.webhooks.signing import SigningSecrets
from oneinbox.core.outbound import AddressPolicy
from oneinbox.net.outbound import OutboundGuard
from tests.support.api import SESSION_SECRET

LEASE_S = 0.6
DELAYS_S = (0.02, 0.02, 0.04, 0.04, 0.08, 0.08, *[0.1] * 5_000)
"""Kills count as attempts: none is to fail for want of them."""


def context() -> ForkServerContext:
    """Return what such processes are made with."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([__name__])
    return made


def start_sender(made: ForkServerContext, data_dir: Path, url: str | None) -> ForkServerProcess:
    """Start one on the same database; ``kill()`` it."""
    process = made.Process(target=_run, args=(data_dir, url), daemon=True)
    process.start()
    return process


def _run(data_dir: Path, url: str | None) -> None:
    asyncio.run(_deliver(data_dir, url))


async def _deliver(data_dir: Path, url: str | None) -> None:
    database = await open_database(data_dir=data_dir, url=url)
    sender = Sender(OutboundGuard(AddressPolicy.allowing(["127.0.0.0/8"])), limit_s=0.5)
    secrets = SigningSecrets(SESSION_SECRET)
    Deliverer(database, sender, secrets, delays_s=DELAYS_S, lease_s=LEASE_S, idle_s=0.02).start()
    await asyncio.Event().wait()
