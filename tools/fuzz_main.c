/* A fuzzer's main where there is no libFuzzer: every corpus file, then files mutated and bytes made
 * up from a seed, which is printed. x_fuzz [--seed=N] [--rounds=N] [FILE or FOLDER]... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 4096, CORPUS_MAX = 256 };

struct input {
    size_t size;
    uint8_t bytes[SIZE_MAX_BYTES];
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_count;
static uint64_t state;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_u64(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_u64() % bound);
}

/* In memory of its own, so that a sanitizer sees a read past the end. */
static void feed(const struct input *input)
{
    uint8_t *copy = malloc(input->size > 0 ? input->size : 1);
    if (!copy) abort();
    memcpy(copy, input->bytes, input->size);
    LLVMFuzzerTestOneInput(copy, input->size);
    free(copy);
}

static void load_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || corpus_count == CORPUS_MAX) {
        fprintf(stderr, "%s: cannot be read, or is more than %d files\n", path, CORPUS_MAX);
        exit(2);
    }
    struct input *input = &corpus[corpus_count++];
    input->size = fread(input->bytes, 1, SIZE_MAX_BYTES, file);
    fclose(file);
}

static void load(const char *path)
{
    char name[4096];
    DIR *folder = opendir(path);
    if (!folder) {
        load_file(path);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') load_file(name);
    }
    closedir(folder);
}

static void make_up(struct input *input)
{
    input->size = random_below(random_below(8) == 0 ? SIZE_MAX_BYTES : 64);
    for (size_t i = 0; i < input->size; i++) input->bytes[i] = (uint8_t)random_u64();
}

static void mutate(struct input *input)
{
    static const uint8_t telling[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '"', '\\', '-', '{', '\n' };
    for (size_t left = 1 + random_below(6); left > 0 && input->size > 0; left--) {
        size_t at = random_below(input->size), end = at + random_below(input->size - at) + 1;
        switch (random_below(5)) {
        case 0: input->bytes[at] ^= (uint8_t)(1u << random_below(8)); break;
        case 1: input->bytes[at] = telling[random_below(sizeof telling)]; break;
        case 2: input->size = at; break;
        case 3: /* cut a piece out */
            memmove(input->bytes + at, input->bytes + end, input->size - end);
            input->size -= end - at;
            break;
        case 4: /* copy a piece elsewhere */
            memmove(input->bytes + random_below(at + 1), input->bytes + at, end - at);
            break;
        }
    }
}

int main(int count, char **arguments)
{
    unsigned long long seed = 1, rounds = 20000;
    for (int i = 1; i < count; i++) {
        if (sscanf(arguments[i], "--seed=%llu", &seed) == 1) continue;
        if (sscanf(arguments[i], "--rounds=%llu", &rounds) == 1) continue;
        load(arguments[i]);
    }
    printf("%zu corpus files, then %llu rounds, --seed=%llu\n", corpus_count, rounds, seed);
    fflush(stdout);
    state = seed;

    static struct input input;
    for (size_t i = 0; i < corpus_count; i++) feed(&corpus[i]);
    for (unsigned long long round = 0; round < rounds; round++) {
        if (corpus_count > 0 && random_below(8) > 0) {
            input = corpus[random_below(corpus_count)];
            mutate(&input);
        } else {
            make_up(&input);
        }
        feed(&input);
    }
    return 0;
}
