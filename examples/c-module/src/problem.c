#include "problem.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    int status;
    const char *title;
} known[] = {
    {"bad_request", 400, "Not HTTP as the standard uses it"},
    {"forbidden", 403, "Not for this peer"},
    {"not_found", 404, "No such resource"},
    {"method_not_allowed", 405, "Method not allowed"},
    {"request_timeout", 408, "Request too slow"},
    {"too_large", 413, "Body too large"},
    {"upgrade_required", 426, "WebSocket required"},
    {"internal", 500, "Internal error"},
    {"too_many_sessions", 503, "Too many sessions"},
    {"pairing_closed", 403, "Pairing is closed"},
    {"pairing_locked", 429, "Pairing is locked"},
    {"pairing_wrong_code", 403, "Wrong pairing code"},
    {"pairing_replayed", 409, "Pairing replayed"},
    {"pairing_not_started", 409, "Pairing not started"},
    {"pairing_bad_certificate", 400, "Certificate cannot be pinned"},
    {"pairing_role_refused", 403, "Role refused"},
    {"pairing_has_controller", 409, "Another hub controls this module"},
    {"invalid_message", 400, "Message not allowed by its schema"},
    {"lease_old_epoch", 409, "Past epoch"},
    {"unknown_element", 404, "No such element"},
    {"unknown_capability", 409, "Not among the element's capabilities"},
    {"unknown_policy", 409, "Policy not offered"},
    {"out_of_range", 409, "Outside what the element allows"},
    {"storage_failed", 507, "Could not be kept"},
};

static size_t row_of(const char *code)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].code, code) == 0) return i;
    return 7; /* internal: a code without a row is a defect of this program */
}

problem problem_of(const char *code, const char *detail)
{
    problem p = {.code = code};
    snprintf(p.detail, sizeof p.detail, "%s", detail);
    return p;
}

problem problem_misfit(const misfit *where)
{
    problem p = {.code = "invalid_message", .where = *where};
    return p;
}

int problem_status(const char *code) { return known[row_of(code)].status; }

static void put_field(text *to, const char *name, const char *words)
{
    text_format(to, ",\"%s\":", name);
    text_quoted(to, words);
}

void problem_write(text *to, const problem *p)
{
    size_t row = row_of(p->code);
    text_format(to, "{\"title\":\"%s\",\"status\":%d,", known[row].title, known[row].status);
    text_format(to, "\"code\":\"%s\"", known[row].code);
    if (p->detail[0]) put_field(to, "detail", p->detail);
    if (p->where.field[0]) {
        char detail[sizeof p->where + 32];
        const misfit *w = &p->where;
        snprintf(detail, sizeof detail, "%s: found %s, allowed is %s", w->field, w->found, w->allowed);
        put_field(to, "detail", detail);
        put_field(to, "field", p->where.field);
        put_field(to, "found", p->where.found);
        put_field(to, "allowed", p->where.allowed);
    }
    if (p->retry_after_s > 0) {
        text_put(to, ",\"retry_after_s\":");
        text_measured(to, p->retry_after_s, 0);
    }
    text_put(to, "}");
}
