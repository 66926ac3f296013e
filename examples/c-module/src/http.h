/* As much of HTTP/1.1 (RFC 9112) as the standard uses. */
#ifndef ORES_HTTP_H
#define ORES_HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum { HEAD_MAX = 1024, BODY_MAX = 4096 };

typedef struct {
    char method[8], path[64], query[32];
    size_t length, body_size; /* of the head; of the body that follows it */
    bool keep_alive, has_host, body_too_large;
    bool wants_upgrade, asks_websocket, version_13; /* Connection, Upgrade, Sec-WebSocket-Version */
    char websocket_key[25];
} http_head;

typedef enum { HTTP_MORE, HTTP_READ, HTTP_BAD } http_result;

/* Reads request line and headers; HTTP_BAD is what cannot be read, or is no HTTP as the standard uses it. */
http_result http_read_head(const char *bytes, size_t count, http_head *head);

#endif
