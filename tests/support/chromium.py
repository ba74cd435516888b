"""Chromium for the Web SDK's tests, and the SDK's built files."""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.tools import missing

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
)
REPO = Path(__file__).resolve().parents[2]
SDK_DIST = REPO / "clients" / "web-sdk" / "dist"


def need_chromium() -> None:
    """Skip or fail the running test where Chromium is missing."""
    if not Path(CHROMIUM).is_file():
        missing(f"Chromium ({CHROMIUM})")


def sdk_page(page: bytes) -> dict[str, tuple[str, bytes]]:
    """Return what to serve to a page that imports the built Web SDK and ``first_sound.js``."""
    script = "text/javascript"
    return {
        "/": ("text/html", page),
        "/sdk/web-sdk.js": (script, sdk_file("web-sdk.js")),
        "/first-sound.js": (script, Path(__file__).with_name("first_sound.js").read_bytes()),
    }


def sdk_file(name: str) -> bytes:
    """Return a built file of the Web SDK."""
    path = SDK_DIST / name
    if not path.is_file():
        missing("the built Web SDK (`make web`)")
    return path.read_bytes()


@contextmanager
def serve_files(files: Mapping[str, tuple[str, bytes]]) -> Generator[str]:
    """Serve ``files`` (path: type and content) on a port of the loopback interface; gives the origin.

    A real server, because Chromium lets no page that came from nowhere (as a fulfilled route does) open a socket to
    the loopback interface.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
