"""People who come with an e-mail and a password."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.api import BASE_URL, Api, running_api

PASSWORD = "correct horse battery"


async def sign_up(api: Api, email: str = "Ann@Example.com", **more: Any) -> Any:
    answer = await api.client.post("/v1/auth/signup", json={"email": email, "password": PASSWORD, **more})
    api.client.cookies.clear()
    return answer


async def sign_in(api: Api, email: str = "ann@example.com", password: str = PASSWORD) -> Any:
    answer = await api.client.post("/v1/auth/login", json={"email": email, "password": password})
    api.client.cookies.clear()
    return answer


def bearer(answer: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_sign_up_makes_an_organisation_of_its_own(api: Api) -> None:
    answer = await sign_up(api, name="Ann", organization_name="Ann's shop")
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["set-cookie"].startswith("oneinbox_token=")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    me = (await api.client.get("/v1/auth/me", headers=bearer(answer))).json()
    assert (me["email"], me["name"], me["role"]) == ("ann@example.com", "Ann", "owner")
    assert me["organization"]["name"] == "Ann's shop"
    assert me["organization"]["id"] != api.first.org_id
    agents = (await api.client.get("/v1/agents", headers=bearer(answer))).json()
    assert agents["total"] == 1  # its own demo agent
    assert agents["items"][0]["id"] != api.first.demo_agent_id
    call = await api.client.post("/v1/calls/web", headers=bearer(answer), json={"agent_id": agents["items"][0]["id"]})
    assert call.status_code == 201
    foreign = await api.client.get(f"/v1/agents/{api.first.demo_agent_id}", headers=bearer(answer))
    assert foreign.status_code == 404
    events = (await api.client.get("/v1/audit-events", headers=bearer(answer))).json()["items"]
    assert [event["action"] for event in events][-2:] == ["account.signed_up", "organisation.created"]
    assert all(event["payload_hash"] is None for event in events[-2:])  # there was a password in it


async def test_the_password_opens_the_account_and_is_not_kept(api: Api) -> None:
    await sign_up(api)
    answer = await sign_in(api, " ANN@example.com ")
    assert answer.status_code == 200
    assert (await api.client.get("/v1/auth/me", headers=bearer(answer))).status_code == 200
    async with api.database.read() as rows:
        kept = (await rows.execute(text("SELECT password_hash FROM users WHERE email = 'ann@example.com'"))).scalar()
    assert kept.startswith("scrypt$32768$8$3$")
    assert PASSWORD not in kept


@pytest.mark.parametrize(
    "body",
    [
        {"email": "ann@example.com"},
        {"email": "ann@example.com", "password": "short"},
        {"email": "ann", "password": PASSWORD},
        {"email": "ann@localhost", "password": PASSWORD},
        {"email": "a b@example.com", "password": PASSWORD},
        {"email": "ann@example.com\0", "password": PASSWORD},
        {"email": "ann@example.com", "password": PASSWORD, "role": "owner"},
        {"email": "ann@example.com", "password": PASSWORD, "organization_name": " "},
    ],
)
async def test_sign_ups_that_do_not_fit(api: Api, body: dict[str, Any]) -> None:
    answer = await api.client.post("/v1/auth/signup", json=body)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text


async def test_an_email_has_one_account(api: Api) -> None:
    answers = await asyncio.gather(*(sign_up(api, name=str(number)) for number in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert (await sign_up(api)).json()["error"]["code"] == "email_taken"


async def test_wrong_and_unknown_are_told_alike(api: Api) -> None:
    await sign_up(api)
    wrong = await sign_in(api, password="wrong password")
    unknown = await sign_in(api, email="nobody@example.com")
    without = await sign_in(api, email="owner@localhost")  # an account that signs in by link only
    bodies = [answer.json() for answer in (wrong, unknown, without)]
    for body in bodies:
        body["error"].pop("request_id")
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["error"]["code"] == "wrong_credentials"
    assert {answer.status_code for answer in (wrong, unknown, without)} == {401}
    assert all("set-cookie" not in answer.headers for answer in (wrong, unknown, without))


async def test_what_no_database_could_hold_is_no_email(api: Api) -> None:
    answer = await sign_in(api, "a\0nn@example.com")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "email")


async def test_guessing_is_stopped_also_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneinbox.api.accounts.passwords._N", 2)
    await sign_up(api)
    answers = await asyncio.gather(*(sign_in(api, password=f"wrong {number}") for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 10
    late = await sign_in(api)  # the right one comes too late
    assert (late.status_code, late.json()["error"]["code"]) == (429, "too_many_attempts")
    assert 1 <= int(late.headers["retry-after"]) <= 15 * 60
    other = await sign_in(api, email="somebody@example.com")
    assert other.status_code == 401  # nobody else is locked out


async def test_right_passwords_do_not_add_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneinbox.api.accounts.passwords._N", 2)
    await sign_up(api)
    for _ in range(12):
        assert (await sign_in(api)).status_code == 200


async def test_many_accounts_from_one_address_are_stopped_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneinbox.api.accounts.sign_up._PER_ADDRESS", 5)
    monkeypatch.setattr("oneinbox.api.accounts.passwords._N", 2)
    codes = [(await sign_in(api, email=f"guess{number}@example.com")).status_code for number in range(7)]
    assert codes == [401] * 5 + [429] * 2
    assert (await sign_up(api)).status_code == 429


async def test_refresh_lets_a_session_go_on_and_logout_ends_it(api: Api) -> None:
    first = await sign_up(api)
    refreshed = await api.client.post("/v1/auth/refresh", headers=bearer(first))
    api.client.cookies.clear()
    assert refreshed.status_code == 200
    assert (refreshed.json()["token_type"], refreshed.json()["expires_in_minutes"]) == ("Bearer", 7 * 24 * 60)
    assert (await api.client.get("/v1/auth/me", headers=bearer(refreshed))).status_code == 200
    api.client.cookies.set("oneinbox_token", first.json()["access_token"])
    by_cookie = await api.client.post("/v1/auth/refresh", headers={"Origin": BASE_URL})
    assert by_cookie.status_code == 200
    assert (await api.client.post("/v1/auth/refresh")).status_code == 403  # not from our own page
    api.client.cookies.clear()
    assert (await api.client.post("/v1/auth/logout", headers=bearer(refreshed))).status_code == 204
    for token in (first, refreshed, by_cookie):
        gone = await api.client.post("/v1/auth/refresh", headers=bearer(token))
        assert (gone.status_code, gone.json()["error"]["code"]) == (401, "session_ended")


async def test_sign_up_and_sign_in_from_a_foreign_page_are_refused(api: Api) -> None:
    for path in ("/v1/auth/signup", "/v1/auth/login"):
        answer = await api.client.post(
            path, json={"email": "a@example.com", "password": PASSWORD}, headers={"Origin": "https://evil.com"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_request")


async def test_a_server_that_takes_no_sign_ups(tmp_path: Any) -> None:
    async with running_api(tmp_path, sign_up_enabled=False) as api:
        answer = await sign_up(api)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "sign_up_disabled")
        assert await api.count("users") == 2


async def test_the_workspace_has_a_name(api: Api) -> None:
    before = (await api.ask("GET", "/v1/workspace")).json()
    assert before["id"] == api.first.org_id
    changed = await api.ask("PATCH", "/v1/workspace", json={"name": "Shop"})
    assert changed.json() == {"id": api.first.org_id, "name": "Shop"}
    assert (await api.client.get("/v1/workspace", headers=api.other_auth)).json()["name"] == "Other"
    assert (await api.ask("PATCH", "/v1/workspace", json={"name": None})).status_code == 422
