"""Run every reference implementation as a user would, judge it, and write its report.

`python -m tools.reports [NAME …]`; without a name all of them, a few beside each other. What is written is
what the commands of the page leave behind: the page and this tool run the same lines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tools.reports.implementations import ALL, Implementation
from tools.reports.page import page

ROOT: Final = Path(__file__).resolve().parents[2]
REPORTS: Final = ROOT / "standard" / "conformance" / "reports" / "1.0"
SIDE_BY_SIDE: Final = 3
LONGEST_S: Final = 600.0
MAX_BYTES: Final = {"report.html": 400_000, "report.json": 150_000, "junit.xml": 60_000}
CODE: Final = re.compile(r"ORES(-[A-Z2-7]{4}){7}")


class NoReport(Exception):
    """There is none; the message says why."""


def main(arguments: list[str]) -> int:
    """Judge them, write what came out, and say it in a line each.

    Returns:
        0 where all that could be judged conform.
    """
    known = {one.name: one for one in ALL}
    parser = argparse.ArgumentParser(prog="python -m tools.reports", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--into", type=Path, default=REPORTS, help="the folder of the reports")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help="how many at once")
    chosen = parser.parse_args(arguments)
    if strange := set(chosen.names) - set(known):
        parser.error(f"found {', '.join(sorted(strange))}, allowed is {', '.join(known)}")
    wanted = [known[name] for name in chosen.names] or list(ALL)
    with ThreadPoolExecutor(chosen.side_by_side) as pool:
        good = list(pool.map(lambda one: _told(one, chosen.into), wanted))
    return 0 if all(good) else 1


def _told(one: Implementation, into: Path) -> bool:
    """Judge one and print how it went."""
    if missing := one.missing():
        print(f"{one.name}: SKIPPED, {missing}", flush=True)
        return True
    try:
        found = report(one, into / one.name)
    except NoReport as error:
        print(f"{one.name}: no report: {error}", flush=True)
        return False
    counts = ", ".join(f"{count} {status}" for status, count in found["summary"].items() if count)
    print(f"{one.name}: {'conforms' if found['conforms'] else 'DOES NOT CONFORM'}; {counts}", flush=True)
    for result in found["results"]:
        if result["status"] in {"fail", "kit_failure", "warn"}:
            print(f"  {result['status']} {result['check']}: {result['message'][:300]}", flush=True)
    return bool(found["conforms"])


def report(one: Implementation, folder: Path) -> dict[str, Any]:
    """Run the commands of an implementation, and keep its report.

    Returns:
        The report as it was written.

    Raises:
        NoReport: The commands leave none, or one that must not be published.
    """
    with tempfile.TemporaryDirectory(prefix="ores-reports-") as scratch:
        said = run(one.commands, Path(scratch))
        left = sorted(Path(scratch).glob("*/report/report.json"))
        if len(left) != 1:
            raise NoReport(f"the commands ended with:\n{said[-2000:]}")
        files = {name: _published((left[0].parent / name).read_text(), scratch) for name in MAX_BYTES}
    for name, most in MAX_BYTES.items():
        if len(files[name].encode()) > most:
            raise NoReport(f"{name} has {len(files[name].encode())} bytes; {most} are the most")
    found: dict[str, Any] = json.loads(files["report.json"])
    files["README.md"] = page(one, found, _size_of(one))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return found


def run(commands: str, scratch: Path) -> str:
    """Run commands as somebody with a checkout does; all that they start ends with them.

    Returns:
        What they printed.
    """
    script = scratch / "commands.sh"
    script.write_text("set -eu\n" + commands)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TMPDIR": str(scratch),
        "HOME": str(scratch),
    }
    output = scratch / "said.txt"
    with output.open("w") as said:
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            said.write(f"\nnot over after {LONGEST_S:g} s\n")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return output.read_text()


def _published(text: str, scratch: str) -> str:
    """A text without the address of this machine.

    Raises:
        NoReport: It names a place or a secret of this machine.
    """
    text = text.replace(_own_address(), "192.0.2.1")
    secrets = {str(ROOT): "a path", scratch: "a path", str(Path.home()) + "/": "a path"}
    host = socket.gethostname()
    if len(host) > 5 and host != "localhost":
        secrets[host] = "the name of this machine"
    for secret, what in secrets.items():
        if len(secret) > 5 and secret in text:
            at = text.index(secret)
            raise NoReport(f"it holds {what}: …{text[max(0, at - 60) : at + 60]}…")
    if found := CODE.search(text):
        raise NoReport(f"it holds a pairing code, at {found.start()}")
    return text


def _own_address() -> str:
    """On the network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "192.0.2.1"
        return str(probe.getsockname()[0])


def _size_of(one: Implementation) -> str:
    if not one.size:
        return ""
    done = subprocess.run(one.size.split(), cwd=ROOT, check=True, capture_output=True, text=True)
    gcc = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True, text=True)
    return f"gcc {gcc.stdout.strip()}, {platform.machine()}\n\n{done.stdout.strip()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
