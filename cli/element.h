#pragma once
/* Number types of vector files, and how each becomes 32-bit floats. */
#include <stddef.h>
#include <stdint.h>

struct element {
    const char *name; /* "f32" */
    size_t size;      /* bytes */
    void (*convert)(const unsigned char *from, float *to, size_t count); /* NULL: as it stands */
};

extern const struct element element_f32, element_f32_big_endian, element_f64, element_f16,
    element_u8, element_i8;

uint32_t element_u32_little_endian(const unsigned char bytes[4]);
uint32_t element_u32_big_endian(const unsigned char bytes[4]);
