#define _DEFAULT_SOURCE /* adjtimex is Linux's own */
#include "clock.h"

#include <sys/timex.h>
#include <time.h>

uint64_t clock_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool clock_utc_s(bool trusted, int64_t *utc_s)
{
    struct timex query = {.modes = 0};
    if (!trusted && (adjtimex(&query) == TIME_ERROR || query.status & STA_UNSYNC)) return false;
    *utc_s = (int64_t)time(NULL);
    return true;
}
