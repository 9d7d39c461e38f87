// The few things of OpenSSL that Swift cannot spell: option macros, callbacks that must find their session, a BIO that
// reads from and writes to memory the caller lends for one call. Types are declared, never defined, so that this header
// and the system module do not both own them. No I/O, no clock, no global state but OpenSSL's own.
#ifndef WEFT_COPENSSL_H
#define WEFT_COPENSSL_H

#include <stddef.h>
#include <stdint.h>

struct ssl_st;
struct ssl_ctx_st;
struct bio_st;
struct x509_st;
struct asn1_string_st;
struct x509_store_ctx_st;

/// What one session lends to OpenSSL and hears back from it. Owned by the session, must outlive its SSL object.
struct weft_tls_wire {
    /// Ciphertext not yet read; advanced by reads. Lent for the duration of one call.
    const unsigned char *input;
    size_t input_count;
    /// Room for ciphertext; advanced by writes. Lent for the duration of one call.
    unsigned char *output;
    size_t output_room;
    /// Names of which the peer's leaf must carry one, each as two length bytes (big endian) and text. Used if checks_name.
    const unsigned char *names;
    size_t names_count;
    int checks_name;
    /// Server: protocols accepted, in preference order, each as one length byte and text. Empty: ALPN is ignored.
    const unsigned char *alpn;
    size_t alpn_count;
    /// The last alert in each direction, -1 if none.
    int alert_sent;
    int alert_received;
    /// X509_V_ERR_* of a failed verification (0: none), and the certificate it was about (one reference owned by the wire).
    int verify_error;
    struct x509_st *verify_certificate;
};

/// Initialises the library without reading the machine's openssl.cnf. Cheap after the first call; any thread.
void weft_openssl_prepare(void);

/// The key exchange groups that sessions offer and take, most wanted first, in OpenSSL's spelling: with the post-quantum hybrid X25519MLKEM768
/// when the linked library has it (OpenSSL 3.5). Decided at the first call of the process.
const char *weft_tls_groups(void);

/// A context with every setting that all sessions share: TLS 1.3 only, suites, groups, no tickets, no session cache,
/// no automatic chain. NULL if memory or randomness is missing.
struct ssl_ctx_st *weft_tls_context_new(int server, int verifies_peer, long certificate_list_bytes_max);

/// A BIO over the wire. Owned by the caller until given to SSL_set_bio. NULL if memory is missing.
struct bio_st *weft_tls_wire_bio(struct weft_tls_wire *wire);

/// Whether the certificate's SAN carries the name: a URI (contains "://"), an IP address, or a DNS name without wildcards.
int weft_x509_has_name(struct x509_st *certificate, const unsigned char *name, size_t count);

/// X509_verify_cert on a prepared, not yet used context, which also accepts an intermediate of the same name as its anchor
/// that carries no authority key identifier: Go makes such (crypto/x509 omits the identifier then), and with it older
/// Linkerd installations, while OpenSSL takes them for self-signed. 1 if the chain verifies, else 0 with X509_V_ERR_* and
/// the certificate it is about (a reference for the caller to free, may be NULL). `serves`: every extended key usage must allow
/// server authentication. Uses the context up.
int weft_x509_verify(struct x509_store_ctx_st *context, int serves, int *error, struct x509_st **culprit);

/// Flags for X509_NAME_print_ex: one line, control and non-ASCII characters escaped.
unsigned long weft_name_print_flags(void);

/// Seconds since 1970 of an ASN.1 time. 0 if it is malformed.
int weft_asn1_time_seconds(const struct asn1_string_st *time, int64_t *seconds);

#endif
