/* The module: what it is, whom it trusts, what holds now. One per process, advanced by module_tick. Times are its
   uptime in ms. */
#ifndef ORES_MODULE_H
#define ORES_MODULE_H

#include "battery.h"
#include "hold.h"
#include "pairing.h"
#include "pins.h"
#include "text.h"

#define ELEMENT "battery"
#define MAKER "ORES working group"
#define MODEL "C battery"
#define REPORT_PERIOD_S 1

typedef struct {
    uint8_t key[KEY_DER_MAX], certificate[CERTIFICATE_MAX];
    size_t key_size, certificate_size;
    uint8_t fingerprint[HASH_SIZE], secret[SECRET_SIZE];
    char id[ID_SIZE], code[CODE_SIZE];
} identity;

typedef struct {
    bool in_force;
    uint64_t epoch, seq, ends_ms;
    command asked;
    bool seq_known; /* highest accepted of the highest epoch in this boot (LEASE-007) */
    uint64_t seq_highest;
} lease_state;

typedef enum { POLICY_IDLE, POLICY_SCHEDULE, POLICY_COUNT } policy_kind; /* the first is the default (POL-001) */
extern const char *const policy_words[POLICY_COUNT];

typedef struct {
    policy_kind kind;
    size_t slot_count;
    slot slots[SCHEDULE_SLOTS_MAX];
} policy_choice;

typedef struct {
    const char *name; /* as its owner calls it */
    double soc_pct;   /* at the first start of the simulation */
    bool observers_allowed, clock_trusted;
} module_options;

typedef struct {
    module_options options;
    identity self;
    char boot_id[17];
    uint64_t booted_ms; /* by the monotonic clock */
    pins pins;
    pairing pairing;
    lease_state lease;
    limits failsafe;
    bool failsafe_lost, store_failing;
    policy_choice policy;
    double reserve_pct;
    battery battery;
    held_limits held;
    held_setpoint setpoint;
    uint64_t ticked_ms;
    unsigned notable; /* counts changes that are worth a state at once (STREAM-003) */
    bool pins_changed, restart_asked;
} module;

/* From power on: everything that is kept is loaded, and the limits hold, before the first tick (SAFE-003).
   The text says what a person must do when it fails; NULL is success. */
const char *module_boot(module *m, const module_options *options);
void module_tick(module *m, uint64_t now_ms);
/* What holds from now on: after everything that the formula of 4.9 depends on has changed (MODE-001). */
void module_hold(module *m);
uint64_t module_uptime_ms(const module *m);
/* Before the power goes in order: the counters survive (CAP-004). */
void module_stop(module *m);

void module_button(module *m, uint64_t now_ms);
bool module_factory_reset(module *m); /* LIFE-002, LIFE-003 */
void module_end_lease(module *m);

pairing_facts module_pairing_facts(const module *m, const uint8_t *fingerprint);

#endif
