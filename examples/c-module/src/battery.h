/* The device behind the module: a store with an inverter of its own, simulated. On a real one, this file talks to
   the battery's management system and the inverter. */
#ifndef ORES_BATTERY_H
#define ORES_BATTERY_H

#include "hold.h"

enum { CAPACITY_WH = 9600, CHARGE_EFFICIENCY_PCT = 96, DISCHARGE_EFFICIENCY_PCT = 95, RAMP_W_PER_S = 5000 };
extern const bounds battery_bounds;

typedef struct {
    double stored_wh; /* NAN: unknown */
    double power_w;   /* at the AC terminals; positive charges (QTY-001) */
    double energy_in_wh, energy_out_wh;
    uint32_t counter_epoch;
} battery;

double battery_soc_pct(const battery *b);
own_bounds battery_own_bounds(const battery *b, double reserve_pct);

/* Moves time on by `seconds`, towards `setpoint_w`, never beyond `range`. */
void battery_step(battery *b, double setpoint_w, limits held, double seconds);

#endif
