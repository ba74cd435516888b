"""Several servers on one database: which of them live, and what one has to tell another about its calls."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class Server(Base):
    """A server that runs calls. It belongs to the operator, not to an organisation."""

    __tablename__ = "servers"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    """By the database's clock. After that it counts as dead, and its calls as lost."""


class CallCommand(Base):
    """What the server that runs a call is asked to do with it. It takes the row away when it begins."""

    __tablename__ = "call_commands"
    __table_args__ = (Index(None, "server_id", "seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    org_id: Mapped[str] = org_id_column()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    server_id: Mapped[str]
    name: Mapped[str]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
