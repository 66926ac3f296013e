#include "session.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "resources.h"
#include "state.h"

enum { HANDSHAKE_MS = 5000, STRANGER_IDLE_MS = 10000, PINNED_IDLE_MS = 120000, REQUEST_MS = 10000, OUT_MS = 10000,
       DRAIN_MS = 1000, STATE_GAP_MS = 120, STATE_PERIOD_MS = REPORT_PERIOD_S * 1000 - 100, ROUNDS_MAX = 32 };

static char body_memory[SESSION_OUT - 512]; /* one answer at a time: the module has one thread */

void session_open(session *s, int socket, uint64_t now_ms)
{
    memset(s, 0, offsetof(session, in));
    s->socket = socket;
    s->tls = tls_open(socket);
    s->opened_ms = s->active_ms = now_ms;
    s->phase = SESSION_HANDSHAKE;
    if (!s->tls) session_close(s);
}

void session_close(session *s)
{
    if (s->phase == SESSION_FREE) return;
    tls_close(s->tls);
    close(s->socket);
    s->tls = NULL;
    s->phase = SESSION_FREE;
}

bool session_is_pinned(const session *s) { return s->role != ROLE_STRANGER; }

/* ---- sending ---- */

static void queue(session *s, const char *bytes, size_t count, uint64_t now_ms)
{
    if (count > SESSION_OUT - s->out_used) { /* sized so that it cannot happen; if it does, the peer starts anew */
        session_close(s);
        return;
    }
    if (s->out_used == 0) s->out_ms = now_ms;
    memcpy(s->out + s->out_used, bytes, count);
    s->out_used += count;
}

/* True when all is sent. */
static bool flush(session *s)
{
    while (s->out_sent < s->out_used) {
        size_t written = 0;
        tls_result result = tls_write(s->tls, s->out + s->out_sent, s->out_used - s->out_sent, &written);
        if (result != TLS_OK) {
            s->wants_write = result == TLS_WANTS_WRITE;
            if (result == TLS_ENDED) session_close(s);
            return false;
        }
        s->out_sent += written;
    }
    s->out_used = s->out_sent = 0;
    s->wants_write = false;
    return true;
}

