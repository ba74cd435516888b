"""How keys look and how they are told apart without the database."""

import re

import pytest

from oneinbox.api.keys.secret import PUBLISHABLE, SECRET, hash_of, is_well_formed, make_key


@pytest.mark.parametrize("kind", [SECRET, PUBLISHABLE])
def test_a_key_has_the_documented_shape(kind: str) -> None:
    key = make_key(kind)
    assert re.fullmatch(kind + "[0-9A-Za-z]{38}", key.text)
    assert (key.hash, key.last4) == (hash_of(key.text), key.text[-4:])
    assert key.text.startswith(key.prefix)
    assert len(key.prefix) == len(kind) + 4
    assert key.text not in repr(key)
    assert is_well_formed(key.text, kind)
    assert not is_well_formed(key.text, PUBLISHABLE if kind == SECRET else SECRET)


def test_keys_do_not_repeat() -> None:
    assert len({make_key(SECRET).text for _ in range(1000)}) == 1000


def test_any_single_typing_error_is_seen() -> None:
    key = make_key(SECRET).text
    for at in range(len(key)):
        wrong = key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :]
        assert not is_well_formed(wrong, SECRET)
    for at in range(len(SECRET), len(key) - 1):
        if key[at] != key[at + 1]:
            swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
            assert not is_well_formed(swapped, SECRET)


@pytest.mark.parametrize(
    "text", ["", SECRET, "oi_sk_test_" + "a" * 38, SECRET + "a" * 37, SECRET + "ü" * 38, SECRET + "\0" * 38]
)
def test_what_is_no_key(text: str) -> None:
    assert not is_well_formed(text, SECRET)
