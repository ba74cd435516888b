"""The environment of the peers: built once from its own lock, below ``build/``; nothing of it is the project's."""

import hashlib
import subprocess
import sys
from pathlib import Path

_LOCK = Path(__file__).with_name("requirements-peers.lock")
_SHOWN = ("livekit-agents", "livekit-plugins-silero", "pipecat-ai", "onnxruntime", "numpy")


def python(root: Path) -> Path:
    """Return the interpreter that has LiveKit Agents and Pipecat."""
    return root / "build" / "peers" / "bin" / "python"


def install(root: Path) -> None:
    """Make the environment, unless it is there and of this lock."""
    folder = root / "build" / "peers"
    stamp = folder / ".lock-sha256"
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print(f"Installing LiveKit Agents and Pipecat in {folder} (830 MB)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python(root)), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--require-hashes", "--no-deps", "-r", str(_LOCK)], check=True)
    stamp.write_text(wanted)


def versions(root: Path) -> dict[str, str]:
    """Return the versions that matter."""
    code = f"import importlib.metadata as m; print(*(m.version(name) for name in {_SHOWN!r}))"
    done = subprocess.run([str(python(root)), "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(_SHOWN, done.stdout.split(), strict=True))
