"""What the caller said, where it is kept: shown to the page, told to the language model, and put on the call's record."""

from collections.abc import Callable

import msgspec

from oneinbox.core.events import AnyCallEvent, MessageAdded, MessageAmended, Role
from oneinbox.core.ids import new_id
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.history import History, Said
from oneinbox.live.engine.ports import Caption, Page

_MOST_AMENDABLE = 50
"""Messages back that a final transcript may correct: the next one comes long before."""


class UserRecord:
    """The caller's half of the record, as ordered by the turn machine.

    All three places read the same, by the same id, also where a final transcript corrects a turn that was recorded without it.
    """

    def __init__(self, call_id: str, history: History, *, page: Page, emit: Callable[[AnyCallEvent], None]) -> None:
        self.started_s = 0.0
        """When the call's clock started."""
        self._call_id = call_id
        self._history = history
        self._page = page
        self._emit = emit
        self._segments: dict[int, str] = {}
        self._final_segment = ""
        self._messages: dict[int, tuple[MessageAdded, Said | None]] = {}  # by number

    def show(self, order: ev.ShowUser) -> None:
        """Show the words of a turn."""
        segment_id = self._segments.setdefault(order.turn, new_id("msg"))
        if order.final:
            del self._segments[order.turn]
            self._final_segment = segment_id
        self._show(segment_id, order.text, final=order.final)

    def record(self, order: ev.RecordUser) -> None:
        """Record a turn, whose words have just been shown for good."""
        message = MessageAdded(
            call_id=self._call_id,
            message_id=self._final_segment,
            role=Role.USER,
            content=order.text,
            turn=order.turn,
            start_s=round(order.start_s - self.started_s, 3),
            end_s=round(order.end_s - self.started_s, 3),
            confidence=order.confidence,
            typed=order.typed,
        )
        said = None if order.aside else self._history.add_user(order.text)
        self._messages[order.message] = message, said
        self._messages.pop(order.message - _MOST_AMENDABLE, None)
        self._emit(message)

    def amend(self, order: ev.AmendUser) -> None:
        """Correct a turn; one of long ago stays as it is."""
        if order.message not in self._messages:
            return
        message, said = self._messages[order.message]
        message = msgspec.structs.replace(message, content=order.text, confidence=order.confidence)
        self._messages[order.message] = message, said
        if said is not None:
            said.text = order.text
        self._show(message.message_id, order.text, final=True)
        self._emit(MessageAmended(call_id=self._call_id, message=message))

    def _show(self, segment_id: str, text: str, *, final: bool) -> None:
        self._page.show_caption(Caption(segment_id=segment_id, from_agent=False, text=text, final=final))
