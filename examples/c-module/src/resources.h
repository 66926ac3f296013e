/* The resources of chapter 4.5: who may do what, and what is answered. */
#ifndef ORES_RESOURCES_H
#define ORES_RESOURCES_H

#include "module.h"
#include "problem.h"

typedef struct {
    const char *method, *path, *query;
    const char *body; /* ends with a NUL at [body_size] */
    size_t body_size;
    peer_role role;
    const uint8_t *fingerprint; /* NULL for a stranger */
} request;

typedef struct {
    int status;
    bool is_problem, opens_stream, then_close, then_restart;
    const char *allow; /* methods, with a 405 */
    text body;
} reply;

void resources_answer(module *m, const request *r, uint64_t now_ms, reply *answer);
void resources_refuse(reply *answer, const problem *why);

/* A text frame of the stream: a lease, or a problem (STREAM-011, STREAM-012). */
void resources_frame(module *m, const char *frame, size_t size, peer_role role, uint64_t now_ms, text *answer);

#endif
