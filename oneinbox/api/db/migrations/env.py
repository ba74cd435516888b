"""Run by Alembic for each upgrade: on the connection it is handed, inside that connection's transaction."""

from alembic import context
from sqlalchemy import Connection

from oneinbox.api.db.tables import Base

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("migrations run through Database.upgrade, which hands them a connection")
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite too, because the transaction was begun by us
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
