import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.core.tokens import InvalidTokenError, mint_participant_token, read_participant_token

SECRET = "s" * 48
ISSUER = "oneinbox"
# Seconds of the epoch, fixed: a time "soon" would be past when a long run of tests comes to it.
LONG_AGO, FAR_OFF = 1_000_000_000, 10_000_000_000


def mint(**changes):
    wanted = {"room_name": "web-0badcafe", "identity": "user_1", "ttl_s": 120, "secret": SECRET, "issuer": ISSUER}
    return mint_participant_token(**{**wanted, **changes})


def read(token: str):
    return read_participant_token(token, secret=SECRET, issuer=ISSUER)


def test_a_token_says_what_was_put_in() -> None:
    token = read(mint(origin="https://shop.example", rejoin=True))
    assert (token.room_name, token.identity) == ("web-0badcafe", "user_1")
    assert (token.origin, token.rejoin) == ("https://shop.example", True)
    assert read(mint()).origin is None
    assert read(mint()).token_id != read(mint()).token_id


def test_claims_are_livekits() -> None:
    claims = jwt.decode(mint(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["nbf"] == 120
    assert claims["video"] == {
        "room": "web-0badcafe",
        "roomJoin": True,
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canSubscribe": True,
        "canPublishData": True,
    }
    assert set(claims) == {"iss", "sub", "nbf", "exp", "jti", "video", "attributes"}


def good_claims() -> dict:
    return jwt.decode(mint(), SECRET, algorithms=["HS256"])


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"exp": LONG_AGO},
        {"nbf": FAR_OFF},
        {"sub": None},
        {"jti": None},
        {"video": None},
        {"video": {}},
        {"video": {"room": "web-0badcafe"}},
        {"video": {"room": "web-0badcafe", "roomJoin": "true"}},
        {"video": {"room": 7, "roomJoin": True}},
        {"video": {"roomJoin": True}},
        {"attributes": "oi.rejoin"},
    ],
    ids=str,
)
def test_wrong_claims_are_refused(change: dict) -> None:
    claims = {name: value for name, value in {**good_claims(), **change}.items() if value is not None}
    with pytest.raises(InvalidTokenError):
        read(jwt.encode(claims, SECRET, algorithm="HS256"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(InvalidTokenError):
        read(jwt.encode(good_claims(), "s" * 64, algorithm=algorithm))


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        read(jwt.encode(good_claims(), "", algorithm="none"))


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        read(mint(secret="t" * 48))


@given(st.integers(0, 10_000), st.characters())
def test_any_changed_letter_is_refused(position: int, letter: str) -> None:
    token = mint()
    position %= len(token)
    changed = token[:position] + letter + token[position + 1 :]
    last_of_a_part = position == len(token) - 1 or token[position + 1] == "."
    if changed == token or last_of_a_part:
        return  # the last letter of a base64url part has bits that mean nothing
    with pytest.raises(InvalidTokenError):
        read(changed)


@given(st.text())
def test_any_text_is_refused_and_nothing_breaks(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        read(text)
