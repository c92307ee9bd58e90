/* The front end of the devices, over the CPU and a device that fails when told to. */
#include "base/mem.h"
#include "device/selftest.h"
#include "os/machine.h"
#include "support/fake_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct pool *pool;
    struct background *background;
    struct kernels kernels;
    struct device_set *set;
    size_t in_use;
    char logged[512];
};

static void note_line(void *user, wg_log_level level, const char *line)
{
    (void)level;
    struct fixture *f = user;
    strncat(f->logged, line, sizeof f->logged - strlen(f->logged) - 1);
}

static struct device_set_params params_of(struct fixture *f)
{
    return (struct device_set_params){
        .backends = fake_backends,
        .host = { f->pool, &f->kernels, "c" },
        .fallback_to_cpu = true,
        .log = { note_line, f },
        .background = f->background,
    };
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .in_use = mem_in_use() };
    fake_reset();
    kernels_init(&f.kernels, CPU_C);
    assert_int_equal(pool_create(2, &f.pool), WG_OK);
    assert_int_equal(background_create(&f.background), WG_OK);
    struct device_set_params params = params_of(&f);
    assert_int_equal(device_set_create(&params, &f.set), WG_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    device_set_destroy(&f->set);
    background_destroy(&f->background);
    pool_destroy(&f->pool);
    assert_int_equal(fake.rows_alive, 0);
    assert_int_equal(fake.masks_alive, 0);
    assert_int_equal(mem_in_use(), f->in_use);
    return 0;
}

/* The preferred device after what it was tested for in the background. */
static struct slot *chosen(struct fixture *f)
{
    const char *reason;
    (void)device_set_choose(f->set, &reason);
    background_drain(f->background);
    return device_set_choose(f->set, &reason);
}

static wg_device_state state_of(struct slot *slot)
{
    wg_device_info info = { .size = sizeof info };
    assert_int_equal(slot_info(slot, &info), WG_OK);
    return info.state;
}

static void every_backend_conforms(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < device_set_count(f->set); i++)
        if (device_self_test(device_set_at(f->set, i)) != WG_OK) fail_msg("%s", wg_message());
}

static void a_device_is_used_after_its_self_test(void **state)
{
    struct fixture *f = *state;
    const char *reason;
    struct slot *device = device_set_at(f->set, 0), *cpu = device_set_cpu(f->set);
    assert_int_equal(state_of(device), WG_DEVICE_UNTESTED);
    assert_ptr_equal(device_set_choose(f->set, &reason), cpu);
    assert_string_equal(reason, "another device is being tested");
    background_drain(f->background);
    assert_ptr_equal(device_set_choose(f->set, &reason), device);
    assert_int_equal(state_of(device), WG_DEVICE_READY);
}

static void wrong_bits_are_rejected_for_good(void **state)
{
    struct fixture *f = *state;
    fake.wrong_bits = true;
    assert_ptr_equal(chosen(f), device_set_cpu(f->set));
    assert_int_equal(state_of(device_set_at(f->set, 0)), WG_DEVICE_REJECTED);
    assert_non_null(strstr(f->logged, "self-test failed"));
    fake.wrong_bits = false;
    assert_ptr_equal(chosen(f), device_set_cpu(f->set));
}

static void a_lost_device_is_suspect_until_it_passes_again(void **state)
{
    struct fixture *f = *state;
    struct slot *device = chosen(f);
    struct rows *rows = NULL;
    uint64_t generation = slot_generation(device);
    fake.lost = true;
    assert_int_equal(slot_rows_create(device, ROW_F32, 3, &rows), WG_EDEVICELOST);
    assert_int_equal(state_of(device), WG_DEVICE_SUSPECT);
    assert_true(slot_generation(device) > generation);
    assert_non_null(strstr(f->logged, "told to be lost"));
    assert_ptr_equal(chosen(f), device_set_cpu(f->set));
    fake.lost = false;
    assert_ptr_equal(chosen(f), device);
    assert_int_equal(state_of(device), WG_DEVICE_READY);
}

static void a_device_out_of_memory_says_so(void **state)
{
    struct fixture *f = *state;
    struct slot *device = chosen(f);
    struct rows *rows = NULL;
    float values[8] = { 0 };
    assert_int_equal(slot_rows_create(device, ROW_F32, 4, &rows), WG_OK);
    fake.memory_bytes = sizeof values - 1;
    struct row_batch batch = { .values = values, .count = 2 };
    assert_int_equal(slot_rows_append(device, rows, &batch), WG_EDEVICEMEMORY);
    fake.memory_bytes = sizeof values;
    assert_int_equal(slot_rows_append(device, rows, &batch), WG_OK);
    slot_rows_destroy(device, &rows);
}

static void what_is_not_there_says_why(void **state)
{
    struct fixture *f = *state;
    struct device_set *set;
    struct device_set_params params = params_of(f);
    wg_backend_info info = { .size = sizeof info };
    fake.device_count = 0;
    assert_int_equal(device_set_create(&params, &set), WG_OK);
    assert_int_equal(device_set_count(set), 1);
    assert_int_equal(device_set_backend_count(set), 2);
    device_set_backend(set, 0, &info);
    assert_string_equal(info.name, "fake");
    assert_string_equal(info.reason, "the fake device was told not to be there");
    assert_int_equal(info.device_count, 0);
    device_set_destroy(&set);
}

static void one_backend_can_be_asked_for(void **state)
{
    struct fixture *f = *state;
    struct device_set *set;
    struct device_set_params params = params_of(f);
    params.only = "cpu";
    assert_int_equal(device_set_create(&params, &set), WG_OK);
    assert_int_equal(device_set_count(set), 1);
    device_set_destroy(&set);
    params.only = "abacus";
    assert_int_equal(device_set_create(&params, &set), WG_ECONFIG);
    assert_non_null(strstr(wg_message(), "fake, cpu"));
}

static void an_allocation_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct device_set_params params = params_of(f);
    struct device_set *set = NULL;
    size_t before = mem_in_use();
    uint64_t request = 1;
    for (;; request++) {
        mem_fail_at(request);
        wg_err err = device_set_create(&params, &set);
        mem_fail_at(0);
        if (err == WG_OK && device_set_count(set) == 2) break;
        if (err == WG_OK)
            device_set_destroy(&set); /* the fake could not be opened, the CPU could */
        assert_int_equal(mem_in_use(), before);
        assert_true(request < 100);
    }
    assert_true(request > 3);
    device_set_destroy(&set);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_backend_conforms),
        TEST(a_device_is_used_after_its_self_test),
        TEST(wrong_bits_are_rejected_for_good),
        TEST(a_lost_device_is_suspect_until_it_passes_again),
        TEST(a_device_out_of_memory_says_so),
        TEST(what_is_not_there_says_why),
        TEST(one_backend_can_be_asked_for),
        TEST(an_allocation_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
