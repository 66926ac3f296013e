#include "module.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "control.h"
#include "identity.h"
#include "store.h"

enum { STEP_MAX_MS = 250 };

const char *const policy_words[POLICY_COUNT] = {"idle", "schedule"};

typedef struct {
    double stored_wh, energy_in_wh, energy_out_wh;
    uint32_t counter_epoch;
} plant_record;

/* Taken out of the store while the module runs: where it is missing at a start, energy may have been lost, and the
   counters begin a new epoch (CAP-004). */
static void load_plant(module *m)
{
    union {
        plant_record record;
        char bytes[sizeof(plant_record) + 1];
    } kept;
    size_t size = 0;
    bool whole = store_get("plant", kept.bytes, sizeof kept.record, &size) == STORE_FOUND && size == sizeof kept.record;
    battery fresh = {.stored_wh = CAPACITY_WH * m->options.soc_pct / 100};
    m->battery = fresh;
    if (whole && store_remove("plant")) {
        m->battery.stored_wh = kept.record.stored_wh;
        m->battery.energy_in_wh = kept.record.energy_in_wh;
        m->battery.energy_out_wh = kept.record.energy_out_wh;
        m->battery.counter_epoch = kept.record.counter_epoch;
    } else {
        crypto_random((uint8_t *)&m->battery.counter_epoch, sizeof m->battery.counter_epoch);
    }
}

void module_stop(module *m)
{
    plant_record record;
    memset(&record, 0, sizeof record);
    record.stored_wh = m->battery.stored_wh;
    record.energy_in_wh = m->battery.energy_in_wh;
    record.energy_out_wh = m->battery.energy_out_wh;
    record.counter_epoch = m->battery.counter_epoch;
    store_put("plant", &record, sizeof record);
}

const char *module_boot(module *m, const module_options *options)
{
    uint8_t boot[8];
    size_t size;
    char key[KEY_DER_MAX + 1];
    memset(m, 0, sizeof *m);
    m->options = *options;
    m->booted_ms = clock_monotonic_ms();
    bool first_start = store_get("key", key, KEY_DER_MAX, &size) == STORE_MISSING;
    /* before the key: whoever has a key has these records, or has lost them */
    if (first_start && !(control_to_factory(m) && pins_clear(&m->pins))) return "the state folder cannot be written";
    const char *trouble = identity_load(&m->self);
    if (trouble) return trouble;
    if (!crypto_random(boot, sizeof boot)) return "no random numbers";
    hex_write(m->boot_id, boot, sizeof boot);
    m->pins = pins_load();
    control_load(m);
    load_plant(m);
    module_hold(m); /* the limits are there before the first watt (SAFE-003) */
    return NULL;
}

uint64_t module_uptime_ms(const module *m) { return clock_monotonic_ms() - m->booted_ms; }

/* The last slot that has begun today; before the first of the day, the last of all (POL-005). */
static double scheduled_w(const policy_choice *p, unsigned second_of_day)
{
    const slot *begun = NULL, *last = NULL;
    for (size_t i = 0; i < p->slot_count; i++) {
        const slot *s = &p->slots[i];
        if (!last || s->start_s >= last->start_s) last = s;
        if (s->start_s <= second_of_day && (!begun || s->start_s >= begun->start_s)) begun = s;
    }
    return begun ? begun->power_w : last ? last->power_w : 0;
}

static double policy_setpoint_w(const module *m)
{
    int64_t utc_s;
    if (m->policy.kind != POLICY_SCHEDULE || !clock_utc_s(m->options.clock_trusted, &utc_s)) return 0; /* POL-004 */
    return scheduled_w(&m->policy, (unsigned)(utc_s % 86400));
}

void module_hold(module *m)
{
    own_bounds own = battery_own_bounds(&m->battery, m->reserve_pct);
    const command *asked = m->lease.in_force ? &m->lease.asked : NULL;
    double wanted_w = asked && asked->setpoint_given ? asked->setpoint_w : policy_setpoint_w(m);
    m->held = hold_limits(&battery_bounds, asked, &m->failsafe, &own);
    m->setpoint = hold_setpoint(&battery_bounds, &m->held, wanted_w);
}

void module_tick(module *m, uint64_t now_ms)
{
    while (m->ticked_ms < now_ms) {
        uint64_t step_ms = now_ms - m->ticked_ms;
        if (step_ms > STEP_MAX_MS) step_ms = STEP_MAX_MS;
        m->ticked_ms += step_ms;
        if (m->lease.in_force && m->ticked_ms >= m->lease.ends_ms) m->lease.in_force = false; /* SAFE-001 */
        module_hold(m);
        battery_step(&m->battery, m->setpoint.power_w, m->held.max, (double)step_ms / 1000);
    }
    module_hold(m);
}

void module_end_lease(module *m)
{
    memset(&m->lease, 0, sizeof m->lease);
    module_hold(m);
}

void module_button(module *m, uint64_t now_ms) { pairing_press(&m->pairing, now_ms); }

bool module_factory_reset(module *m)
{
    bool done = pins_clear(&m->pins); /* first: access goes before habits */
    memset(&m->pairing, 0, sizeof m->pairing);
    m->pins_changed = true;
    module_end_lease(m);
    done = control_to_factory(m) && done;
    module_hold(m);
    return identity_new_secret(&m->self) && done;
}

pairing_facts module_pairing_facts(const module *m, const uint8_t *fingerprint)
{
    pairing_facts facts = {.has_controller = pins_has_controller(&m->pins),
                           .needs_act = m->pins.needs_act,
                           .observers_allowed = m->options.observers_allowed && m->pins.count < PINS_MAX - 1};
    facts.same_controller = fingerprint && pins_role(&m->pins, fingerprint) == ROLE_CONTROLLER;
    return facts;
}
