"""`python -m ores.cli`: the command `ores`."""

from ores.cli.main import main

main()
