/* Pairing (chapter 4.3): the code, the proofs, and when a start is taken. Nothing here is kept over a boot. */
#ifndef ORES_PAIRING_H
#define ORES_PAIRING_H

#include "tls.h"

enum { SECRET_SIZE = 16, NONCE_SIZE = 32, TRIES_MAX = 5, NONCES_REMEMBERED = 8, CODE_SIZE = 40, ID_SIZE = 27 };
enum { WINDOW_MS = 600000, CONFIRM_MS = 60000, PAUSE_MS = 30000, PAUSE_MAX_MS = 3600000 };

typedef enum { ROLE_STRANGER, ROLE_OBSERVER, ROLE_CONTROLLER } peer_role;
extern const char *const role_words[];

typedef struct {
    uint8_t fingerprint[HASH_SIZE], hub_nonce[NONCE_SIZE], module_nonce[NONCE_SIZE];
    peer_role role;
    uint64_t at_ms;
    bool waiting;
} pairing_start;

typedef struct {
    uint8_t nonces[NONCES_REMEMBERED][NONCE_SIZE];
    unsigned nonces_seen, tries, lockouts;
    pairing_start start;
    uint64_t locked_ms, opened_ms;
    bool opened; /* at opened_ms, by an act at the device or by the controller's release */
} pairing;

/* What of the pins matters here. */
typedef struct {
    bool has_controller, same_controller, needs_act, observers_allowed;
} pairing_facts;

void pairing_code(char to[CODE_SIZE], const uint8_t secret[SECRET_SIZE]);
void pairing_id(char to[ID_SIZE], const uint8_t fingerprint[HASH_SIZE]);
void pairing_proof(uint8_t to[HASH_SIZE], bool of_module, const uint8_t secret[SECRET_SIZE],
                   const uint8_t module_fingerprint[HASH_SIZE], const pairing_start *start);

/* Why every start would be refused now (PAIR-024); NULL where one would be looked at. */
const char *pairing_refusal(const pairing *p, const pairing_facts *facts, uint64_t now_ms);
/* Why this role would be. */
const char *pairing_role_refusal(const pairing_facts *facts, peer_role role);
bool pairing_replayed(const pairing *p, const uint8_t nonce[NONCE_SIZE]);
/* Counts a try, remembers the nonce, and draws the module's. */
bool pairing_begin(pairing *p, const pairing_start *start, uint64_t now_ms);
/* Takes the one confirmation of the start; false where there is none to confirm. */
bool pairing_take(pairing *p, const uint8_t hub_nonce[NONCE_SIZE], uint64_t now_ms);
void pairing_succeeded(pairing *p);
void pairing_open(pairing *p, uint64_t now_ms);
/* An act at the device; false while a lock-out's pause lasts. */
bool pairing_press(pairing *p, uint64_t now_ms);
uint64_t pairing_pause_left_ms(const pairing *p, uint64_t now_ms);

#endif
