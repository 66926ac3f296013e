/* What OpenSSL takes from the heap on the module's side, by its own allocation hooks: a client in the same process
   shakes hands with a session of the module over a socket pair, and only what the server's half allocates is counted. */
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairing.h"
#include "tls.h"

typedef union {
    struct {
        size_t size;
        int owner;
    } block;
    long double aligned;
} header;

enum { NOBODY, SERVER };
static int turn = NOBODY;
static long now_bytes, peak_bytes;

static void count(long bytes)
{
    now_bytes += bytes;
    if (now_bytes > peak_bytes) peak_bytes = now_bytes;
}

static void *hook_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    header *h = malloc(sizeof *h + size);
    if (!h) return NULL;
    h->block.size = size;
    h->block.owner = turn;
    if (turn == SERVER) count((long)size);
    return h + 1;
}

static void hook_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    if (!memory) return;
    header *h = (header *)memory - 1;
    if (h->block.owner == SERVER) count(-(long)h->block.size);
    free(h);
}

static void *hook_realloc(void *memory, size_t size, const char *file, int line)
{
    void *fresh = hook_malloc(size, file, line);
    if (memory && fresh) {
        size_t before = ((header *)memory - 1)->block.size;
        memcpy(fresh, memory, before < size ? before : size);
        hook_free(memory, file, line);
    }
    return fresh;
}

static bool take_all(const uint8_t fingerprint[HASH_SIZE]) { return fingerprint != NULL; }

static SSL *client(int socket, const uint8_t *key, size_t key_size, const uint8_t *certificate, size_t size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate_ASN1(context, (int)size, certificate);
    SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, key, (long)key_size);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, socket);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* As a hub's connection goes: hands, a request of 1 KB, an answer of 1 KB. */
static bool live(tls_session *server, SSL *ssl)
{
    char bytes[1024] = "";
    size_t moved;
    bool server_done = false;
    for (int i = 0; i < 20 && !(server_done && SSL_is_init_finished(ssl)); i++) {
        turn = NOBODY;
        SSL_do_handshake(ssl);
        turn = SERVER;
        server_done = tls_handshake(server) == TLS_OK;
    }
    turn = NOBODY;
    if (SSL_write(ssl, bytes, sizeof bytes) <= 0) return false;
    turn = SERVER;
    bool done = tls_read(server, bytes, sizeof bytes, &moved) == TLS_OK && tls_write(server, bytes, sizeof bytes, &moved) == TLS_OK;
    tls_read(server, bytes, sizeof bytes, &moved);
    turn = NOBODY;
    return done && SSL_read(ssl, bytes, sizeof bytes) > 0;
}

int main(void)
{
    uint8_t key[KEY_DER_MAX], certificate[CERTIFICATE_MAX], fingerprint[HASH_SIZE];
    char id[ID_SIZE];
    CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free);
    turn = SERVER;
    size_t key_size = crypto_make_key(key);
    if (key_size == 0 || !crypto_key_fingerprint(key, key_size, fingerprint)) return 1;
    pairing_id(id, fingerprint);
    size_t size = crypto_make_certificate(key, key_size, id, certificate);
    if (!tls_start(key, key_size, certificate, size, take_all)) return 1;
    long started = now_bytes, before;
    printf("own certificate               %7zu bytes\n", size);
    for (int session = 1; session <= 3; session++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
        fcntl(pair[0], F_SETFL, O_NONBLOCK), fcntl(pair[1], F_SETFL, O_NONBLOCK);
        turn = NOBODY;
        SSL *ssl = client(pair[1], key, key_size, certificate, size);
        turn = SERVER;
        before = now_bytes;
        peak_bytes = now_bytes;
        tls_session *server = tls_open(pair[0]);
        if (!live(server, ssl)) return 1;
        if (session == 1) printf("heap of OpenSSL before the first session, algorithms loaded included %7ld bytes\n", started);
        printf("session %d: heap held while idle %6ld bytes, most during its handshake %6ld bytes\n", session, now_bytes - before, peak_bytes - before);
    }
    return 0;
}
