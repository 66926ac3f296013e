/* What survives a loss of power: a few named records, each written whole or not at all, each with its digest. On a
   chip this is two flash pages per record, written in turn. */
#ifndef ORES_STORE_H
#define ORES_STORE_H

#include <stdbool.h>
#include <stddef.h>

enum { STORE_RECORD_MAX = 4096 };
typedef enum { STORE_FOUND, STORE_MISSING, STORE_DAMAGED } store_result;

bool store_open(const char *folder);
bool store_put(const char *name, const void *bytes, size_t count);
/* Up to `room` bytes, followed by a NUL for the convenience of texts; `to` has room + 1. */
store_result store_get(const char *name, void *to, size_t room, size_t *count);
bool store_remove(const char *name);

#endif
