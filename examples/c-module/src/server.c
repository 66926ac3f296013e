#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

enum { IDLE_BEFORE_EVICTION_MS = 300, STRANGER_BEFORE_EVICTION_MS = 1500, WAITING_MS = 20000, BACKLOG = 16 };

/* Connections that have not yet said a word: a stranger who only opens them costs a socket each, and no session
   (HTTP-012). */
typedef struct {
    int socket; /* -1: free */
    uint64_t since_ms;
} waiting;

static module *served;
static int listener = -1;
static session sessions[SESSIONS];
static waiting room[WAITING_ROOM];
static bool room_is_stuck; /* somebody waits, and no session can be had yet */

/* ---- places: PLACES sessions are for pinned peers, one is left for whoever comes next ---- */

static bool same_peer(const session *one, const session *other)
{
    return session_is_pinned(one) && memcmp(one->fingerprint, other->fingerprint, HASH_SIZE) == 0;
}

/* The seated session to give way: not a stream if there is a choice, and the one idle for longest. */
static session *who_gives_way(const session *newer, bool of_same_peer)
{
    session *found = NULL;
    for (session *s = sessions; s < sessions + SESSIONS; s++) {
        if (s->phase == SESSION_FREE || !s->seated || s == newer) continue;
        if (of_same_peer ? !same_peer(s, newer) : s->role != ROLE_OBSERVER) continue;
        bool stream = s->phase == SESSION_STREAM, found_stream = found && found->phase == SESSION_STREAM;
        bool longer_idle = found && found_stream == stream && s->active_ms < found->active_ms;
        if (!found || (found_stream && !stream) || longer_idle) found = s;
    }
    return found;
}

static unsigned seated(const session *newer, bool of_same_peer)
{
    unsigned count = 0;
    for (session *s = sessions; s < sessions + SESSIONS; s++)
        count += s->phase != SESSION_FREE && s != newer && s->seated && (!of_same_peer || same_peer(s, newer));
    return count;
}

static void give_way(session *s)
{
    session_end(s, CLOSE_GOING_AWAY, module_uptime_ms(served));
}

/* A request is served without a place as well, in the session left for whoever comes next; a stream needs one. */
static bool seat(session *s, bool for_stream)
{
    session *gone = NULL;
    if (s->seated) return true;
    if (seated(s, true) >= 2) gone = who_gives_way(s, true); /* a hub holds two: one of the three is dead (HTTP-011) */
    else if (seated(s, false) < PLACES) return s->seated = true;
    else if (for_stream && s->role == ROLE_CONTROLLER) gone = who_gives_way(s, false); /* STREAM-016 */
    if (!gone && for_stream) gone = who_gives_way(s, true); /* STREAM-017 */
    if (gone) give_way(gone);
    return s->seated = gone != NULL;
}

/* A peer has one stream: the earlier one is most likely dead (STREAM-017). */
static void take_stream(session *newer)
{
    for (session *s = sessions; s < sessions + SESSIONS; s++)
        if (s != newer && s->phase == SESSION_STREAM && same_peer(s, newer)) give_way(s);
}

static session_host host = {NULL, seat, take_stream};

/* ---- sockets ---- */

static bool set_up_socket(int socket)
{
    int on = 1, few = 8192, flags = fcntl(socket, F_GETFL);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &few, sizeof few); /* a dead reader shows in seconds, not in hours */
    return flags >= 0 && fcntl(socket, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* One socket for IPv6 and IPv4; where there is no IPv6, for IPv4 alone. */
static int bind_listener(int family, unsigned port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, off = 0, bound = socket(family, SOCK_STREAM, 0);
    if (bound < 0) return -1;
    setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) setsockopt(bound, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int result = family == AF_INET6 ? bind(bound, (const struct sockaddr *)&six, sizeof six)
                                    : bind(bound, (const struct sockaddr *)&four, sizeof four);
    if (result == 0 && listen(bound, BACKLOG) == 0 && set_up_socket(bound)) return bound;
    close(bound);
    return -1;
}

unsigned server_start(module *m, unsigned port)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    served = host.module = m;
    for (int i = 0; i < WAITING_ROOM; i++) room[i].socket = -1;
    listener = bind_listener(AF_INET6, port);
    if (listener < 0) listener = bind_listener(AF_INET, port);
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0) return 0;
    return ntohs(address.sin6_port); /* at the same place in both kinds of address */
}

static void show_out(waiting *w)
{
    close(w->socket);
    w->socket = -1;
}

