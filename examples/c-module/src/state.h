/* What the module says of itself. */
#ifndef ORES_STATE_H
#define ORES_STATE_H

#include "module.h"

void description_write(const module *m, text *to);
void description_write_public(const module *m, text *to); /* to a stranger (SEC-001) */
void state_write(const module *m, uint64_t now_ms, text *to);
void faults_write(const module *m, text *to);

#endif
