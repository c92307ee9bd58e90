#include "api/stored.h"

#include "api/vectors.h"
#include "base/mem.h"
#include "base/size.h"
#include "device/row.h"
#include "kernel/fpenv.h"

#include <math.h>
#include <string.h>

static const char *const names[] = { "f32", "f16", "u8", "bits" };

enum { TYPES = sizeof names / sizeof *names, F16_REFUSED = 0x7c00 };

const char *wg_type_name(wg_type type)
{
    return (unsigned)type < TYPES ? names[type] : NULL;
}

wg_err wg_type_parse(const char *name, wg_type *out)
{
    for (unsigned i = 0; i < TYPES; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (wg_type)i;
        return WG_OK;
    }
    return wg_fail(WG_EINVAL, "there is no type \"%s\"; there are f32, f16, u8, bits", name);
}

size_t wg_type_vector_size(wg_type type, size_t dim)
{
    return row_size((enum row_type)type, dim);
}

wg_err space_check(const struct space_record *space)
{
    wg_err err = WG_OK;
    TRY(metric_check((wg_metric)space->metric));
    if (!wg_type_name((wg_type)space->type))
        return wg_fail(WG_EINVAL, "type %u is none; there are 0 to %d", space->type, TYPES - 1);
    bool is_bits = space->type == WG_BITS;
    if (is_bits != (space->metric == WG_HAMMING))
        return wg_fail(WG_EINVAL,
                       "vectors of %s do not go with metric %s; bits go with hamming, and hamming "
                       "with bits",
                       names[space->type], wg_metric_name((wg_metric)space->metric));
    if (is_bits && space->dim > WG_DIM_MAX && space->dim <= WG_BITS_DIM_MAX) return WG_OK;
    if (is_bits && space->dim > WG_BITS_DIM_MAX)
        return wg_fail(WG_EDIM, "%u dimensions; a vector of bits has 1 to %u", space->dim,
                       WG_BITS_DIM_MAX);
    TRY(dim_check(space->dim));
out:
    return err;
}

static wg_err grow(struct stored_room *room, size_t count, size_t size)
{
    wg_err err = WG_OK;
    size_t bytes;
    TRY(size_multiply(count, size, &bytes));
    if (room->size >= bytes) return WG_OK;
    TRY(mem_resize(&room->bytes, bytes));
    room->size = bytes;
out:
    return err;
}

static wg_err fail_component(const struct given *given, size_t at, double value,
                             const char *expected)
{
    return wg_fail(WG_EINVAL, "%s %zu: component %zu is %g; expected %s", given->what,
                   at / given->dim, at % given->dim, value, expected);
}

/* --- f32 to what is stored --- */

/* To the nearest, ties to even. Above 2^-14 the bits behind the fraction's first ten are rounded
 * off, a carry going into the exponent; below, it is a multiple of 2^-24. F16_REFUSED: 65,520 or
 * more, which would be rounded to infinity. */
static uint16_t narrow(float x)
{
    uint32_t bits;
    float magnitude = fabsf(x);
    memcpy(&bits, &magnitude, sizeof bits);
    uint32_t sign = signbit(x) ? 0x8000 : 0, half;
    if (magnitude >= 65520)
        half = F16_REFUSED;
    else if (magnitude < 0x1p-14f)
        half = (uint32_t)nearbyintf(magnitude * 0x1p24f);
    else
        half = (bits - (UINT32_C(112) << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

static bool narrow_all(const float *from, size_t count, uint16_t *to, size_t *refused)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = narrow(from[i]);
        if ((to[i] & F16_REFUSED) != F16_REFUSED) continue;
        *refused = i;
        return false;
    }
    return true;
}

static bool to_bytes(const float *from, size_t count, uint8_t *to, size_t *refused)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i] >= 0 && from[i] <= 255 ? (uint8_t)from[i] : 0;
        if ((float)to[i] == from[i]) continue;
        *refused = i;
        return false;
    }
    return true;
}

static bool to_bits(const struct given *given, uint8_t *to, size_t *refused)
{
    const float *from = given->data;
    size_t size = row_size(ROW_BITS, given->dim);
    if (given->count > 0) memset(to, 0, given->count * size);
    for (size_t v = 0; v < given->count; v++)
        for (size_t i = 0; i < given->dim; i++) {
            float x = from[v * given->dim + i];
            *refused = v * given->dim + i;
            if (x != 0 && x != 1) return false;
            if (x == 1) to[v * size + i / 8] |= (uint8_t)(1u << i % 8);
        }
    return true;
}

/* given: of f32, checked. */
static wg_err convert(const struct given *given, const float *from, wg_type type, void *to)
{
    static const char *const expected[TYPES] = {
        [WG_F16] = "a magnitude of 65504 or less, as the vectors are stored as f16",
        [WG_U8] = "a whole number from 0 to 255, as the vectors are stored as u8",
        [WG_BITS] = "0 or 1, as the vectors are stored as bits",
    };
    size_t count = given->count * given->dim, refused = 0;
    struct fp_env env = fp_env_enter();
    bool fits = type == WG_F16  ? narrow_all(from, count, to, &refused)
                : type == WG_U8 ? to_bytes(from, count, to, &refused)
                                : to_bits(given, to, &refused);
    fp_env_leave(env);
    if (fits) return WG_OK;
    return fail_component(given, refused, (double)from[refused], expected[type]);
}

