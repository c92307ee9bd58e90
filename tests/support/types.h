#pragma once
/* Vectors of every stored type, made without the library. */
#include "waggle/knn.h"

/* A type and a metric that go together: f32, f16 and u8 each with the five, bits with hamming. */
struct test_space {
    wg_type type;
    wg_metric metric;
};
enum { TEST_SPACES = 16 };
struct test_space test_space_at(size_t i);

/* Makes components into ones that the type takes: f16 halves what is too large, u8 and bits keep
 * little but where each stood. */
void test_type_fit(wg_type type, size_t count, float *components);

/* The vector as a collection stores it, size bytes of it. */
size_t test_type_size(wg_type type, size_t dim);
void test_type_store(struct test_space space, const float *vector, size_t dim, void *stored);
/* And as it is given when it is given in that type: rounded, not normalised. */
void test_type_pack(wg_type type, const float *vector, size_t dim, void *packed);
/* What is stored as f32. */
void test_type_widen(wg_type type, const void *stored, size_t dim, float *vector);
