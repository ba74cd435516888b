"""The script that fetches models: right files stay, wrong ones are replaced whole, nothing unchecked is written."""

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "fetch_models.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_wheel(script: ModuleType, path: Path, model: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(script.MODEL_MEMBER, model)
        archive.writestr(script.LICENCE_MEMBER, "MIT")
    return path


def test_a_model_of_another_hash_is_not_written(script: ModuleType, tmp_path: Path) -> None:
    wheel = make_wheel(script, tmp_path / "a.whl", b"not the model")
    with pytest.raises(script.FetchError, match="SHA-256"):
        script.extract(wheel, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_it_writes_both_files_and_then_rests(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "models"
    monkeypatch.setattr(script, "MODEL_SHA256", script._sha256(b"the model"))
    downloads: list[Path] = []

    def download(into: Path) -> Path:
        downloads.append(into)
        return make_wheel(script, into / "a.whl", b"the model")

    monkeypatch.setattr(script, "download_wheel", download)
    assert "written" in script.fetch(dest)
    assert (dest / "silero_vad.onnx").read_bytes() == b"the model"
    assert (dest / "silero_vad.LICENSE.txt").read_text(encoding="utf-8") == "MIT"
    assert sorted(path.name for path in dest.iterdir()) == ["silero_vad.LICENSE.txt", "silero_vad.onnx"]
    assert "stands" in script.fetch(dest)
    assert len(downloads) == 1
    (dest / "silero_vad.onnx").write_bytes(b"spoilt")
    script.fetch(dest)
    assert len(downloads) == 2
    assert (dest / "silero_vad.onnx").read_bytes() == b"the model"


def test_a_failed_download_is_one_line_and_an_exit_code(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "REQUIREMENT", "no such requirement!")
    monkeypatch.setattr(sys, "argv", ["fetch_models.py", str(tmp_path / "models")])
    assert script.main() == 1
    assert "could not download" in capsys.readouterr().err


def test_the_default_lies_in_the_environment(script: ModuleType) -> None:
    assert script.default_dest() == Path(sys.prefix) / "share" / "oneinbox" / "models"
