#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

text text_in(char *memory, size_t size)
{
    text fresh = {memory, size, 0, false};
    if (size > 0) memory[0] = '\0';
    return fresh;
}

void text_bytes(text *to, const void *bytes, size_t count)
{
    if (to->overflowed || count + 1 > to->size - to->used) {
        to->overflowed = true;
        return;
    }
    memcpy(to->start + to->used, bytes, count);
    to->used += count;
    to->start[to->used] = '\0';
}

void text_put(text *to, const char *words)
{
    text_bytes(to, words, strlen(words));
}

void text_format(text *to, const char *format, ...)
{
    if (to->overflowed) return;
    size_t room = to->size - to->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to->start + to->used, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) {
        to->overflowed = true;
        to->start[to->used] = '\0';
        return;
    }
    to->used += (size_t)length;
}

void text_quoted(text *to, const char *words)
{
    text_put(to, "\"");
    for (const char *at = words; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\') text_format(to, "\\%c", byte);
        else if (byte < 0x20) text_format(to, "\\u%04x", byte);
        else text_bytes(to, at, 1);
    }
    text_put(to, "\"");
}

void text_number(text *to, double number)
{
    char digits[40];
    if (number == 0) number = 0; /* -0 is written as 0 */
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    text_put(to, digits);
}

void text_measured(text *to, double number, int decimals)
{
    char digits[64];
    if (!isfinite(number)) {
        text_put(to, "null");
        return;
    }
    snprintf(digits, sizeof digits, "%.*f", decimals, number);
    if (strchr(digits, '.')) {
        size_t last = strlen(digits) - 1;
        while (digits[last] == '0') digits[last--] = '\0';
        if (digits[last] == '.') digits[last] = '\0';
    }
    text_put(to, strcmp(digits, "-0") == 0 ? "0" : digits);
}

void hex_write(char *to, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[2 * count] = '\0';
}

static int hex_digit(char symbol)
{
    if (symbol >= '0' && symbol <= '9') return symbol - '0';
    if (symbol >= 'a' && symbol <= 'f') return symbol - 'a' + 10;
    return -1;
}

bool hex_read(uint8_t *to, size_t count, const char *hex)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);
        if (low < 0) return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * count] == '\0';
}
