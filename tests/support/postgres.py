"""A throw-away PostgreSQL for tests: Debian's, in a temporary directory, on a socket file only."""

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from tests.support.tools import missing

_SETTINGS = {  # nothing of it is to outlive the tests
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "timezone": "America/St_Johns",  # ours has to be told, not guessed
}
_OWNER = "postgres"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class PostgresServer:
    """A running server; :meth:`url` is the address of one of its databases."""

    def __init__(self) -> None:
        binaries = _binaries()
        if binaries is None:
            missing("PostgreSQL (Debian: apt-get install postgresql)")
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="oneinbox-pg-"))
        atexit.register(self.stop)
        self._made = 0
        self._as_owner: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            try:
                owner = pwd.getpwnam(_OWNER)
            except KeyError:
                missing(f"the user {_OWNER!r}, without whom root cannot run PostgreSQL")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as_owner = ["runuser", "-u", _OWNER, "--"]
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", _OWNER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        with (self._folder / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
            settings.write(f"unix_socket_directories = '{self._folder}'\n")
        self._run("pg_ctl", "-D", data, "-w", "-t", "30", "-l", str(self._folder / "log"), "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_owner, str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout

    @property
    def data_dir(self) -> Path:
        """Where it keeps its files."""
        return self._folder / "data"

    def url(self, name: str) -> str:
        """The address of a database, as an operator gives it."""
        return f"postgresql://{_OWNER}@/{name}?host={self._folder}"

    async def create(self, *, template: str | None = None) -> str:
        """Make a database, empty or a copy of ``template``; returns its name."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        copied = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        await self._command(f"CREATE DATABASE {name}{copied}")
        return name

    async def drop(self, name: str) -> None:
        """Remove a database."""
        await self._command(f"DROP DATABASE {name} WITH (FORCE)")

    async def _command(self, command: str) -> None:
        connection = await asyncpg.connect(user=_OWNER, database="postgres", host=str(self._folder))
        try:
            await connection.execute(command)
        finally:
            await connection.close()

    def stop(self) -> None:
        """Stop it and remove everything."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)


_servers: list[PostgresServer] = []


def postgres_server() -> PostgresServer:
    """Return this test run's server; it is started by the first who asks."""
    if not _servers:
        _servers.append(PostgresServer())
    return _servers[0]
