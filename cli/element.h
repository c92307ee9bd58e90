#pragma once
/* Number types of vector files, and how each becomes 32-bit floats. */
#include "waggle/knn.h"

#include <stddef.h>
#include <stdint.h>

struct element {
    const char *name; /* "f32" */
    size_t size;      /* bytes */
    void (*convert)(const unsigned char *from, float *to, size_t count); /* NULL: as it stands */
    size_t packed; /* components in one; 0: one */
};

extern const struct element element_f32, element_f32_big_endian, element_f64, element_f16,
    element_u8, element_i8, element_bits;

float element_widen_f16(uint16_t half);
/* Component i of a vector as the library gives it. */
float element_of(wg_type type, const void *data, size_t i);

uint32_t element_u32_little_endian(const unsigned char bytes[4]);
uint32_t element_u32_big_endian(const unsigned char bytes[4]);
