/* pack and dot_panel in registers of four rows. */
#include "kernel/arm/neon.h"
#include "kernel/arm/vec.h"

/* 20 sums, 4 registers of rows and an element of each query fit the 32 registers: half of a panel's
 * rows are scored by all queries, then the other half. With six queries gcc 12 keeps two sums in
 * memory. */
enum { VEC_LANES = 4, GROUP_VECS = 4 };
#define GROUPS UP_TO_5

#define vec_load vld1q_f32

#include "kernel/panel.h"

/* Element i of row j becomes element j of column i. */
INLINE void load_turned(const float *rows, size_t dim, vec *columns)
{
    vec x[4];
    EACH(j, 4) x[j] = vld1q_f32(rows + j * dim);
    vec low_02 = vzip1q_f32(x[0], x[2]), high_02 = vzip2q_f32(x[0], x[2]);
    vec low_13 = vzip1q_f32(x[1], x[3]), high_13 = vzip2q_f32(x[1], x[3]);
    columns[0] = vzip1q_f32(low_02, low_13), columns[1] = vzip2q_f32(low_02, low_13);
    columns[2] = vzip1q_f32(high_02, high_13), columns[3] = vzip2q_f32(high_02, high_13);
}

DEFINE_PANEL(neon)
