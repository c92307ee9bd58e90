/* Memory of one request: aligned, apart, gone at once, kept for the next. */
#include "base/arena.h"
#include "base/mem.h"
#include "support/check.h"

#include <string.h>

enum { PIECES = 2000 };

static size_t size_of_piece(size_t i)
{
    return i % 100 == 7 ? 5000 + 40 * i : i % 61;
}

static wg_err take_many(struct arena *arena, unsigned char **pieces)
{
    for (size_t i = 0; i < PIECES; i++) {
        void *piece;
        wg_err err = arena_take(arena, size_of_piece(i), &piece);
        if (err != WG_OK) return err;
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 8, 0);
        pieces[i] = piece;
        memset(piece, (int)(i % 251), size_of_piece(i));
    }
    return WG_OK;
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    static unsigned char *pieces[PIECES];
    size_t before = mem_in_use();
    struct arena arena = { 0 };
    assert_ok(take_many(&arena, pieces));
    for (size_t i = 0; i < PIECES; i++)
        for (size_t b = 0; b < size_of_piece(i); b++) assert_int_equal(pieces[i][b], i % 251);
    arena_fini(&arena);
    assert_int_equal(mem_in_use(), before);
    arena_fini(&arena);
}

static void a_copy_ends_with_a_zero(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    char text[64], *copies[64];
    for (size_t i = 0; i < 64; i++) text[i] = (char)('0' + i);
    for (size_t i = 0; i < 64; i++) assert_ok(arena_copy(&arena, text, i, &copies[i]));
    for (size_t i = 0; i < 64; i++) {
        assert_memory_equal(copies[i], text, i);
        assert_int_equal(copies[i][i], 0);
    }
    char *inner;
    assert_ok(arena_copy(&arena, "a\0b", 3, &inner));
    assert_memory_equal(inner, "a\0b", 4);
    arena_fini(&arena);
}

static void the_next_request_like_it_allocates_nothing(void **state)
{
    (void)state;
    static unsigned char *pieces[PIECES];
    size_t before = mem_in_use();
    struct arena arena = { 0 };
    for (int round = 0; round < 3; round++) {
        mem_fail_at(round > 0);
        assert_ok(take_many(&arena, pieces));
        mem_fail_at(0);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    assert_int_equal(mem_in_use(), before);
    arena_reset(&arena);
}

static void a_failure_leaves_what_there_was(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct arena arena = { 0 };
    void *p = &arena;
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", arena_take(&arena, 10, &p));
    assert_ptr_equal(p, &arena);
    char *text;
    assert_ok(arena_copy(&arena, "kept", 4, &text));
    assert_err(WG_ENOMEM, "", arena_take(&arena, SIZE_MAX, &p));
    assert_err(WG_ENOMEM, "", arena_take(&arena, SIZE_MAX - 7, &p));
    assert_err(WG_ENOMEM, "", arena_take(&arena, SIZE_MAX / 2, &p));
    char *copy;
    assert_err(WG_ENOMEM, "", arena_copy(&arena, "x", SIZE_MAX, &copy));
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", arena_take(&arena, 1 << 24, &p));
    mem_fail_at(0);
    assert_string_equal(text, "kept");
    arena_fini(&arena);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(a_copy_ends_with_a_zero),
        cmocka_unit_test(the_next_request_like_it_allocates_nothing),
        cmocka_unit_test(a_failure_leaves_what_there_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
