"""A panel that measures its own mains: what hangs behind them is metered, and no part of the residual."""

import pytest
from tests.control.control_homes import METER, PANEL, describe, snap, state

from ores.control.flow import flow


def test_circuits_behind_the_mains_are_not_taken_for_unmetered_loads() -> None:
    mains = {
        "id": "mains", "kind": "meter", "bus": "grid", "terminals": ["L1"],
        "capabilities": {"ac_measure": {"connection_point": True}},
    }  # fmt: skip
    circuits = [
        {
            "id": name, "kind": "circuit", "bus": "grid", "upstream": upstream, "terminals": ["L1"],
            "capabilities": {"ac_measure": {}},
        }
        for name, upstream in (("a", "mains"), ("b", "mains"), ("behind_b", "b"))
    ]  # fmt: skip
    powers = {"mains": 1000.0, "a": 300.0, "b": 500.0, "behind_b": 400.0}
    measured = state({name: {"ac_measure": {"power_w": power_w}} for name, power_w in powers.items()})
    now = flow(snap([(describe(PANEL, [mains, *circuits]), measured)]))
    assert now.unmetered_w == pytest.approx(200.0)


def test_where_two_meters_claim_the_connection_point_nobody_knows_what_flows() -> None:
    def claim(name: str) -> dict[str, object]:
        return {
            "id": name, "kind": "meter", "bus": "grid", "terminals": ["L1"],
            "capabilities": {"ac_measure": {"connection_point": True}},
        }  # fmt: skip

    one, other = (state({name: {"ac_measure": {"power_w": 500.0}}}) for name in ("mains", "rival"))
    house = snap([(describe(PANEL, [claim("mains")]), one), (describe(METER, [claim("rival")]), other)])
    assert len(house.topology.rivals) == 1
    assert flow(house).grid_w is None
    assert flow(house).load_w is None
