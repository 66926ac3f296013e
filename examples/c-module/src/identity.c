#include "identity.h"

#include <string.h>

#include "store.h"

static const char cannot_keep[] = "key, certificate and secret cannot be kept: can the state folder be written?";

bool identity_new_secret(identity *self)
{
    uint8_t secret[SECRET_SIZE];
    if (!crypto_random(secret, SECRET_SIZE) || !store_put("secret", secret, SECRET_SIZE)) return false;
    memcpy(self->secret, secret, SECRET_SIZE);
    pairing_code(self->code, self->secret);
    return true;
}

static const char *load_key(identity *self)
{
    uint8_t key[KEY_DER_MAX + 1];
    store_result result = store_get("key", key, KEY_DER_MAX, &self->key_size);
    /* A damaged key is never replaced: a new one would be another module (IDENT-003). */
    if (result == STORE_DAMAGED) return "the key is damaged: remove the state folder to make a new module";
    if (result == STORE_FOUND) return memcpy(self->key, key, self->key_size), NULL;
    self->key_size = crypto_make_key(self->key);
    return self->key_size > 0 && store_put("key", self->key, self->key_size) ? NULL : cannot_keep;
}

/* Kept with the key: some TLS libraries know a peer by all of its certificate (IDENT-009). One that is lost is made
   anew, because everybody else knows it by the key. */
static bool load_certificate(identity *self)
{
    uint8_t kept[CERTIFICATE_MAX + 1], fingerprint[HASH_SIZE];
    char cn[64];
    store_result result = store_get("certificate", kept, CERTIFICATE_MAX, &self->certificate_size);
    if (result == STORE_FOUND && crypto_check_certificate(kept, self->certificate_size, fingerprint, cn) &&
        memcmp(fingerprint, self->fingerprint, HASH_SIZE) == 0) {
        memcpy(self->certificate, kept, self->certificate_size);
        return true;
    }
    self->certificate_size = crypto_make_certificate(self->key, self->key_size, self->id, self->certificate);
    return self->certificate_size > 0 && store_put("certificate", self->certificate, self->certificate_size);
}

const char *identity_load(identity *self)
{
    uint8_t secret[SECRET_SIZE + 1];
    size_t size = 0;
    const char *trouble = load_key(self);
    if (trouble) return trouble;
    if (!crypto_key_fingerprint(self->key, self->key_size, self->fingerprint)) return "the key is no P-256 key";
    pairing_id(self->id, self->fingerprint);
    if (!load_certificate(self)) return cannot_keep;
    if (store_get("secret", secret, SECRET_SIZE, &size) == STORE_FOUND && size == SECRET_SIZE) {
        memcpy(self->secret, secret, SECRET_SIZE);
        pairing_code(self->code, self->secret);
        return NULL;
    }
    return identity_new_secret(self) ? NULL : cannot_keep;
}
