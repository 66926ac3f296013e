#include "shape.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    misfit *where;
    size_t used; /* of where->field: the path so far */
} walker;

static bool check(walker *w, json value, const shape *wanted);

static size_t push(walker *w, const char *separator, json key)
{
    size_t before = w->used;
    size_t length = strlen(separator) + (size_t)(json_end(key) - key) - 2;
    if (w->used + length + 1 > sizeof w->where->field) return before; /* the path stays shorter than the truth */
    memcpy(w->where->field + w->used, separator, strlen(separator));
    memcpy(w->where->field + w->used + strlen(separator), key + 1, length - strlen(separator));
    w->used += length;
    w->where->field[w->used] = '\0';
    return before;
}

static void pop(walker *w, size_t used)
{
    w->used = used;
    w->where->field[used] = '\0';
}

static void describe_found(char *to, size_t size, json value)
{
    static const char *const kinds[] = {"an object", "a list"};
    json_kind kind = json_kind_of(value);
    size_t length = (size_t)(json_end(value) - value);
    if (kind == JSON_OBJECT || kind == JSON_LIST) {
        snprintf(to, size, "%s", kinds[kind == JSON_LIST]);
        return;
    }
    if (length > size - 4) {
        length = size - 4;
        while (length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80) length--; /* whole code points only */
    }
    snprintf(to, size, "%.*s%s", (int)length, value, value + length < json_end(value) ? "..." : "");
}

static bool misfits(walker *w, json value, const shape *wanted)
{
    snprintf(w->where->allowed, sizeof w->where->allowed, "%s", wanted->allowed);
    if (wanted->secret) snprintf(w->where->found, sizeof w->where->found, "something else");
    else describe_found(w->where->found, sizeof w->where->found, value);
    return false;
}

static bool number_fits(json value, const shape *wanted)
{
    if (json_kind_of(value) != JSON_NUMBER) return false;
    if (wanted->kind == SHAPE_INTEGER && !json_is_integer(value)) return false;
    double number = json_number(value); /* infinite where it is beyond a double, and so out of range */
    return number <= wanted->most && (wanted->above_least ? number > wanted->least : number >= wanted->least);
}

static bool text_fits(json value, const shape *wanted)
{
    size_t length = 0;
    uint32_t rune;
    if (json_kind_of(value) != JSON_TEXT) return false;
    for (json at = value + 1; json_rune(&at, &rune); length++)
        if (wanted->rune_fits && !wanted->rune_fits(rune, length)) return false;
    if (wanted->words) {
        const char *const *known = wanted->words;
        while (*known && !json_text_is(value, *known)) known++;
        return *known != NULL;
    }
    return (double)length >= wanted->least && (double)length <= wanted->most;
}

static const field *field_named(const field *fields, json key)
{
    for (; fields->name; fields++)
        if (json_text_is(key, fields->name)) return fields;
    return NULL;
}

static bool unknown_field(walker *w, const shape *wanted)
{
    size_t used = 0;
    char *allowed = w->where->allowed;
    for (const field *f = wanted->fields; f->name && used < sizeof w->where->allowed; f++)
        used += (size_t)snprintf(allowed + used, sizeof w->where->allowed - used, "%s%s", used ? ", " : "", f->name);
    snprintf(w->where->found, sizeof w->where->found, "an unknown field");
    return false;
}

static bool missing_field(walker *w, const field *missing)
{
    size_t room = sizeof w->where->field - w->used;
    snprintf(w->where->field + w->used, room, ".%s", missing->name);
    snprintf(w->where->found, sizeof w->where->found, "nothing");
    snprintf(w->where->allowed, sizeof w->where->allowed, "%s", missing->shape->allowed);
    return false;
}

static bool check_object(walker *w, json value, const shape *wanted)
{
    if (json_kind_of(value) != JSON_OBJECT) return misfits(w, value, wanted);
    for (json_item item = json_items(value); item.value; item = json_next(item)) {
        const field *known = field_named(wanted->fields, item.key);
        size_t before = push(w, ".", item.key);
        if (!known) return unknown_field(w, wanted);
        if (!check(w, item.value, known->shape)) return false;
        pop(w, before);
    }
    for (const field *f = wanted->fields; f->name; f++)
        if (f->required && !json_member(value, f->name)) return missing_field(w, f);
    return true;
}

static bool check_map(walker *w, json value, const shape *wanted)
{
    size_t count = 0;
    if (json_kind_of(value) != JSON_OBJECT) return misfits(w, value, wanted);
    for (json_item item = json_items(value); item.value; item = json_next(item)) {
        size_t before = push(w, ".", item.key);
        if (!text_fits(item.key, wanted->keys)) return misfits(w, item.key, wanted->keys);
        if (!check(w, item.value, wanted->items)) return false;
        pop(w, before);
        if ((double)++count > wanted->most) return misfits(w, value, wanted);
    }
    return true;
}

static bool check_list(walker *w, json value, const shape *wanted)
{
    int index = 0;
    if (json_kind_of(value) != JSON_LIST) return misfits(w, value, wanted);
    for (json_item item = json_items(value); item.value; item = json_next(item)) {
        size_t before = w->used;
        int length = snprintf(w->where->field + before, sizeof w->where->field - before, "[%d]", index++);
        if (before + (size_t)length < sizeof w->where->field) w->used += (size_t)length;
        if (!check(w, item.value, wanted->items)) return false;
        pop(w, before);
        if (index > wanted->most) return misfits(w, value, wanted);
    }
    return true;
}

static bool check(walker *w, json value, const shape *wanted)
{
    json_kind kind = json_kind_of(value);
    switch (wanted->kind) {
    case SHAPE_OBJECT: return check_object(w, value, wanted);
    case SHAPE_MAP: return check_map(w, value, wanted);
    case SHAPE_LIST: return check_list(w, value, wanted);
    case SHAPE_FLAG: return kind == JSON_TRUE || kind == JSON_FALSE || misfits(w, value, wanted);
    case SHAPE_TEXT: return text_fits(value, wanted) || misfits(w, value, wanted);
    case SHAPE_NUMBER:
    case SHAPE_INTEGER: break;
    }
    return number_fits(value, wanted) || misfits(w, value, wanted);
}

bool shape_check(json value, const shape *wanted, misfit *where)
{
    walker w = {where, 1};
    memset(where, 0, sizeof *where);
    where->field[0] = '$';
    return check(&w, value, wanted);
}
