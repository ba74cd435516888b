"""A model server over OpenAI's wire, in a process of its own: what a server under test asks for words, replies and speech."""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.running import REPO


@contextmanager
def model_server(folder: Path, script: Mapping[str, Any]) -> Generator[str]:
    """Serve ``script`` (the fields of ``openai_script.Script``, written into ``folder``); yields the address."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    command = [sys.executable, "-m", "tests.support.openai_wire", "--port", "0", "--script", str(path)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def asks(url: str) -> dict[str, str]:
    """Return the environment of a server whose agents ask ``url`` for everything unless they say otherwise."""
    return dict.fromkeys(("ONEINBOX_LLM_BASE_URL", "ONEINBOX_STT_BASE_URL", "ONEINBOX_TTS_BASE_URL"), url)
