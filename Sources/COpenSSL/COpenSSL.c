// Implements COpenSSL.h. Everything per session is reached through the BIO's data pointer, so one SSL_CTX serves many.
#include "COpenSSL.h"

#include <limits.h>
#include <string.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

void weft_openssl_prepare(void) {
    // openssl.cnf could change protocols, security level and engines behind our back; what we want is set explicitly.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

// ---- BIO ----

static int wire_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
    struct weft_tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (count > wire->output_room) count = wire->output_room;
    if (count == 0) {
        BIO_set_retry_write(bio);
        *written = 0;
        return -1;
    }
    memcpy(wire->output, bytes, count);
    wire->output += count;
    wire->output_room -= count;
    *written = count;
    return 1;
}

static int wire_read(BIO *bio, char *bytes, size_t count, size_t *got) {
    struct weft_tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (count > wire->input_count) count = wire->input_count;
    if (count == 0) {
        BIO_set_retry_read(bio);
        *got = 0;
        return -1;
    }
    memcpy(bytes, wire->input, count);
    wire->input += count;
    wire->input_count -= count;
    *got = count;
    return 1;
}

static long wire_control(BIO *bio, int command, long number, void *pointer) {
    struct weft_tls_wire *wire = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_PENDING: return (long)wire->input_count;
    default: return 0;
    }
}

static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method;

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft wire");
    if (made == NULL) return;
    if (BIO_meth_set_write_ex(made, wire_write) && BIO_meth_set_read_ex(made, wire_read) && BIO_meth_set_ctrl(made, wire_control)) {
        method = made;
    } else {
        BIO_meth_free(made);
    }
}

BIO *weft_tls_wire_bio(struct weft_tls_wire *wire) {
    if (!CRYPTO_THREAD_run_once(&method_once, make_method) || method == NULL) return NULL;
    BIO *bio = BIO_new(method);
    if (bio == NULL) return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}

static struct weft_tls_wire *wire_of(const SSL *ssl) {
    BIO *bio = SSL_get_rbio(ssl);
    return bio == NULL ? NULL : BIO_get_data(bio);
}

// ---- names ----

static int contains(const unsigned char *text, size_t count, const char *part) {
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= count; i++)
        if (memcmp(text + i, part, length) == 0) return 1;
    return 0;
}

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c; }

static int equal_folded(const unsigned char *a, const unsigned char *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (lower(a[i]) != lower(b[i])) return 0;
    return 1;
}

int weft_x509_has_name(X509 *certificate, const unsigned char *name, size_t count) {
    if (count == 0 || count > 2048 || memchr(name, 0, count) != NULL) return 0;
    int is_uri = contains(name, count, "://");
    unsigned char address[16];
    size_t address_count = 0;
    if (!is_uri && count < 64) {
        char text[64];
        memcpy(text, name, count);
        text[count] = 0;
        ASN1_OCTET_STRING *parsed = a2i_IPADDRESS(text);
        if (parsed != NULL) {
            address_count = (size_t)ASN1_STRING_length(parsed);
            if (address_count <= sizeof address) memcpy(address, ASN1_STRING_get0_data(parsed), address_count);
            ASN1_OCTET_STRING_free(parsed);
        }
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int found = 0;
    for (int i = 0; names != NULL && !found && i < sk_GENERAL_NAME_num(names); i++) {
        int kind = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_DNS && kind != GEN_URI && kind != GEN_IPADD) continue;
        const unsigned char *bytes = ASN1_STRING_get0_data(value);
        size_t length = (size_t)ASN1_STRING_length(value);
        if (kind == GEN_IPADD)
            found = address_count > 0 && length == address_count && memcmp(bytes, address, length) == 0;
        else if (kind == GEN_URI)
            found = is_uri && length == count && memcmp(bytes, name, count) == 0;
        else
            found = !is_uri && address_count == 0 && length == count && equal_folded(bytes, name, count);
    }
    GENERAL_NAMES_free(names);
    return found;
}

// ---- chains ----

/// OpenSSL calls it self-signed by its names alone, its signature says otherwise.
static int looks_self_signed(X509 *certificate) {
    return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0 && X509_self_signed(certificate, 1) != 1;
}

/// Whether the anchor has signed its namesake and may have one at the context's time.
static int vouches(X509_STORE_CTX *context, X509 *anchor, X509 *namesake, int intermediates) {
    long path = X509_get_pathlen(anchor);
    return X509_check_issued(anchor, namesake) == X509_V_OK && X509_check_ca(anchor) == 1 && (path < 0 || path >= intermediates)
        && X509_cmp_timeframe(X509_STORE_CTX_get0_param(context), X509_get0_notBefore(anchor), X509_get0_notAfter(anchor)) == 0
        && X509_verify(namesake, X509_get0_pubkey(anchor)) == 1;
}

