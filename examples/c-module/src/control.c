#include "control.h"

#include <string.h>

#include "store.h"

static bool keep(module *m, const char *name, const text *record)
{
    bool kept = !record->overflowed && store_put(name, record->start, record->used);
    if (m->store_failing == kept) m->notable++;
    m->store_failing = !kept; /* the fault `store_failed`, until something could be kept again */
    return kept;
}

static bool refuse(problem *why, const char *code, const char *detail)
{
    *why = problem_of(code, detail);
    return false;
}

/* ---- writing ---- */

static void put_limit(text *to, const char *name, double limit_w, bool *first)
{
    if (limit_w < 0) return;
    text_format(to, "%s\"%s\":", *first ? "" : ",", name);
    text_number(to, limit_w);
    *first = false;
}

void failsafe_write(const module *m, text *to)
{
    bool first = true;
    text_put(to, "{\"elements\":{");
    if (m->failsafe.consume_max_w >= 0 || m->failsafe.produce_max_w >= 0) {
        text_put(to, "\"" ELEMENT "\":{");
        put_limit(to, "consume_max_w", m->failsafe.consume_max_w, &first);
        put_limit(to, "produce_max_w", m->failsafe.produce_max_w, &first);
        text_put(to, "}");
    }
    text_put(to, "}}");
}

void policy_write(const module *m, text *to)
{
    text_format(to, "{\"kind\":\"%s\"", policy_words[m->policy.kind]);
    if (m->policy.kind == POLICY_SCHEDULE) {
        text_put(to, ",\"schedule\":[");
        for (size_t i = 0; i < m->policy.slot_count; i++) {
            text_format(to, "%s{\"start_s\":%u,\"power_w\":", i ? "," : "", m->policy.slots[i].start_s);
            text_number(to, m->policy.slots[i].power_w);
            text_put(to, "}");
        }
        text_put(to, "]");
    }
    text_put(to, "}");
}

void settings_write(const module *m, text *to)
{
    text_put(to, "{\"elements\":{\"" ELEMENT "\":{\"storage\":{\"reserve_pct\":");
    text_number(to, m->reserve_pct);
    text_put(to, "}}}}");
}

/* ---- reading: into a copy, so that all of it holds or none ---- */

static bool failsafe_read(json message, limits *read, problem *why)
{
    limits fresh = {NOT_GIVEN, NOT_GIVEN};
    for (json_item item = json_items(json_member(message, "elements")); item.value; item = json_next(item)) {
        if (!json_text_is(item.key, ELEMENT)) return refuse(why, "unknown_element", "there is one element: " ELEMENT);
        if (json_member(item.value, "current_max_a"))
            return refuse(why, "unknown_capability", "it limits watts, not amperes");
        fresh = limits_read(item.value);
        if (fresh.consume_max_w > battery_bounds.consume_max_w || fresh.produce_max_w > battery_bounds.produce_max_w)
            return refuse(why, "out_of_range", "above the rating of 3680 W"); /* SAFE-008 */
    }
    *read = fresh;
    return true;
}

static bool policy_read(json message, policy_choice *read, problem *why)
{
    json kind = json_member(message, "kind");
    policy_choice fresh = {.kind = POLICY_IDLE};
    while (fresh.kind < POLICY_COUNT && !json_text_is(kind, policy_words[fresh.kind])) fresh.kind++;
    if (fresh.kind == POLICY_COUNT) return refuse(why, "unknown_policy", "offered are idle and schedule");
    if (fresh.kind == POLICY_SCHEDULE) fresh.slot_count = schedule_read(message, fresh.slots);
    *read = fresh;
    return true;
}

static bool settings_read(json message, double *reserve_pct, problem *why)
{
    for (json_item item = json_items(json_member(message, "elements")); item.value; item = json_next(item)) {
        if (!json_text_is(item.key, ELEMENT)) return refuse(why, "unknown_element", "there is one element: " ELEMENT);
        json storage = json_member(item.value, "storage");
        if (storage) *reserve_pct = json_number(json_member(storage, "reserve_pct"));
    }
    return true;
}

/* ---- putting: kept first, then in force, then answered (SAFE-005, SAFE-009) ---- */

static char record[STORE_RECORD_MAX + 1];

bool failsafe_put(module *m, json message, problem *why)
{
    limits before = m->failsafe;
    bool lost_before = m->failsafe_lost;
    text fresh = text_in(record, sizeof record);
    if (!failsafe_read(message, &m->failsafe, why)) return false;
    failsafe_write(m, &fresh);
    m->failsafe_lost = false;
    if (keep(m, "failsafe", &fresh)) {
        if (lost_before) m->notable++;
        return true;
    }
    m->failsafe = before;
    m->failsafe_lost = lost_before;
    return refuse(why, "storage_failed", "the limits before still hold");
}

bool policy_put(module *m, json message, problem *why)
{
    policy_choice before = m->policy;
    text fresh = text_in(record, sizeof record);
    if (!policy_read(message, &m->policy, why)) return false;
    policy_write(m, &fresh);
    if (keep(m, "policy", &fresh)) return true;
    m->policy = before;
    return refuse(why, "storage_failed", "the policy before still holds");
}

bool settings_put(module *m, json message, problem *why)
{
    double before = m->reserve_pct, asked = before;
    text fresh = text_in(record, sizeof record);
    if (!settings_read(message, &asked, why)) return false;
    m->reserve_pct = asked;
    settings_write(m, &fresh);
    if (keep(m, "settings", &fresh)) return true;
    m->reserve_pct = before;
    return refuse(why, "storage_failed", "the settings before still hold");
}

/* ---- boot ---- */

static json load(const char *name, const shape *wanted)
{
    size_t size;
    json root;
    misfit where;
    if (store_get(name, record, STORE_RECORD_MAX, &size) != STORE_FOUND) return NULL;
    return !json_check(record, size, &root) && shape_check(root, wanted, &where) ? root : NULL;
}

void control_load(module *m)
{
    problem ignored;
    json message = load("failsafe", &shape_of_failsafe);
    if (!message || !failsafe_read(message, &m->failsafe, &ignored)) {
        /* Nobody knows what was agreed, so the strictest is assumed (SAFE-010); without a pin nothing was agreed. */
        m->failsafe_lost = m->pins.count > 0 || m->pins.needs_act;
        m->failsafe.consume_max_w = m->failsafe.produce_max_w = m->failsafe_lost ? 0 : NOT_GIVEN;
    }
    message = load("policy", &shape_of_policy);
    if (message) policy_read(message, &m->policy, &ignored);
    message = load("settings", &shape_of_settings);
    if (message) settings_read(message, &m->reserve_pct, &ignored);
}

bool control_to_factory(module *m)
{
    static const limits none = {NOT_GIVEN, NOT_GIVEN};
    text fresh = text_in(record, sizeof record);
    m->failsafe = none;
    m->failsafe_lost = false;
    memset(&m->policy, 0, sizeof m->policy);
    m->reserve_pct = 0;
    failsafe_write(m, &fresh); /* the record exists from now on: where it is missing, it was lost */
    return keep(m, "failsafe", &fresh) && store_remove("policy") && store_remove("settings");
}
