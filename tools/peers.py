"""`make test-peers`: tests against software that none of us wrote. Says so when there is none yet."""

from __future__ import annotations

import subprocess
import sys

NO_TESTS_COLLECTED = 5


def main() -> int:
    """Run the tests marked `peers`."""
    code = subprocess.run([sys.executable, "-m", "pytest", "-m", "peers"], check=False).returncode
    if code == NO_TESTS_COLLECTED:
        print("no test against a peer exists yet")
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