/// The store's anchors, and with them those namesakes among `others` that an anchor vouches for. NULL: none, or no memory.
static STACK_OF(X509) *anchors_with_namesakes(X509_STORE_CTX *context, STACK_OF(X509) *others) {
    STACK_OF(X509) *anchors = X509_STORE_get1_all_certs(X509_STORE_CTX_get0_store(context));
    int roots = anchors == NULL ? 0 : sk_X509_num(anchors);
    int intermediates = 0, found = 0;
    for (int i = 0; i < sk_X509_num(others); i++)
        if (!(X509_get_extension_flags(sk_X509_value(others, i)) & (EXFLAG_SI | EXFLAG_SS))) intermediates++;
    for (int i = 0; i < sk_X509_num(others); i++) {
        X509 *other = sk_X509_value(others, i);
        if (!looks_self_signed(other)) continue;
        for (int root = 0; root < roots; root++) {
            if (!vouches(context, sk_X509_value(anchors, root), other, intermediates)) continue;
            if (X509_up_ref(other)) {
                if (sk_X509_push(anchors, other)) found = 1;
                else X509_free(other);
            }
            break;
        }
    }
    if (found) return anchors;
    sk_X509_pop_free(anchors, X509_free);
    return NULL;
}

/// A certificate of the chain whose extended key usage has no server authentication. OpenSSL takes Netscape's server-gated crypto for it, too.
static X509 *no_server(X509_STORE_CTX *context) {
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        uint32_t usage = X509_get_extended_key_usage(certificate);
        if (usage != UINT32_MAX && !(usage & XKU_SSL_SERVER)) return certificate;
    }
    return NULL;
}

static int verify_once(X509_STORE_CTX *context, int serves, int *error, X509 **culprit) {
    if (X509_verify_cert(context) > 0) {
        *culprit = serves ? no_server(context) : NULL;
        if (*culprit == NULL) return 1;
        *error = X509_V_ERR_INVALID_PURPOSE;
        if (!X509_up_ref(*culprit)) *culprit = NULL;
        return 0;
    }
    *error = X509_STORE_CTX_get_error(context);
    if (*error == X509_V_OK) *error = X509_V_ERR_UNSPECIFIED;
    *culprit = X509_STORE_CTX_get_current_cert(context);
    if (*culprit == NULL) *culprit = X509_STORE_CTX_get0_cert(context);
    if (*culprit != NULL && !X509_up_ref(*culprit)) *culprit = NULL;
    return 0;
}

int weft_x509_verify(X509_STORE_CTX *context, int serves, int *error, X509 **culprit) {
    *error = X509_V_OK;
    *culprit = NULL;
    X509 *leaf = X509_STORE_CTX_get0_cert(context);
    STACK_OF(X509) *untrusted = X509_STORE_CTX_get0_untrusted(context);
    int odd = looks_self_signed(leaf);
    for (int i = 0; !odd && i < sk_X509_num(untrusted); i++) odd = looks_self_signed(sk_X509_value(untrusted, i));
    if (!odd) return verify_once(context, serves, error, culprit);

    STACK_OF(X509) *others = untrusted == NULL ? sk_X509_new_null() : sk_X509_dup(untrusted);
    X509_STORE_CTX *second = X509_STORE_CTX_new_ex(NULL, NULL);
    STACK_OF(X509) *anchors = NULL;
    int ok = 0;
    if (others != NULL && second != NULL && sk_X509_unshift(others, leaf)) anchors = anchors_with_namesakes(context, others);
    if (anchors == NULL) {
        ok = verify_once(context, serves, error, culprit);
    } else if (X509_STORE_CTX_init(second, X509_STORE_CTX_get0_store(context), leaf, untrusted)
        && X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(second), X509_STORE_CTX_get0_param(context))) {
        X509_STORE_CTX_set0_trusted_stack(second, anchors);
        ok = verify_once(second, serves, error, culprit);
    } else {
        *error = X509_V_ERR_OUT_OF_MEM;
    }
    X509_STORE_CTX_free(second);
    sk_X509_pop_free(anchors, X509_free);
    sk_X509_free(others);
    return ok;
}

// ---- context ----

