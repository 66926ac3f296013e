#include "battery.h"

#include <math.h>

const bounds battery_bounds = {.consume_max_w = 3680, .produce_max_w = 3680, .setpoint_consume_max_w = 3600,
                               .setpoint_produce_max_w = 3600, .consume_min_w = 50, .step_w = 10};

/* The longest time between two steps; what is stored must last for it, so that no step goes below the reserve. */
static const double step_h = 0.25 / 3600;

double battery_soc_pct(const battery *b) { return b->stored_wh * 100 / CAPACITY_WH; }

own_bounds battery_own_bounds(const battery *b, double reserve_pct)
{
    own_bounds own = {0, 0, BY_SOC};
    if (!isfinite(b->stored_wh)) return own; /* what is not known is neither drawn from (SET-004) nor filled further */
    double reserve_wh = CAPACITY_WH * reserve_pct / 100;
    double free_wh = CAPACITY_WH - b->stored_wh, above_reserve_wh = b->stored_wh - reserve_wh;
    own.consume_max_w = free_wh <= 0 ? 0 : fmin(free_wh * 100 / CHARGE_EFFICIENCY_PCT / step_h, 1e6);
    double given_wh = above_reserve_wh * DISCHARGE_EFFICIENCY_PCT / 100;
    own.produce_max_w = given_wh <= 0 ? 0 : fmin(given_wh / step_h, 1e6);
    own.produce_by = reserve_wh > 0 ? BY_RESERVE : BY_SOC;
    return own;
}

void battery_step(battery *b, double setpoint_w, limits held, double seconds)
{
    double ramp_w = RAMP_W_PER_S * seconds;
    double power_w = b->power_w + fmax(-ramp_w, fmin(ramp_w, setpoint_w - b->power_w));
    power_w = fmax(-held.produce_max_w, fmin(held.consume_max_w, power_w)); /* limits do not wait for a ramp */
    b->power_w = power_w;
    double energy_wh = fabs(power_w) * seconds / 3600;
    if (power_w > 0) {
        b->energy_in_wh += energy_wh;
        b->stored_wh = fmin(CAPACITY_WH, b->stored_wh + energy_wh * CHARGE_EFFICIENCY_PCT / 100);
    } else {
        b->energy_out_wh += energy_wh;
        b->stored_wh = fmax(0, b->stored_wh - energy_wh * 100 / DISCHARGE_EFFICIENCY_PCT);
    }
}
