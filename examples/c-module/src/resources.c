#include "resources.h"

#include <math.h>
#include <string.h>

#include "control.h"
#include "lease.h"
#include "state.h"

static void refuse(reply *answer, const char *code, const char *detail)
{
    problem why = problem_of(code, detail);
    resources_refuse(answer, &why);
}

void resources_refuse(reply *answer, const problem *why)
{
    answer->body.used = 0;
    answer->body.overflowed = false;
    answer->status = problem_status(why->code);
    answer->is_problem = true;
    problem_write(&answer->body, why);
}

/* The body as a checked message, or NULL with the problem. */
static json read_message(const char *bytes, size_t size, const shape *wanted, problem *why)
{
    json root;
    misfit where;
    const char *fault = json_check(bytes, size, &root);
    if (fault) {
        memset(&where, 0, sizeof where);
        strcpy(where.field, "$");
        strcpy(where.found, fault);
        strcpy(where.allowed, "I-JSON, at most six levels deep");
        *why = problem_misfit(&where);
        return NULL;
    }
    if (shape_check(root, wanted, &where)) return root;
    *why = problem_misfit(&where);
    return NULL;
}

static json message_of(const request *r, const shape *wanted, reply *answer)
{
    problem why;
    json root = read_message(r->body, r->body_size, wanted, &why);
    if (!root) resources_refuse(answer, &why);
    return root;
}

/* ---- reading ---- */

static void get_description(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)now_ms;
    const char *page = strncmp(r->query, "page=", 5) == 0 ? r->query + 5 : NULL;
    if (page && strcmp(page, "1") != 0)
        refuse(answer, "not_found", "there is one page");
    else if (r->role == ROLE_STRANGER) description_write_public(m, &answer->body);
    else description_write(m, &answer->body);
}

static void get_state(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r;
    state_write(m, now_ms, &answer->body);
}

static void get_faults(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r, (void)now_ms;
    faults_write(m, &answer->body);
}

static void get_failsafe(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r, (void)now_ms;
    failsafe_write(m, &answer->body);
}

static void get_policy(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r, (void)now_ms;
    policy_write(m, &answer->body);
}

static void get_settings(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r, (void)now_ms;
    settings_write(m, &answer->body);
}

static void get_stream(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)m, (void)r, (void)now_ms;
    answer->opens_stream = true; /* the server knows the sockets */
}

/* ---- commands ---- */

static void put_lease(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    json lease = message_of(r, &shape_of_lease, answer);
    if (lease) lease_take(m, lease, now_ms, &answer->body);
}

/* What persists is fenced against a cloned hub like a lease, where it says its epoch (LEASE-027). */
static bool of_past_epoch(const module *m, json message)
{
    json epoch = json_member(message, "epoch");
    return epoch && m->pins.epoch_known && json_count(epoch) < m->pins.epoch;
}

typedef bool (*put_control)(module *m, json message, problem *why);
typedef void (*write_control)(const module *m, text *to);

/* Kept, in force, and read back (SAFE-007). */
static void put_kept(module *m, const request *r, const shape *wanted, put_control put, write_control write,
                     reply *answer)
{
    problem why;
    json message = message_of(r, wanted, answer);
    if (!message) return;
    if (of_past_epoch(m, message)) {
        refuse(answer, "lease_old_epoch", "");
        return;
    }
    if (!put(m, message, &why)) {
        resources_refuse(answer, &why);
        return;
    }
    module_hold(m); /* MODE-001 */
    write(m, &answer->body);
}

static void put_failsafe(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)now_ms;
    put_kept(m, r, &shape_of_failsafe, failsafe_put, failsafe_write, answer);
}

static void put_policy(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)now_ms;
    put_kept(m, r, &shape_of_policy, policy_put, policy_write, answer);
}

static void put_settings(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)now_ms;
    put_kept(m, r, &shape_of_settings, settings_put, settings_write, answer);
}

static void post_request(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)m, (void)now_ms;
    json message = message_of(r, &shape_of_request, answer);
    if (!message) return;
    json element = json_member(message, "element");
    if (of_past_epoch(m, message)) {
        text_put(&answer->body, "{\"result\":\"refused\",\"code\":\"lease_old_epoch\",");
        text_put(&answer->body, "\"detail\":\"a hub that has started more often controls this module\"}");
    } else if (element && !json_text_is(element, ELEMENT)) {
        refuse(answer, "unknown_element", "there is one element: " ELEMENT);
    } else if (element || !json_text_is(json_member(message, "request"), "restart")) {
        text_put(&answer->body, "{\"result\":\"refused\",\"code\":\"unknown_request\",");
        text_put(&answer->body, "\"detail\":\"the module as a whole knows restart, its element none\"}");
    } else {
        text_put(&answer->body, "{\"result\":\"accepted\"}");
        answer->then_close = answer->then_restart = true; /* REQ-006 */
    }
}

/* ---- pairing ---- */

