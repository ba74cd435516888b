"""The database file: its revisions make the tables of this release, and it opens quickly and safely."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from oneinbox.api.db.database import FILE_NAME, DatabaseError, open_database
from oneinbox.api.db.migrations import HEAD
from oneinbox.api.db.migrations.upgrade import config
from oneinbox.api.db.tables import Base, Organisation, Server, SignInAttempt

pytestmark = pytest.mark.sqlite_file


async def make(data_dir: Path) -> Path:
    await (await open_database(data_dir=data_dir)).aclose()
    return data_dir / FILE_NAME


async def test_all_revisions_together_make_the_tables_of_this_release(tmp_path: Path) -> None:
    path = await make(tmp_path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_head_is_the_newest_revision_and_history_has_one_line() -> None:
    scripts = ScriptDirectory.from_config(config())
    assert scripts.get_heads() == [HEAD]
    assert all(len(script.nextrev) <= 1 for script in scripts.walk_revisions())


def test_every_table_is_owned_by_an_organisation() -> None:
    for table in Base.metadata.tables.values():
        if table.name not in {Organisation.__tablename__, SignInAttempt.__tablename__, Server.__tablename__}:
            assert not table.c.org_id.nullable, table.name


async def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    path = await make(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_newer_releases_file_is_not_touched(tmp_path: Path) -> None:
    path = await make(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseError, match="9999"):
        await open_database(data_dir=tmp_path)


async def test_an_upgrade_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    create_table = op.create_table

    def fail_at_third(*arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made == 3:
            raise RuntimeError("power cut")
        return create_table(*arguments, **options)

    monkeypatch.setattr(op, "create_table", fail_at_third)
    with pytest.raises(RuntimeError, match="power cut"):
        await open_database(data_dir=tmp_path)
    monkeypatch.undo()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    await make(tmp_path)


async def test_two_first_starts_at_once(tmp_path: Path) -> None:
    databases = await asyncio.gather(*(open_database(data_dir=tmp_path) for _ in range(3)))
    for database in databases:
        assert await database.revision() == HEAD
        await database.aclose()


def test_a_second_start_does_not_load_alembic(tmp_path: Path) -> None:
    asyncio.run(make(tmp_path))
    program = (
        "import asyncio, sys; from pathlib import Path; from oneinbox.api.db.database import open_database\n"
        "import oneinbox.api.app\n"
        "async def main():\n"
        "    await (await open_database(data_dir=Path(sys.argv[1]))).aclose()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
