#include "lease.h"

#include <string.h>

enum { STALE_MS = 5000 };
enum { APPLIED, CLIPPED, REFUSED };
static const char *const result_words[] = {"applied", "clipped", "refused"};

/* Why the lease as a whole does not count; NULL where it does. In the order of the standard's ids. */
static const char *refusal(const module *m, const lease_message *l, uint64_t now_ms)
{
    if (strcmp(l->boot_id, m->boot_id) != 0) return "lease_other_boot";
    if (l->uptime_ms > now_ms || now_ms - l->uptime_ms > STALE_MS) return "lease_stale";
    if (!m->pins.epoch_known || l->epoch > m->pins.epoch) return NULL;
    if (l->epoch < m->pins.epoch) return "lease_old_epoch";
    if (m->lease.seq_known && l->seq <= m->lease.seq_highest) return "lease_old_seq";
    return NULL;
}

/* ---- outcomes: written one by one, the worst is remembered ---- */

typedef struct {
    text *to;
    int worst;
    const char *first_refusal; /* its code */
    bool element_open, any;
    json element;
} outcomes;

static void put_key(text *to, json key) { text_bytes(to, key, (size_t)(json_end(key) - key)); }

static void begin_outcome(outcomes *o, const char *capability, int result)
{
    if (result > o->worst) o->worst = result;
    if (!o->element_open) {
        text_put(o->to, o->any ? "," : ",\"outcomes\":{");
        put_key(o->to, o->element);
        text_put(o->to, ":{");
    }
    text_format(o->to, "%s\"%s\":{\"result\":\"%s\"", o->element_open ? "," : "", capability, result_words[result]);
    o->element_open = o->any = true;
}

static void refuse_one(outcomes *o, const char *capability, const char *code)
{
    begin_outcome(o, capability, REFUSED);
    if (!o->first_refusal) o->first_refusal = code;
    text_format(o->to, ",\"code\":\"%s\"}", code);
}

static void end_element(outcomes *o)
{
    if (o->element_open) text_put(o->to, "}");
    o->element_open = false;
}

/* Each capability that was asked of an element that is not there (LEASE-019). */
static void refuse_unknown_element(outcomes *o, json asked)
{
    static const char *const capabilities[] = {"limit", "setpoint", "switch", "mode"};
    for (size_t i = 0; i < 4; i++)
        if (json_member(asked, capabilities[i])) refuse_one(o, capabilities[i], "unknown_element");
}

static void clip_limit(outcomes *o, const limits *asked)
{
    bool consume = asked->consume_max_w > battery_bounds.consume_max_w;
    bool produce = asked->produce_max_w > battery_bounds.produce_max_w;
    if (!consume && !produce) return;
    begin_outcome(o, "limit", CLIPPED); /* LEASE-022 */
    if (consume) text_format(o->to, ",\"consume_max_w\":%.0f", battery_bounds.consume_max_w);
    if (produce) text_format(o->to, ",\"produce_max_w\":%.0f", battery_bounds.produce_max_w);
    text_put(o->to, ",\"limited_by\":\"rating\"}");
}

static void clip_setpoint(outcomes *o, const module *m, const command *asked)
{
    own_bounds own = battery_own_bounds(&m->battery, m->reserve_pct);
    held_limits held = hold_limits(&battery_bounds, asked, &m->failsafe, &own);
    held_setpoint instead = hold_setpoint(&battery_bounds, &held, asked->setpoint_w);
    if (instead.by == BY_NOTHING) return;
    begin_outcome(o, "setpoint", CLIPPED); /* LEASE-021 */
    text_put(o->to, ",\"power_w\":");
    text_measured(o->to, instead.power_w, 1);
    text_format(o->to, ",\"limited_by\":\"%s\"}", limited_by_words[instead.by]);
}

/* What is refused counts as absent (LEASE-020). */
static command take_command(outcomes *o, const module *m, json asked)
{
    command taken = {.limit_given = false};
    json limit = json_member(asked, "limit"), setpoint = json_member(asked, "setpoint");
    if (limit) {
        taken.limit_given = true;
        taken.limit = limits_read(limit);
        if (!json_member(limit, "current_max_a")) clip_limit(o, &taken.limit);
        else refuse_one(o, "limit", "unknown_capability"); /* no limit in amperes is declared; watts hold (LEASE-032) */
    }
    if (setpoint) {
        taken.setpoint_given = true;
        taken.setpoint_w = json_number(json_member(setpoint, "power_w"));
        clip_setpoint(o, m, &taken);
    }
    if (json_member(asked, "switch")) refuse_one(o, "switch", "unknown_capability");
    if (json_member(asked, "mode")) refuse_one(o, "mode", "unknown_capability");
    return taken;
}

static command take_elements(outcomes *o, const module *m, json elements)
{
    command taken = {.limit_given = false};
    for (json_item item = json_items(elements); item.value; item = json_next(item)) {
        o->element = item.key;
        if (json_text_is(item.key, ELEMENT)) taken = take_command(o, m, item.value);
        else refuse_unknown_element(o, item.value);
        end_element(o);
    }
    if (o->any) text_put(o->to, "}");
    return taken;
}

static void refuse_whole(const lease_message *l, const char *code, const char *detail, text *result)
{
    text_format(result, "{\"epoch\":%llu,\"seq\":%llu,\"result\":\"refused\",\"code\":\"%s\"",
                (unsigned long long)l->epoch, (unsigned long long)l->seq, code);
    if (detail) text_format(result, ",\"detail\":\"%s\"", detail);
    text_put(result, "}");
}

static void put_in_force(module *m, const lease_message *l, const command *asked, uint64_t now_ms)
{
    m->lease.in_force = true;
    m->lease.epoch = l->epoch;
    m->lease.seq = m->lease.seq_highest = l->seq;
    m->lease.seq_known = true;
    m->lease.ends_ms = now_ms + (uint64_t)(l->ttl_s * 1000);
    m->lease.asked = *asked;
    module_hold(m);
}

static char outcome_memory[3072];

void lease_take(module *m, json lease, uint64_t now_ms, text *result)
{
    lease_message l = lease_read(lease);
    const char *code = refusal(m, &l, now_ms);
    if (code) {
        refuse_whole(&l, code, NULL, result);
        return;
    }
    text list = text_in(outcome_memory, sizeof outcome_memory);
    outcomes o = {.to = &list};
    command asked = take_elements(&o, m, l.elements);
    if (list.overflowed) { /* an outcome that is not told would pass for applied (LEASE-031) */
        refuse_whole(&l, o.first_refusal, "more is refused than the answer has room for", result);
        return;
    }
    bool new_epoch = !m->pins.epoch_known || l.epoch > m->pins.epoch;
    if (new_epoch && !pins_keep_epoch(&m->pins, l.epoch)) { /* LEASE-008, LEASE-026 */
        refuse_whole(&l, "storage_failed", "the epoch could not be kept", result);
        return;
    }
    put_in_force(m, &l, &asked, now_ms);
    text_format(result, "{\"epoch\":%llu,\"seq\":%llu,\"result\":\"%s\"", (unsigned long long)l.epoch,
                (unsigned long long)l.seq, result_words[o.worst]);
    text_bytes(result, list.start, list.used);
    text_put(result, "}");
}
