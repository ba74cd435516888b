"""A real ``oneinbox up`` for tests: on free ports, in a data directory of its own, loopback only."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

START_LIMIT_S = 60.0
REPO = Path(__file__).resolve().parents[2]


class RunningServer:
    """A server process. ``with RunningServer(folder) as server: ...``"""

    def __init__(self, data_dir: Path, *, workers: int = 1, environ: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.url = ""
        self.sign_in_url = ""
        self.demo_agent_id = ""
        self.output: list[str] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONEINBOX_", "OPENAI_"))}
        self._environ = {
            **kept,
            "ONEINBOX_MEDIA_HOST": "127.0.0.1",
            # What a busy machine measures of itself must not fail a test that is about something else.
            "ONEINBOX_MAX_WORKER_CPU": "0",
            "ONEINBOX_MAX_TICK_LATE_MS": "0",
            "ONEINBOX_CONFIG": str(data_dir / "oneinbox.toml"),
            **(environ or {}),
        }
        self._workers = workers
        self._key: str | None = None
        self.process: subprocess.Popen[str] | None = None

    def start(self, port: int = 0, media_port: int = 0) -> Self:
        """Start it and return when it has said that it is ready."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "oneinbox", "up", "--data-dir", str(self.data_dir)]
        command += ["--port", str(port), "--media-port", str(media_port), "--workers", str(self._workers)]
        self.output = []
        self.process = subprocess.Popen(
            command, cwd=REPO, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(START_LIMIT_S) or not self.url:
            self.stop()
            raise AssertionError("the server did not start:\n" + "".join(self.output))
        return self

    def _read(self, process: "subprocess.Popen[str]", ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if found := re.match(r"Open\s+((http\S+)/sign-in\?token=\S+)", line):
                    self.sign_in_url, self.url = found[1], found[2]
                if found := re.search(r'"agent_id": "(agt_\w+)"', line):
                    self.demo_agent_id = found[1]
                    ready.set()
        ready.set()

    @property
    def key(self) -> str:
        """A secret key, made with the command line while the server runs."""
        if self._key is None:
            self._key = self.run("keys", "create", "--name", "test").strip()
        return self._key

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run another ``oneinbox`` command on the same data directory; return what it prints."""
        command = [sys.executable, "-m", "oneinbox", *arguments, "--data-dir", str(self.data_dir)]
        done = subprocess.run(
            command, cwd=REPO, env=self._environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the API with the secret key."""
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=20, **options)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Like :meth:`request`, but the answer has to be a success; returns its body."""
        answer = self.request(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def make_call(self, **body: Any) -> dict[str, Any]:
        """Start a web call of the demo agent, or of the one that ``body`` names; returns what the route answers."""
        return self.json("POST", "/v1/calls/web", json={"agent_id": self.demo_agent_id, **body})

    def wait_for_call(self, call_id: str, *, status: tuple[str, ...] = ("completed", "failed"), limit_s: float = 20):
        """Return the call's record as soon as it has one of these statuses."""
        deadline = time.monotonic() + limit_s
        while True:
            record = self.json("GET", f"/v1/calls/{call_id}")
            if record["status"] in status:
                return record
            assert time.monotonic() < deadline, f"still {record['status']} after {limit_s} s: {record}"
            time.sleep(0.1)

    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill_everything(self) -> None:
        """``kill -9`` of the server and its workers at once."""
        assert self.process is not None
        for pid in [self.process.pid, *self.worker_pids()]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Stop it as Ctrl-C would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the server did not stop:\n" + "".join(self.output[-40:])) from None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