/* --- what is given as it is stored --- */

static wg_err check_f16(const struct kernels *kernels, const struct given *given)
{
    const uint16_t *halves = given->data;
    size_t count = given->count * given->dim, i = 0;
    float value;
    while (i < count && (halves[i] & F16_REFUSED) != F16_REFUSED) i++;
    if (i == count) return WG_OK;
    kernels->widen_f16(&halves[i], 1, &value);
    return fail_component(given, i, (double)value, "a finite number");
}

static wg_err check_bits(const struct given *given)
{
    const uint8_t *bytes = given->data;
    size_t size = row_size(ROW_BITS, given->dim);
    for (size_t v = 0; v < given->count && given->dim % 8 != 0; v++)
        if (bytes[(v + 1) * size - 1] >> given->dim % 8 != 0)
            return wg_fail(WG_EINVAL, "%s %zu: bits behind its %zu components are 1; expected 0",
                           given->what, v, given->dim);
    return WG_OK;
}

wg_err vectors_check_stored(const struct kernels *kernels, const struct given *given)
{
    switch (given->type) {
    case WG_F16: return check_f16(kernels, given);
    case WG_U8: return WG_OK;
    case WG_BITS: return check_bits(given);
    default: return vectors_check(kernels, given->data, given->count, given->dim, given->what);
    }
}

/* In a type that the space takes, and each component in its bounds. */
static wg_err check(const struct kernels *kernels, const struct space_record *space,
                    const struct given *given)
{
    wg_err err = WG_OK;
    size_t size;
    TRY(size_multiply(given->count, row_size(ROW_F32, given->dim), &size));
    if (given->type != WG_F32 && given->type != (wg_type)space->type) {
        const char *type = wg_type_name(given->type);
        return wg_fail(WG_EINVAL, "each %s is of type %s; expected f32%s%s", given->what,
                       type ? type : "none", space->type != WG_F32 ? " or " : "",
                       space->type != WG_F32 ? names[space->type] : "");
    }
    TRY(vectors_check_stored(kernels, given));
out:
    return err;
}

/* Components as f32, normalised for cosine unless they are u8 to be stored; in room, if they were
 * not so already. */
static wg_err make_floats(const struct kernels *kernels, const struct given *given, bool normalize,
                          struct stored_room *room, const float **out)
{
    wg_err err = WG_OK;
    struct row_list list = { (enum row_type)given->type, given->data, given->count, given->dim };
    *out = given->data;
    if (given->type == WG_F32 && !normalize) return WG_OK;
    TRY(grow(room, given->count, row_size(ROW_F32, given->dim)));
    float *floats = (float *)(void *)room->bytes;
    struct fp_env env = fp_env_enter();
    if (given->type != WG_F32) rows_widen(kernels, &list, floats);
    fp_env_leave(env);
    if (normalize)
        vectors_normalize(given->type == WG_F32 ? given->data : floats, given->count, given->dim,
                          floats);
    *out = floats;
out:
    return err;
}

wg_err vectors_to_store(const struct kernels *kernels, const struct space_record *space,
                        const struct given *given, struct stored_room *room, const void **out)
{
    wg_err err = WG_OK;
    const float *floats;
    struct stored_room converted = { 0 };
    bool normalize = space->metric == WG_COSINE && space->type != WG_U8;
    TRY(check(kernels, space, given));
    *out = given->data;
    if (given->type == (wg_type)space->type && !normalize) return WG_OK;
    TRY(make_floats(kernels, given, normalize, room, &floats));
    *out = floats;
    if (space->type == WG_F32) return WG_OK;
    TRY(grow(&converted, given->count, space_row_size(space)));
    TRY(convert(given, floats, (wg_type)space->type, converted.bytes));
    mem_free(&room->bytes);
    *room = converted;
    *out = room->bytes;
    converted.bytes = NULL; /* moved */
out:
    mem_free(&converted.bytes);
    return err;
}

wg_err queries_to_score(const struct kernels *kernels, const struct space_record *space,
                        const struct given *given, struct stored_room *room, const void **out)
{
    wg_err err = WG_OK;
    const float *floats;
    TRY(check(kernels, space, given));
    *out = given->data;
    if (space->type != WG_BITS) {
        TRY(make_floats(kernels, given, space->metric == WG_COSINE, room, &floats));
        *out = floats;
    } else if (given->type == WG_F32) {
        TRY(grow(room, given->count, space_row_size(space)));
        TRY(convert(given, given->data, WG_BITS, room->bytes));
        *out = room->bytes;
    }
out:
    return err;
}
