/* Whom the module trusts, and the controller's highest epoch: one record, because they stand and fall together. */
#ifndef ORES_PINS_H
#define ORES_PINS_H

#include "pairing.h"

enum { PINS_MAX = 4 };

typedef struct {
    peer_role role;
    uint8_t fingerprint[HASH_SIZE];
} pin;

typedef struct {
    pin list[PINS_MAX];
    unsigned count;
    bool epoch_known; /* of the controller in the list (LEASE-008) */
    uint64_t epoch;
    bool needs_act; /* released, or damaged: pairing asks for somebody at the device (PAIR-030) */
} pins;

/* What cannot be read is taken for "paired with nobody": closed until somebody is at the device. */
pins pins_load(void);

/* Each of these keeps the change where it survives a loss of power, or changes nothing and answers false. */
bool pins_add(pins *p, peer_role role, const uint8_t fingerprint[HASH_SIZE]);
bool pins_remove(pins *p, const uint8_t fingerprint[HASH_SIZE]);
bool pins_keep_epoch(pins *p, uint64_t epoch);
bool pins_clear(pins *p);

peer_role pins_role(const pins *p, const uint8_t fingerprint[HASH_SIZE]); /* ROLE_STRANGER where not pinned */
bool pins_has_controller(const pins *p);

#endif
