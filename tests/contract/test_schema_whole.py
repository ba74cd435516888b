"""The API behind a socket against its own OpenAPI document: schemathesis with every check and every phase.

What :mod:`tests.contract.test_schema_fuzz` does not see: wrong methods, ``Allow``, requests without or with a wrong key
(``ignored_auth``), things used after they were deleted, chains of requests, the edges of every field (coverage).

A few cases of each operation here; the whole (about 20,000 a database) with::

    ONEINBOX_LONG_TESTS=1 .venv/bin/python -m pytest tests/contract/test_schema_whole.py --timeout 7200
"""

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import pytest
import uvicorn

from tests.support.api import Api, running_api

LONG = os.environ.get("ONEINBOX_LONG_TESTS") == "1"
PHASES = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "150"]
SHORT_PHASES = ["--phases", "examples,fuzzing,stateful", "--max-examples", "2"]
CONFIG = """
seed = 20261120
[headers]
Authorization = "Bearer {session}"
[checks.positive_data_acceptance]
# What a schema cannot say: an id that is nobody's, a limit that is reached, a thing that others use.
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429", "503"]
[checks.negative_data_rejection]
# 413: what is too long for its field may be too long for a body first.
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "503"]
[[operations]]
include-path = "/v1/web-calls/token"
headers = {{ Authorization = "Bearer {page_key}", Origin = "https://a.example" }}
[[operations]]
include-path = "/v1/web-calls/connection-test"
headers = {{ Authorization = "Bearer {page_key}", Origin = "https://a.example" }}
[[operations]]
include-path = "/v1/auth/logout"
headers = {{ Authorization = "Bearer {ended}" }}
"""
RUN = "import sys; from schemathesis.cli import schemathesis; sys.argv[0] = 'schemathesis'; schemathesis()"


async def write_config(api: Api, folder: Path) -> Path:
    """Write down which credential goes with which operation: a session, but where only others are good."""
    page_key = (await api.made("/v1/publishable-keys", name="x", allowed_origins=["*"]))["key"]
    file = folder / "schemathesis.toml"
    file.write_text(CONFIG.format(session=await api.sign_in(), ended=await api.sign_in(), page_key=page_key))
    return file


@pytest.mark.timeout(7200 if LONG else 600)
async def test_every_check_of_every_phase(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    async with running_api(data) as api, asyncio.TaskGroup() as tasks:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        config = uvicorn.Config(api.app, lifespan="off", access_log=False, log_level="critical", ws="none")
        server = uvicorn.Server(config)
        tasks.create_task(server.serve(sockets=[listener]))
        try:
            fuzzing = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", RUN),
                *("--config-file", str(await write_config(api, tmp_path))),
                *("run", f"http://127.0.0.1:{listener.getsockname()[1]}/openapi.json"),
                *("--checks", "all", "--workers", "2", *(PHASES if LONG else SHORT_PHASES)),
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await fuzzing.communicate()
        finally:
            server.should_exit = True
    said = output.decode()
    assert fuzzing.returncode == 0, said[-20_000:]
    counted = re.search(r"([0-9]+) generated", said)
    assert counted is not None
    print(counted[0])
    assert int(counted[1]) > (15_000 if LONG else 150)
    assert re.search(r"Tested: ([0-9]+)", said) is not None
