/* What holds (chapter 4.9): the formula, of numbers alone. */
#ifndef ORES_HOLD_H
#define ORES_HOLD_H

#include "messages.h"

/* In the order in which a tie is decided: the first of two equally strict reasons is told. */
typedef enum { BY_RATING, BY_LEASE, BY_FAILSAFE, BY_SOC, BY_RESERVE, BY_MINIMUM, BY_NOTHING } limited_by;
extern const char *const limited_by_words[];

typedef struct {
    double consume_max_w, produce_max_w; /* the rating */
    double setpoint_consume_max_w, setpoint_produce_max_w, consume_min_w, step_w;
} bounds;

/* What the device allows itself now, because of its state of charge (HOLD-009). */
typedef struct {
    double consume_max_w, produce_max_w;
    limited_by produce_by; /* BY_SOC or BY_RESERVE */
} own_bounds;

typedef struct {
    limits max;
    limited_by consume_by, produce_by;
} held_limits;

typedef struct {
    double power_w;
    limited_by by; /* BY_NOTHING where it is followed as asked */
} held_setpoint;

held_limits hold_limits(const bounds *device, const command *lease, const limits *failsafe, const own_bounds *own);

/* The word for `limited_by` of a state: of the limit that leaves the least share of its rating (HOLD-005). */
limited_by hold_deepest(const bounds *device, const held_limits *held);

/* The range that could be followed now (HOLD-006). */
limits hold_range(const bounds *device, const held_limits *held);

held_setpoint hold_setpoint(const bounds *device, const held_limits *held, double wanted_w);

#endif
