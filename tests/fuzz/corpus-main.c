/* corpus-main.c - stands in for libFuzzer: runs every file of the folders named as arguments through the
 * target, and each of its beginnings and a few random changes of it too, so that an ordinary test run looks
 * beyond the corpus. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target that takes long for a text is given fewer of its beginnings. */
#ifndef FUZZ_CUT_STEP
#define FUZZ_CUT_STEP 1
#endif

enum { LONGEST_CUT = 2048, CHANGES = FUZZ_CUT_STEP == 1 ? 200 : 60 };

static void run_file(const char *path, GRand *random);
static void run_copy(const char *data, size_t size);

int
main(int argc, char **argv)
{
    const char *given = g_getenv("CONF_FUZZ_SEED");
    guint32 seed = given != NULL ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();
    printf("CONF_FUZZ_SEED=%u\n", seed);
    fflush(stdout);
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GDir) folder = g_dir_open(argv[i], 0, &error);
        if (folder == NULL) {
            fprintf(stderr, "%s\n", error->message);
            return EXIT_FAILURE;
        }
        for (const char *name; (name = g_dir_read_name(folder)) != NULL; files++) {
            g_autofree char *path = g_build_filename(argv[i], name, NULL);
            run_file(path, random);
        }
    }
    printf("%u files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
run_file(const char *path, GRand *random)
{
    g_autofree char *data = NULL;
    size_t size;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &data, &size, &error))
        g_error("%s", error->message);
    run_copy(data, size);
    for (size_t cut = 0; cut < size && cut < LONGEST_CUT; cut += FUZZ_CUT_STEP)
        run_copy(data, cut);
    for (unsigned i = 0; i < CHANGES && size > 0; i++) {
        g_autofree char *changed = g_memdup2(data, size);
        for (int times = g_rand_int_range(random, 1, 4); times > 0; times--)
            changed[(size_t)g_rand_int(random) % size] = (char)g_rand_int(random);
        run_copy(changed, size);
    }
}

/* Of the exact size, so that the sanitizer sees a look past the end. */
static void
run_copy(const char *data, size_t size)
{
    g_autofree uint8_t *exact = g_malloc(size > 0 ? size : 1);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
}
