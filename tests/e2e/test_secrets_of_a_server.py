"""A real server that logs everything: no secret in what it prints, its files, its database, or its metrics."""

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import text

from oneinbox.api.db.database import open_database
from oneinbox.api.db.tables import Base
from oneinbox.server.settings import Secrets
from tests.support.postgres import postgres_server
from tests.support.receiver import running_receiver
from tests.support.running import RunningServer
from tests.support.witness import Witness

OPERATORS_KEY = "sk-the-operators-own-key-0123456789"
LOOPBACK = "127.0.0.0/8"


async def use(server: RunningServer) -> Witness:
    """Send requests of every kind, with a webhook that is really told of them."""

    async def make_link() -> str:
        printed = await asyncio.to_thread(server.run, "sign-in")
        return printed.strip().rpartition("token=")[2]

    async with running_receiver() as receiver, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        witness = Witness(
            client, make_link, key=server.key, agent_id=server.demo_agent_id, hook_url=f"{receiver.url}/hook"
        )
        await witness.everything(0)
        for token in [secret for secret in witness.secrets if secret.startswith("eyJ")]:
            await client.get("/rtc/v1/validate", params={"access_token": token})
            await client.get("/sign-in", params={"token": token})
        (hook,) = (await witness.ask("GET", "/v1/webhooks", server.key))["items"]
        await witness.ask("POST", f"/v1/webhooks/{hook['id']}/test", server.key)
        assert receiver.on("/hook")
    return witness


async def rows_of(server: RunningServer, url: str | None) -> str:
    database = await open_database(data_dir=server.data_dir, url=url)
    try:
        async with database.read() as rows:
            found = [
                (await rows.execute(text(f"SELECT * FROM {table.name}"))).all()
                for table in Base.metadata.tables.values()
            ]
            return "\n".join(str(row) for table in found for row in table)
    finally:
        await database.aclose()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_secret_gets_out(tmp_path: Path, kind: str) -> None:
    environ = {
        "ONEINBOX_LOG_LEVEL": "DEBUG",
        "ONEINBOX_ALLOWED_PRIVATE_NETWORKS": LOOPBACK,
        "OPENAI_API_KEY": OPERATORS_KEY,
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    url = None
    with ExitStack() as stack:
        if kind == "postgres":
            name = asyncio.run(postgres_server().create())
            stack.callback(lambda: asyncio.run(postgres_server().drop(name)))
            url = environ["DATABASE_URL"] = postgres_server().url(name)
        server = RunningServer(tmp_path / "data", environ=environ)
        if url is not None:
            server.run("migrate")
        stack.enter_context(server)
        witness = asyncio.run(use(server))
        metrics = httpx.get(f"{server.url}/metrics", timeout=60)
        assert metrics.status_code == 200
        database = asyncio.run(rows_of(server, url))
        server.stop()
        own = msgspec.json.decode((server.data_dir / "secrets.json").read_bytes(), type=Secrets)
        secrets = witness.secrets | {OPERATORS_KEY, own.participant_tokens, own.sessions, *own.credentials}
        # The one-use link that the server prints for its operator is meant to be read.
        printed = re.sub(r"(?m)^Open .*$", "", "".join(server.output))
        files = [path for path in server.data_dir.rglob("*") if path.is_file() and path.name != "secrets.json"]
        places = {
            "printed": printed,
            "metrics": metrics.text,
            "rows": database,
            **{path.name: path.read_bytes().decode("latin-1") for path in files},
        }
        assert " DEBUG " in printed
        assert server.demo_agent_id in database  # we did look at the right place
        for secret in secrets:
            assert len(secret) >= 16
            found = [place for place, content in places.items() if secret in content]
            assert not found, f"{secret[:14]}... in {found}"
