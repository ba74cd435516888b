"""``schedule_calendar_event``: books a slot with the account's own Cal.com.

Source: Cal.com's API v2 reference, "Create a booking" (``POST /v2/bookings``, ``cal-api-version: 2024-08-13``): ``start`` in UTC,
``eventTypeId``, ``attendee``; ``lengthInMinutes`` only where the event type offers several lengths.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.arguments import UnfitError, checked
from oneinbox.live.tools.asking import IDEMPOTENCY_KEY, Answer, Asked, AskFailedError, Web
from oneinbox.live.tools.settings import ToolSettings

CAL_URL = "https://api.cal.com"
_VERSION = "2024-08-13"
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}")
_TIMEOUT_S = 15.0


class _Refusal(msgspec.Struct):
    class _Error(msgspec.Struct):
        message: str = ""

    error: _Error = msgspec.field(default_factory=_Error)


class ScheduleEvent(ToolSettings):
    """One tool of one call. A credential's ``metadata.base_url`` leads to a Cal.com of the account's own."""

    def __init__(self, spec: ToolSpec, web: Web) -> None:
        super().__init__(spec)
        self._spec = spec
        self._web = web

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Book it."""
        try:
            booking = self._booking(checked(arguments, self._spec.parameters))
            answer = await self._web.ask(self._request(booking, key))
            if answer.status == 400 and "lengthInMinutes" in answer.text:  # this event type has one length only
                del booking["lengthInMinutes"]
                answer = await self._web.ask(self._request(booking, f"{key}-2"))
        except (UnfitError, AskFailedError) as error:
            return ToolOutcome(content=str(error), is_error=True)
        if answer.is_success:
            return ToolOutcome(content=f"Booked for {booking['start']} (UTC).")
        return ToolOutcome(content=f"Not booked: {_why(answer)}", is_error=True)

    def _booking(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        calendar = self._spec.config["calendar_config"]
        zone = calendar["timezone"]
        try:
            start = datetime.fromisoformat(arguments["start"])
        except ValueError:
            raise UnfitError("start has to be a moment in ISO 8601, such as 2026-03-01T15:30.") from None
        start = start.replace(tzinfo=ZoneInfo(zone)) if start.tzinfo is None else start
        email = str(arguments["email"]).strip()
        if not _ADDRESS.fullmatch(email):
            raise UnfitError(f"{email[:80]!r} is no e-mail address. Ask the caller for it, letter by letter.")
        booking: dict[str, Any] = {
            "start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "attendee": {"name": arguments["name"], "email": email, "timeZone": zone},
            "lengthInMinutes": calendar["duration_minutes"],
        }
        named = str(calendar["calendar_id"])
        if named.isdigit():
            booking["eventTypeId"] = int(named)
        else:
            user, _, slug = named.rpartition("/")
            booking["eventTypeSlug"] = slug
            if user:
                booking["username"] = user
        return booking

    def _request(self, booking: Mapping[str, Any], key: str) -> Asked:
        credential = self._spec.config["credential"]
        base_url = str(credential["metadata"].get("base_url") or CAL_URL).rstrip("/")
        return Asked(
            method="POST",
            url=f"{base_url}/v2/bookings",
            headers={
                "Authorization": f"Bearer {credential['api_key']}",
                "cal-api-version": _VERSION,
                IDEMPOTENCY_KEY: key,
            },
            json=booking,
            secrets=(credential["api_key"],),
            timeout_s=_TIMEOUT_S,
        )


def _why(answer: Answer) -> str:
    try:
        said = msgspec.json.decode(answer.text, type=_Refusal).error.message
    except msgspec.DecodeError:
        said = ""
    return said[:300] or f"the calendar refused it (HTTP {answer.status})."
