"""OneInbox: an open, self-hosted platform on which an AI agent talks with people."""

__version__ = "0.1.0"
