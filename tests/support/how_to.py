"""A how-to page, done as it is written: its files saved, its commands run, one after the other, in one shell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.running import REPO
from tests.support.tools import missing

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:# |<!-- )([\w./-]+\.\w+)(?: -->)?\n")
_OWN_TERMINAL = "# in a terminal of its own\n"
_DONE = "@done"


class Block(NamedTuple):
    """A block of code, and what is above it."""

    language: str
    text: str
    heading: str


def read(name: str, instead: Mapping[str, str]) -> list[Block]:
    """Return the blocks of ``docs/how-to/<name>``, with other words in place of some that must stand in it."""
    page = (REPO / "docs" / "how-to" / name).read_text()
    for word, other in instead.items():
        assert word in page, f"{word} is not in {name}"
        page = page.replace(word, other)
    blocks: list[Block] = []
    for found in _BLOCK.finditer(page):
        headings: list[str] = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page[: found.start()]), re.MULTILINE)
        blocks.append(Block(found[1], found[2], headings[-1]))
    return blocks


class Shell:
    """``with Shell(folder) as shell``: a shell that stops at the first command that fails."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        for tool in "bash", "curl":
            if shutil.which(tool) is None:
                missing(tool)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._folder = folder
        self._environ = {**os.environ, "PYTHONPATH": str(REPO), "PATH": path, **environ}

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._write("trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(20)
        self._bash.stdout.close()

    def do(self, block: Block) -> None:
        """Save the file, or run the commands, that the block holds; those for another terminal go on behind this one."""
        if named := _NAME.match(block.text):
            file = self._folder / named[1]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text)
        elif block.text.startswith(_OWN_TERMINAL):
            command = block.text.removeprefix(_OWN_TERMINAL).strip()
            self._write(f"(exec {command}) >{shlex.quote(self.output_of(command).name)} 2>&1 &\n")
        else:
            assert block.language == "sh", f"nobody knows what to do with {block}"
            self._write(f"{block.text}\necho {_DONE}\n")
            self._wait(block.text)

    def output_of(self, command: str) -> Path:
        """Return the file with what the command in another terminal has printed."""
        return self._folder / (re.sub(r"\W+", "-", command) + ".log")

    def _write(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def _wait(self, commands: str) -> None:
        assert self._bash.stdout is not None
        said: list[str] = []
        while not said or said[-1].strip() != _DONE:
            line = self._bash.stdout.readline()
            assert line, f"these commands failed:\n{commands}\nafter they said:\n{''.join(said)}"
            said.append(line)
