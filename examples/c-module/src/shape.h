/* The schemas of the standard as tables, and the check of a message against them. A command with anything that its
   schema does not know is refused (LEASE-010), and a number outside its range is never clamped (LEASE-011). */
#ifndef ORES_SHAPE_H
#define ORES_SHAPE_H

#include "json.h"

struct shape;

typedef struct {
    const char *name;
    const struct shape *shape;
    bool required;
} field;

typedef struct shape {
    enum { SHAPE_NUMBER, SHAPE_INTEGER, SHAPE_TEXT, SHAPE_FLAG, SHAPE_OBJECT, SHAPE_MAP, SHAPE_LIST } kind;
    const char *allowed;        /* for people, in the problem */
    double least, most;         /* numbers: range; texts: length in code points; maps and lists: `most` items */
    bool above_least;           /* exclusiveMinimum */
    bool secret;                /* what stood there is not told (ERR-005) */
    bool (*rune_fits)(uint32_t rune, size_t index);
    const char *const *words;   /* texts: a closed list, ended by NULL */
    const field *fields;        /* objects, ended by a NULL name */
    const struct shape *keys;   /* maps: shape of the key; also checked where a key is no field */
    const struct shape *items;  /* maps and lists */
} shape;

/* Where a message leaves its shape. Texts are cut to fit. */
typedef struct {
    char field[200], found[64], allowed[120];
} misfit;

bool shape_check(json value, const shape *wanted, misfit *where);

#endif
