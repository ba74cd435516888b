"""Signatures after Standard Webhooks, https://www.standardwebhooks.com (specification of 2023).

Signed is ``<id>.<timestamp>.<body>`` with HMAC-SHA256; the header holds ``v1,<base64>``, several with a space between.
Secrets are derived from one key of the server and what they belong to, and kept nowhere: neither the database nor a
backup of it can sign.
"""

import base64
import hashlib
import hmac

PREFIX = "whsec_"


class SigningSecrets:
    """The secrets of webhooks, and of organisations' calls that name an address of their own."""

    def __init__(self, server_key: str) -> None:
        self._key = hmac.digest(server_key.encode(), b"oneinbox webhook signing v1", "sha256")

    def of_webhook(self, webhook_id: str, version: int) -> str:
        """Return the webhook's secret of this version."""
        return self._derived(f"webhook {webhook_id} {version}")

    def of_calls(self, org_id: str) -> str:
        """Return the secret that signs what goes to calls' own addresses."""
        return self._derived(f"calls {org_id}")

    def _derived(self, what: str) -> str:
        return PREFIX + base64.b64encode(hmac.digest(self._key, what.encode(), "sha256")).decode("ascii")


def signature_headers(event_id: str, timestamp: int, body: bytes, secrets: list[str]) -> dict[str, str]:
    """Return the three headers of a delivery. ``timestamp``: seconds since 1970."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(_raw(secret), signed, hashlib.sha256).digest()).decode("ascii")
        for secret in secrets
    ]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _raw(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
