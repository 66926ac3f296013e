/* One TLS connection: handshake, then HTTP, then perhaps a stream. Its memory is fixed. */
#ifndef ORES_SESSION_H
#define ORES_SESSION_H

#include "http.h"
#include "module.h"
#include "websocket.h"

enum { SESSION_IN = HEAD_MAX + BODY_MAX + 1, SESSION_OUT = 4096 };

typedef struct {
    enum { SESSION_FREE, SESSION_HANDSHAKE, SESSION_HTTP, SESSION_STREAM, SESSION_DRAIN } phase;
    int socket;
    tls_session *tls;
    peer_role role;
    uint8_t fingerprint[HASH_SIZE];     /* of a pinned peer */
    bool seated;                        /* holds one of the places for pinned peers */
    bool wants_write, more_waits;       /* what poll is asked for; bytes that poll cannot see */
    bool close_when_sent, restart_when_sent, in_fragments;
    uint64_t opened_ms, active_ms, request_ms, out_ms, state_ms;
    double state_power_w;
    unsigned state_notable;
    size_t in_used, out_used, out_sent;
    char in[SESSION_IN], out[SESSION_OUT];
} session;

/* Asks for a place for a pinned peer: when its hands are shaken, and when it opens its one stream. */
typedef bool (*session_seat)(session *s, bool for_stream);
typedef void (*session_stream)(session *s);

typedef struct {
    module *module;
    session_seat seat;
    session_stream takes_stream;
} session_host;

void session_open(session *s, int socket, uint64_t now_ms);
void session_close(session *s);
/* Moves everything that can move without waiting. */
void session_serve(session *s, const session_host *host, uint64_t now_ms);
/* Deadlines, and the states of a stream. */
void session_tick(session *s, const session_host *host, uint64_t now_ms);
/* Ends a stream in order; anything else at once. */
void session_end(session *s, unsigned websocket_status, uint64_t now_ms);
bool session_is_pinned(const session *s);

#endif
