"""Every table, one file a feature. Each row is owned by an organisation: ``org_id`` stands in every table."""

from oneinbox.api.db.tables.accounts import Organisation, Session, SignInAttempt, SignInLink, User
from oneinbox.api.db.tables.agents import Agent, LanguageModel
from oneinbox.api.db.tables.audit import AuditEvent, AuditHead
from oneinbox.api.db.tables.calls import Call, CallFault, CallLatency, CallMessage, CallTool
from oneinbox.api.db.tables.idempotency import IdempotencyKey
from oneinbox.api.db.tables.keys import ApiKey, PublishableKey, RetiredKey
from oneinbox.api.db.tables.recordings import Recording
from oneinbox.api.db.tables.records import (
    CallOutcome,
    Credential,
    KnowledgeBase,
    KnowledgeFile,
    KnowledgeJob,
    KnowledgeSource,
    PhoneNumber,
    Tool,
    Voice,
)
from oneinbox.api.db.tables.root import Base
from oneinbox.api.db.tables.servers import CallCommand, Server
from oneinbox.api.db.tables.webhooks import Webhook, WebhookDelivery, WebhookEvent

__all__ = [
    "Agent",
    "ApiKey",
    "AuditEvent",
    "AuditHead",
    "Base",
    "Call",
    "CallCommand",
    "CallFault",
    "CallLatency",
    "CallMessage",
    "CallOutcome",
    "CallTool",
    "Credential",
    "IdempotencyKey",
    "KnowledgeBase",
    "KnowledgeFile",
    "KnowledgeJob",
    "KnowledgeSource",
    "LanguageModel",
    "Organisation",
    "PhoneNumber",
    "PublishableKey",
    "Recording",
    "RetiredKey",
    "Server",
    "Session",
    "SignInAttempt",
    "SignInLink",
    "Tool",
    "User",
    "Voice",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
]
