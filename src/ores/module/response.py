"""How fast power follows a command, for devices and for those who model one. Pure."""

from __future__ import annotations

import math


def ramped_w(power_w: float, target_w: float, dt_s: float, ramp_w_per_s: float) -> float:
    """Power after `dt_s` on its way to the target, at most `ramp_w_per_s` fast either way.

    Args:
        power_w: Now, positive into the element.
        target_w: Where it goes.
        dt_s: >= 0.
        ramp_w_per_s: > 0.
    """
    reach_w = ramp_w_per_s * dt_s
    return min(max(target_w, power_w - reach_w), power_w + reach_w)


def settled_w(power_w: float, target_w: float, dt_s: float, response_s: float) -> float:
    """Power after `dt_s` of a first-order response that makes 90 % of a change within `response_s`.

    With the time constant T the rest of a change is exp(-t / T), so T = response_s / ln 10. The result does
    not depend on how `dt_s` is cut into steps.

    Args:
        power_w: Now, positive into the element.
        target_w: Where it goes.
        dt_s: >= 0.
        response_s: >= 0; 0 is at once.
    """
    if response_s == 0:
        return target_w
    return target_w + (power_w - target_w) * math.pow(10.0, -dt_s / response_s)
