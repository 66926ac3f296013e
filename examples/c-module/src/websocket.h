/* As much of WebSocket (RFC 6455) as a stream needs: whole, masked text frames in, small frames out. */
#ifndef ORES_WEBSOCKET_H
#define ORES_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 4096, FRAME_HEAD_MAX = 14 };
enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { CLOSE_NORMAL = 1000, CLOSE_GOING_AWAY = 1001, CLOSE_PROTOCOL = 1002, CLOSE_TOO_LARGE = 1009 };

typedef struct {
    unsigned opcode;
    bool last;
    char *payload;
    size_t size, taken; /* of the payload; of all bytes of the frame */
} frame;

typedef enum { FRAME_MORE, FRAME_READ, FRAME_BROKEN, FRAME_TOO_LARGE } frame_result;

/* Unmasks in place, once the frame is whole. */
frame_result frame_read(char *bytes, size_t count, frame *f);

/* The head of an unmasked frame; its size. */
size_t frame_write_head(char to[FRAME_HEAD_MAX], unsigned opcode, size_t size);

void websocket_accept(char to[29], const char *key);

#endif
