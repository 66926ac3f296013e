/* The TLS half of tls.h, over OpenSSL 3. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_session { /* never defined: a tls_session is OpenSSL's SSL under another name */
    char unused;
};

bool certificate_fingerprint(const X509 *certificate, uint8_t fingerprint[HASH_SIZE]);

static SSL_CTX *context;
static tls_pinned pinned;

/* In place of a chain: the handshake proves that the client has the key, the pin that the key may in. Dates and names
   are nobody's business (IDENT-007, IDENT-008). */
static int verify_pin(X509_STORE_CTX *store, void *unused)
{
    uint8_t fingerprint[HASH_SIZE];
    (void)unused;
    if (certificate_fingerprint(X509_STORE_CTX_get0_cert(store), fingerprint) && pinned(fingerprint)) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static bool profile_context(SSL_CTX *c)
{
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL); /* asks; who shows none is a stranger (TLS-003) */
    SSL_CTX_set_cert_verify_callback(c, verify_pin, NULL);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) && SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) &&
           SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256") && SSL_CTX_set1_groups_list(c, "P-256") &&
           SSL_CTX_set1_sigalgs_list(c, "ecdsa_secp256r1_sha256") &&
           SSL_CTX_set1_client_sigalgs_list(c, "ecdsa_secp256r1_sha256") && SSL_CTX_set_num_tickets(c, 0) &&
           SSL_CTX_set_max_early_data(c, 0) && SSL_CTX_set_max_send_fragment(c, 4096);
}

bool tls_start(const uint8_t *key, size_t key_size, const uint8_t *certificate, size_t certificate_size,
               tls_pinned is_pinned)
{
    pinned = is_pinned;
    SSL_CTX_free(context); /* of the boot before */
    context = SSL_CTX_new(TLS_server_method());
    return context && profile_context(context) &&
           SSL_CTX_use_certificate_ASN1(context, (int)certificate_size, certificate) &&
           SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, key, (long)key_size) && SSL_CTX_check_private_key(context);
}

tls_session *tls_open(int socket)
{
    SSL *ssl = SSL_new(context);
    if (ssl && !SSL_set_fd(ssl, socket)) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl) SSL_set_accept_state(ssl);
    return (tls_session *)ssl;
}

static tls_result outcome(SSL *ssl, int returned)
{
    int error = SSL_get_error(ssl, returned);
    ERR_clear_error(); /* the queue is the thread's: what it held must not be taken for the next session's */
    if (error == SSL_ERROR_WANT_READ) return TLS_WANTS_READ;
    if (error == SSL_ERROR_WANT_WRITE) return TLS_WANTS_WRITE;
    return TLS_ENDED;
}

tls_result tls_handshake(tls_session *session)
{
    SSL *ssl = (SSL *)session;
    int returned = SSL_do_handshake(ssl);
    return returned == 1 ? TLS_OK : outcome(ssl, returned);
}

tls_result tls_read(tls_session *session, void *to, size_t room, size_t *read)
{
    SSL *ssl = (SSL *)session;
    int returned = SSL_read_ex(ssl, to, room, read);
    return returned == 1 ? TLS_OK : outcome(ssl, returned);
}

tls_result tls_write(tls_session *session, const void *bytes, size_t count, size_t *written)
{
    SSL *ssl = (SSL *)session;
    int returned = SSL_write_ex(ssl, bytes, count, written);
    return returned == 1 ? TLS_OK : outcome(ssl, returned);
}

bool tls_peer(const tls_session *session, uint8_t fingerprint[HASH_SIZE])
{
    const X509 *shown = SSL_get0_peer_certificate((const SSL *)session);
    return shown && certificate_fingerprint(shown, fingerprint);
}

void tls_finish(tls_session *session)
{
    SSL *ssl = (SSL *)session;
    if (SSL_is_init_finished(ssl) && !(SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN)) SSL_shutdown(ssl);
    ERR_clear_error();
}

void tls_close(tls_session *session)
{
    if (!session) return;
    tls_finish(session);
    SSL_free((SSL *)session);
}
