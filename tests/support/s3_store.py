"""An S3-compatible store on a port of its own: keeps objects, and believes nobody whose signature does not hold.

The check is written from the specification (AWS Signature Version 4) and shares no code with the client that it judges.
"""

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY_ID, SECRET, REGION = "AKIATESTTESTTEST", "a-secret/with+signs=for-tests", "eu-central-1"
_LEEWAY_S = 900


class S3Store:
    """The objects, by path (``/bucket/key``), and what was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.asked: list[tuple[str, str, int]] = []
        self.failing = 0
        """Answer 503 to everything for as many requests."""
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/recordings/calls"

    def start(self) -> None:
        store = self

        class Handler(_Handler):
            kept = store

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Be out: connections are refused until it is started again, on the same port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def s3_store() -> Iterator[S3Store]:
    store = S3Store()
    store.start()
    try:
        yield store
    finally:
        store.stop()


class _Handler(BaseHTTPRequestHandler):
    kept: S3Store
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Keep it quiet."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path = unquote(urlsplit(self.path).path)
        status, answer = 503, b"<Code>SlowDown</Code>"
        if self.kept.failing:
            self.kept.failing -= 1
        elif (wrong := self._wrong(body)) is not None:
            status, answer = 403, f"<Code>SignatureDoesNotMatch</Code><Message>{wrong}</Message>".encode()
        else:
            status, answer = self._carry_out(path, body)
        self.kept.asked.append((self.command, path, status))
        self.send_response(status)
        if status == 200 and self.command == "GET":
            self.send_header("Content-Type", self.kept.types.get(path, ""))
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - names that http.server looks for

    def _carry_out(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self.command == "PUT":
            self.kept.objects[path], self.kept.types[path] = body, self.headers.get("content-type", "")
            return 200, b""
        if self.command == "DELETE":
            self.kept.objects.pop(path, None)
            return 204, b""
        found = self.kept.objects.get(path)
        return (404, b"<Code>NoSuchKey</Code>") if found is None else (200, found)

    def _wrong(self, body: bytes) -> str | None:
        """Return why the request is not signed as it has to be."""
        split = urlsplit(self.path)
        query = parse_qsl(split.query, keep_blank_values=True)
        asked = dict(query)
        if "X-Amz-Signature" in asked:
            given, names, credential = asked["X-Amz-Signature"], asked["X-Amz-SignedHeaders"], asked["X-Amz-Credential"]
            stamp, payload, leeway_s = asked["X-Amz-Date"], "UNSIGNED-PAYLOAD", int(asked["X-Amz-Expires"])
            query = [pair for pair in query if pair[0] != "X-Amz-Signature"]
        else:
            kind, _, rest = self.headers.get("authorization", "").partition(" ")
            if kind != "AWS4-HMAC-SHA256":
                return "not signed"
            parts = dict(part.strip().split("=", 1) for part in rest.split(","))
            given, names, credential = parts["Signature"], parts["SignedHeaders"], parts["Credential"]
            stamp, payload, leeway_s = self.headers["x-amz-date"], self.headers["x-amz-content-sha256"], _LEEWAY_S
            if payload != hashlib.sha256(body).hexdigest():
                return "another body was signed"
            if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";")):
                return "too little was signed"
        age_s = time.time() - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        if not -_LEEWAY_S < age_s < leeway_s:
            return "too old"
        key_id, day, region, service, end = credential.split("/")
        if (key_id, day, region, service, end) != (KEY_ID, stamp[:8], REGION, "s3", "aws4_request"):
            return "another scope"
        ordered = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(query))
        lines = [self.command, split.path, ordered]
        lines += [f"{name}:{' '.join(self.headers[name].split())}" for name in names.split(";")]
        request = "\n".join([*lines, "", names, payload]).encode()
        key = b"AWS4" + SECRET.encode()
        for word in (day, region, service, end):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        scope = "/".join((day, region, service, end))
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request).hexdigest()}"
        expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(expected, given) else "the signature does not hold"
