#pragma once
/* Rows as they are stored, and the vectors of f32 that they stand for. */
#include "device/device.h"

/* Bytes of a row. */
static inline size_t row_size(enum row_type type, size_t dim)
{
    switch (type) {
    case ROW_F16: return dim * sizeof(uint16_t);
    case ROW_U8:
    case ROW_UNIT_U8: return dim;
    case ROW_BITS: return (dim + 7) / 8;
    default: return dim * sizeof(float);
    }
}

/* Bytes of a query against such rows: of floats, but against bits bits. */
static inline size_t query_size(enum row_type type, size_t dim)
{
    return row_size(type == ROW_BITS ? ROW_BITS : ROW_F32, dim);
}

/* Row i of rows that stand size bytes apart. */
static inline const void *row_at(const void *rows, size_t size, uint64_t i)
{
    return (const char *)rows + i * size;
}

/* The score of a row of ROW_UNIT_U8 has two roundings more than a dot product, and what is proposed
 * for it one; bounds of so many dimensions more cover them all (dot_bound.h, code_bound.h: each 16
 * are another rounding of what is exact times norms). */
enum { ROW_UNIT_DIMS = 64 };

/* The dimensions that a bound on scores of such rows is made for. */
static inline size_t row_bound_dim(enum row_type type, size_t dim)
{
    return type == ROW_UNIT_U8 ? dim + ROW_UNIT_DIMS : dim;
}

/* What row_inverse makes of a sum of squares; for the zero vector 0. */
float row_inverse_of(uint32_t squares);
/* (float)(1 / sqrt(norm2)) of a row of ROW_UNIT_U8; 0 for the zero vector. */
float row_inverse(const struct kernels *kernels, const uint8_t *row, size_t dim);

/* Component i of a row, as a float. */
float row_component(const struct kernels *kernels, enum row_type type, const void *row, size_t i);

/* Writes count x dim components as floats, exactly. Not for ROW_BITS; rows of ROW_UNIT_U8 are
 * widened as they stand. */
struct row_list {
    enum row_type type;
    const void *rows;
    size_t count, dim;
};
void rows_widen(const struct kernels *kernels, const struct row_list *list, float *out);
/* The same, but rows of ROW_UNIT_U8 are multiplied by their inverse norm, with a rounding: what
 * proposals are made from, not scores. */
void rows_approximate(const struct kernels *kernels, const struct row_list *list, float *out);
