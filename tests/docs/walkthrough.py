"""Pages whose every command and program is executed as it stands.

What a reader is to do stands in fenced blocks: `sh run` is run, in order, in one shell and one empty
directory; `LANGUAGE write=NAME` is saved there under that name. What is only shown is `text`, and a message
of the standard `json NAME`, which the standard's own tests validate. Any other block nobody has tried.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_END = "END-OF-THE-FILE"


@dataclass(frozen=True)
class Block:
    """What stands behind the three ticks, and between them."""

    info: str
    text: str

    @property
    def only_shown(self) -> bool:
        return self.info == "text" or self.info.startswith("json ")

    @property
    def script(self) -> str:
        """What a reader would do with it.

        Raises:
            ValueError: Nobody could know.
        """
        if self.info == "sh run":
            return self.text
        if found := re.fullmatch(r"\w+ write=([\w.]+)", self.info):
            return f"cat > {found[1]} <<'{_END}'\n{self.text}{_END}\n"
        raise ValueError(
            f"a block of {self.info!r} is neither run nor said to be only shown: {self.text[:60]!r}"
        )


def blocks(page: str) -> list[Block]:
    return [Block(info.strip(), text) for info, text in _FENCE.findall(page)]


def script_of(page: str) -> str:
    """All that a reader of a page does, as one script."""
    return "".join(block.script for block in blocks(page) if not block.only_shown)


def walk(page: str, directory: Path, *, deadline_s: float = 240.0) -> str:
    """Do what a page says, as somebody with an empty home; whatever it starts ends with it.

    Returns:
        What the commands printed.

    Raises:
        AssertionError: A command failed, or the page took too long.
    """
    script = directory / "page.sh"
    script.write_text("set -eu\n" + script_of(page))
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(directory),
    }
    environment.pop("ORES_URL", None)
    output = directory / "page.out"
    with output.open("w") as said:
        process = subprocess.Popen(
            ["bash", "-x", script],
            cwd=directory,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = output.read_text()
    assert status == 0, f"{'it took too long' if status is None else f'exit {status}'}:\n{text[-6000:]}"
    return text
