"""Every table, one file a feature. Each row is owned by an organisation: ``org_id`` stands in every table."""

from oneinbox.api.db.tables.accounts import Organisation, Session, SignInLink, User
from oneinbox.api.db.tables.agents import Agent, LanguageModel
from oneinbox.api.db.tables.calls import Call, CallFault, CallLatency, CallMessage
from oneinbox.api.db.tables.keys import ApiKey, PublishableKey
from oneinbox.api.db.tables.root import Base

__all__ = [
    "Agent",
    "ApiKey",
    "Base",
    "Call",
    "CallFault",
    "CallLatency",
    "CallMessage",
    "LanguageModel",
    "Organisation",
    "PublishableKey",
    "Session",
    "SignInLink",
    "User",
]
