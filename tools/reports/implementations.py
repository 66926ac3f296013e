"""What is judged, and the commands with which anybody can do it again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

COMPILER: Final = "apt-get install gcc make libssl-dev"


@dataclass(frozen=True, slots=True)
class Implementation:
    """One implementation of the standard.

    Attributes:
        name: Of its folder.
        title: For people.
        what: A sentence about it.
        commands: Run it and judge it, from the root of a checkout; they leave a folder `report`.
        size: A command that prints what it takes of a device; empty where that says nothing.
        missing: Why it cannot be judged on this machine; empty where it can.
    """

    name: str
    title: str
    what: str
    commands: str
    size: str = ""
    missing: Callable[[], str] = lambda: ""


_SCRATCH: Final = """checkout=$PWD
cd "$(mktemp -d)"
"""

_CODE: Final = """until grep -q code module.json; do sleep 0.2; done
code=$(sed -n 's/.*"code": *"\\([^"]*\\)".*/\\1/p' module.json)
"""

DEVICES: Final = {
    "battery": "storage",
    "meter": "meter",
    "hybrid": "hybrid",
    "gateway": "gateway",
    "charger": "ev_charger",
    "heat_pump": "heat_pump",
    "panel": "smart_panel",
    "dishwasher": "appliance",
}


def _device(name: str, profile: str, port: int) -> Implementation:
    return Implementation(
        f"simulated-{name.replace('_', '-')}",
        f"Simulated {name.replace('_', ' ')}",
        "A device of the simulated home, behind the SDK in Python.",
        f"{_SCRATCH}ores module {name} --port {port} --data state --json > module.json &\n{_CODE}"
        f'ores conform https://localhost:{port} --code "$code" --profile {profile} --report report\n',
    )


_PYTHON_EXAMPLE: Final = Implementation(
    "python-example",
    "The battery of the Python guide",
    "The program of [your first module](../../../../../docs/your-first-module.md), as it stands there.",
    _SCRATCH
    + """python "$checkout/docs/examples/battery_module.py" state > said.txt &
until grep -q ORES- said.txt; do sleep 0.2; done
port=$(grep -o 'port [0-9]*' said.txt | grep -o '[0-9]*')
code=$(grep -o 'ORES-[A-Z2-7-]*' said.txt)
ores conform "https://localhost:$port" --code "$code" --profile storage --report report
""",
)


def _no_compiler() -> str:
    found = all(shutil.which(name) for name in ("gcc", "make"))
    asked = ["gcc", "-E", "-x", "c", "-include", "openssl/ssl.h", "/dev/null"]
    if found and subprocess.run(asked, check=False, capture_output=True).returncode == 0:
        return ""
    return f"a C compiler, make or OpenSSL's headers are missing: {COMPILER}"


_C_MODULE: Final = Implementation(
    "c-module",
    "The module in C99",
    "A battery on POSIX sockets and OpenSSL, [written from the standard alone]"
    "(../../../../../examples/c-module/README.md); no line of it is shared with the Python.",
    "make -C examples/c-module\n"
    + _SCRATCH
    + '"$checkout/examples/c-module/ores-module" --port 8709 --state state > module.json &\n'
    + _CODE
    + 'ores conform https://localhost:8709 --code "$code" --profile storage --report report\n',
    size="make -s -C examples/c-module size",
    missing=_no_compiler,
)

_HUB: Final = Implementation(
    "hub",
    "The hub",
    "The central control unit in Python; the kit plays its modules, its owner and its apps.",
    _SCRATCH
    + """export ADDRESS=$(hostname -I | cut -d' ' -f1)
cat > hub.sh <<'END'
if test -f hub.pid; then
  kill "$(cat hub.pid)"
  for _ in $(seq 50); do kill -0 "$(cat hub.pid)" 2> kill.txt || break; sleep 0.1; done
fi
ores hub --data state --port 8720 --listen "$ADDRESS" --https-port 8721 --json > hub.json 2>> hub.log &
echo $! > hub.pid
until grep -q url hub.json; do sleep 0.1; done
END
sh hub.sh
ores conform http://127.0.0.1:8720 --hub --network "https://$ADDRESS:8721" --restart 'sh hub.sh' \\
  --report report
""",
)

ALL: Final = (
    *(_device(name, profile, 8701 + at) for at, (name, profile) in enumerate(DEVICES.items())),
    _PYTHON_EXAMPLE,
    _C_MODULE,
    _HUB,
)
