/* Leases (chapter 4.8): which one counts, and what is answered. */
#ifndef ORES_LEASE_H
#define ORES_LEASE_H

#include "module.h"

/* Takes a lease of the controller that has passed its shape, the same from the stream and by PUT (LEASE-001), and
   writes its LeaseResult. */
void lease_take(module *m, json lease, uint64_t now_ms, text *result);

#endif
