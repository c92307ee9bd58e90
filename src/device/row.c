#include "device/row.h"

#include <math.h>
#include <string.h>

float row_inverse_of(uint32_t squares)
{
    return squares == 0 ? 0.0f : (float)(1 / sqrt((double)squares));
}

float row_inverse(const struct kernels *kernels, const uint8_t *row, size_t dim)
{
    return row_inverse_of(kernels->squares_u8(row, dim));
}

float row_component(const struct kernels *kernels, enum row_type type, const void *row, size_t i)
{
    struct row_list one = { type, row_at(row, row_size(type, 1), i), 1, 1 };
    float component;
    if (type == ROW_BITS) return (float)(((const uint8_t *)row)[i / 8] >> i % 8 & 1);
    rows_widen(kernels, &one, &component);
    return component;
}

void rows_widen(const struct kernels *kernels, const struct row_list *list, float *out)
{
    size_t count = list->count * list->dim;
    switch (list->type) {
    case ROW_F16: kernels->widen_f16(list->rows, count, out); break;
    case ROW_U8:
    case ROW_UNIT_U8: kernels->widen_u8(list->rows, count, out); break;
    default: memcpy(out, list->rows, count * sizeof *out); break;
    }
}

void rows_approximate(const struct kernels *kernels, const struct row_list *list, float *out)
{
    rows_widen(kernels, list, out);
    if (list->type != ROW_UNIT_U8) return;
    for (size_t r = 0; r < list->count; r++) {
        float inverse = row_inverse(kernels, row_at(list->rows, list->dim, r), list->dim);
        for (size_t i = 0; i < list->dim; i++) out[r * list->dim + i] *= inverse;
    }
}
