"""Queries over the servers that share a database, and over what they ask of each other."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import Call, CallCommand, Server
from oneinbox.core.clock import utc_now


async def now_of(rows: Rows) -> datetime:
    """Return the time by the one clock that all servers share: the database's (SQLite's is this machine's)."""
    if rows.get_bind().dialect.name == "sqlite":
        return utc_now()
    return (await rows.execute(select(func.clock_timestamp()))).scalar_one()


async def renew_lease(rows: Rows, server_id: str, until: datetime, now: datetime) -> bool:
    """Lengthen the server's lease; returns whether it had one that had not run out."""
    server = await rows.get(Server, server_id, with_for_update=True)
    if server is None:
        rows.add(Server(id=server_id, started_at=now, lease_until=until))
        await rows.flush()
        return False
    held = server.lease_until >= now
    server.lease_until = until
    return held


async def lives(rows: Rows, server_id: str) -> bool:
    """Whether the server has a lease."""
    server = await rows.get(Server, server_id)
    return server is not None and server.lease_until >= await now_of(rows)


async def remove(rows: Rows, server_id: str) -> None:
    """Take the server away: what it has left open is anybody's to end."""
    await rows.execute(delete(Server).where(Server.id == server_id))


async def remove_dead(rows: Rows, now: datetime) -> list[str]:
    """Take away the servers whose lease has run out, and return them. One that just renews its lease is left."""
    query = select(Server).where(Server.lease_until < now).with_for_update(skip_locked=True)
    dead = list((await rows.execute(query)).scalars())
    for server in dead:
        await rows.delete(server)
    await rows.flush()
    return [server.id for server in dead]


async def lock_stranded_calls(rows: Rows) -> list[Call]:
    """Return the calls that have not ended and whose server is not there, for a change."""
    its_server = exists().where(Server.id == Call.server_id)
    query = (
        select(Call)
        .where(Call.ended_at.is_(None), Call.server_id.is_not(None), ~its_server)
        .order_by(Call.id)
        .with_for_update(of=Call, skip_locked=True)
    )
    return list((await rows.execute(query)).scalars())


async def ask_server(rows: Rows, call: Call, name: str, body: dict[str, Any]) -> None:
    """Ask the server that runs the call to do something with it."""
    if call.server_id is None:
        raise ValueError("a call of no server in particular runs on this one")
    command = CallCommand(
        org_id=call.org_id, call_id=call.id, server_id=call.server_id, name=name, body=body, created_at=utc_now()
    )
    rows.add(command)
    await rows.flush()


async def is_asked(rows: Rows, server_id: str) -> bool:
    """Whether anything is asked of this server."""
    query = select(CallCommand.seq).where(CallCommand.server_id == server_id).limit(1)
    return (await rows.execute(query)).first() is not None


async def take_commands(rows: Rows, server_id: str) -> list[CallCommand]:
    """Take what is asked of this server off the table, and return it in the order in which it was asked."""
    query = select(CallCommand).where(CallCommand.server_id == server_id).order_by(CallCommand.seq)
    taken = list((await rows.execute(query.with_for_update())).scalars())
    for command in taken:
        await rows.delete(command)
    return taken
