"""The npm package: what is in the tarball, and that it installs and loads both ways."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.support.chromium import REPO, sdk_file
from tests.support.examples import EXAMPLES, node_output, npm

WEB_SDK = REPO / "clients" / "web-sdk"


def test_the_tarball_installs_and_loads_as_module_and_as_commonjs(tmp_path: Path) -> None:
    sdk_file("web-sdk.js")
    packed = npm(WEB_SDK, "pack", "--ignore-scripts", "--pack-destination", str(tmp_path))
    assert packed.returncode == 0, packed.stdout
    (tarball,) = tmp_path.glob("*.tgz")
    with tarfile.open(tarball) as files:
        names = {name.removeprefix("package/") for name in files.getnames()}
    assert {"package.json", "README.md", "LICENSE", "dist/web-sdk.js", "dist/index.d.ts", "dist/LICENSES.txt"} <= names
    assert not [name for name in names if name.startswith(("src", "test", "scripts", "node_modules"))]

    (tmp_path / "package.json").write_text('{"private": true}')
    installed = npm(tmp_path, "install", "--offline", "--no-audit", "--no-fund", str(tarball))
    assert installed.returncode == 0, installed.stdout
    (package,) = (tmp_path / "node_modules").glob("@*/*")
    assert json.loads((package / "package.json").read_text()).get("dependencies", {}) == {}
    names_of = "(sdk) => console.log(Object.keys(sdk).sort().join())"
    expected = "CallError,OneInbox,OneinboxCall,keptCall,testConnection"
    assert node_output(tmp_path, f"import('@oneinbox/web-sdk').then({names_of})") == expected
    assert node_output(tmp_path, f"({names_of})(require('@oneinbox/web-sdk'))") == expected


@pytest.mark.parametrize("folder", [WEB_SDK, EXAMPLES / "express-broker", EXAMPLES / "react-widget"])
def test_locks_hold_hashes_and_no_addresses(folder: Path) -> None:
    lock = json.loads((folder / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if "node_modules/" in name}
    assert packages
    for name, entry in packages.items():
        if entry.get("link"):
            continue
        assert "resolved" not in entry, name
        if "integrity" not in entry:  # a platform's build that was never seen (docs/decisions/0071)
            assert entry.get("optional"), name
            assert {"os", "cpu"} <= entry.keys(), name
            continue
        assert entry["integrity"].startswith("sha512-"), name
