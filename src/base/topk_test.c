/* The k best of a stream, against sorting all of it. */
#include "base/topk.h"
#include "support/check.h"

#include <stdlib.h>

enum { ITEMS = 300 };

static int by_value_and_row(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void the_order_is_value_then_row(void **state)
{
    (void)state;
    struct scored a = { 1, 5 }, b = { 1, 6 }, c = { 0, 9 }, minus = { -0.0f, 3 }, plus = { 0, 2 };
    assert_true(scored_before(a, b) && !scored_before(b, a) && !scored_before(a, a));
    assert_true(scored_before(c, a) && !scored_before(a, c));
    assert_true(scored_before(plus, minus) && !scored_before(minus, plus));
}

static void push_and_compare(struct prng *prng, size_t count, size_t k, size_t values)
{
    struct scored all[ITEMS], *items = allocate(k, sizeof *items);
    struct topk top = { .items = items, .k = k };
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct scored){ (float)test_below(prng, values) - 3, i * 7 };
        if (values > 1000) all[i].value = prng_unit(prng) * 1e15f;
    }
    for (size_t i = count; i > 1; i--) { /* any order of rows */
        size_t j = test_below(prng, i);
        struct scored swapped = all[j];
        all[j] = all[i - 1];
        all[i - 1] = swapped;
    }
    for (size_t i = 0; i < count; i++) {
        if (top.count < k) assert_true(topk_limit(&top) == INFINITY);
        topk_push(&top, all[i]);
        assert_int_equal(top.count, i + 1 < k ? i + 1 : k);
    }
    qsort(all, count, sizeof *all, by_value_and_row);
    if (count >= k) assert_true(topk_limit(&top) == all[k - 1].value);
    topk_sort(&top);
    assert_int_equal(top.count, count < k ? count : k);
    for (size_t i = 0; i < top.count; i++) {
        assert_true(items[i].value == all[i].value);
        assert_int_equal(items[i].row, all[i].row);
    }
    free(items);
}

static void it_keeps_the_best_of_any_stream(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    for (size_t k = 1; k <= 64; k += 1 + k / 5)
        for (size_t count = 0; count <= ITEMS; count += 1 + count / 3)
            for (size_t values = 1; values < 10000; values = values * 7 + 1)
                push_and_compare(&prng, count, k, values);
}

/* So many that a part of them is cut badly, and sorted as a heap. */
static void it_sorts_many(void **state)
{
    (void)state;
    enum { MANY = 30000 };
    struct prng prng = { test_seed() };
    struct scored *items = allocate(MANY, sizeof *items), *all = allocate(MANY, sizeof *all);
    for (size_t values = 1; values < 100000; values = values * 20 + 1) {
        struct topk top = { .items = items, .k = MANY };
        for (size_t i = 0; i < MANY; i++) {
            all[i] = (struct scored){ (float)test_below(&prng, values), i };
            topk_push(&top, all[i]);
        }
        qsort(all, MANY, sizeof *all, by_value_and_row);
        topk_sort(&top);
        for (size_t i = 0; i < MANY; i++)
            assert_true(items[i].value == all[i].value && items[i].row == all[i].row);
    }
    free(items);
    free(all);
}

static void it_can_be_used_again(void **state)
{
    (void)state;
    struct scored items[2];
    struct topk top = { .items = items, .k = 2 };
    for (int round = 0; round < 3; round++) {
        top.count = 0;
        topk_push(&top, (struct scored){ INFINITY, 1 });
        topk_push(&top, (struct scored){ 3, 2 });
        topk_push(&top, (struct scored){ 2, 3 });
        topk_sort(&top);
        assert_int_equal(items[0].row, 3);
        assert_int_equal(items[1].row, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_value_then_row),
        cmocka_unit_test(it_keeps_the_best_of_any_stream),
        cmocka_unit_test(it_sorts_many),
        cmocka_unit_test(it_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
