/* RFC 9457 problems with the codes of registry/errors.yaml that this module may answer with. */
#ifndef ORES_PROBLEM_H
#define ORES_PROBLEM_H

#include "shape.h"
#include "text.h"

typedef struct {
    const char *code;
    char detail[160];
    misfit where; /* empty field: not about a field */
    double retry_after_s;
} problem;

problem problem_of(const char *code, const char *detail);
problem problem_misfit(const misfit *where);
int problem_status(const char *code);
void problem_write(text *to, const problem *p);

#endif