static void write_status(const module *m, uint64_t now_ms, text *to)
{
    pairing_facts facts = module_pairing_facts(m, NULL);
    const char *refusal = pairing_refusal(&m->pairing, &facts, now_ms);
    text_format(to, "{\"open\":%s,\"paired\":%s", refusal ? "false" : "true", facts.has_controller ? "true" : "false");
    if (refusal) text_format(to, ",\"closed_because\":\"%s\"", refusal);
    text_put(to, "}");
}

static void get_pairing(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    (void)r;
    write_status(m, now_ms, &answer->body);
}

static int base64_value(char symbol)
{
    if (symbol >= 'A' && symbol <= 'Z') return symbol - 'A';
    if (symbol >= 'a' && symbol <= 'z') return symbol - 'a' + 26;
    if (symbol >= '0' && symbol <= '9') return symbol - '0' + 52;
    return symbol == '+' ? 62 : symbol == '/' ? 63 : -1;
}

/* Strict: full groups, padding at the end only. Size, or 0. */
static size_t base64_read(uint8_t *to, const char *from)
{
    size_t length = strlen(from), size = 0;
    uint32_t held = 0;
    if (length == 0 || length % 4 != 0) return 0;
    size_t padding = (size_t)(from[length - 1] == '=') + (from[length - 2] == '=');
    for (size_t i = 0; i < length; i++) {
        int value = i >= length - padding ? 0 : base64_value(from[i]);
        if (value < 0) return 0;
        held = held << 6 | (uint32_t)value;
        if (i % 4 != 3) continue;
        to[size++] = (uint8_t)(held >> 16);
        to[size++] = (uint8_t)(held >> 8);
        to[size++] = (uint8_t)held;
    }
    return size - padding;
}

/* IDENT-004 to IDENT-006: the peer's TLS library must not stumble over it later (PAIR-014). */
static bool read_certificate(json given, uint8_t fingerprint[HASH_SIZE])
{
    static char base64_text[CERTIFICATE_BASE64_MAX + 1];
    static uint8_t der[CERTIFICATE_BASE64_MAX];
    char cn[64], id[ID_SIZE];
    if (!json_text(given, base64_text, sizeof base64_text)) return false;
    size_t size = base64_read(der, base64_text);
    if (size == 0 || !crypto_check_certificate(der, size, fingerprint, cn)) return false;
    pairing_id(id, fingerprint);
    return strcmp(cn, id) == 0;
}

static void read_hex(json given, uint8_t to[32])
{
    char hex[65];
    if (json_text(given, hex, sizeof hex)) hex_read(to, 32, hex); /* the shape has seen to it */
}

static void refuse_start(const module *m, const char *code, uint64_t now_ms, reply *answer)
{
    problem why = problem_of(code, "");
    if (strcmp(code, "pairing_locked") == 0)
        why.retry_after_s = ceil((double)pairing_pause_left_ms(&m->pairing, now_ms) / 1000);
    resources_refuse(answer, &why);
}

static void put_hex(text *to, const char *name, const uint8_t bytes[32])
{
    char hex[65];
    hex_write(hex, bytes, 32);
    text_format(to, "\"%s\":\"%s\"", name, hex);
}

static void post_start(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    pairing_start start = {.waiting = false};
    uint8_t proof[HASH_SIZE];
    json message = message_of(r, &shape_of_pairing_start, answer);
    if (!message) return;
    bool certified = read_certificate(json_member(message, "hub_certificate"), start.fingerprint);
    read_hex(json_member(message, "hub_nonce"), start.hub_nonce);
    start.role = json_text_is(json_member(message, "role"), "controller") ? ROLE_CONTROLLER : ROLE_OBSERVER;
    pairing_facts facts = module_pairing_facts(m, certified ? start.fingerprint : NULL);
    const char *refusal = pairing_refusal(&m->pairing, &facts, now_ms);
    if (!refusal && pairing_replayed(&m->pairing, start.hub_nonce)) refusal = "pairing_replayed";
    if (!refusal && !certified) refusal = "pairing_bad_certificate";
    if (!refusal) refusal = pairing_role_refusal(&facts, start.role);
    if (refusal) {
        refuse_start(m, refusal, now_ms, answer);
        return;
    }
    if (!pairing_begin(&m->pairing, &start, now_ms)) {
        refuse(answer, "internal", "no random numbers");
        return;
    }
    pairing_proof(proof, true, m->self.secret, m->self.fingerprint, &m->pairing.start); /* PAIR-006 */
    text_put(&answer->body, "{");
    put_hex(&answer->body, "module_nonce", m->pairing.start.module_nonce);
    text_put(&answer->body, ",");
    put_hex(&answer->body, "module_proof", proof);
    text_put(&answer->body, "}");
}

