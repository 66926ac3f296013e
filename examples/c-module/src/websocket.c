#include "websocket.h"

#include <string.h>

#include "tls.h"

frame_result frame_read(char *bytes, size_t count, frame *f)
{
    const uint8_t *b = (const uint8_t *)bytes;
    if (count < 2) return FRAME_MORE;
    f->opcode = b[0] & 15;
    f->last = (b[0] & 0x80) != 0;
    bool control = f->opcode >= 8;
    if (b[0] & 0x70 || !(b[1] & 0x80)) return FRAME_BROKEN; /* no extension was agreed; a client masks */
    if ((f->opcode > OP_BINARY && f->opcode < OP_CLOSE) || f->opcode > OP_PONG) return FRAME_BROKEN;
    uint64_t size = b[1] & 0x7F;
    size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (control && (extra > 0 || !f->last)) return FRAME_BROKEN;
    if (count < 2 + extra) return FRAME_MORE;
    if (extra > 0) size = 0;
    for (size_t i = 0; i < extra; i++) size = size << 8 | b[2 + i];
    if (size > FRAME_MAX) return FRAME_TOO_LARGE;
    f->size = (size_t)size;
    f->taken = 2 + extra + 4 + f->size;
    if (count < f->taken) return FRAME_MORE;
    const uint8_t *mask = b + 2 + extra;
    f->payload = bytes + 2 + extra + 4;
    for (size_t i = 0; i < f->size; i++) f->payload[i] ^= (char)mask[i & 3];
    return FRAME_READ;
}

size_t frame_write_head(char to[FRAME_HEAD_MAX], unsigned opcode, size_t size)
{
    to[0] = (char)(0x80 | opcode);
    if (size < 126) {
        to[1] = (char)size;
        return 2;
    }
    to[1] = 126; /* no frame of this module needs eight bytes of length */
    to[2] = (char)(size >> 8);
    to[3] = (char)(size & 255);
    return 4;
}

static void base64(char *to, const uint8_t *bytes, size_t count)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3, to += 4) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < count) three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < count) three |= bytes[i + 2];
        to[0] = alphabet[three >> 18], to[1] = alphabet[three >> 12 & 63];
        to[2] = i + 1 < count ? alphabet[three >> 6 & 63] : '=';
        to[3] = i + 2 < count ? alphabet[three & 63] : '=';
    }
    *to = '\0';
}

void websocket_accept(char to[29], const char *key)
{
    char joined[64];
    uint8_t digest[20];
    strcpy(joined, key); /* 24 symbols, as http_read_head has seen to */
    strcat(joined, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    crypto_sha1(digest, joined, strlen(joined));
    base64(to, digest, sizeof digest);
}
