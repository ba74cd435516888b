"""A TURN server on the loopback interface: Debian's coturn, with credentials by a shared secret."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.tools import missing

SECRET = "shared-with-the-turn-server"


class Coturn(NamedTuple):
    port: int
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@asynccontextmanager
async def coturn() -> AsyncIterator[Coturn]:
    """Run a TURN server for UDP and TCP that relays from and to 127.0.0.1 only."""
    program = shutil.which("turnserver")
    if program is None:
        missing("coturn")
    with tempfile.TemporaryDirectory() as folder:
        port, log = _free_port(), Path(folder) / "log"
        process = await asyncio.create_subprocess_exec(
            program,
            *("-n", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=test", "--fingerprint"),
            *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", "--allow-loopback-peers"),
            *("--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--verbose"),
            *(
                f"--log-file={log}",
                "--simple-log",
                "--no-stdout-log",
                f"--pidfile={folder}/pid",
                f"--userdb={folder}/db",
            ),
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _answers(port, process)
            yield Coturn(port, log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(300):
        assert process.returncode is None, "coturn ended at once"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise AssertionError("coturn did not start")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return int(udp.getsockname()[1])