static void post_confirm(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    uint8_t nonce[NONCE_SIZE], given[HASH_SIZE], proof[HASH_SIZE];
    json message = message_of(r, &shape_of_pairing_confirm, answer);
    if (!message) return;
    read_hex(json_member(message, "hub_nonce"), nonce);
    read_hex(json_member(message, "hub_proof"), given);
    if (!pairing_take(&m->pairing, nonce, now_ms)) {
        bool over = pairing_replayed(&m->pairing, nonce);
        refuse(answer, over ? "pairing_replayed" : "pairing_not_started", over ? "its start is over" : "");
        return;
    }
    const pairing_start *start = &m->pairing.start;
    pairing_proof(proof, false, m->self.secret, m->self.fingerprint, start);
    if (!crypto_equal(proof, given, sizeof proof)) {
        refuse(answer, "pairing_wrong_code", "");
        return;
    }
    bool was_controller = pins_role(&m->pins, start->fingerprint) == ROLE_CONTROLLER;
    if (!pins_add(&m->pins, start->role, start->fingerprint)) { /* PAIR-015 */
        refuse(answer, "storage_failed", "the pin could not be kept");
        return;
    }
    if (was_controller && start->role != ROLE_CONTROLLER) module_end_lease(m);
    pairing_succeeded(&m->pairing);
    m->pins_changed = true;
    text_format(&answer->body, "{\"role\":\"%s\",\"module_id\":\"%s\"}", role_words[start->role], m->self.id);
}

/* A peer gives up its own pin, and nothing else (PAIR-025 to PAIR-029). */
static void delete_pairing(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    if (!pins_remove(&m->pins, r->fingerprint)) {
        refuse(answer, "storage_failed", "the pin could not be removed, and still holds");
        return;
    }
    if (r->role == ROLE_CONTROLLER) {
        module_end_lease(m); /* LIFE-005 */
        pairing_open(&m->pairing, now_ms);
    }
    m->pins_changed = true;
    answer->then_close = true;
    write_status(m, now_ms, &answer->body);
}

/* ---- the table of 4.5 ---- */

typedef void (*handler)(module *m, const request *r, uint64_t now_ms, reply *answer);
typedef struct {
    const char *path, *method;
    peer_role least;
    handler handle;
} route;

static const route routes[] = {
    {"/description", "GET", ROLE_STRANGER, get_description},
    {"/pairing", "GET", ROLE_STRANGER, get_pairing},
    {"/pairing", "DELETE", ROLE_OBSERVER, delete_pairing},
    {"/pairing/start", "POST", ROLE_STRANGER, post_start},
    {"/pairing/confirm", "POST", ROLE_STRANGER, post_confirm},
    {"/state", "GET", ROLE_OBSERVER, get_state},
    {"/stream", "GET", ROLE_OBSERVER, get_stream},
    {"/lease", "PUT", ROLE_CONTROLLER, put_lease},
    {"/failsafe", "GET", ROLE_OBSERVER, get_failsafe},
    {"/failsafe", "PUT", ROLE_CONTROLLER, put_failsafe},
    {"/policy", "GET", ROLE_OBSERVER, get_policy},
    {"/policy", "PUT", ROLE_CONTROLLER, put_policy},
    {"/faults", "GET", ROLE_OBSERVER, get_faults},
    {"/settings", "GET", ROLE_OBSERVER, get_settings},
    {"/settings", "PUT", ROLE_CONTROLLER, put_settings},
    {"/requests", "POST", ROLE_CONTROLLER, post_request},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

static const char *methods_of(const char *path)
{
    static char list[32];
    text found = text_in(list, sizeof list);
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].path, path) == 0) text_format(&found, "%s%s", found.used ? ", " : "", routes[i].method);
    return found.used ? list : NULL;
}

void resources_answer(module *m, const request *r, uint64_t now_ms, reply *answer)
{
    static const char base[] = "/ores/v1";
    const char *path = strncmp(r->path, base, strlen(base)) == 0 ? r->path + strlen(base) : "";
    const char *methods = methods_of(path);
    answer->status = 200;
    if (!methods) {
        refuse(answer, "not_found", "");
        return;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        const route *served = &routes[i];
        if (strcmp(served->path, path) != 0 || strcmp(served->method, r->method) != 0) continue;
        if (r->role < served->least) refuse(answer, "forbidden", ""); /* HTTP-002 */
        else served->handle(m, r, now_ms, answer);
        if (answer->body.overflowed) refuse(answer, "internal", "the answer does not fit its memory");
        return;
    }
    refuse(answer, "method_not_allowed", "");
    answer->allow = methods;
}

void resources_frame(module *m, const char *frame, size_t size, peer_role role, uint64_t now_ms, text *answer)
{
    problem why;
    json message = NULL;
    if (role != ROLE_CONTROLLER) why = problem_of("forbidden", "an observer reads"); /* LEASE-002 */
    else if (!frame) why = problem_of("invalid_message", "a frame is one whole text message");
    else message = read_message(frame, size, &shape_of_frame, &why);
    if (message) {
        text_put(answer, "{\"result\":");
        lease_take(m, json_member(message, "lease"), now_ms, answer);
    } else {
        text_put(answer, "{\"problem\":");
        problem_write(answer, &why);
    }
    text_put(answer, "}");
}
