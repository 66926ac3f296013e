#ifndef ORES_IDENTITY_H
#define ORES_IDENTITY_H

#include "module.h"

/* Loads key and secret, or makes them at the first start. NULL, or what a person must do. */
const char *identity_load(identity *self);
/* A new secret, and so a new code: this module can show it (LIFE-003). */
bool identity_new_secret(identity *self);

#endif
