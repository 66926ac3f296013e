"""Sunlight on tilted planes and the direct current that modules make of it, by pvlib."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pvlib import atmosphere, clearsky, irradiance, pvsystem, spa, temperature

from ores.sim.physics.config import PvArray, Site

Floats = NDArray[np.float64]

LINKE_TURBIDITY = 3.0
"""Clear rural air in central Europe (Remund et al., Worldwide Linke turbidity information, ISES 2003)."""
TEMPERATURE_PER_K = -0.0035
"""Of the power of crystalline silicon."""
WIRING_AND_DIRT = 0.95
"""What soiling, mismatch and cables leave; the PVWatts figures for a young, unshaded roof."""

_DELTA_T_S = 69.2
_REFRACTION_DEG = 0.5667


def _day_of_year(unix_s: Floats) -> Floats:
    """1 on the first of January, UTC."""
    day = np.floor(unix_s / 86_400.0).astype(np.int64).astype("datetime64[D]")
    new_year = day.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray((day - new_year).astype(np.float64) + 1.0)


def available_dc_w(
    site: Site, arrays: tuple[PvArray, ...], unix_s: Floats, clear_index: Floats, outdoor_c: Floats
) -> tuple[Floats, Floats]:
    """Direct-current power of each array and the irradiance behind it.

    Sun position: NREL SPA. Clear sky: Ineichen and Perez 2002. Beam and diffuse: Erbs, Klein, Duffie 1982.
    Tilted plane: Hay and Davies 1980. Module temperature: Faiman 2008, 2 m/s of wind. Power: PVWatts 5.

    Args:
        site: Of the house.
        arrays: The planes.
        unix_s: Instants, shape (n_times,).
        clear_index: Part of the clear-sky irradiance that arrives, shape (n_times, n_homes).
        outdoor_c: Shape (n_times, n_homes).

    Returns:
        Available power, shape (n_times, n_arrays, n_homes), >= 0, and the global horizontal irradiance, W/m²,
        shape (n_times, n_homes).
    """
    # The array interface: the one for pandas costs as much again and warns of its own future.
    sun = spa.solar_position(
        unix_s,
        site.latitude_deg,
        site.longitude_deg,
        site.altitude_m,
        1013.25,
        12.0,
        _DELTA_T_S,
        _REFRACTION_DEG,
    )
    zenith, azimuth = sun[0][:, None], sun[4][:, None]
    day = _day_of_year(unix_s)[:, None]
    extra = irradiance.get_extra_radiation(day)
    pressure = atmosphere.alt2pres(site.altitude_m)
    airmass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(zenith), pressure)
    airmass = np.nan_to_num(airmass, nan=40.0)
    # At night pvlib divides by the cosine of the zenith, which is 0; its result there is 0 all the same.
    with np.errstate(divide="ignore", invalid="ignore"):
        clear = clearsky.ineichen(zenith, airmass, LINKE_TURBIDITY, altitude=site.altitude_m, dni_extra=extra)
    ghi = np.nan_to_num(clear["ghi"]) * clear_index
    split = irradiance.erbs(ghi, zenith, day)
    power = np.empty((len(unix_s), len(arrays), clear_index.shape[1]))
    for index, array in enumerate(arrays):
        plane = irradiance.get_total_irradiance(
            array.tilt_deg,
            array.azimuth_deg,
            zenith,
            azimuth,
            split["dni"],
            ghi,
            split["dhi"],
            dni_extra=extra,
            model="haydavies",
        )
        poa = np.nan_to_num(plane["poa_global"])
        cell_c = temperature.faiman(poa, outdoor_c, wind_speed=2.0)
        power[:, index] = pvsystem.pvwatts_dc(poa, cell_c, array.peak_w * WIRING_AND_DIRT, TEMPERATURE_PER_K)
    return np.maximum(power, 0.0), ghi
