#include "pairing.h"

#include <string.h>

const char *const role_words[] = {"stranger", "observer", "controller"};

static void base32(char *to, const char *alphabet, const uint8_t *bytes, size_t count)
{
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < count; i++) {
        held = (held << 8 | bytes[i]) & 0xFFFF;
        for (bits += 8; bits >= 5; bits -= 5) *to++ = alphabet[held >> (bits - 5) & 31];
    }
    if (bits > 0) *to++ = alphabet[held << (5 - bits) & 31];
    *to = '\0';
}

static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", lower[] = "abcdefghijklmnopqrstuvwxyz234567";

void pairing_code(char to[CODE_SIZE], const uint8_t secret[SECRET_SIZE])
{
    char symbols[29];
    unsigned sum = 0;
    base32(symbols, upper, secret, SECRET_SIZE);
    for (unsigned i = 0; i < 26; i++) sum += (i + 1) * (unsigned)(strchr(upper, symbols[i]) - upper);
    sum %= 1021;
    symbols[26] = upper[sum / 32], symbols[27] = upper[sum % 32];
    memcpy(to, "ORES", 4);
    to += 4;
    for (int i = 0; i < 28; i++) {
        if (i % 4 == 0) *to++ = '-';
        *to++ = symbols[i];
    }
    *to = '\0';
}

void pairing_id(char to[ID_SIZE], const uint8_t fingerprint[HASH_SIZE]) { base32(to, lower, fingerprint, 16); }

static size_t append(uint8_t *to, size_t used, const void *bytes, size_t count)
{
    memcpy(to + used, bytes, count);
    return used + count;
}

void pairing_proof(uint8_t to[HASH_SIZE], bool of_module, const uint8_t secret[SECRET_SIZE],
                   const uint8_t module_fingerprint[HASH_SIZE], const pairing_start *start)
{
    const char *whose = of_module ? "ORES-PAIRING-1 module" : "ORES-PAIRING-1 hub";
    const char *role = role_words[start->role];
    uint8_t message[176];
    size_t used = append(message, 0, whose, strlen(whose) + 1); /* its NUL is the byte 00 of the table */
    used = append(message, used, module_fingerprint, HASH_SIZE);
    used = append(message, used, start->fingerprint, HASH_SIZE);
    used = append(message, used, start->hub_nonce, NONCE_SIZE);
    used = append(message, used, start->module_nonce, NONCE_SIZE);
    used = append(message, used, role, strlen(role));
    crypto_hmac_sha256(to, secret, SECRET_SIZE, message, used);
}

static bool window_is_open(const pairing *p, uint64_t now_ms)
{
    return p->opened && now_ms - p->opened_ms < WINDOW_MS;
}

const char *pairing_refusal(const pairing *p, const pairing_facts *facts, uint64_t now_ms)
{
    if (p->tries >= TRIES_MAX) return "pairing_locked";
    if ((facts->has_controller || facts->needs_act) && !window_is_open(p, now_ms)) return "pairing_closed";
    return NULL;
}

const char *pairing_role_refusal(const pairing_facts *facts, peer_role role)
{
    if (role == ROLE_OBSERVER && !facts->observers_allowed) return "pairing_role_refused";
    if (role == ROLE_CONTROLLER && facts->has_controller && !facts->same_controller) return "pairing_has_controller";
    return NULL;
}

bool pairing_replayed(const pairing *p, const uint8_t nonce[NONCE_SIZE])
{
    unsigned remembered = p->nonces_seen < NONCES_REMEMBERED ? p->nonces_seen : NONCES_REMEMBERED;
    for (unsigned i = 0; i < remembered; i++)
        if (memcmp(p->nonces[i], nonce, NONCE_SIZE) == 0) return true;
    return false;
}

bool pairing_begin(pairing *p, const pairing_start *start, uint64_t now_ms)
{
    p->start = *start; /* forgets the one before (PAIR-012) */
    p->start.at_ms = now_ms;
    p->start.waiting = crypto_random(p->start.module_nonce, NONCE_SIZE);
    memcpy(p->nonces[p->nonces_seen++ % NONCES_REMEMBERED], start->hub_nonce, NONCE_SIZE);
    if (++p->tries == TRIES_MAX) p->locked_ms = now_ms;
    return p->start.waiting;
}

bool pairing_take(pairing *p, const uint8_t hub_nonce[NONCE_SIZE], uint64_t now_ms)
{
    bool fits = p->start.waiting && now_ms - p->start.at_ms <= CONFIRM_MS &&
                memcmp(hub_nonce, p->start.hub_nonce, NONCE_SIZE) == 0;
    if (fits) p->start.waiting = false; /* one start is one guess (PAIR-011) */
    return fits;
}

void pairing_succeeded(pairing *p)
{
    p->tries = 0;
    p->lockouts = 0;
    p->opened = false;
}

void pairing_open(pairing *p, uint64_t now_ms)
{
    p->opened = true;
    p->opened_ms = now_ms;
}

uint64_t pairing_pause_left_ms(const pairing *p, uint64_t now_ms)
{
    uint64_t pause_ms = PAUSE_MS;
    for (unsigned i = 0; i < p->lockouts && pause_ms < PAUSE_MAX_MS; i++) pause_ms *= 2;
    if (pause_ms > PAUSE_MAX_MS) pause_ms = PAUSE_MAX_MS;
    uint64_t waited_ms = now_ms - p->locked_ms;
    return p->tries < TRIES_MAX || waited_ms >= pause_ms ? 0 : pause_ms - waited_ms;
}

bool pairing_press(pairing *p, uint64_t now_ms)
{
    if (pairing_pause_left_ms(p, now_ms) > 0) return false;
    if (p->tries >= TRIES_MAX) p->lockouts++; /* the next pause is twice as long (PAIR-021) */
    p->tries = 0;
    pairing_open(p, now_ms);
    return true;
}
