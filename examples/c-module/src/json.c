#include "json.h"

#include <stdlib.h>
#include <string.h>

/* ---- checking: nothing below trusts a byte of the message ---- */

typedef struct {
    const char *at;
    const char *why;
} checker;

static bool refuse(checker *c, const char *why)
{
    if (!c->why) c->why = why;
    return false;
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

static bool is_digit(char symbol) { return symbol >= '0' && symbol <= '9'; }

static bool check_digits(checker *c)
{
    if (!is_digit(*c->at)) return refuse(c, "a digit is missing");
    while (is_digit(*c->at)) c->at++;
    return true;
}

static bool check_number(checker *c)
{
    if (*c->at == '-') c->at++;
    if (*c->at == '0') c->at++;
    else if (!check_digits(c)) return false;
    if (*c->at == '.') {
        c->at++;
        if (!check_digits(c)) return false;
    }
    if (*c->at == 'e' || *c->at == 'E') {
        c->at++;
        if (*c->at == '+' || *c->at == '-') c->at++;
        if (!check_digits(c)) return false;
    }
    return true;
}

/* Four hexadecimal digits, or -1. */
static long hex4(const char *at)
{
    long value = 0;
    for (int i = 0; i < 4; i++) {
        char s = at[i];
        int digit = is_digit(s) ? s - '0' : -1;
        if (s >= 'a' && s <= 'f') digit = s - 'a' + 10;
        if (s >= 'A' && s <= 'F') digit = s - 'A' + 10;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool check_escape(checker *c)
{
    c->at++;
    if (*c->at == 'u') {
        long unit = hex4(c->at + 1);
        if (unit < 0) return refuse(c, "\\u needs four hexadecimal digits");
        c->at += 5;
        if (unit >= 0xDC00 && unit <= 0xDFFF) return refuse(c, "a lone surrogate");
        if (unit < 0xD800 || unit > 0xDBFF) return true;
        long low = c->at[0] == '\\' && c->at[1] == 'u' ? hex4(c->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) return refuse(c, "a lone surrogate");
        c->at += 6;
        return true;
    }
    if (*c->at == '\0' || !strchr("\"\\/bfnrt", *c->at)) return refuse(c, "an escape that JSON does not know");
    c->at++;
    return true;
}

/* One code point of UTF-8 beyond ASCII: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
static bool check_utf8(checker *c)
{
    const unsigned char *b = (const unsigned char *)c->at;
    int follow = b[0] >= 0xC2 && b[0] <= 0xDF ? 1 : (b[0] & 0xF0) == 0xE0 ? 2 : b[0] >= 0xF0 && b[0] <= 0xF4 ? 3 : 0;
    if (follow == 0) return refuse(c, "not UTF-8");
    for (int i = 1; i <= follow; i++)
        if ((b[i] & 0xC0) != 0x80) return refuse(c, "not UTF-8");
    if ((b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xED && b[1] > 0x9F) || (b[0] == 0xF0 && b[1] < 0x90) ||
        (b[0] == 0xF4 && b[1] > 0x8F))
        return refuse(c, "not UTF-8");
    c->at += follow + 1;
    return true;
}

static bool check_text(checker *c)
{
    if (*c->at != '"') return refuse(c, "a text in quotes is missing");
    c->at++;
    while (*c->at != '"') {
        unsigned char byte = (unsigned char)*c->at;
        if (byte < 0x20) return refuse(c, "a control character, or no end, in a text");
        if (byte == '\\') {
            if (!check_escape(c)) return false;
        } else if (byte < 0x80) {
            c->at++;
        } else if (!check_utf8(c)) {
            return false;
        }
    }
    c->at++;
    return true;
}

static bool texts_equal(json one, json other)
{
    uint32_t a, b;
    one++, other++;
    for (;;) {
        bool more_a = json_rune(&one, &a), more_b = json_rune(&other, &b);
        if (more_a != more_b) return false;
        if (!more_a) return true;
        if (a != b) return false;
    }
}

/* Walks the members before this one again: time in place of memory, and 4096 bytes are soon walked. */
static bool check_key_is_new(checker *c, json object, json key)
{
    const char *at = skip_blanks(object + 1);
    while (at < key) {
        if (texts_equal(at, key)) return refuse(c, "a key stands twice in one object");
        at = skip_blanks(json_end(at)) + 1;           /* the colon */
        at = skip_blanks(json_end(skip_blanks(at))) + 1; /* the comma */
        at = skip_blanks(at);
    }
    return true;
}

static bool check_value(checker *c, int depth);

static bool check_container(checker *c, int depth, char closing)
{
    json container = c->at;
    if (depth == JSON_DEPTH_MAX) return refuse(c, "nests deeper than six levels");
    c->at = skip_blanks(c->at + 1);
    if (*c->at == closing) return c->at++, true;
    for (;;) {
        if (closing == '}') {
            json key = c->at;
            if (!check_text(c) || !check_key_is_new(c, container, key)) return false;
            c->at = skip_blanks(c->at);
            if (*c->at != ':') return refuse(c, "a colon is missing");
            c->at = skip_blanks(c->at + 1);
        }
        if (!check_value(c, depth + 1)) return false;
        c->at = skip_blanks(c->at);
        if (*c->at == closing) return c->at++, true;
        if (*c->at != ',') return refuse(c, "a comma or an end is missing");
        c->at = skip_blanks(c->at + 1);
    }
}

static bool check_word(checker *c, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(c->at, word, length) != 0) return refuse(c, "a word that JSON does not know");
    c->at += length;
    return true;
}

static bool check_value(checker *c, int depth)
{
    switch (*c->at) {
    case '{': return check_container(c, depth, '}');
    case '[': return check_container(c, depth, ']');
    case '"': return check_text(c);
    case 't': return check_word(c, "true");
    case 'f': return check_word(c, "false");
    case 'n': return check_word(c, "null");
    default: return *c->at == '-' || is_digit(*c->at) ? check_number(c) : refuse(c, "no JSON value");
    }
}

const char *json_check(const char *message, size_t size, json *root)
{
    if (memchr(message, '\0', size)) return "a NUL byte";
    checker c = {skip_blanks(message), NULL};
    *root = c.at;
    if (check_value(&c, 0) && *skip_blanks(c.at) != '\0') refuse(&c, "something stands behind the end");
    return c.why;
}

/* ---- walking: only texts that have been checked come here ---- */

json_kind json_kind_of(json value)
{
    switch (*value) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_LIST;
    case '"': return JSON_TEXT;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

static const char *text_end(json at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\') at++;
    return at + 1;
}

const char *json_end(json value)
{
    int depth = 0;
    for (;;) {
        if (*value == '"') {
            value = text_end(value);
        } else if (*value == '{' || *value == '[') {
            depth++, value++;
        } else if (*value == '}' || *value == ']') {
            depth--, value++;
        } else if (depth > 0) {
            value++; /* blanks, colons, commas, numbers and words inside */
        } else {
            while (*value && !strchr(" \t\r\n,:]}", *value)) value++;
        }
        if (depth == 0) return value;
    }
}

static json_item item_at(const char *at, bool keyed)
{
    json_item item = {NULL, NULL};
    if (keyed) {
        item.key = at;
        at = skip_blanks(skip_blanks(json_end(at)) + 1);
    }
    item.value = at;
    return item;
}

json_item json_items(json container)
{
    const char *at = skip_blanks(container + 1);
    json_item none = {NULL, NULL};
    return *at == '}' || *at == ']' ? none : item_at(at, *container == '{');
}

json_item json_next(json_item item)
{
    const char *at = skip_blanks(json_end(item.value));
    json_item none = {NULL, NULL};
    return *at == ',' ? item_at(skip_blanks(at + 1), item.key != NULL) : none;
}

json json_member(json object, const char *key)
{
    for (json_item item = json_items(object); item.value; item = json_next(item))
        if (json_text_is(item.key, key)) return item.value;
    return NULL;
}

double json_number(json value) { return strtod(value, NULL); }

bool json_is_integer(json value)
{
    if (*value == '-') value++;
    while (is_digit(*value)) value++;
    return *value != '.' && *value != 'e' && *value != 'E';
}

uint64_t json_count(json value) { return (uint64_t)strtoull(value, NULL, 10); }

static uint32_t escaped(json *at)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *letter;
    if (**at != 'u') {
        char symbol = *(*at)++;
        letter = strchr(letters, symbol);
        return (unsigned char)(letter ? meant[letter - letters] : symbol);
    }
    uint32_t unit = (uint32_t)hex4(*at + 1);
    *at += 5;
    if (unit < 0xD800 || unit > 0xDBFF) return unit;
    uint32_t low = (uint32_t)hex4(*at + 2);
    *at += 6;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

bool json_rune(json *at, uint32_t *rune)
{
    unsigned char first = (unsigned char)**at;
    if (first == '"') return false;
    (*at)++;
    if (first == '\\') {
        *rune = escaped(at);
        return true;
    }
    int follow = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    *rune = follow == 0 ? first : first & (0x3Fu >> follow);
    while (follow-- > 0) *rune = *rune << 6 | ((unsigned char)*(*at)++ & 0x3F);
    return true;
}

static size_t utf8_write(char *to, uint32_t rune)
{
    if (rune < 0x80) return to[0] = (char)rune, 1;
    if (rune < 0x800) return to[0] = (char)(0xC0 | rune >> 6), to[1] = (char)(0x80 | (rune & 0x3F)), 2;
    size_t extra = rune < 0x10000 ? 2 : 3;
    to[0] = (char)((extra == 2 ? 0xE0u : 0xF0u) | rune >> (6 * extra));
    for (size_t i = 1; i <= extra; i++) to[i] = (char)(0x80 | (rune >> (6 * (extra - i)) & 0x3F));
    return extra + 1;
}

bool json_text(json value, char *to, size_t size)
{
    size_t used = 0;
    uint32_t rune;
    char utf8[4];
    for (json at = value + 1; json_rune(&at, &rune);) {
        size_t length = utf8_write(utf8, rune);
        if (rune == 0 || used + length + 1 > size) return false;
        memcpy(to + used, utf8, length);
        used += length;
    }
    to[used] = '\0';
    return true;
}

bool json_text_is(json value, const char *words)
{
    uint32_t rune;
    char utf8[4];
    for (json at = value + 1; json_rune(&at, &rune);) {
        size_t length = utf8_write(utf8, rune);
        if (strncmp(words, utf8, length) != 0 || rune == 0) return false;
        words += length;
    }
    return *words == '\0';
}
