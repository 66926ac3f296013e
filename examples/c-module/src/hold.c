#include "hold.h"

#include <math.h>

const char *const limited_by_words[] = {"rating", "lease", "failsafe", "soc", "reserve", "minimum", ""};

static void tighten(double *limit_w, limited_by *by, double bound_w, limited_by reason)
{
    if (bound_w < *limit_w) {
        *limit_w = bound_w;
        *by = reason;
    }
}

/* A limit that the lease does not give is the failsafe limit, never "unlimited" (HOLD-003). */
static void tighten_by_order(double *limit_w, limited_by *by, double leased_w, double failsafe_w)
{
    if (leased_w >= 0) tighten(limit_w, by, leased_w, BY_LEASE);
    else if (failsafe_w >= 0) tighten(limit_w, by, failsafe_w, BY_FAILSAFE);
}

held_limits hold_limits(const bounds *device, const command *lease, const limits *failsafe, const own_bounds *own)
{
    static const limits none = {NOT_GIVEN, NOT_GIVEN};
    const limits *leased = lease && lease->limit_given ? &lease->limit : &none;
    held_limits held = {{device->consume_max_w, device->produce_max_w}, BY_RATING, BY_RATING};
    tighten_by_order(&held.max.consume_max_w, &held.consume_by, leased->consume_max_w, failsafe->consume_max_w);
    tighten_by_order(&held.max.produce_max_w, &held.produce_by, leased->produce_max_w, failsafe->produce_max_w);
    tighten(&held.max.consume_max_w, &held.consume_by, own->consume_max_w, BY_SOC);
    tighten(&held.max.produce_max_w, &held.produce_by, own->produce_max_w, own->produce_by);
    return held;
}

limited_by hold_deepest(const bounds *device, const held_limits *held)
{
    double consume_left = held->max.consume_max_w / device->consume_max_w;
    double produce_left = held->max.produce_max_w / device->produce_max_w;
    return produce_left < consume_left ? held->produce_by : held->consume_by;
}

limits hold_range(const bounds *device, const held_limits *held)
{
    limits range = {fmin(held->max.consume_max_w, device->setpoint_consume_max_w),
                    fmin(held->max.produce_max_w, device->setpoint_produce_max_w)};
    if (range.consume_max_w < device->consume_min_w) range.consume_max_w = 0;
    return range;
}

held_setpoint hold_setpoint(const bounds *device, const held_limits *held, double wanted_w)
{
    held_setpoint result = {wanted_w, BY_NOTHING};
    bool consuming = wanted_w > 0;
    double size_w = fabs(wanted_w);
    double limit_w = consuming ? held->max.consume_max_w : held->max.produce_max_w;
    double range_w = consuming ? device->setpoint_consume_max_w : device->setpoint_produce_max_w;
    tighten(&size_w, &result.by, range_w, BY_RATING); /* the range lies within the rating (CAP-009) */
    tighten(&size_w, &result.by, limit_w, consuming ? held->consume_by : held->produce_by);
    if (device->step_w > 0) /* less than a step is no clipping (LEASE-023) */
        size_w = floor(size_w / device->step_w + 1e-9) * device->step_w;
    if (consuming && size_w > 0 && size_w < device->consume_min_w) {
        if (result.by == BY_NOTHING) result.by = BY_MINIMUM; /* else the limit that left so little is named */
        size_w = 0;
    }
    result.power_w = size_w == 0 ? 0 : consuming ? size_w : -size_w;
    return result;
}
