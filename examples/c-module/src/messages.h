/* The commands that a module reads, as shapes, and what stands in them. */
#ifndef ORES_MESSAGES_H
#define ORES_MESSAGES_H

#include "shape.h"

enum { SCHEDULE_SLOTS_MAX = 48, CERTIFICATE_SIZE_MAX = 1024, CERTIFICATE_BASE64_MAX = 1368 };

extern const shape shape_of_frame, shape_of_lease, shape_of_failsafe, shape_of_policy, shape_of_settings,
    shape_of_request, shape_of_pairing_start, shape_of_pairing_confirm;

#define NOT_GIVEN (-1.0) /* limits are unsigned, so that this is none */

typedef struct {
    double consume_max_w, produce_max_w;
} limits;

typedef struct {
    bool limit_given, setpoint_given;
    limits limit;
    double setpoint_w;
} command;

typedef struct {
    uint64_t epoch, seq, uptime_ms;
    char boot_id[33];
    double ttl_s;
    json elements;
} lease_message;

typedef struct {
    unsigned start_s;
    double power_w;
} slot;

limits limits_read(json given);
lease_message lease_read(json lease);
size_t schedule_read(json policy, slot slots[SCHEDULE_SLOTS_MAX]);

#endif
