/* What persists: failsafe limits, policy, settings. Each is kept as the message that said it, and loaded by reading
   that message again, so that there is one way in. */
#ifndef ORES_CONTROL_H
#define ORES_CONTROL_H

#include "module.h"
#include "problem.h"

void control_load(module *m);
bool control_to_factory(module *m);

void failsafe_write(const module *m, text *to);
void policy_write(const module *m, text *to);
void settings_write(const module *m, text *to);

/* All or nothing; false with the problem filled. The message has passed its shape. */
bool failsafe_put(module *m, json message, problem *why);
bool policy_put(module *m, json message, problem *why);
bool settings_put(module *m, json message, problem *why);

#endif
