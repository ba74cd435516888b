"""``oneinbox doctor --media --browser``: a real join by the Chromium of this machine, with the Web SDK and a fake microphone."""

import asyncio
import json
import os
import shutil
import tempfile

from oneinbox.server.pages import STATIC_DIR

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LIMIT_S = 45.0
_MAX_REQUEST_BYTES = 64 * 1024
_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
_PAGE = """<!doctype html><link rel="icon" href="data:,"><title>probe</title><script type="module">
import { OneinboxCall } from "/web-sdk.js";
const began = performance.now();
const tell = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });
const Native = window.RTCPeerConnection;
const made = [];
window.RTCPeerConnection = class extends Native { constructor(...args) { super(...args); made.push(this); } };
try {
  const call = new OneinboxCall(JSON_OF_CALL);
  await call.connect();
  const connected = performance.now() - began;
  for (let turn = 0; turn < 100; turn++) {
    const all = [];
    for (const peer of made) all.push(...(await peer.getStats()).values());
    const inbound = all.find((one) => one.type === "inbound-rtp" && one.totalAudioEnergy > 0.0001);
    const outbound = all.find((one) => one.type === "outbound-rtp" && one.packetsSent > 0);
    const pair = all.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
    const remote = all.find((one) => one.id === pair?.remoteCandidateId);
    if (inbound && outbound && remote) {
      const { protocol, address, ip, port } = remote;
      await tell({ connected, heard: performance.now() - began, way: `${protocol} ${address ?? ip}:${port}` });
      break;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  await tell({ error: "it connected, but no sound came" });
  await call.disconnect();
} catch (error) {
  await tell({ error: `${error.reason ?? error.name}: ${error.message}` });
}
</script>"""

Finding = tuple[str, str]


async def look_with_chromium(server_url: str, token: str) -> Finding:
    """Join the probe's room of ``token`` with Chromium, and listen."""
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        return "note", f"no browser to try with: none of {', '.join(_PROGRAMS)} is installed"
    sdk = STATIC_DIR / "sdk" / "web-sdk.js"
    if not sdk.is_file():
        return "bad", "the Web SDK is not built: run `make web`"
    page = _PAGE.replace("JSON_OF_CALL", json.dumps({"serverUrl": server_url, "token": token}).replace("<", "\\u003c"))
    files = {"/": ("text/html", page.encode()), "/web-sdk.js": ("text/javascript", sdk.read_bytes())}
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer, files, told)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass  # a browser on its way out
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MAX_REQUEST_BYTES)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        result = await _browse(program, address, told)
    finally:
        server.close()
    if result is None:
        return "bad", f"{program} said nothing for {_LIMIT_S:.0f} s"
    if "error" in result:
        return "bad", f"{program} could not talk: {result['error']}"
    times = f"connected after {result['connected']:.0f} ms, sound after {result['heard']:.0f} ms"
    return "ok", f"{program} talks over {result['way']}: {times}"


async def _browse(program: str, address: str, told: "asyncio.Future[bytes]") -> dict[str, object] | None:
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to start as root with one
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = await asyncio.create_subprocess_exec(
            *(program, *_FLAGS, *sandbox, f"--user-data-dir={folder}", address),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            return json.loads(await asyncio.wait_for(told, _LIMIT_S))
        except (TimeoutError, ValueError):
            return None
        finally:
            if browser.returncode is None:
                browser.terminate()
            await browser.wait()


async def _answer(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    files: dict[str, tuple[str, bytes]],
    told: "asyncio.Future[bytes]",
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    path = head.split(" ", 2)[1]
    length = next(
        (line.partition(":")[2] for line in head.lower().split("\r\n") if line.startswith("content-length:")), "0"
    )
    body = await reader.readexactly(min(int(length), _MAX_REQUEST_BYTES))
    if path == "/result" and not told.done():
        told.set_result(body)
    kind, content = files.get(path, ("text/plain", b""))
    lines = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    writer.write(lines.encode() + content)
    await writer.drain()
