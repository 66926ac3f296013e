"""What moves behind the registers of some images, so that they can be judged as a hub would see them."""

from __future__ import annotations

from collections.abc import Callable

from tests.adapters.image import Image, living


@living("eastron-sdm630")
def _sdm630(image: Image) -> Callable[[float], None]:
    """A meter through which a little more and a little less flows."""
    at = {"s": 0.0, "wh": 1_234_500.0}

    def step(dt_s: float) -> None:
        at["s"] += dt_s
        watts = [400 + round(20 * ((at["s"] + one) % 3)) for one in range(3)]
        at["wh"] += sum(watts) * dt_s / 3600
        for one, power_w in enumerate(watts):
            image.set("input", 0x000C + 2 * one, f"f32 {power_w}")
            image.set("input", 0x0006 + 2 * one, f"f32 {power_w / 230.0}")
        image.set("input", 0x0034, f"f32 {sum(watts)}")
        image.set("input", 0x0048, f"f32 {at['wh'] / 1000}")

    return step
