"""One process of an API on a database that others share: prints its port, serves until its input ends."""

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn

from oneinbox.api.app import create_app
from oneinbox.api.db.database import open_database
from tests.support.api import FakeDispatcher, make_config


async def main() -> None:
    database = await open_database(data_dir=Path(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    app = create_app(make_config(), database, FakeDispatcher())
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning", http="httptools", ws="none")
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(listener.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
    await database.aclose()


if __name__ == "__main__":
    asyncio.run(main())