static void accept_all(uint64_t now_ms)
{
    int socket;
    while ((socket = accept(listener, NULL, NULL)) >= 0) {
        waiting *place = &room[0];
        if (!set_up_socket(socket)) {
            close(socket);
            continue;
        }
        for (waiting *w = room; w < room + WAITING_ROOM && place->socket >= 0; w++)
            if (w->socket < 0 || w->since_ms < place->since_ms) place = w;
        if (place->socket >= 0) show_out(place);
        place->socket = socket;
        place->since_ms = now_ms;
    }
}

/* A session for the next who waits: a free one, or that of a stranger who has had his time. */
static session *session_for_next(uint64_t now_ms)
{
    session *found = NULL;
    for (session *s = sessions; s < sessions + SESSIONS; s++) {
        if (s->phase == SESSION_FREE) return s;
        bool idle = now_ms - s->active_ms > IDLE_BEFORE_EVICTION_MS && s->phase != SESSION_HANDSHAKE;
        bool had_time = now_ms - s->opened_ms > STRANGER_BEFORE_EVICTION_MS;
        if (s->seated || !(idle || had_time)) continue;
        bool pinned = session_is_pinned(s), found_pinned = found && session_is_pinned(found);
        bool longer_here = found && pinned == found_pinned && s->opened_ms < found->opened_ms;
        if (!found || (found_pinned && !pinned) || longer_here) found = s; /* strangers first */
    }
    if (found) session_close(found);
    return found;
}

/* Who has said something, and has waited longest. */
static waiting *next_to_admit(const struct pollfd polls[WAITING_ROOM])
{
    waiting *found = NULL;
    for (int i = 0; i < WAITING_ROOM; i++) {
        waiting *w = &room[i];
        bool ready = w->socket >= 0 && polls[i].fd == w->socket && polls[i].revents;
        if (ready && (!found || w->since_ms < found->since_ms)) found = w;
    }
    return found;
}

static void admit(const struct pollfd polls[WAITING_ROOM], uint64_t now_ms)
{
    waiting *next;
    room_is_stuck = false;
    while (!room_is_stuck && (next = next_to_admit(polls)) != NULL) {
        session *s = session_for_next(now_ms);
        room_is_stuck = !s;
        if (!s) break;
        session_open(s, next->socket, now_ms);
        next->socket = -1;
        if (s->phase != SESSION_FREE) session_serve(s, &host, now_ms);
    }
    for (waiting *w = room; w < room + WAITING_ROOM; w++)
        if (w->socket >= 0 && now_ms - w->since_ms > WAITING_MS) show_out(w);
}

/* Trust ends now, not at the next connection (TLS-008). Whoever has just released itself still gets its answer. */
static void drop_unpinned(void)
{
    served->pins_changed = false;
    for (session *s = sessions; s < sessions + SESSIONS; s++) {
        if (s->phase == SESSION_FREE || s->phase == SESSION_DRAIN || s->close_when_sent) continue;
        if (session_is_pinned(s) && pins_role(&served->pins, s->fingerprint) != s->role) session_close(s);
    }
}

bool server_wants(struct pollfd polls[SERVER_POLLS])
{
    bool at_once = false;
    polls[0].fd = listener;
    polls[0].events = POLLIN;
    for (int i = 0; i < WAITING_ROOM; i++) {
        polls[1 + i].fd = room[i].socket;
        polls[1 + i].events = room_is_stuck ? 0 : POLLIN;
    }
    for (int i = 0; i < SESSIONS; i++) {
        const session *s = &sessions[i];
        struct pollfd *p = &polls[1 + WAITING_ROOM + i];
        p->fd = s->phase == SESSION_FREE ? -1 : s->socket;
        p->events = s->wants_write ? POLLOUT : POLLIN;
        at_once = at_once || (s->phase != SESSION_FREE && s->more_waits);
    }
    return at_once;
}

void server_serve(const struct pollfd polls[SERVER_POLLS], uint64_t now_ms)
{
    if (served->pins_changed) drop_unpinned(); /* somebody at the device */
    for (int i = 0; i < SESSIONS; i++) {
        session *s = &sessions[i];
        const struct pollfd *p = &polls[1 + WAITING_ROOM + i];
        bool asked = s->phase != SESSION_FREE && p->fd == s->socket && (p->revents || s->more_waits);
        if (asked) session_serve(s, &host, now_ms);
        if (served->pins_changed) drop_unpinned();
    }
    if (room_is_stuck) room_is_stuck = false; /* poll was not asked about the room: look again after the next */
    else admit(polls + 1, now_ms);
    if (polls[0].revents) accept_all(now_ms);
    for (session *s = sessions; s < sessions + SESSIONS; s++) session_tick(s, &host, now_ms);
    if (served->pins_changed) drop_unpinned();
}

void server_end_sessions(uint64_t now_ms)
{
    for (session *s = sessions; s < sessions + SESSIONS; s++) session_end(s, CLOSE_GOING_AWAY, now_ms);
}
