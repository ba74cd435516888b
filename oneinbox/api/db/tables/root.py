"""The root of all tables, and the column that stands in every one of them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from oneinbox.api.db.columns import UtcDateTime

_JSON = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """The root of all tables. Constraint names are fixed, so that migrations can name them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        str: Text(),
        dict[str, Any]: _JSON,
        list[str]: _JSON,
    }


def org_id_column() -> Mapped[str]:
    """Return the column that says whose row it is."""
    return mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))
