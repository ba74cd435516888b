"""``oneinbox doctor --media --browser`` against a real server, from the server and from elsewhere."""

import re
from pathlib import Path

from tests.support.chromium import need_chromium
from tests.support.running import RunningServer


def at(server: RunningServer) -> list[str]:
    port = server.url.rpartition(":")[2]
    return ["doctor", "--media", "--port", port, "--workers", "1"]


def test_what_works(tmp_path: Path, built_pages: Path) -> None:
    need_chromium()
    with RunningServer(tmp_path / "data") as server:
        told = server.run(*at(server), "--browser")
        assert re.search(r"ok +worker 0: UDP 127\.0\.0\.1:\d+ answers in [\d.]+ ms", told)
        assert re.search(r"ok +worker 0: TCP 127\.0\.0\.1:\d+ answers in [\d.]+ ms", told)
        assert "Firefox does not use them" in told
        assert re.search(r"ok +\S*chrom\S* talks over udp 127\.0\.0\.1:\d+", told)
        assert "nothing is wrong" in told
        elsewhere = re.search(r"oneinbox (doctor --media --at \S+ --token \S+)", told)
        assert elsewhere is not None
        again = server.run(*elsewhere[1].split())
        assert re.search(r"ok +UDP 127\.0\.0\.1:\d+ answers", again)
        assert server.json("GET", "/v1/calls")["total"] == 0, "a probe is no call"
