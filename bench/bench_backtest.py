"""A year of recorded homes: what the planner saves beside rules and perfect foresight, and how long it takes.

The data lie outside the repository, at ../shared/data or ORES_DATA. PV of the home at 1 min is computed by
pvlib from a weather station's 10-min irradiance of another year and place: sun and home are real, but not of
one roof. All money is in the tariff's currency.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pvlib

from bench.figures import at_least, at_most
from ores import tariff
from ores.backtest.case import Case
from ores.backtest.homes import Recording, coarser, recordings
from ores.backtest.ladder import Ladder, Question, climb
from ores.backtest.money import Source, bill, find_tariff, lay, sources
from ores.backtest.policies import POLICIES
from ores.backtest.tables import read
from ores.ems.inputs import Battery, Floats

DATA = Path(os.environ.get("ORES_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TARIFFS = DATA / "tariffs" / "tariffs.json"
FONTANA = DATA / "homes" / "fontana10_1h.parquet"
BATTERY = Battery(capacity_kwh=13.5, soc_pct=0.0, charge_max_kw=5.0, discharge_max_kw=5.0)
NAMED = ("h01", "h05", "h08")
SCE, NBT = "us-ca-sce-tou-d-prime-citylearn2022", "us-ca-pge-ev2a-2024+nbt24"
PEAKS = ("us-az-srp-e27-2015", "au-vic-jemena-a10d-2019", "no-tensio-2022-tiered-peak")
SPOT = {"spot": Source(DATA / "prices" / "se3_se4_dayahead_15min_2024_2025.parquet", "SEK_per_kWh")}
RULES = ("none", "rule", "timer")
MINUTE_TARIFF = "fr-hphc-emhass"


def run() -> dict[str, object]:
    """Shares of the oracle's saving, plan against rules, the gap at 1 min, and processor time."""
    homes = recordings(str(FONTANA))
    return {
        "share_sce": shares(SCE, homes, 0.93),
        "share_nbt": shares(NBT, homes, 0.96),
        "peaks": {name.split("-")[2]: against_rules(name, homes) for name in PEAKS},
        "one_minute": one_minute(),
    }


def ladder(name: str, home: Recording, policies: tuple[str, ...]) -> Ladder:
    """All policies on a home."""
    one, file = find_tariff(f"{TARIFFS}:{name}", None)
    given = SPOT if any(series.name == "spot" for series in one.series) else {}
    return climb(home, Question(one, sources(one, file, given), "SE3", BATTERY, policies))


def shares(name: str, homes: list[Recording], goal: float) -> dict[str, object]:
    """The plan's share of the oracle's saving: each home named in the goal, their mean, and that of all."""
    found = {home.name: ladder(name, home, ("none", "rule", "plan", "oracle")) for home in homes}
    share = {home: one.share("plan") or 0.0 for home, one in found.items()}
    rule = [found[home].share("rule") or 0.0 for home in NAMED]
    named = float(np.mean([share[home] for home in NAMED]))
    return {
        **{home: round(share[home], 4) for home in NAMED},
        "rule_mean": round(float(np.mean(rule)), 4),
        "all_ten_mean": round(float(np.mean(list(share.values()))), 4),
        "all_ten_least": round(min(share.values()), 4),
        "plan_cpu_s_mean": round(float(np.mean([one.rungs["plan"].cpu_s for one in found.values()])), 1),
        **at_least(named, goal),
        "ratio": round(named, 4),
    }


def against_rules(name: str, homes: list[Recording]) -> dict[str, object]:
    """The bill of the plan beside that of the best rule, on every home."""
    ratios = []
    for home in homes:
        cost = {policy: rung.cost for policy, rung in ladder(name, home, (*RULES, "plan")).rungs.items()}
        ratios.append(cost["plan"] / min(cost[rule] for rule in RULES))
    return {
        "best_of": round(min(ratios), 3),
        "mean": round(float(np.mean(ratios)), 3),
        **at_most(max(ratios), 1.0),
    }


def one_minute() -> dict[str, object]:
    """A year at 1 min: the bill after the real-time layer beside the same plan's at 15 min."""
    (load,) = recordings(str(DATA / "homes" / "uci_1min_2008.parquet"))
    home = replace(load, pv_kwh=sun_kwh(load, 4.5))
    one, _ = find_tariff(f"{TARIFFS}:{MINUTE_TARIFF}", None)
    quarters = _case(one, coarser(home, 15))
    minutes = replace(_case(one, home), planned=quarters)
    cost, cpu_s = {}, {}
    for name, case in (("1min", minutes), ("15min", quarters)):
        for policy in ("none", "rule", "plan"):
            begin = os.times()
            powers = POLICIES[policy](case, lambda _: None)
            end = os.times()
            cost[policy, name] = float(bill(case.laid, case.net_kwh + powers * case.home.hours).exact)
            cpu_s[policy, name] = end.user - begin.user
    gap = abs(cost["plan", "1min"] - cost["plan", "15min"]) / cost["none", "1min"]
    return {
        **{f"{policy}_{name}": round(value, 2) for (policy, name), value in cost.items()},
        "gap": {**at_most(gap, 0.02), "ratio": round(gap, 4)},
        "below_self_consumption": at_most(cost["plan", "1min"] / cost["rule", "1min"], 1.0),
        "plan_15min_cpu_s": {**at_most(cpu_s["plan", "15min"], 120.0)},
        "plan_1min_cpu_s": round(cpu_s["plan", "1min"], 1),
    }


def _case(one: tariff.Tariff, home: Recording) -> Case:
    return Case(home, lay(one, home, {})[0], BATTERY)


def sun_kwh(home: Recording, kwp: float) -> Floats:
    """What a roof to the south gives in each interval, from irradiance measured on these days of a year."""
    weather = read(DATA / "weather" / "dwd_aachen_10min_2023.parquet")
    times = pd.DatetimeIndex(weather.start_s.astype("datetime64[s]")).tz_localize("UTC")
    sun = pvlib.solarposition.get_solarposition(times, 50.8, 6.1)
    columns = {name: np.nan_to_num(weather.columns[f"{name}_irradiance"]) for name in ("global", "diffuse")}
    direct = pvlib.irradiance.dni(
        pd.Series(columns["global"], times), pd.Series(columns["diffuse"], times), sun["zenith"]
    ).fillna(0.0)
    plane = pvlib.irradiance.get_total_irradiance(
        35.0, 180.0, sun["zenith"], sun["azimuth"], direct, columns["global"], columns["diffuse"]
    )["poa_global"].fillna(0.0)
    power_kw = kwp * plane.to_numpy() / 1000.0 * 0.85
    year = 365 * 86_400
    second = (home.start_s - home.start_s[0] - 3600) % year  # the home's clock is an hour before UTC
    kwh: Floats = np.interp(second, weather.start_s - weather.start_s[0], power_kw) * home.hours
    return kwh


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
