#include "messages.h"

#define COUNT_MAX 9007199254740991.0
#define END {NULL, NULL, false}

static bool is_element_rune(uint32_t r, size_t index)
{
    bool letter = r >= 'a' && r <= 'z';
    return letter || (index > 0 && ((r >= '0' && r <= '9') || r == '_'));
}

static bool is_hex_rune(uint32_t r, size_t index)
{
    (void)index;
    return (r >= '0' && r <= '9') || (r >= 'a' && r <= 'f');
}

static bool is_base64_rune(uint32_t r, size_t index)
{
    (void)index;
    bool letter = (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z');
    return letter || (r >= '0' && r <= '9') || r == '+' || r == '/' || r == '=';
}

static const shape element_id = {.kind = SHAPE_TEXT, .allowed = "an element id: a-z, then a-z 0-9 _, at most 32",
                                 .least = 1, .most = 32, .rune_fits = is_element_rune};
static const shape word = {.kind = SHAPE_TEXT, .allowed = "text of 1 to 64", .least = 1, .most = 64};
static const shape flag = {.kind = SHAPE_FLAG, .allowed = "true or false"};
static const shape count = {.kind = SHAPE_INTEGER, .allowed = "an integer, 0 to 2^53-1", .least = 0, .most = COUNT_MAX};
static const shape power = {.kind = SHAPE_NUMBER, .allowed = "a number, -1e6 to 1e6", .least = -1e6, .most = 1e6};
static const shape limit_w = {.kind = SHAPE_NUMBER, .allowed = "a number, 0 to 1e6", .least = 0, .most = 1e6};
static const shape current = {.kind = SHAPE_NUMBER, .allowed = "a number, 0 to 10000", .least = 0, .most = 10000};
static const shape percent = {.kind = SHAPE_NUMBER, .allowed = "a number, 0 to 100", .least = 0, .most = 100};

/* lease.json */

static const field limits_fields[] = {
    {"consume_max_w", &limit_w, false}, {"produce_max_w", &limit_w, false}, {"current_max_a", &current, false}, END};
static const shape limits_shape = {.kind = SHAPE_OBJECT, .allowed = "limits", .fields = limits_fields};
static const field setpoint_fields[] = {{"power_w", &power, true}, END};
static const shape setpoint = {.kind = SHAPE_OBJECT, .allowed = "a set-point", .fields = setpoint_fields};
static const field switch_fields[] = {{"closed", &flag, true}, END};
static const shape switch_shape = {.kind = SHAPE_OBJECT, .allowed = "a position", .fields = switch_fields};
static const field mode_fields[] = {{"mode", &word, true}, END};
static const shape mode = {.kind = SHAPE_OBJECT, .allowed = "a mode", .fields = mode_fields};
static const field command_fields[] = {{"limit", &limits_shape, false},
                                       {"setpoint", &setpoint, false},
                                       {"switch", &switch_shape, false},
                                       {"mode", &mode, false},
                                       END};
static const shape element_command = {.kind = SHAPE_OBJECT, .allowed = "a command", .fields = command_fields};
static const shape element_commands = {.kind = SHAPE_MAP, .allowed = "commands keyed by element, at most 256",
                                       .most = 256, .keys = &element_id, .items = &element_command};
static const shape boot_id = {.kind = SHAPE_TEXT, .allowed = "8 to 32 lower-case hexadecimal digits", .least = 8,
                              .most = 32, .rune_fits = is_hex_rune};
static const shape ttl = {.kind = SHAPE_NUMBER, .allowed = "more than 0, at most 900", .least = 0, .most = 900,
                          .above_least = true};
static const field lease_fields[] = {{"epoch", &count, true},     {"seq", &count, true},
                                     {"boot_id", &boot_id, true}, {"uptime_ms", &count, true},
                                     {"ttl_s", &ttl, true},       {"elements", &element_commands, true},
                                     END};
const shape shape_of_lease = {.kind = SHAPE_OBJECT, .allowed = "a lease", .fields = lease_fields};
static const field frame_fields[] = {{"lease", &shape_of_lease, true}, END};
const shape shape_of_frame = {.kind = SHAPE_OBJECT, .allowed = "an object with a lease", .fields = frame_fields};

/* control.json */

static const shape element_limits = {.kind = SHAPE_MAP, .allowed = "limits keyed by element, at most 256", .most = 256,
                                     .keys = &element_id, .items = &limits_shape};
static const field failsafe_fields[] = {{"elements", &element_limits, true}, {"epoch", &count, false}, END};
const shape shape_of_failsafe = {.kind = SHAPE_OBJECT, .allowed = "failsafe limits", .fields = failsafe_fields};

static const shape second_of_day = {.kind = SHAPE_INTEGER, .allowed = "an integer, 0 to 86399", .most = 86399};
static const field slot_fields[] = {{"start_s", &second_of_day, true}, {"power_w", &power, true}, END};
static const shape slot_shape = {.kind = SHAPE_OBJECT, .allowed = "a slot", .fields = slot_fields};
static const shape schedule = {.kind = SHAPE_LIST, .allowed = "at most 48 slots", .most = SCHEDULE_SLOTS_MAX,
                               .items = &slot_shape};
static const field policy_fields[] = {
    {"kind", &word, true}, {"schedule", &schedule, false}, {"epoch", &count, false}, END};
const shape shape_of_policy = {.kind = SHAPE_OBJECT, .allowed = "a policy", .fields = policy_fields};

static const field storage_fields[] = {{"reserve_pct", &percent, true}, END};
static const shape storage = {.kind = SHAPE_OBJECT, .allowed = "settings of a store", .fields = storage_fields};
static const field element_settings_fields[] = {{"storage", &storage, false}, END};
static const shape element_setting = {.kind = SHAPE_OBJECT, .allowed = "settings", .fields = element_settings_fields};
static const shape element_settings = {.kind = SHAPE_MAP, .allowed = "settings keyed by element, at most 256",
                                       .most = 256, .keys = &element_id, .items = &element_setting};
static const field settings_fields[] = {{"elements", &element_settings, true}, {"epoch", &count, false}, END};
const shape shape_of_settings = {.kind = SHAPE_OBJECT, .allowed = "settings", .fields = settings_fields};

static const field request_fields[] = {
    {"element", &element_id, false}, {"request", &word, true}, {"epoch", &count, false}, END};
const shape shape_of_request = {.kind = SHAPE_OBJECT, .allowed = "a request", .fields = request_fields};

/* pairing.json; what stands there is never told again (ERR-005) */

static const shape certificate = {.kind = SHAPE_TEXT, .allowed = "128 to 1368 of base64", .least = 128,
                                  .most = CERTIFICATE_BASE64_MAX, .rune_fits = is_base64_rune, .secret = true};
static const shape hex64 = {.kind = SHAPE_TEXT, .allowed = "64 lower-case hexadecimal digits", .least = 64, .most = 64,
                            .rune_fits = is_hex_rune, .secret = true};
static const char *const roles[] = {"controller", "observer", NULL};
static const shape role = {.kind = SHAPE_TEXT, .allowed = "controller or observer", .words = roles};
static const field start_fields[] = {{"hub_certificate", &certificate, true},
                                     {"hub_nonce", &hex64, true},
                                     {"name", &word, true},
                                     {"role", &role, true},
                                     END};
const shape shape_of_pairing_start = {.kind = SHAPE_OBJECT, .allowed = "a start", .fields = start_fields};
static const field confirm_fields[] = {{"hub_nonce", &hex64, true}, {"hub_proof", &hex64, true}, END};
const shape shape_of_pairing_confirm = {.kind = SHAPE_OBJECT, .allowed = "a confirmation", .fields = confirm_fields};

static double optional_number(json object, const char *name)
{
    json value = json_member(object, name);
    return value ? json_number(value) : NOT_GIVEN;
}

limits limits_read(json given)
{
    limits read = {optional_number(given, "consume_max_w"), optional_number(given, "produce_max_w")};
    return read;
}

lease_message lease_read(json lease)
{
    lease_message read = {.epoch = json_count(json_member(lease, "epoch")),
                          .seq = json_count(json_member(lease, "seq")),
                          .uptime_ms = json_count(json_member(lease, "uptime_ms")),
                          .ttl_s = json_number(json_member(lease, "ttl_s")),
                          .elements = json_member(lease, "elements")};
    json_text(json_member(lease, "boot_id"), read.boot_id, sizeof read.boot_id);
    return read;
}

size_t schedule_read(json policy, slot slots[SCHEDULE_SLOTS_MAX])
{
    size_t used = 0;
    json given = json_member(policy, "schedule");
    if (!given) return 0;
    for (json_item item = json_items(given); item.value; item = json_next(item), used++) {
        slots[used].start_s = (unsigned)json_count(json_member(item.value, "start_s"));
        slots[used].power_w = json_number(json_member(item.value, "power_w"));
    }
    return used;
}
