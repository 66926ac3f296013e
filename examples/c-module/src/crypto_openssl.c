/* The crypto half of tls.h, over OpenSSL 3. */
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

/* SubjectPublicKeyInfo of every P-256 key up to the two coordinates: id-ecPublicKey, prime256v1, uncompressed. */
static const uint8_t spki_head[27] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};

bool crypto_random(uint8_t *to, size_t size) { return RAND_bytes(to, (int)size) == 1; }

void crypto_sha256(uint8_t to[HASH_SIZE], const void *bytes, size_t size) { SHA256(bytes, size, to); }

void crypto_sha1(uint8_t to[20], const void *bytes, size_t size) { SHA1(bytes, size, to); }

void crypto_hmac_sha256(uint8_t to[HASH_SIZE], const void *key, size_t key_size, const void *bytes, size_t size)
{
    HMAC(EVP_sha256(), key, (int)key_size, bytes, size, to, NULL);
}

bool crypto_equal(const void *one, const void *other, size_t size) { return CRYPTO_memcmp(one, other, size) == 0; }

static EVP_PKEY *key_from(const uint8_t *key, size_t key_size)
{
    return d2i_PrivateKey(EVP_PKEY_EC, NULL, &key, (long)key_size);
}

size_t crypto_make_key(uint8_t to[KEY_DER_MAX])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    int size = key ? i2d_PrivateKey(key, NULL) : 0;
    if (size > 0 && size <= KEY_DER_MAX) size = i2d_PrivateKey(key, &to);
    else size = 0;
    EVP_PKEY_free(key);
    return (size_t)size;
}

static bool spki_fingerprint(const uint8_t *spki, int size, uint8_t fingerprint[HASH_SIZE])
{
    if (size != SPKI_SIZE || memcmp(spki, spki_head, sizeof spki_head) != 0) return false;
    crypto_sha256(fingerprint, spki, SPKI_SIZE);
    return true;
}

bool crypto_key_fingerprint(const uint8_t *key, size_t key_size, uint8_t fingerprint[HASH_SIZE])
{
    EVP_PKEY *pair = key_from(key, key_size);
    uint8_t *spki = NULL;
    int size = pair ? i2d_PUBKEY(pair, &spki) : 0;
    bool done = spki_fingerprint(spki, size, fingerprint);
    OPENSSL_free(spki);
    EVP_PKEY_free(pair);
    return done;
}

/* As in the standard's own example: strict libraries miss these three in a certificate of version 3. */
static bool add_extensions(X509 *certificate)
{
    static const struct {
        int nid;
        const char *value;
    } wanted[] = {{NID_basic_constraints, "critical,CA:FALSE"},
                  {NID_subject_key_identifier, "hash"},
                  {NID_authority_key_identifier, "keyid:always"}};
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, wanted[i].nid, wanted[i].value);
        bool added = extension && X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
        if (!added) return false;
    }
    return true;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *pair, const char *id)
{
    uint8_t serial[8];
    X509_NAME *name = X509_get_subject_name(certificate);
    if (!crypto_random(serial, sizeof serial)) return false;
    serial[0] = (serial[0] & 0x7F) | 0x40; /* positive, and never empty (RFC 5280, 4.1.2.2) */
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL &&
                X509_set_version(certificate, X509_VERSION_3) &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)id, -1, -1, 0) &&
                X509_set_issuer_name(certificate, name) &&
                ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20000101000000Z") &&
                ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") &&
                X509_set_pubkey(certificate, pair) && add_extensions(certificate) &&
                X509_sign(certificate, pair, EVP_sha256()) > 0;
    BN_free(number);
    return done;
}

size_t crypto_make_certificate(const uint8_t *key, size_t key_size, const char *id, uint8_t to[CERTIFICATE_MAX])
{
    EVP_PKEY *pair = key_from(key, key_size);
    X509 *certificate = X509_new();
    int size = 0;
    if (pair && certificate && fill_certificate(certificate, pair, id)) size = i2d_X509(certificate, NULL);
    if (size > 0 && size <= CERTIFICATE_MAX) size = i2d_X509(certificate, &to);
    else size = 0;
    X509_free(certificate);
    EVP_PKEY_free(pair);
    return (size_t)size;
}

/* Exported to the TLS half, which sees certificates as OpenSSL's objects. */
bool certificate_fingerprint(const X509 *certificate, uint8_t fingerprint[HASH_SIZE]);

bool certificate_fingerprint(const X509 *certificate, uint8_t fingerprint[HASH_SIZE])
{
    uint8_t *spki = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    bool done = size > 0 && spki_fingerprint(spki, size, fingerprint);
    OPENSSL_free(spki);
    return done;
}

static bool single_cn(const X509_NAME *name, char cn[64])
{
    if (X509_NAME_entry_count(name) != 1) return false;
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, 0);
    if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != NID_commonName) return false;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(entry);
    int length = ASN1_STRING_length(text);
    if (length < 1 || length > 63) return false;
    memcpy(cn, ASN1_STRING_get0_data(text), (size_t)length);
    cn[length] = '\0';
    return memchr(cn, '\0', (size_t)length) == NULL;
}

static bool may_be_pinned(X509 *certificate, uint8_t fingerprint[HASH_SIZE], char cn[64])
{
    char issuer[64];
    EVP_PKEY *public_half = X509_get0_pubkey(certificate);
    return public_half && certificate_fingerprint(certificate, fingerprint) &&
           X509_get_signature_nid(certificate) == NID_ecdsa_with_SHA256 &&
           single_cn(X509_get_subject_name(certificate), cn) && single_cn(X509_get_issuer_name(certificate), issuer) &&
           strcmp(cn, issuer) == 0 && X509_verify(certificate, public_half) == 1;
}

bool crypto_check_certificate(const uint8_t *der, size_t size, uint8_t fingerprint[HASH_SIZE], char cn[64])
{
    const uint8_t *at = der;
    if (size > CERTIFICATE_MAX) return false;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    bool may = certificate && at == der + size && may_be_pinned(certificate, fingerprint, cn);
    X509_free(certificate);
    return may;
}
