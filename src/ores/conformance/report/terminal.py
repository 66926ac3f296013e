"""A judgement at the terminal: each check as it ends, then a summary that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.markup import escape

from ores.conformance.verdict import Report, Result, Status

MARK: Final = {
    Status.PASS: "[green]✓[/]",
    Status.FAIL: "[bold red]✗[/]",
    Status.WARN: "[yellow]![/]",
    Status.NOTE: "[blue]·[/]",
    Status.NOT_APPLICABLE: "[dim]–[/]",
    Status.KIT_FAILURE: "[magenta]?[/]",
}


def teller(console: Console, *, verbose: bool = False) -> Callable[[Result], None]:
    """Prints each result that is no plain pass, and one reason once; all of them when verbose."""
    obstacles: set[str] = set()

    def tell(result: Result) -> None:
        quiet = result.status in {Status.PASS, Status.NOT_APPLICABLE}
        if (quiet or (result.obstructed and result.message in obstacles)) and not verbose:
            return
        if result.obstructed and not verbose:
            obstacles.add(result.message)
            console.print(f" {MARK[result.status]} {escape(result.message)}", highlight=False)
            return
        ids = " ".join(result.requirements)
        message = f"  {escape(result.message)}" if result.message else ""
        console.print(
            f" {MARK[result.status]} [bold]{result.check}[/] [dim]{ids}[/]{message}", highlight=False
        )

    return tell


def summary(console: Console, report: Report) -> None:
    """The last lines."""
    counts = ", ".join(
        f"{report.count(status)} {words}"
        for status, words in (
            (Status.PASS, "passed"),
            (Status.FAIL, "failed"),
            (Status.WARN, "warnings"),
            (Status.NOTE, "notes"),
            (Status.NOT_APPLICABLE, "not applicable"),
            (Status.KIT_FAILURE, "could not be judged by a fault of the kit"),
        )
        if report.count(status)
    )
    if obstructed := sum(result.obstructed for result in report.results):
        counts += f" ({obstructed} of these could not be judged)"
    subject = report.subject
    name = " ".join(str(subject[key]) for key in ("maker", "model", "firmware_version") if key in subject)
    verdict = "[bold green]conforms[/]" if report.passed else "[bold red]does not conform[/]"
    console.print(
        f"\n{escape(name or report.target)} {verdict} to ORES {report.kit['standard']}: "
        f"{counts or 'nothing was judged'} in {report.took_s:.0f} s.",
        highlight=False,
    )
