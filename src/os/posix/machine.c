#define _GNU_SOURCE /* CPU_COUNT */
#include "os/machine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void wait_ms(uint32_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

uint32_t process_id(void)
{
    return (uint32_t)getpid();
}

uint32_t processor_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

void processors_get(struct processors *out)
{
    cpu_set_t set;
    *out = (struct processors){ 0 };
    static_assert(sizeof set <= sizeof out->set, "room for the set");
    out->known = sched_getaffinity(0, sizeof set, &set) == 0;
    if (out->known) memcpy(out->set, &set, sizeof set);
}

void processors_use(const struct processors *processors)
{
    cpu_set_t set;
    memcpy(&set, processors->set, sizeof set);
    if (processors->known) (void)sched_setaffinity(0, sizeof set, &set);
}

/* The text behind "key : " in the first such line of a file of /proc. */
static bool proc_value(const char *path, const char *key, char *value, size_t room)
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0) continue;
        colon += strspn(colon, ": \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(value, room, "%s", colon);
        found = true;
    }
    fclose(file);
    return found;
}

void processor_name(char *name, size_t room)
{
    if (!proc_value("/proc/cpuinfo", "model name", name, room)) name[0] = 0;
}

bool processor_has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
#else
    return false;
#endif
}

bool processor_has_avxvnni(void)
{
#if defined(__x86_64__)
    return processor_has_avx2() && __builtin_cpu_supports("avxvnni");
#else
    return false;
#endif
}

bool processor_has_avx512(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

bool processor_has_vnni(void)
{
#if defined(__x86_64__)
    return processor_has_avx512() && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

bool processor_has_amx(void)
{
#if defined(__x86_64__)
    return processor_has_vnni() && __builtin_cpu_supports("amx-int8");
#else
    return false;
#endif
}

bool amx_allowed(void)
{
#if defined(__x86_64__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return processor_has_amx() && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

bool processor_has_neon(void)
{
#if defined(__aarch64__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMD;
#else
    return false;
#endif
}

bool processor_has_neondot(void)
{
#if defined(__aarch64__)
    return processor_has_neon() && getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return false;
#endif
}

bool processor_has_neoni8mm(void)
{
#if defined(__aarch64__)
    return processor_has_neondot() && getauxval(AT_HWCAP2) & HWCAP2_I8MM;
#else
    return false;
#endif
}

void prefer_large_pages(void *start, size_t size)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t large = UINT64_C(2) << 20;
    uintptr_t first = ((uintptr_t)start + large - 1) / large * large;
    uintptr_t end = ((uintptr_t)start + size) / large * large;
    if (end > first)
        (void)madvise((char *)start + (first - (uintptr_t)start), end - first, MADV_HUGEPAGE);
#else
    (void)start, (void)size;
#endif
}

static uint64_t meminfo_bytes(const char *key)
{
    char value[64];
    uint64_t kib = 0;
    if (!proc_value("/proc/meminfo", key, value, sizeof value)) return 0;
    return sscanf(value, "%" SCNu64, &kib) == 1 ? kib * 1024 : 0;
}

uint64_t memory_bytes(void)
{
    return meminfo_bytes("MemTotal");
}

uint64_t memory_free_bytes(void)
{
    return meminfo_bytes("MemAvailable");
}
