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


@living("sungrow-sh")
def _sungrow(image: Image) -> Callable[[float], None]:
    """A hybrid that follows its external mode for as long as the heartbeat lasts, and its limit for ever."""
    at = {"battery": 0.0, "pv": 4200.0, "soc": 55.0, "in": 1_222_200.0, "out": 1_111_100.0, "left": 0.0}

    def step(dt_s: float) -> None:
        if 0 < at["left"] <= dt_s:
            image.set("holding", 13049, 0)
        at["left"] = max(0.0, at["left"] - dt_s)
        image.set("holding", 13079, round(at["left"]))
        external = image.get(13049) == 3
        sign = {0xAA: 1.0, 0xBB: -1.0}.get(int(image.get(13050)), 0.0)
        wanted = sign * image.get(13051) if external else 500.0
        at["battery"] += min(max(wanted - at["battery"], -20_000 * dt_s), 20_000 * dt_s)
        limit_w = 10.0 * image.get(13089) if image.get(13088) == 0xAA else 10_000.0
        at["pv"] = min(4200.0, max(0.0, limit_w + at["battery"]))
        wh = at["battery"] * dt_s / 3600
        at["in" if wh > 0 else "out"] += abs(wh)
        at["soc"] = min(100.0, max(0.0, at["soc"] + 100 * wh / 9600))
        image.set("input", 13021, f"i16 {round(abs(at['battery']))}")
        image.set("input", 13000, 2 if at["battery"] > 0 else 4)
        image.set("input", 13022, round(10 * at["soc"]))
        image.set("input", 13040, f"u32 low {int(at['in'] / 100)}")
        image.set("input", 13026, f"u32 low {int(at['out'] / 100)}")
        image.set("input", 5016, f"u32 low {round(at['pv'])}")
        image.set("input", 13033, f"i32 low {round(at['pv'] - at['battery'])}")
        export_w = round(at["pv"] - at["battery"] - 900)
        image.set("input", 13009, f"i32 low {export_w}")
        for one in range(3):
            image.set(
                "input",
                5602 + 2 * one,
                f"i32 low {-(export_w // 3) if one else 2 * (export_w // 3) - export_w}",
            )

    def written() -> None:
        address, values = image.writes[-1]
        if address == 13079:
            at["left"] = float(values[0])

    image.on_write = written
    return step


@living("alfen-eve")
def _alfen(image: Image) -> Callable[[float], None]:
    """A charger at which a car charges with all that it may, until nobody renews the limit."""
    at = {"wh": 1_234_567.5, "left": 0.0, "a": 0.0}

    def step(dt_s: float) -> None:
        at["left"] = max(0.0, at["left"] - dt_s)
        allowed_a = image.get(1210, "f32") if at["left"] else image.get(1212, "f32")
        wanted_a = min(allowed_a, 16.0) if allowed_a >= 6 else 0.0
        at["a"] += min(max(wanted_a - at["a"], -40 * dt_s), 40 * dt_s)
        at["wh"] += 690 * at["a"] * dt_s / 3600
        for one in range(3):
            image.set("holding", 320 + 2 * one, f"f32 {at['a']}")
            image.set("holding", 338 + 2 * one, f"f32 {230 * at['a']}")
        image.set("holding", 344, f"f32 {690 * at['a']}")
        image.set("holding", 374, f"f64 {at['wh']}")
        image.set("holding", 1201, "text 5 C2" if at["a"] >= 1 else "text 5 B2")
        image.set("holding", 1206, f"f32 {allowed_a}")
        image.set("holding", 1208, f"u32 {round(at['left'])}")

    def written() -> None:
        if image.writes[-1][0] == 1210:
            at["left"] = 60.0

    image.on_write = written
    return step


@living("huawei-sun2000")
def _huawei(image: Image) -> Callable[[float], None]:
    """A hybrid whose battery is forced for some minutes at a time, and whose limit stays."""
    at = {"battery": 0.0, "pv": 5200.0, "soc": 55.0, "in": 3_456_780.0, "out": 3_333_330.0, "left": 0.0}

    def step(dt_s: float) -> None:
        if 0 < at["left"] <= dt_s:
            image.set("holding", 47100, 0)
        at["left"] = max(0.0, at["left"] - dt_s)
        forced = {1: image.get(47247, "u32"), 2: -image.get(47249, "u32")}
        wanted = forced.get(int(image.get(47100)), 500.0)
        at["battery"] += min(max(wanted - at["battery"], -20_000 * dt_s), 20_000 * dt_s)
        at["pv"] = min(5200.0, max(0.0, image.get(40126, "u32") + at["battery"]))
        wh = at["battery"] * dt_s / 3600
        at["in" if wh > 0 else "out"] += abs(wh)
        at["soc"] = min(100.0, max(0.0, at["soc"] + 100 * wh / 10_000))
        given_w = round(at["pv"] - at["battery"])
        image.set("holding", 37765, f"i32 {round(at['battery'])}")
        image.set("holding", 37760, round(10 * at["soc"]))
        image.set("holding", 37780, f"u32 {int(at['in'] / 10)}")
        image.set("holding", 37782, f"u32 {int(at['out'] / 10)}")
        image.set("holding", 32064, f"i32 {round(at['pv'])}")
        image.set("holding", 32080, f"i32 {given_w}")
        export_w = given_w - 900
        image.set("holding", 37113, f"i32 {export_w}")
        for one, share_w in enumerate((export_w - 2 * (export_w // 3), export_w // 3, export_w // 3)):
            image.set("holding", 37132 + 2 * one, f"i32 {share_w}")

    def written() -> None:
        if image.writes[-1][0] in {47083, 47100}:
            at["left"] = 60 * image.get(47083)

    image.on_write = written
    return step


@living("keba-p30")
def _keba(image: Image) -> Callable[[float], None]:
    """A charger that shows nothing of what it is told but how the car then charges."""
    at = {"wh": 7_654_321.0, "left": 0.0, "a": 0.0, "allowed": 16.0}

    def step(dt_s: float) -> None:
        at["left"] = max(0.0, at["left"] - dt_s)
        allowed_a = image.get(5004) / 1000 if image.get(5014) else 0.0
        if not at["left"]:
            allowed_a = image.get(5016) / 1000
        wanted_a = min(allowed_a, 16.0) if allowed_a >= 6 else 0.0
        at["a"] += min(max(wanted_a - at["a"], -40 * dt_s), 40 * dt_s)
        at["wh"] += 690 * at["a"] * dt_s / 3600
        for one in range(3):
            image.set("holding", 1008 + 2 * one, f"u32 {round(1000 * at['a'])}")
        image.set("holding", 1020, f"u32 {round(690_000 * at['a'])}")
        image.set("holding", 1036, f"u32 {int(10 * at['wh'])}")
        image.set("holding", 1000, f"u32 {3 if at['a'] >= 1 else 5}")

    def written() -> None:
        if image.writes[-1][0] == 5018:
            at["left"] = image.get(5018)

    image.on_write = written
    return step
