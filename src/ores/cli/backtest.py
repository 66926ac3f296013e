"""`ores backtest`: a recorded year through the planner, for a person or a program."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ores.backtest.errors import BacktestError
from ores.backtest.homes import Recording, recordings
from ores.backtest.ladder import Ladder, Question, climb
from ores.backtest.money import Source, find_tariff, sources
from ores.backtest.page import page
from ores.backtest.policies import POLICIES
from ores.ems.inputs import Battery, InputError
from ores.link.errors import ConfigError
from ores.tariff import TariffError

_BATTERY = re.compile(r"(?P<kwh>\d+(?:\.\d+)?)kWh,(?P<kw>\d+(?:\.\d+)?)kW(?:,(?P<share>0?\.\d+|1(?:\.0+)?))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options, as given."""

    homes: tuple[str, ...]
    tariff: str
    battery: str
    policy: str
    prices: tuple[str, ...]
    zone: str | None
    soc_pct: float
    jobs: int
    html: Path | None
    as_json: bool


def run(wanted: Wanted) -> None:
    """Run it and print the ladder.

    Raises:
        ConfigError: An option, or a file that it names, is not as it must be.
    """
    try:
        ladders, question = _climbed(wanted)
    except (BacktestError, TariffError, InputError) as error:
        found = getattr(error, "found", str(error))
        allowed = getattr(error, "allowed", "what a plan can be made from")
        raise ConfigError(getattr(error, "setting", "--homes"), found=found, allowed=allowed) from None
    if wanted.html is not None:
        wanted.html.write_text(page(ladders, question.tariff.id, question.tariff.currency), encoding="utf-8")
    if wanted.as_json:
        print(json.dumps(document(ladders, question)))
    else:
        show(Console(), ladders, question)


def _climbed(wanted: Wanted) -> tuple[list[Ladder], Question]:
    homes: list[Recording] = []
    for home in (home for spec in wanted.homes for home in recordings(spec)):
        alike = sum(one.name.partition("#")[0] == home.name for one in homes)
        homes.append(replace(home, name=f"{home.name}#{alike + 1}") if alike else home)
    one, file = find_tariff(wanted.tariff, wanted.zone)
    question = Question(
        tariff=one,
        series=sources(one, file, dict(_source(text) for text in wanted.prices)),
        zone=wanted.zone,
        battery=battery(wanted.battery, wanted.soc_pct),
        policies=policies(wanted.policy),
    )
    jobs = min(wanted.jobs or os.cpu_count() or 1, len(homes))
    with Progress(console=Console(stderr=True), transient=True, disable=wanted.as_json) as progress:
        if jobs == 1:
            total = sum(len(home.load_kwh) for home in homes) * len(question.policies)
            task = progress.add_task("backtest", total=total)
            return [
                climb(home, question, lambda done: progress.advance(task, done)) for home in homes
            ], question
        task = progress.add_task("backtest", total=len(homes))
        ladders = []
        for ladder in _in_parallel(homes, question, jobs):
            ladders.append(ladder)
            progress.advance(task)
        return ladders, question


def _in_parallel(homes: list[Recording], question: Question, jobs: int) -> Iterator[Ladder]:
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(climb, homes, [question] * len(homes))


def battery(text: str, soc_pct: float) -> Battery:
    """Read `13.5kWh,5kW,0.95`: capacity, power both ways, efficiency each way.

    Raises:
        ConfigError: It is something else.
    """
    parts = _BATTERY.fullmatch(text.replace(" ", ""))
    if parts is None or float(parts["kwh"]) <= 0.0:
        raise ConfigError(
            "--battery", found=text, allowed="CAPACITYkWh,POWERkW,EFFICIENCY, as 13.5kWh,5kW,0.95"
        )
    efficiency = float(parts["share"] or 0.95)
    power = float(parts["kw"])
    return Battery(
        capacity_kwh=float(parts["kwh"]),
        soc_pct=soc_pct,
        charge_max_kw=power,
        discharge_max_kw=power,
        charge_efficiency=efficiency,
        discharge_efficiency=efficiency,
    )


def policies(text: str) -> tuple[str, ...]:
    """Read `none,rule,plan,oracle`.

    Raises:
        ConfigError: One is not known.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in POLICIES:
            raise ConfigError("--policy", found=name, allowed=", ".join(POLICIES))
    return names


def _source(text: str) -> tuple[str, Source]:
    name, equals, rest = text.partition("=")
    if not equals or not rest:
        raise ConfigError("--prices", found=text, allowed="NAME=FILE:COLUMN")
    if Path(rest).exists():
        return name, Source(Path(rest), None)
    path, _, column = rest.rpartition(":")
    return name, Source(Path(path), column)


def document(ladders: list[Ladder], question: Question) -> dict[str, object]:
    """What `--json` prints; money in the tariff's currency."""
    return {
        "homes": {ladder.home: _home(ladder) for ladder in ladders},
        "tariff": question.tariff.id,
        "currency": question.tariff.currency,
        "notes": sorted({note for ladder in ladders for note in ladder.notes}),
    }


def _home(ladder: Ladder) -> dict[str, object]:
    names = list(ladder.rungs)
    share = ladder.share("plan")
    return {
        "cost": {name: round(ladder.rungs[name].cost, 4) for name in names},
        "share_of_oracle": None if share is None else round(share, 5),
        "shares": {name: None if (s := ladder.share(name)) is None else round(s, 5) for name in names},
        "end_soc_pct": {name: round(ladder.rungs[name].end_soc_pct, 2) for name in names},
        "charged_kwh": {name: round(ladder.rungs[name].charged_kwh, 1) for name in names},
        "months": {name: dict(ladder.rungs[name].months) for name in names},
        "cpu_s": {name: round(ladder.rungs[name].cpu_s, 2) for name in names},
        "intervals": ladder.intervals,
        "interval_h": ladder.hours,
        "filled": ladder.filled,
        "forecasts": {
            name: {key: round(value, 5) for key, value in asdict(score).items()}
            for name, score in ladder.forecasts.items()
        },
    }


def show(console: Console, ladders: list[Ladder], question: Question) -> None:
    """The ladder of each home as a row."""
    table = Table(title=f"{question.tariff.id}, {question.tariff.currency}", box=None, header_style="dim")
    table.add_column("home")
    for name in question.policies:
        table.add_column(name, justify="right")
    table.add_column("share of the oracle's saving", justify="right")
    for ladder in ladders:
        costs = [f"{ladder.rungs[name].cost:,.2f}" for name in question.policies]
        shares = [
            f"{name} {share:.1%}"
            for name in question.policies
            if name not in {"none", "oracle"} and (share := ladder.share(name)) is not None
        ]
        table.add_row(ladder.home, *costs, ", ".join(shares) or "-")
    console.print(table)
    for ladder in ladders:
        for name, score in ladder.forecasts.items():
            console.print(
                f"{ladder.home} {name}: forecast a day ahead within {score.mae:.3f} kWh of an interval on"
                f" average; as now {score.mae_persistence:.3f}, as a week before {score.mae_seasonal:.3f}",
                style="dim",
                highlight=False,
            )
    for note in sorted({note for ladder in ladders for note in ladder.notes}):
        console.print(note, style="dim", highlight=False)
