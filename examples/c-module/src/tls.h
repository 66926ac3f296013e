/* Everything that the module needs from a TLS and crypto library. To move to another chip, write these functions
   anew over its library; nothing else includes a header of it. */
#ifndef ORES_TLS_H
#define ORES_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 32, KEY_DER_MAX = 160, CERTIFICATE_MAX = 1024, SPKI_SIZE = 91 };

/* ---- crypto ---- */

bool crypto_random(uint8_t *to, size_t count);
void crypto_sha256(uint8_t to[HASH_SIZE], const void *bytes, size_t count);
void crypto_sha1(uint8_t to[20], const void *bytes, size_t count); /* for Sec-WebSocket-Accept alone (RFC 6455) */
void crypto_hmac_sha256(uint8_t to[HASH_SIZE], const void *key, size_t key_size, const void *bytes, size_t count);
bool crypto_equal(const void *one, const void *other, size_t count); /* in constant time (PAIR-010) */

/* A new P-256 key, as DER of its private half (RFC 5915); its size, or 0. */
size_t crypto_make_key(uint8_t to[KEY_DER_MAX]);

/* SHA-256 of the key's SubjectPublicKeyInfo (chapter 4.2). */
bool crypto_key_fingerprint(const uint8_t *key, size_t key_size, uint8_t fingerprint[HASH_SIZE]);

/* A self-signed certificate of the key with CN=`id` (IDENT-004 to IDENT-006); its size, or 0. */
size_t crypto_make_certificate(const uint8_t *key, size_t key_size, const char *id, uint8_t to[CERTIFICATE_MAX]);

/* Whether a certificate may be pinned: one DER structure, P-256, signed with ECDSA and SHA-256 by its own key, subject
   and issuer each one CN. Gives the key's fingerprint and that CN. */
bool crypto_check_certificate(const uint8_t *der, size_t size, uint8_t fingerprint[HASH_SIZE], char cn[64]);

/* ---- TLS 1.3 server ---- */

typedef struct tls_session tls_session;
typedef enum { TLS_OK, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_ENDED } tls_result;

/* Asked in the handshake about a client that shows a certificate; false ends the handshake (TLS-004). */
typedef bool (*tls_pinned)(const uint8_t fingerprint[HASH_SIZE]);

bool tls_start(const uint8_t *key, size_t key_size, const uint8_t *certificate, size_t certificate_size,
               tls_pinned is_pinned);
tls_session *tls_open(int socket); /* NULL where there is no memory; the socket does not block */
tls_result tls_handshake(tls_session *session);
tls_result tls_read(tls_session *session, void *to, size_t room, size_t *read);
tls_result tls_write(tls_session *session, const void *bytes, size_t count, size_t *written);

/* False for a stranger, who has shown no certificate (TLS-003). */
bool tls_peer(const tls_session *session, uint8_t fingerprint[HASH_SIZE]);
void tls_finish(tls_session *session); /* says close_notify: nothing will be written any more */
void tls_close(tls_session *session);  /* the same, and frees; the socket stays open */

#endif
