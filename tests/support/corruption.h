#pragma once
/* Damages copies of a small store, one place at a time, and has a child open, verify, read, search
 * and write each: it must not crash or hang, and must not return a wrong value from a store that
 * verify calls clean. */
#include <stdbool.h>
#include <stddef.h>

enum damage { DAMAGE_FLIP, DAMAGE_TRUNCATE, DAMAGE_REMOVE, DAMAGE_KINDS };

struct corruption_counts {
    size_t trials;
    size_t detected; /* verify reported it */
    size_t harmless; /* verify is clean and everything that was read is right */
    size_t crashed, hung, wrong; /* wrong: values, with verify clean */
    size_t read_wrong; /* wrong values that were read, and verify reported the damage */
};

/* Makes the store that is then damaged. */
void corruption_begin(void);

/* Does trials random damages of this kind to the files whose path holds name_part ("": all; but
 * with a leading '!': those whose path does not). Each failure is printed. */
struct corruption_counts corruption_run(enum damage damage, const char *name_part, size_t trials);
