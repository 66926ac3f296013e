"""`python -m ores`: the command `ores`."""

from ores.cli.main import main

main()
