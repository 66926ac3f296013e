/* I-JSON (MSG-001) read in place: checked once as a whole, then walked without copies and without a heap. */
#ifndef ORES_JSON_H
#define ORES_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 6 }; /* SIZE-001 */

typedef enum { JSON_OBJECT, JSON_LIST, JSON_TEXT, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL } json_kind;

/* A value: its first byte in a text that json_check has passed. NULL is "there is none". */
typedef const char *json;

/* Why `message`, which ends with a NUL at [size], is no I-JSON of bounded depth; NULL when it is.
   Doubled keys are refused (MSG-004). `*root` becomes the value. */
const char *json_check(const char *message, size_t size, json *root);

json_kind json_kind_of(json value);

/* The member's value, or NULL. */
json json_member(json object, const char *key);

/* Walk an object's members or a list's items; for items `key` is NULL.
   Begin with json_items; the walk has ended when `value` is NULL. */
typedef struct {
    json key, value;
} json_item;
json_item json_items(json container);
json_item json_next(json_item item);

double json_number(json value);
bool json_is_integer(json value); /* MSG-003: neither fraction nor exponent */
uint64_t json_count(json value);  /* of an integer in 0…2^53 */

/* The next code point of a text, starting with `*at` at its opening quote + 1; false at its end. */
bool json_rune(json *at, uint32_t *rune);

/* Decodes into `to`; false when it does not fit, or holds a NUL. */
bool json_text(json value, char *to, size_t size);
bool json_text_is(json value, const char *words);

/* First byte behind the value. */
const char *json_end(json value);

#endif
