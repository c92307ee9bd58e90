/* As tests/corruption_test.c, in 11,000 places. */
#include "support/check.h"
#include "support/corruption.h"

#include <stdio.h>

static size_t bad;

static void run(enum damage damage, const char *name_part, size_t trials)
{
    struct corruption_counts counts = corruption_run(damage, name_part, trials);
    bad += counts.crashed + counts.hung + counts.wrong;
    if (counts.detected == 0) puts("nothing was detected");
    bad += counts.detected == 0;
}

int main(void)
{
    corruption_begin();
    run(DAMAGE_FLIP, "!mdb", 2600);
    run(DAMAGE_FLIP, "data.mdb", 7400);
    run(DAMAGE_TRUNCATE, "!mdb", 400);
    run(DAMAGE_TRUNCATE, "data.mdb", 600);
    return bad > 0;
}
