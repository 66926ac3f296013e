#include "http.h"

#include <string.h>
#include <strings.h>

typedef struct {
    const char *at;
    size_t length;
} span;

static bool copy(char *to, size_t size, span from)
{
    if (from.length >= size) return false;
    memcpy(to, from.at, from.length);
    to[from.length] = '\0';
    return true;
}

static span up_to(span *rest, char end)
{
    span part = {rest->at, 0};
    while (part.length < rest->length && part.at[part.length] != end) part.length++;
    size_t taken = part.length + (part.length < rest->length);
    rest->at += taken, rest->length -= taken;
    return part;
}

static span trimmed(span s)
{
    while (s.length > 0 && (*s.at == ' ' || *s.at == '\t')) s.at++, s.length--;
    while (s.length > 0 && (s.at[s.length - 1] == ' ' || s.at[s.length - 1] == '\t')) s.length--;
    return s;
}

static bool is(span s, const char *word)
{
    return s.length == strlen(word) && strncasecmp(s.at, word, s.length) == 0;
}

static bool lists(span value, const char *word)
{
    while (value.length > 0)
        if (is(trimmed(up_to(&value, ',')), word)) return true;
    return false;
}

/* A path or query that does not fit is none that is served: it is cut, and found nowhere. */
static void read_target(span target, http_head *head)
{
    span path = up_to(&target, '?');
    if (!copy(head->path, sizeof head->path, path)) strcpy(head->path, "/");
    if (!copy(head->query, sizeof head->query, target)) head->query[0] = '\0';
}

static bool read_request_line(span line, http_head *head)
{
    span method = up_to(&line, ' '), target = up_to(&line, ' ');
    if (method.length == 0 || target.length == 0 || target.at[0] != '/') return false;
    if (!copy(head->method, sizeof head->method, method)) strcpy(head->method, "?"); /* unknown, and so not allowed */
    read_target(target, head);
    head->keep_alive = is(line, "HTTP/1.1");
    return head->keep_alive || is(line, "HTTP/1.0");
}

static bool read_length(span value, http_head *head, bool *seen)
{
    size_t size = 0;
    if (value.length == 0 || *seen) return false; /* two lengths are two readings of one stream */
    *seen = true;
    for (size_t i = 0; i < value.length; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') return false;
        if (size <= BODY_MAX) size = size * 10 + (size_t)(value.at[i] - '0');
    }
    head->body_too_large = size > BODY_MAX;
    head->body_size = size;
    return true;
}

static bool read_header(span line, http_head *head, bool *length_seen)
{
    span name = up_to(&line, ':'), value = trimmed(line);
    if (name.length == 0 || name.at[name.length - 1] == ' ' || name.at + name.length >= line.at) return false;
    if (is(name, "Content-Length")) return read_length(value, head, length_seen);
    if (is(name, "Transfer-Encoding")) return false; /* HTTP-006 */
    if (is(name, "Host")) head->has_host = true;
    if (is(name, "Connection") && lists(value, "close")) head->keep_alive = false;
    if (is(name, "Connection") && lists(value, "upgrade")) head->wants_upgrade = true;
    if (is(name, "Upgrade")) head->asks_websocket = lists(value, "websocket");
    if (is(name, "Sec-WebSocket-Version")) head->version_13 = is(value, "13");
    if (is(name, "Sec-WebSocket-Key") && value.length == 24)
        copy(head->websocket_key, sizeof head->websocket_key, value);
    return true; /* HTTP-008 */
}

static const char *end_of_head(const char *bytes, size_t count)
{
    for (size_t i = 3; i < count; i++)
        if (memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0) return bytes + i - 3;
    return NULL;
}

http_result http_read_head(const char *bytes, size_t count, http_head *head)
{
    bool length_seen = false;
    memset(head, 0, sizeof *head);
    const char *end = end_of_head(bytes, count < HEAD_MAX ? count : HEAD_MAX);
    if (!end) return count >= HEAD_MAX ? HTTP_BAD : HTTP_MORE;
    head->length = (size_t)(end - bytes) + 4;
    span rest = {bytes, (size_t)(end - bytes)};
    if (memchr(bytes, '\0', rest.length)) return HTTP_BAD;
    for (bool first = true; rest.length > 0 || first; first = false) {
        span line = up_to(&rest, '\n');
        if (rest.length > 0 && (line.length == 0 || line.at[line.length - 1] != '\r')) return HTTP_BAD;
        if (line.length > 0 && line.at[line.length - 1] == '\r') line.length--;
        if (!(first ? read_request_line(line, head) : read_header(line, head, &length_seen))) return HTTP_BAD;
    }
    return head->has_host ? HTTP_READ : HTTP_BAD; /* RFC 9112, 3.2 */
}
