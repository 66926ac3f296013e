/* A text that grows in memory of fixed size. What does not fit is not written, and `overflowed` says so. */
#ifndef ORES_TEXT_H
#define ORES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *start;
    size_t size, used;
    bool overflowed;
} text;

text text_in(char *memory, size_t size);
void text_bytes(text *to, const void *bytes, size_t count);
void text_put(text *to, const char *words);

/* "%s" takes trusted words only; whatever a peer has sent goes through text_quoted. */
void text_format(text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As a JSON string, escaped. */
void text_quoted(text *to, const char *words);

/* The shortest number that reads back as the same double, so that PUT answers what it was given (SAFE-007). */
void text_number(text *to, double number);

/* Rounded to `decimals`, for what is measured. NAN becomes null: unknown is never 0 (QTY-004). */
void text_measured(text *to, double number, int decimals);

void hex_write(char *to, const uint8_t *bytes, size_t count);
bool hex_read(uint8_t *to, size_t count, const char *hex);

#endif
