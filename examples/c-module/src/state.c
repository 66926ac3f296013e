#include "state.h"

#include <time.h>

#include "clock.h"

static void put_text(text *to, const char *name, const char *words)
{
    text_format(to, ",\"%s\":", name);
    text_quoted(to, words);
}

static void put_measured(text *to, const char *name, double number, int decimals)
{
    text_format(to, "\"%s\":", name);
    text_measured(to, number, decimals);
}

void description_write_public(const module *m, text *to)
{
    text_put(to, "{\"ores\":\"1.0\"");
    put_text(to, "id", m->self.id);
    put_text(to, "maker", MAKER);
    put_text(to, "model", MODEL);
    text_put(to, ",\"profiles\":[\"storage\"]}");
}

static void put_capabilities(text *to)
{
    const bounds *b = &battery_bounds;
    text_put(to, "{\"ac_measure\":{\"accuracy_pct\":1},\"energy\":{\"resolution_wh\":0.1},");
    text_format(to, "\"rating\":{\"consume_max_w\":%.0f,\"produce_max_w\":%.0f,", b->consume_max_w, b->produce_max_w);
    text_put(to, "\"current_max_a\":16,\"voltage_v\":230},");
    text_put(to, "\"limit\":{\"consume\":true,\"produce\":true},");
    text_format(to, "\"setpoint\":{\"consume_max_w\":%.0f,\"produce_max_w\":%.0f,", b->setpoint_consume_max_w,
                b->setpoint_produce_max_w);
    text_format(to, "\"consume_min_w\":%.0f,\"step_w\":%.0f,\"response_s\":2,\"ramp_w_per_s\":%d},", b->consume_min_w,
                b->step_w, RAMP_W_PER_S);
    text_format(to, "\"storage\":{\"capacity_wh\":%d,\"charge_efficiency_pct\":%d,\"discharge_efficiency_pct\":%d,"
                "\"reserve_setting\":true},\"fault\":{}}",
                CAPACITY_WH, CHARGE_EFFICIENCY_PCT, DISCHARGE_EFFICIENCY_PCT);
}

void description_write(const module *m, text *to)
{
    text_put(to, "{\"ores\":\"1.0\"");
    put_text(to, "id", m->self.id);
    put_text(to, "name", m->options.name);
    put_text(to, "maker", MAKER);
    put_text(to, "model", MODEL);
    put_text(to, "serial", "0001"); /* a simulation has no plate; never the id, which is announced (SEC-002) */
    put_text(to, "firmware_version", "1.0");
    text_format(to, ",\"profiles\":[\"storage\"],\"report_period_s\":%d", REPORT_PERIOD_S);
    text_put(to, ",\"policies\":[\"idle\",\"schedule\"],\"requests\":[\"restart\"],\"element_count\":1,");
    text_put(to, "\"elements\":[{\"id\":\"" ELEMENT "\",\"kind\":\"battery\",\"bus\":\"grid\",");
    text_put(to, "\"terminals\":[\"L1\"],\"connection\":\"single_phase\",\"capabilities\":");
    put_capabilities(to);
    text_put(to, "}]}");
}

static void put_fault_codes(const module *m, text *to)
{
    text_format(to, "{\"codes\":[%s%s%s]}", m->failsafe_lost ? "\"store_lost\"" : "",
                m->failsafe_lost && m->store_failing ? "," : "", m->store_failing ? "\"store_failed\"" : "");
}

void faults_write(const module *m, text *to)
{
    text_put(to, "{\"elements\":{");
    if (m->failsafe_lost || m->store_failing) {
        text_put(to, "\"" ELEMENT "\":");
        put_fault_codes(m, to);
    }
    text_put(to, "}}");
}

static void put_limits(const module *m, text *to)
{
    limits range = hold_range(&battery_bounds, &m->held);
    put_measured(to, "limit\":{\"consume_max_w", m->held.max.consume_max_w, 1);
    text_put(to, ",");
    put_measured(to, "produce_max_w", m->held.max.produce_max_w, 1);
    text_format(to, ",\"limited_by\":\"%s\"},", limited_by_words[hold_deepest(&battery_bounds, &m->held)]);
    put_measured(to, "setpoint\":{\"power_w", m->setpoint.power_w, 1);
    text_put(to, ",");
    put_measured(to, "consume_max_w", range.consume_max_w, 1);
    text_put(to, ",");
    put_measured(to, "produce_max_w", range.produce_max_w, 1);
    text_put(to, "},");
}

static void put_element(const module *m, text *to)
{
    const battery *b = &m->battery;
    put_measured(to, "ac_measure\":{\"power_w", b->power_w, 1);
    text_put(to, "},");
    put_measured(to, "energy\":{\"energy_in_wh", b->energy_in_wh, 1);
    text_put(to, ",");
    put_measured(to, "energy_out_wh", b->energy_out_wh, 1);
    text_format(to, ",\"counter_epoch\":%lu},", (unsigned long)b->counter_epoch);
    put_limits(m, to);
    put_measured(to, "storage\":{\"soc_pct", battery_soc_pct(b), 2);
    text_put(to, ",");
    put_measured(to, "reserve_pct", m->reserve_pct, 2);
    text_put(to, "}");
    if (m->failsafe_lost || m->store_failing) {
        text_put(to, ",\"fault\":");
        put_fault_codes(m, to);
    }
}

static void put_time(const module *m, text *to)
{
    int64_t utc_s;
    char words[32];
    if (!clock_utc_s(m->options.clock_trusted, &utc_s)) return;
    time_t now = (time_t)utc_s;
    struct tm parts;
    if (!gmtime_r(&now, &parts) || !strftime(words, sizeof words, "%Y-%m-%dT%H:%M:%SZ", &parts)) return;
    text_format(to, ",\"time\":\"%s\"", words);
}

void state_write(const module *m, uint64_t now_ms, text *to)
{
    const lease_state *l = &m->lease;
    text_format(to, "{\"boot_id\":\"%s\",\"uptime_ms\":%llu", m->boot_id, (unsigned long long)now_ms);
    put_time(m, to);
    text_format(to, ",\"control_source\":\"%s\"", l->in_force ? "lease" : "policy");
    text_format(to, ",\"policy\":\"%s\"", policy_words[m->policy.kind]);
    if (l->in_force) {
        text_format(to, ",\"lease\":{\"epoch\":%llu,", (unsigned long long)l->epoch);
        text_format(to, "\"seq\":%llu,", (unsigned long long)l->seq);
        put_measured(to, "expires_in_s", l->ends_ms > now_ms ? (double)(l->ends_ms - now_ms) / 1000 : 0, 1);
        text_put(to, "}");
    }
    text_put(to, ",\"elements\":{\"" ELEMENT "\":{");
    put_element(m, to);
    text_put(to, "}}}");
}
