"""What a process has written to, which nothing outside of it changes."""

from pathlib import Path


def anonymous_mb(pid: int) -> float:
    """Return resident anonymous memory in MB: pages of libraries are "unique" or not by what else runs, and left out."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0]) / 1000
