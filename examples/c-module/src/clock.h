#ifndef ORES_CLOCK_H
#define ORES_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Never goes back, never jumps (STREAM-006). */
uint64_t clock_monotonic_ms(void);

/* Seconds since 1970 in UTC; false unless an outside source keeps the wall clock right (STREAM-007). `trusted` takes
   the owner's word for it, on machines whose kernel is not told. */
bool clock_utc_s(bool trusted, int64_t *utc_s);

#endif
