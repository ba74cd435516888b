import re

from oneinbox.core.ids import new_id, new_room_name


def test_ids_carry_their_prefix_and_never_repeat() -> None:
    made = {new_id("call") for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"call_[0-9a-hjkmnp-tv-z]{26}", one) for one in made)


def test_ids_sort_by_time(monkeypatch) -> None:
    now_ns = 1_700_000_000_000_000_000
    made: list[str] = []
    for step in range(50):
        monkeypatch.setattr("oneinbox.core.ids.time.time_ns", lambda step=step: now_ns + step * 1_000_000)
        made.append(new_id("agt"))
    assert made == sorted(made)


def test_room_names() -> None:
    assert re.fullmatch(r"web-[0-9a-f]{8}", new_room_name())
