#include "pins.h"

#include <string.h>

#include "store.h"

enum { PIN_BYTES = 1 + HASH_SIZE, RECORD_HEAD = 11 };

static bool save(pins *p, const pins *changed)
{
    uint8_t record[RECORD_HEAD + PINS_MAX * PIN_BYTES];
    record[0] = (uint8_t)changed->count;
    record[1] = changed->needs_act;
    record[2] = changed->epoch_known;
    for (unsigned i = 0; i < 8; i++) record[3 + i] = (uint8_t)(changed->epoch >> (8 * i));
    for (unsigned i = 0; i < changed->count; i++) {
        uint8_t *at = record + RECORD_HEAD + i * PIN_BYTES;
        at[0] = (uint8_t)changed->list[i].role;
        memcpy(at + 1, changed->list[i].fingerprint, HASH_SIZE);
    }
    if (!store_put("pins", record, RECORD_HEAD + changed->count * PIN_BYTES)) return false;
    *p = *changed;
    return true;
}

pins pins_load(void)
{
    pins loaded = {.count = 0};
    uint8_t record[RECORD_HEAD + PINS_MAX * PIN_BYTES + 1];
    size_t size = 0;
    store_result result = store_get("pins", record, sizeof record - 1, &size);
    if (result != STORE_FOUND || size < RECORD_HEAD || size != (size_t)(RECORD_HEAD + record[0] * PIN_BYTES)) {
        loaded.needs_act = true; /* it was there since the first start, and is lost (SAFE-012) */
        return loaded;
    }
    loaded.count = record[0];
    loaded.needs_act = record[1] != 0;
    loaded.epoch_known = record[2] != 0;
    for (unsigned i = 0; i < 8; i++) loaded.epoch |= (uint64_t)record[3 + i] << (8 * i);
    for (unsigned i = 0; i < loaded.count; i++) {
        const uint8_t *at = record + RECORD_HEAD + i * PIN_BYTES;
        loaded.list[i].role = at[0] == ROLE_CONTROLLER ? ROLE_CONTROLLER : ROLE_OBSERVER;
        memcpy(loaded.list[i].fingerprint, at + 1, HASH_SIZE);
    }
    return loaded;
}

static int index_of(const pins *p, const uint8_t fingerprint[HASH_SIZE])
{
    for (unsigned i = 0; i < p->count; i++)
        if (memcmp(p->list[i].fingerprint, fingerprint, HASH_SIZE) == 0) return (int)i;
    return -1;
}

static void take_out(pins *p, unsigned index)
{
    if (p->list[index].role == ROLE_CONTROLLER) { /* its epoch goes with it (PAIR-028) */
        p->epoch_known = false;
        p->epoch = 0;
    }
    p->list[index] = p->list[--p->count];
}

bool pins_add(pins *p, peer_role role, const uint8_t fingerprint[HASH_SIZE])
{
    pins changed = *p;
    int known = index_of(p, fingerprint);
    if (known >= 0) { /* the same key pairs anew: its epoch stays if it stays the controller */
        if (changed.list[known].role == role) return save(p, &changed);
        take_out(&changed, (unsigned)known);
    }
    if (changed.count == PINS_MAX) return false;
    changed.list[changed.count].role = role;
    memcpy(changed.list[changed.count++].fingerprint, fingerprint, HASH_SIZE);
    if (role == ROLE_CONTROLLER) changed.needs_act = false;
    return save(p, &changed);
}

bool pins_remove(pins *p, const uint8_t fingerprint[HASH_SIZE])
{
    pins changed = *p;
    int known = index_of(p, fingerprint);
    if (known < 0) return false;
    if (changed.list[known].role == ROLE_CONTROLLER) changed.needs_act = true;
    take_out(&changed, (unsigned)known);
    return save(p, &changed);
}

bool pins_keep_epoch(pins *p, uint64_t epoch)
{
    pins changed = *p;
    changed.epoch = epoch;
    changed.epoch_known = true;
    return save(p, &changed);
}

bool pins_clear(pins *p)
{
    pins none = {.count = 0};
    return save(p, &none);
}

peer_role pins_role(const pins *p, const uint8_t fingerprint[HASH_SIZE])
{
    int known = index_of(p, fingerprint);
    return known < 0 ? ROLE_STRANGER : p->list[known].role;
}

bool pins_has_controller(const pins *p)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->list[i].role == ROLE_CONTROLLER) return true;
    return false;
}