static void queue_reply(session *s, const reply *r, bool with_body, bool keep_alive, uint64_t now_ms)
{
    char memory[400];
    text head = text_in(memory, sizeof memory);
    text_format(&head, "HTTP/1.1 %d %s\r\nContent-Type: application/%sjson\r\nContent-Length: %zu\r\n", r->status,
                r->status == 200 ? "OK" : "Refused", r->is_problem ? "problem+" : "", r->body.used);
    if (r->allow) text_format(&head, "Allow: %s\r\n", r->allow);
    if (r->status == 426) text_put(&head, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    text_format(&head, "Connection: %s\r\n\r\n", r->status == 426 ? "upgrade, close" : keep_alive ? "keep-alive" : "close");
    queue(s, head.start, head.used, now_ms);
    if (with_body && s->phase != SESSION_FREE) queue(s, r->body.start, r->body.used, now_ms);
    if (!keep_alive) s->close_when_sent = true;
}

static void queue_problem(session *s, const char *code, uint64_t now_ms)
{
    reply r = {.body = text_in(body_memory, sizeof body_memory)};
    problem why = problem_of(code, "");
    resources_refuse(&r, &why);
    queue_reply(s, &r, true, false, now_ms);
}

static void queue_frame(session *s, unsigned opcode, const char *bytes, size_t count, uint64_t now_ms)
{
    char head[FRAME_HEAD_MAX];
    queue(s, head, frame_write_head(head, opcode, count), now_ms);
    if (s->phase != SESSION_FREE) queue(s, bytes, count, now_ms);
}

static void queue_close(session *s, unsigned status, uint64_t now_ms)
{
    char payload[2] = {(char)(status >> 8), (char)(status & 255)};
    queue_frame(s, OP_CLOSE, payload, sizeof payload, now_ms);
    s->close_when_sent = true;
}

static void queue_state(session *s, const module *m, uint64_t now_ms)
{
    text frame = text_in(body_memory, sizeof body_memory);
    text_put(&frame, "{\"state\":");
    state_write(m, now_ms, &frame);
    text_put(&frame, "}");
    s->state_ms = now_ms;
    s->state_power_w = m->battery.power_w;
    s->state_notable = m->notable;
    queue_frame(s, OP_TEXT, frame.start, frame.used, now_ms);
}

/* ---- receiving ---- */

static void drop_input(session *s, size_t count)
{
    s->in_used -= count;
    memmove(s->in, s->in + count, s->in_used);
}

static void open_stream(session *s, const http_head *head, const session_host *host, uint64_t now_ms)
{
    char memory[200], accept[29];
    if (!head->wants_upgrade || !head->asks_websocket || !head->version_13 || !head->websocket_key[0]) {
        queue_problem(s, "upgrade_required", now_ms);
        return;
    }
    if (!host->seat(s, true)) {
        queue_problem(s, "too_many_sessions", now_ms);
        return;
    }
    text answer = text_in(memory, sizeof memory);
    websocket_accept(accept, head->websocket_key);
    text_format(&answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    host->takes_stream(s);
    s->phase = SESSION_STREAM;
    queue(s, answer.start, answer.used, now_ms);
    queue_state(s, host->module, now_ms); /* STREAM-001 */
}

static void answer_request(session *s, const http_head *head, const session_host *host, uint64_t now_ms)
{
    reply r = {.body = text_in(body_memory, sizeof body_memory)};
    char *end = s->in + head->length + head->body_size, beyond = *end;
    *end = '\0';
    request asked = {.method = head->method, .path = head->path, .query = head->query, .body = s->in + head->length,
                     .body_size = head->body_size, .role = s->role,
                     .fingerprint = session_is_pinned(s) ? s->fingerprint : NULL};
    resources_answer(host->module, &asked, now_ms, &r);
    *end = beyond;
    drop_input(s, head->length + head->body_size);
    s->restart_when_sent = r.then_restart;
    if (r.opens_stream) open_stream(s, head, host, now_ms);
    else queue_reply(s, &r, strcmp(head->method, "HEAD") != 0, head->keep_alive && !r.then_close, now_ms);
}

/* False while more bytes are needed. */
static bool take_request(session *s, const session_host *host, uint64_t now_ms)
{
    http_head head;
    if (s->in_used == 0) return false;
    if (s->request_ms == 0) s->request_ms = now_ms + 1;
    http_result result = http_read_head(s->in, s->in_used, &head);
    if (result == HTTP_MORE) return false;
    if (result == HTTP_BAD || head.body_too_large) {
        queue_problem(s, result == HTTP_BAD ? "bad_request" : "too_large", now_ms);
        return true;
    }
    if (s->in_used < head.length + head.body_size) return false;
    s->request_ms = 0;
    answer_request(s, &head, host, now_ms);
    return true;
}

static void answer_text(session *s, const frame *f, const session_host *host, uint64_t now_ms)
{
    text answer = text_in(body_memory, sizeof body_memory);
    bool whole = f->opcode == OP_TEXT && f->last;
    char beyond = f->payload[f->size];
    f->payload[f->size] = '\0';
    resources_frame(host->module, whole ? f->payload : NULL, f->size, s->role, now_ms, &answer);
    f->payload[f->size] = beyond;
    queue_frame(s, OP_TEXT, answer.start, answer.used, now_ms);
}

/* STREAM-012: what is no command is answered, and costs no stream. A message in fragments is one problem. */
static void answer_frame(session *s, const frame *f, const session_host *host, uint64_t now_ms)
{
    bool was_in_fragments = s->in_fragments;
    switch (f->opcode) {
    case OP_PING: queue_frame(s, OP_PONG, f->payload, f->size, now_ms); return;
    case OP_PONG: return;
    case OP_CLOSE: queue_close(s, CLOSE_NORMAL, now_ms); return;
    default: break;
    }
    s->in_fragments = !f->last;
    if (f->opcode == OP_CONTINUATION ? !was_in_fragments : was_in_fragments) queue_close(s, CLOSE_PROTOCOL, now_ms);
    else if (f->opcode != OP_CONTINUATION) answer_text(s, f, host, now_ms);
}

static bool take_frame(session *s, const session_host *host, uint64_t now_ms)
{
    frame f;
    frame_result result = frame_read(s->in, s->in_used, &f);
    if (result == FRAME_MORE) return false;
    if (result != FRAME_READ) {
        queue_close(s, result == FRAME_BROKEN ? CLOSE_PROTOCOL : CLOSE_TOO_LARGE, now_ms); /* STREAM-013 */
        return true;
    }
    answer_frame(s, &f, host, now_ms);
    drop_input(s, f.taken);
    return true;
}

static bool take_message(session *s, const session_host *host, uint64_t now_ms)
{
    if (s->phase == SESSION_HTTP) return take_request(s, host, now_ms);
    if (s->phase == SESSION_STREAM) return take_frame(s, host, now_ms);
    s->in_used = 0; /* draining: what still comes is not read, but must not reset the connection either */
    return false;
}

static bool receive(session *s, uint64_t now_ms)
{
    size_t count = 0;
    tls_result result = tls_read(s->tls, s->in + s->in_used, SESSION_IN - 1 - s->in_used, &count);
    if (result == TLS_OK) {
        s->in_used += count;
        if (s->phase != SESSION_DRAIN) s->active_ms = now_ms;
        return true;
    }
    s->wants_write = result == TLS_WANTS_WRITE;
    if (result == TLS_ENDED) session_close(s);
    return false;
}

static bool shake_hands(session *s, const session_host *host, uint64_t now_ms)
{
    tls_result result = tls_handshake(s->tls);
    s->wants_write = result == TLS_WANTS_WRITE;
    if (result == TLS_ENDED) session_close(s);
    if (result != TLS_OK) return false;
    s->phase = SESSION_HTTP;
    s->active_ms = now_ms;
    if (!tls_peer(s->tls, s->fingerprint)) return true; /* a stranger (TLS-003) */
    s->role = pins_role(&host->module->pins, s->fingerprint); /* HTTP-003 */
    if (!session_is_pinned(s)) { /* its pin went while hands were shaken (TLS-004) */
        session_close(s);
        return false;
    }
    host->seat(s, false);
    return true;
}

/* The answer is out: the connection goes when the peer has read it, or has had a second to do so. */
static void start_drain(session *s, const session_host *host, uint64_t now_ms)
{
    if (s->restart_when_sent) host->module->restart_asked = true;
    tls_finish(s->tls);
    s->close_when_sent = false;
    s->phase = SESSION_DRAIN;
    s->active_ms = now_ms;
}

void session_serve(session *s, const session_host *host, uint64_t now_ms)
{
    s->more_waits = false;
    if (s->phase == SESSION_HANDSHAKE && !shake_hands(s, host, now_ms)) return;
    for (int round = 0; s->phase != SESSION_FREE; round++) {
        if (!flush(s)) return;
        if (s->close_when_sent) start_drain(s, host, now_ms);
        if (round == ROUNDS_MAX) { /* others wait too */
            s->more_waits = true;
            return;
        }
        if (!take_message(s, host, now_ms) && s->phase != SESSION_FREE && !receive(s, now_ms)) return;
    }
}

static void tick_stream(session *s, const session_host *host, uint64_t now_ms)
{
    const module *m = host->module;
    bool notable = fabs(m->battery.power_w - s->state_power_w) > 50 || m->notable != s->state_notable; /* STREAM-003 */
    uint64_t since_ms = now_ms - s->state_ms;
    if (s->out_used > 0 || s->close_when_sent) return; /* a slow reader misses a state and gets a fresh one later */
    if (since_ms < STATE_PERIOD_MS && !(notable && since_ms >= STATE_GAP_MS)) return;
    queue_state(s, m, now_ms);
    session_serve(s, host, now_ms);
}

static uint64_t idle_ms_allowed(const session *s)
{
    if (s->phase == SESSION_DRAIN) return DRAIN_MS;
    return session_is_pinned(s) ? PINNED_IDLE_MS : STRANGER_IDLE_MS;
}

void session_tick(session *s, const session_host *host, uint64_t now_ms)
{
    bool stuck = s->out_used > 0 && now_ms - s->out_ms > OUT_MS;
    bool slow_hands = s->phase == SESSION_HANDSHAKE && now_ms - s->opened_ms > HANDSHAKE_MS;
    bool slow_request = s->phase == SESSION_HTTP && s->request_ms > 0 && now_ms > s->request_ms + REQUEST_MS;
    if (s->phase == SESSION_FREE) return;
    if (stuck || slow_hands || (s->phase != SESSION_STREAM && now_ms - s->active_ms > idle_ms_allowed(s))) {
        session_close(s);
    } else if (s->phase == SESSION_STREAM) {
        tick_stream(s, host, now_ms);
    } else if (slow_request && !s->close_when_sent) {
        queue_problem(s, "request_timeout", now_ms);
        session_serve(s, host, now_ms);
    }
}

void session_end(session *s, unsigned websocket_status, uint64_t now_ms)
{
    if (s->phase == SESSION_STREAM && s->out_used == 0) {
        queue_close(s, websocket_status, now_ms);
        if (s->phase != SESSION_FREE) flush(s);
    }
    session_close(s);
}
