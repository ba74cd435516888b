"""The command line: ``oneinbox up`` (also without a word) | ``keys create`` | ``sign-in`` | ``migrate`` | ``replay`` | ``rotate-credentials`` | ``doctor`` | ``worker``."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oneinbox import __version__

if TYPE_CHECKING:
    from oneinbox.server.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oneinbox",
        description="An open, self-hosted platform on which an AI agent talks with people.",
        epilog="Every flag has a variable: --media-port is ONEINBOX_MEDIA_PORT. See docs/reference/settings.md.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data-dir", metavar="DIR", help="where the database and the secrets are kept")

    up = commands.add_parser("up", parents=[data], help="start the server (the default)")
    up.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    up.add_argument("--port", type=int, help="port of the pages, the API and the signalling (default 8080)")
    up.add_argument("--media-port", type=int, help="UDP and TCP port of the media (default 7882)")
    up.add_argument("--media-host", help="addresses to bind the media port to, by commas (default 0.0.0.0,::)")
    up.add_argument("--public-url", help="how browsers reach this server, where a proxy stands in front of it")
    up.add_argument("--announced-addresses", help="IP addresses of the media port as clients see them, by commas")
    up.add_argument("--workers", metavar="N", help="worker processes, or auto: one for each core (the default)")

    keys = commands.add_parser("keys", help="make keys")
    key_commands = keys.add_subparsers(dest="key_command", metavar="COMMAND", required=True)
    create = key_commands.add_parser("create", parents=[data], help="make a secret key; prints it, once")
    create.add_argument("--name", required=True, help="what the key is for")

    commands.add_parser("migrate", parents=[data], help="bring the database to this release")
    doctor = commands.add_parser("doctor", parents=[data], help="look at the installation and say what is wrong")
    doctor.add_argument("--port", type=int, help="port of the server to look at (default 8080)")
    doctor.add_argument("--media-port", type=int, help="media port to look at (default 7882)")
    doctor.add_argument("--media", action="store_true", help="check instead whether browsers can reach the media")
    doctor.add_argument("--browser", action="store_true", help="with --media: also join with this machine's Chromium")
    doctor.add_argument("--at", metavar="URL", help="with --media and --token: check the server at ws://... from here")
    doctor.add_argument("--token", help="with --at: what `oneinbox doctor --media` prints on the server")
    doctor.add_argument("--workers", type=int, help="with --media: how many workers the server runs")
    sign_in = commands.add_parser("sign-in", parents=[data], help="print a new one-use sign-in link")
    sign_in.add_argument("--port", type=int, help="port of the server (default 8080)")
    commands.add_parser(
        "rotate-credentials", parents=[data], help="seal the stored secrets of users (provider keys) with a new key"
    )
    replay = commands.add_parser(
        "replay", parents=[data], help="show how a call took turns, and check that it would again (ONEINBOX_TURN_LOGS)"
    )
    replay.add_argument("call_id", metavar="CALL")
    worker = commands.add_parser("worker", help="(started by the server) host live calls")
    worker.add_argument("--link-fd", type=int, required=True, help=argparse.SUPPRESS)
    worker.add_argument("--name", help="shown in the process list, read by nobody")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; exits with 0, or 1 with one line on stderr, or 2 for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "up")
    given = vars(_parser().parse_args(arguments))
    command = given.pop("command")
    if command == "worker":
        from oneinbox.live.worker import run_worker  # noqa: PLC0415 - only a worker pays for loading the live half

        run_worker(given["link_fd"])
        return
    # Each command loads only what it needs: `up` has to be quick, and `keys create` is used in scripts.
    from oneinbox.server.settings import SettingsError, load_settings  # noqa: PLC0415

    try:
        settings = load_settings(given)
        if command == "up":
            from oneinbox.server.up import StartError, run_up  # noqa: PLC0415

            try:
                run_up(settings)
            except StartError as error:
                _fail(str(error))
            return
        from oneinbox.server import commands  # noqa: PLC0415

        match command:
            case "keys":
                print(asyncio.run(commands.create_key(settings, given["name"])))
            case "sign-in":
                print(asyncio.run(commands.make_sign_in_link(settings)))
            case "rotate-credentials":
                print(asyncio.run(commands.rotate_credentials(settings)))
            case "replay":
                _replay(settings, given["call_id"])
            case "migrate":
                print(asyncio.run(commands.migrate(settings)))
            case _:
                sys.exit(asyncio.run(_doctor(settings, given)))
    except SettingsError as error:
        _fail(str(error))


async def _doctor(settings: "Settings", given: dict[str, Any]) -> int:
    from oneinbox.server import commands  # noqa: PLC0415 - see main

    if given["media"]:
        if bool(given["at"]) != bool(given["token"]):
            _fail("--at and --token belong together: `oneinbox doctor --media` on the server prints both")
        return await commands.doctor_media(settings, at=given["at"], token=given["token"], browser=given["browser"])
    return await commands.doctor(settings)


def _replay(settings: "Settings", call_id: str) -> None:
    from oneinbox.live.engine.turn_log import TurnLogError  # noqa: PLC0415 - as above
    from oneinbox.server import commands  # noqa: PLC0415

    try:
        text, same = commands.replay_call(settings, call_id)
    except TurnLogError as error:
        _fail(str(error))
    else:
        print(text)
        sys.exit(0 if same else 1)


def _fail(message: str) -> None:
    print(f"oneinbox: {message}", file=sys.stderr)
    sys.exit(1)
