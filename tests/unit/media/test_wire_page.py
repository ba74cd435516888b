"""``docs/reference/wire.md`` says of the wire what the code does."""

import re
from pathlib import Path

import pytest
from livekit.protocol import models, rtc

from oneinbox.live.call import ACTIVE_TIMEOUT_S, MOST_PAGE_CHARS
from oneinbox.live.engine.keypad import ENTRY_PAUSE_S, MOST_KEYS
from oneinbox.live.engine.turn_events import AgentState
from oneinbox.live.media.embedded import rpc, sdp, signalling
from oneinbox.live.media.embedded.attendance import GOODBYE_GRACE_S, JOINING_GRACE_S
from oneinbox.live.media.leg import RpcCode
from oneinbox.live.worker import REJOIN_TOKEN_TTL_S
from oneinbox.server.settings import Settings
from tests.support.media_world import World

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "wire.md").read_text(encoding="utf-8")
_DONE, _NOTHING, _REFUSED = "carried out", "nothing is needed", "refused: `request_response`"


def section(title: str) -> str:
    _, found, rest = PAGE.partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in ``text``."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def names(cell: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", cell)


def requests_that_are(what: str) -> list[str]:
    found = [names(cells[0]) for cells in rows(section("Signalling requests")) if cells[-1].startswith(what)]
    assert len(found) == 1
    return found[0]


def test_every_request_of_the_protocol_is_named_once() -> None:
    listed = [name for what in (_DONE, _NOTHING, _REFUSED) for name in requests_that_are(what)]
    known = [field.name for field in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields]
    assert sorted(listed) == sorted(known)


async def test_requests_are_answered_as_the_page_says(world: World) -> None:
    socket_id, socket = world.join()
    for name in requests_that_are(_NOTHING):
        before = len(socket.sent)
        _ask(world, socket_id, name)
        assert socket.kinds()[before:] == [], name
    for name in requests_that_are(_REFUSED):
        before = len(socket.sent)
        _ask(world, socket_id, name)
        assert socket.kinds()[before:] == ["request_response"], name
        assert socket.last("request_response").reason == rtc.RequestResponse.UNSUPPORTED_TYPE
    assert socket.closed is None


def _ask(world: World, socket_id: int, name: str) -> None:
    request = rtc.SignalRequest()
    getattr(request, name).SetInParent()
    world.media.on_socket_data(socket_id, request.SerializeToString())


async def test_the_refusals_of_rooms_stand_in_the_table(world: World) -> None:
    world.join()
    stranger = world.join(token_id="tok_2", identity="somebody")[1]
    again = world.join()[1]
    other = world.join(token_id="tok_2")[1]
    nowhere = world.join(room_name="web-2")[1]
    shown = [(int(cells[0]), cells[1]) for cells in rows(section("Joining")) if cells[0].isdigit()]
    shown += [(404, cells[1]) for cells in rows(section("Joining")) if cells[0] == "401, 404"]
    for socket in (stranger, again, other, nowhere):
        assert socket.refused is not None
        status, text = socket.refused
        assert any(status == one and f"`{text}`" in cell for one, cell in shown), socket.refused


async def test_who_joins_with_a_rejoin_token_takes_the_place(world: World) -> None:
    _, first = world.join()
    world.join(token_id="tok_rejoin", rejoin=True)
    assert first.last("leave").reason == models.DUPLICATE_IDENTITY
    assert first.last("leave").action == rtc.LeaveRequest.DISCONNECT


def test_reasons_and_codes_are_the_protocols() -> None:
    reasons = {name for cells in rows(section("Leaving"))[2:] for name in re.findall(r"`([A-Z_]+)`", cells[0])}
    assert reasons - {"RECONNECT"} <= set(models.DisconnectReason.keys())
    codes = {int(cells[0]): cells[1].strip("`") for cells in rows(section("RPC")) if cells[0].isdigit()}
    assert codes.pop(400) == ""
    assert codes == {code: RpcCode(code).name for code in codes}


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Joining", f"within {Settings().join_timeout_s:g} s"),
        ("Joining", f"| `{signalling.PATH_V1}` |"),
        ("Joining", f"| `{signalling.PATH_V0}` |"),
        ("Tokens", f"| {REJOIN_TOKEN_TTL_S / 60:g} minutes, any number"),
        ("Who is in the room", ", ".join(f"`{state.value}`" for state in AgentState)),
        ("Who is in the room", f"for {ACTIVE_TIMEOUT_S:g} s\nafter joining"),
        ("Text and events", f"after {ENTRY_PAUSE_S:g} s without a key, or with {MOST_KEYS} keys"),
        ("Text and events", f"more than {sdp.MAX_DATA_MESSAGE_BYTES // 1024} KiB"),
        ("RPC", f"Payloads of {rpc.MAX_PAYLOAD_BYTES // 1024} KiB at most"),
        ("RPC", f"at most {rpc.MAX_RESPONSE_S:g} s ({rpc.UNSAID_RESPONSE_S:g} s where it does not"),
        ("RPC", f"1 to {MOST_PAGE_CHARS:,} characters"),
        ("Limits", f"| signalling messages | {signalling.MAX_MESSAGE_BYTES // 1024} KiB each"),
        (
            "Lost connections, reloads, several tabs",
            f"After {Settings().rejoin_grace_s:g} s (`ONEINBOX_REJOIN_GRACE_S`",
        ),
        ("Lost connections, reloads, several tabs", f"{JOINING_GRACE_S:g} s where two-way audio never stood"),
        ("Lost connections, reloads, several tabs", f"they have {GOODBYE_GRACE_S:g} s to do so"),
    ],
)
def test_figures_are_those_of_the_code(title: str, said: str) -> None:
    assert said in section(title)
