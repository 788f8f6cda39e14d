/* fault-point.c - named places where a build with -Dfault-points=true fails as CONFSERV_FAULT_POINT says:
 * NAME[@PASS][:AWAY_MS], comma list.  PASS counts from 1 (the default); it fails in that pass alone.
 *
 * lost-before-commit, lost-after-commit: the database is lost and answers nothing, for AWAY_MS it cannot
 * be opened either; killed-before-commit, killed-after-commit: the process gets SIGKILL.  Writer thread
 * only. */
#include "storage/storage-private.h"

#ifdef CONF_FAULT_POINTS

#include <signal.h>
#include <string.h>

typedef struct {
    char *name;
    int64_t pass;
    int64_t away_ms;
    int64_t passed;
} Point;

static GArray *points;

static void read_points(void);

bool
conf_storage_fault_point(const char *name, int64_t *away_ms)
{
    if (points == NULL)
        read_points();
    for (unsigned i = 0; i < points->len; i++) {
        Point *point = &g_array_index(points, Point, i);
        if (strcmp(point->name, name) != 0 || ++point->passed != point->pass)
            continue;
        if (g_str_has_prefix(name, "killed-"))
            raise(SIGKILL);
        *away_ms = point->away_ms;
        return true;
    }
    return false;
}

static void
read_points(void)
{
    points = g_array_new(FALSE, FALSE, sizeof(Point));
    const char *wanted = g_getenv("CONFSERV_FAULT_POINT");
    if (wanted == NULL)
        return;
    g_auto(GStrv) list = g_strsplit(wanted, ",", 16);
    for (char **item = list; *item != NULL; item++) {
        char *away = strchr(*item, ':');
        if (away != NULL)
            *away++ = '\0';
        char *pass = strchr(*item, '@');
        if (pass != NULL)
            *pass++ = '\0';
        Point point = {
            .name = g_strdup(g_strstrip(*item)),
            .pass = pass != NULL ? g_ascii_strtoll(pass, NULL, 10) : 1,
            .away_ms = away != NULL ? g_ascii_strtoll(away, NULL, 10) : 0,
        };
        g_array_append_val(points, point);
    }
}

#endif
