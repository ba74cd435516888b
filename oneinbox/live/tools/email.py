"""``send_email``: by the account's own Resend or SendGrid.

Sources: Resend's API reference, "Send Email" (``POST /emails``, ``Idempotency-Key``); SendGrid's v3 API reference, "Mail Send"
(``POST /v3/mail/send``, 202).
"""

import re
from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.arguments import UnfitError, checked, fill_text
from oneinbox.live.tools.asking import IDEMPOTENCY_KEY, Asked, AskFailedError, Web
from oneinbox.live.tools.settings import ToolSettings

RESEND_URL = "https://api.resend.com/emails"
SENDGRID_URL = "https://api.sendgrid.com/v3/mail/send"
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}")
_CALLERS_ADDRESS = ("email", "caller_email", "customer_email")
_TIMEOUT_S = 15.0
_NO_SUBJECT = "A message from your call"


class SendEmail(ToolSettings):
    """One tool of one call. ``to`` may be an address, a place that the model fills, or ``caller``: the call's variable ``email``.

    ``variables`` fill the text; only those ``trusted``, which the organisation has set, say where it goes: a visitor's page
    must not have mail sent to whom it likes.
    """

    def __init__(self, spec: ToolSpec, web: Web, *, variables: Mapping[str, Any], trusted: Mapping[str, Any]) -> None:
        super().__init__(spec)
        self._spec = spec
        self._web = web
        self._variables = variables
        self._trusted = trusted

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Send it."""
        try:
            asked = self._request(checked(arguments, self._spec.parameters), key)
            answer = await self._web.ask(asked)
        except (UnfitError, AskFailedError) as error:
            return ToolOutcome(content=str(error), is_error=True)
        if answer.is_success:
            return ToolOutcome(content="Sent.")
        return ToolOutcome(content=f"The mail service refused it (HTTP {answer.status}).", is_error=True)

    def _request(self, arguments: Mapping[str, Any], key: str) -> Asked:
        credential = self._spec.config["credential"]
        message = self._spec.config["messaging_config"]
        values = {**self._variables, **arguments}
        to = self._recipient(message["to"], {**self._trusted, **arguments})
        subject = " ".join(fill_text(message.get("subject_template") or _NO_SUBJECT, values.get).split())[:300]
        text = fill_text(message["body_template"], values.get)
        name, sender = parseaddr(str(credential["metadata"].get("from") or ""))
        if not _ADDRESS.fullmatch(sender):
            raise UnfitError("No e-mail can be sent: the account's credential has no sender (metadata.from).")
        if credential["provider"] == "resend":
            body: dict[str, Any] = {
                "from": f"{name} <{sender}>" if name else sender,
                "to": [to],
                "subject": subject,
                "text": text,
            }
        else:
            body = {
                "personalizations": [{"to": [{"email": to}]}],
                "from": {"email": sender, "name": name} if name else {"email": sender},
                "subject": subject,
                "content": [{"type": "text/plain", "value": text}],
            }
        return Asked(
            method="POST",
            url=RESEND_URL if credential["provider"] == "resend" else SENDGRID_URL,
            headers={"Authorization": f"Bearer {credential['api_key']}", IDEMPOTENCY_KEY: key},
            json=body,
            secrets=(credential["api_key"],),
            timeout_s=_TIMEOUT_S,
        )

    def _recipient(self, to: str, values: Mapping[str, Any]) -> str:
        if to == "caller":
            known = (self._trusted.get(name) for name in _CALLERS_ADDRESS)
            address = next((str(one) for one in known if one), "")
        else:
            address = fill_text(to, values.get)
        address = address.strip()
        if not _ADDRESS.fullmatch(address):
            raise UnfitError(f"{address[:80]!r} is no e-mail address. Ask the caller for it, letter by letter.")
        return address
