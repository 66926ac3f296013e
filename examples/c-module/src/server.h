/* Sockets, places and the loop's poll. */
#ifndef ORES_SERVER_H
#define ORES_SERVER_H

#include <poll.h>

#include "module.h"

enum { SESSIONS = 3, PLACES = SESSIONS - 1, WAITING_ROOM = 8, SERVER_POLLS = 1 + WAITING_ROOM + SESSIONS };

/* Listens on `port`, 0 for any; the port it got, or 0. */
unsigned server_start(module *m, unsigned port);
/* Fills `polls` for the next wait; true when something is to be done at once. */
bool server_wants(struct pollfd polls[SERVER_POLLS]);
void server_serve(const struct pollfd polls[SERVER_POLLS], uint64_t now_ms);
/* Ends all connections, streams in order. The listening socket stays. */
void server_end_sessions(uint64_t now_ms);

#endif