static int verify_peer(X509_STORE_CTX *store, void *unused) {
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct weft_tls_wire *wire = ssl == NULL ? NULL : wire_of(ssl);
    if (wire == NULL) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    // A client that was told to believe anybody.
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) return 1;
    int error = X509_V_OK;
    X509 *culprit = NULL;
    int ok = weft_x509_verify(store, !SSL_is_server(ssl), &error, &culprit);
    // RFC 8446 section 4.4.2.2: who signs a handshake may do so. OpenSSL is content with any usage that older versions of TLS had.
    if (ok && X509_get_key_usage(X509_STORE_CTX_get0_cert(store)) != UINT32_MAX && !(X509_get_key_usage(X509_STORE_CTX_get0_cert(store)) & KU_DIGITAL_SIGNATURE)) {
        error = X509_V_ERR_INVALID_PURPOSE;
        culprit = X509_STORE_CTX_get0_cert(store);
        if (!X509_up_ref(culprit)) culprit = NULL;
        ok = 0;
    }
    if (ok && wire->checks_name) {
        X509 *leaf = X509_STORE_CTX_get0_cert(store);
        int named = 0;
        for (size_t at = 0; !named && at + 2 <= wire->names_count;) {
            size_t length = (size_t)wire->names[at] << 8 | wire->names[at + 1];
            at += 2;
            if (length > wire->names_count - at) break;
            named = weft_x509_has_name(leaf, wire->names + at, length);
            at += length;
        }
        if (!named) {
            error = X509_V_ERR_HOSTNAME_MISMATCH;
            culprit = X509_up_ref(leaf) ? leaf : NULL;
            ok = 0;
        }
    }
    // The second context of weft_x509_verify may have spoken, so the first is told either way.
    X509_STORE_CTX_set_error(store, error);
    if (!ok) {
        X509_free(wire->verify_certificate);
        wire->verify_certificate = culprit;
        wire->verify_error = error;
    }
    return ok;
}

static int select_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_count, const unsigned char *offered, unsigned int offered_count, void *unused) {
    (void)unused;
    struct weft_tls_wire *wire = wire_of(ssl);
    if (wire == NULL || wire->alpn_count == 0) return SSL_TLSEXT_ERR_NOACK;
    for (size_t ours = 0; ours < wire->alpn_count; ours += 1 + (size_t)wire->alpn[ours]) {
        for (size_t theirs = 0; theirs < offered_count; theirs += 1 + (size_t)offered[theirs]) {
            unsigned char length = wire->alpn[ours];
            if (offered[theirs] == length && theirs + 1 + length <= offered_count && memcmp(offered + theirs + 1, wire->alpn + ours + 1, length) == 0) {
                *chosen = offered + theirs + 1;
                *chosen_count = length;
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; // RFC 7301 section 3.2: no_application_protocol
}

static void watch_alerts(const SSL *ssl, int where, int value) {
    if (!(where & SSL_CB_ALERT)) return;
    struct weft_tls_wire *wire = wire_of(ssl);
    if (wire == NULL) return;
    if (where & SSL_CB_READ) wire->alert_received = value & 0xff;
    else wire->alert_sent = value & 0xff;
}

static CRYPTO_ONCE groups_once = CRYPTO_ONCE_STATIC_INIT;
static const char *groups = "X25519:P-256";

static void choose_groups(void) {
    // Asked of the provider: a context made to try it would draw chance, once in a process, and no two worlds in it would be the same.
    EVP_KEYMGMT *hybrid = EVP_KEYMGMT_fetch(NULL, "X25519MLKEM768", NULL);
    // A share of each is sent (`*`), so that a peer without the hybrid needs no second hello. Older libraries know neither the group nor the mark.
    if (hybrid != NULL) groups = "*X25519MLKEM768:*X25519:P-256";
    EVP_KEYMGMT_free(hybrid);
    ERR_clear_error();
}

const char *weft_tls_groups(void) {
    weft_openssl_prepare();
    return CRYPTO_THREAD_run_once(&groups_once, choose_groups) ? groups : "X25519:P-256";
}

SSL_CTX *weft_tls_context_new(int server, int verifies_peer, long certificate_list_bytes_max) {
    weft_openssl_prepare();
    SSL_CTX *context = SSL_CTX_new_ex(NULL, NULL, server ? TLS_server_method() : TLS_client_method());
    if (context == NULL) return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | (server ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
    // NO_AUTO_CHAIN: otherwise OpenSSL appends what it finds among the trust anchors to the chain we send.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_max_cert_list(context, certificate_list_bytes_max);
    SSL_CTX_set_info_callback(context, watch_alerts);
    SSL_CTX_set_verify(context, verifies_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_peer, NULL);
    if (server) SSL_CTX_set_alpn_select_cb(context, select_alpn, NULL);
    if (!SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) || !SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION)
        || !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")
        || !SSL_CTX_set1_groups_list(context, weft_tls_groups()) || !SSL_CTX_set_num_tickets(context, 0)
        || (server && !SSL_CTX_set_session_id_context(context, (const unsigned char *)"weft", 4))) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

unsigned long weft_name_print_flags(void) { return XN_FLAG_ONELINE | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB; }

// ---- time ----

int weft_asn1_time_seconds(const ASN1_TIME *time, int64_t *seconds) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, rest = 0;
    // ASN1_TIME_diff reads the clock only for a NULL argument.
    int ok = epoch != NULL && time != NULL && ASN1_TIME_diff(&days, &rest, epoch, time);
    ASN1_TIME_free(epoch);
    *seconds = (int64_t)days * 86400 + rest;
    return ok;
}
