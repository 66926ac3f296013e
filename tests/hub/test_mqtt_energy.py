"""Energy over MQTT: neither lost nor doubled, and never falling."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ores.hub.doors.mqtt_energy import Part, Totals
from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.clock import RealClock
from ores.model import AcMeasure, ElementState, Energy

IMPORT = Part("house/grid_import_kwh", "Grid import", False, ("m/meter/energy_in_kwh",), ())
EXPORT = Part("house/grid_export_kwh", "Grid export", True, ("m/meter/energy_out_kwh",), ())
SUMMED = Part("house/solar_kwh", "Solar production", True, (), ("m/roof",))
BOTH = Part("house/solar_kwh", "Solar production", True, ("m/meter/energy_out_kwh",), ("m/roof",))


def totals(path: Path, *parts: Part) -> tuple[Totals, StateDir]:
    directory = StateDir(path)
    it = Totals(directory, Notices(RealClock()))
    it.describe(parts or (IMPORT, EXPORT))
    return it, directory


def roof(power_w: float | None) -> dict[str, ElementState]:
    return {"m/roof": ElementState(ac_measure=AcMeasure(power_w=power_w))}


def meter(in_wh: float | None, out_wh: float | None = 0.0, epoch: int = 1) -> dict[str, ElementState]:
    return {
        "m/meter": ElementState(energy=Energy(energy_in_wh=in_wh, energy_out_wh=out_wh, counter_epoch=epoch))
    }


def house_kwh(it: Totals) -> float | None:
    text = it.values([])[IMPORT.topic]
    return None if text == "None" else float(text)


def test_the_house_begins_at_nothing_however_old_its_meter_is(tmp_path: Path) -> None:
    it, directory = totals(tmp_path)
    assert house_kwh(it) is None
    it.look(meter(5_000_000.0), 0.0)
    assert house_kwh(it) == 0.0
    it.look(meter(5_000_250.0), 1.0)
    assert house_kwh(it) == 0.25
    directory.close()


def test_what_flows_while_the_meter_is_silent_comes_when_it_speaks(tmp_path: Path) -> None:
    it, directory = totals(tmp_path)
    it.look(meter(1000.0), 0.0)
    it.look({}, 1.0)
    it.look(meter(None), 2.0)
    it.look(meter(1500.0), 900.0)
    assert house_kwh(it) == 0.5
    directory.close()


def test_a_counter_that_begins_anew_moves_nothing(tmp_path: Path) -> None:
    it, directory = totals(tmp_path)
    it.look(meter(1000.0), 0.0)
    it.look(meter(1200.0), 1.0)
    it.look(meter(3.0, epoch=2), 2.0)
    assert house_kwh(it) == 0.2
    it.look(meter(13.0, epoch=2), 3.0)
    assert house_kwh(it) == 0.21
    directory.close()


def test_a_restart_of_the_hub_loses_nothing_that_a_device_counts(tmp_path: Path) -> None:
    it, directory = totals(tmp_path)
    it.look(meter(1000.0), 0.0)
    it.look(meter(1100.0), 1.0)
    it.save()
    it.look(meter(1300.0), 2.0)  # and then the power is cut
    directory.close()
    it, directory = totals(tmp_path)
    it.look(meter(1700.0), 0.0)
    assert house_kwh(it) == 0.7
    directory.close()


def test_what_is_summed_is_told_only_when_it_is_kept(tmp_path: Path) -> None:
    it, directory = totals(tmp_path, SUMMED)
    for second in range(181):
        it.look(roof(-3600.0), float(second))
    told = it.values([])[SUMMED.topic]
    assert told == "0.180"
    directory.close()
    it, directory = totals(tmp_path, SUMMED)
    assert it.values([])[SUMMED.topic] == told
    directory.close()


def test_of_a_home_in_which_one_counts_and_one_does_not_both_are_there(tmp_path: Path) -> None:
    it, directory = totals(tmp_path, BOTH)
    for second in range(61):
        it.look({**meter(0.0, 100.0 + second), **roof(-3600.0)}, float(second))
    assert it.values([])[BOTH.topic] == "0.120"
    directory.close()


def test_nothing_is_made_up_for_a_gap(tmp_path: Path) -> None:
    it, directory = totals(tmp_path, SUMMED)
    it.look(roof(-3600.0), 0.0)
    it.look(roof(None), 1.0)
    it.look(roof(-3600.0), 2.0)
    it.look(roof(-3600.0), 200.0)
    it.save()
    assert it.values([])[SUMMED.topic] == "None"
    directory.close()


def test_a_damaged_file_is_said_and_the_counting_goes_on(tmp_path: Path) -> None:
    (tmp_path / "mqtt.json").write_bytes(b"{")
    it, directory = totals(tmp_path)
    it.look(meter(1000.0), 0.0)
    it.save()
    assert list(tmp_path.glob("mqtt.json.damaged-*"))
    directory.close()


readings = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0.0, 1e9)), st.integers(0, 3), st.booleans()), max_size=30
)


@settings(deadline=None, max_examples=50)
@given(readings)
def test_no_counter_ever_falls(tmp_path_factory: object, said: list[tuple[float | None, int, bool]]) -> None:
    path = tmp_path_factory.mktemp("counted")  # type: ignore[attr-defined]
    it, directory = totals(path)
    last_kwh, epoch = 0.0, 0
    for at_s, (raw_wh, step, restarts) in enumerate(said):
        epoch += step
        it.look(meter(raw_wh, epoch=epoch), float(at_s))
        now_kwh = house_kwh(it)
        if now_kwh is not None:
            assert now_kwh >= last_kwh
            last_kwh = now_kwh
        if restarts:
            it.save()
            directory.close()
            it, directory = totals(path)
    directory.close()
