/* As tests/corruption_test.c, 3,000 places. */
#include "support/check.h"
#include "support/corruption.h"

#include <stdio.h>

int main(void)
{
    corruption_begin();
    struct corruption_counts flips = corruption_run(DAMAGE_FLIP, "!mdb", 2600);
    struct corruption_counts cuts = corruption_run(DAMAGE_TRUNCATE, "!mdb", 400);
    size_t bad = flips.crashed + flips.hung + flips.wrong + cuts.crashed + cuts.hung + cuts.wrong;
    if (flips.detected == 0 || cuts.detected == 0) puts("nothing was detected");
    return bad > 0 || flips.detected == 0 || cuts.detected == 0;
}
