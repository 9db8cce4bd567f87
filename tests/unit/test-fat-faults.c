/* SPDX-License-Identifier: Apache-2.0 */
/* What works below the filesystem of an ESP, when one of its calls fails, or each from that one on: no name
 * is lost, the error is told, and mending and doing it again finishes. This program's pread(), pwrite() and
 * fsync() are what fails. */
#include "fat-image.h"
#include "fat-move.h"
#include "fat-repair.h"
#include "fat-volume.h"
#include "test.h"

#include <sys/syscall.h>

#define ONE "some-longer-host_2026.1+2-1.efi"
#define ONE_BLESSED "some-longer-host_2026.1.efi"
#define TWO "some-longer-host_2026.2+3.efi"
#define CALLS_MAX 1000 /* more than any of this takes */

typedef enum Kind { KIND_READ, KIND_WRITE, KIND_FLUSH, KIND_COUNT } Kind;

static struct {
        bool is_armed, is_lasting;
        Kind kind;
        unsigned number; /* of the call that fails, from 1 */
        unsigned seen, failed;
} fault;

static int fd = -1;

static bool fails(Kind kind)
{
        if (!fault.is_armed || kind != fault.kind)
                return false;
        fault.seen++;
        if (fault.seen != fault.number && !(fault.is_lasting && fault.seen > fault.number))
                return false;
        fault.failed++;
        errno = EIO;
        return true;
}

ssize_t pread(int from, void *data, size_t size, off_t offset)
{
        return fails(KIND_READ) ? -1 : (ssize_t)syscall(SYS_pread64, from, data, size, offset);
}

ssize_t pwrite(int to, const void *data, size_t size, off_t offset)
{
        return fails(KIND_WRITE) ? -1 : (ssize_t)syscall(SYS_pwrite64, to, data, size, offset);
}

int fsync(int which)
{
        return fails(KIND_FLUSH) ? -1 : (int)syscall(SYS_fsync, which);
}

/* ---- What is on the volume ---- */

typedef struct Names {
        char text[1024];
        bool is_strange; /* a name that nobody gave, or one that leads elsewhere */
} Names;

static Names names;

static bool claim_any(void *data, uint32_t cluster)
{
        return true;
}

static int add_name(void *data, const FatEntry *entry)
{
        bool is_one = strcmp(entry->name, ONE) == 0 || strcmp(entry->name, ONE_BLESSED) == 0;
        bool is_two = strcmp(entry->name, TWO) == 0 || strcmp(entry->name, "incoming.efi") == 0;

        (void)snprintf(strchr(names.text, 0), 300, "%s%s", names.text[0] ? " " : "", entry->name);
        if (is_one)
                names.is_strange |= entry->first_cluster != 100 || entry->size_bytes != 5000;
        else
                names.is_strange |= !is_two || entry->first_cluster != 200 || entry->size_bytes != 2000;
        return 0;
}

/* The names of both of our folders, parted by blanks. */
static const char *all_names(void)
{
        const FatWalk walk = { claim_any, add_name, NULL };
        _cleanup_fat_volume_ FatVolume volume = { 0 };

        names = (Names){ 0 };
        if (fat_volume_open(fd, &volume) < 0 || fat_walk(&volume, 3, &walk) < 0 ||
                        fat_walk(&volume, 4, &walk) < 0)
                return "-";
        return names.text;
}

static bool has(const char *name)
{
        return strstr(all_names(), name) != NULL;
}

static bool chain_is_whole(uint32_t first, uint32_t count)
{
        for (unsigned copy = 0; copy < 2; copy++)
                for (uint32_t i = 0; i < count; i++)
                        if (image_get(fd, copy, first + i) != (i + 1 < count ? first + i + 1 : IMAGE_END))
                                return false;
        return true;
}

/* Whatever failed: both files are there, under names that were given, with their clusters. */
static bool nothing_is_lost(void)
{
        return (has(ONE) || has(ONE_BLESSED)) && (has(TWO) || has("incoming.efi")) && !names.is_strange &&
               chain_is_whole(100, 10) && chain_is_whole(200, 4);
}

static bool is_sound(void)
{
        FatRepair repair;

        return fat_repair(fd, &repair) >= 0 && repair.is_sound && !repair.names_dropped &&
               !repair.files_dropped && !repair.clusters_freed && !repair.tables_differed &&
               !repair.was_dirty;
}

/* ---- What is done ---- */

typedef struct Work {
        const char *name;
        void (*prepare)(void);
        int (*run)(void);
        const char *names; /* when it is done */
} Work;

static void start(void)
{
        (void)fd_close(fd);
        fd = image_make_esp();
        image_chain(fd, 100, 10);
        image_add(fd, 3, ONE, 0, 100, 5000);
        image_chain(fd, 200, 4);
        image_add(fd, 4, "incoming.efi", 0, 200, 2000);
}

/* The folder goes on in two more clusters, with old bytes behind its end. */
static void start_long(void)
{
        static const uint8_t old[512] = { [0 ... 511] = 'o' };

        start();
        image_set(fd, 3, 50);
        image_set(fd, 50, 51);
        image_set(fd, 51, IMAGE_END);
        (void)pwrite_full(fd, old, sizeof(old), image_cluster_at(51));
}

static int bless(void)
{
        return fat_move(fd, "EFI/Linux", ONE, "EFI/Linux", ONE_BLESSED, 0);
}

static int publish(void)
{
        return fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", TWO, 3);
}

static int mend(void)
{
        FatRepair repair;

        return fat_repair(fd, &repair);
}

/* Two names of one file in a folder, a published file that is staged still, lost clusters, tables that
 * differ, an unclean end. */
static void start_damaged(void)
{
        uint8_t state = 1, end[2] = { 0xff, 0xff };

        start();
        image_add(fd, 3, ONE_BLESSED, 0, 100, 5000);
        image_add(fd, 3, TWO, 0, 200, 2000);
        image_chain(fd, 300, 7);
        (void)pwrite_full(fd, end, 2, IMAGE_TABLE_AT + IMAGE_TABLE_SECTORS * 512 + 400 * 2);
        (void)pwrite_full(fd, &state, 1, FAT16_STATE_AT);
}

static const Work works[] = {
        { "bless", start, bless, ONE_BLESSED " incoming.efi" },
        { "publish", start_long, publish, ONE " " TWO },
        { "mend", start_damaged, mend, ONE_BLESSED " " TWO },
};

/* As the engine does: what is below the filesystem is mended before it is used. */
static int do_again(const Work *work)
{
        int r = mend();

        if (r >= 0 && strcmp(all_names(), work->names) != 0)
                r = work->run();
        return r;
}

/* What is wrong after that fault; NULL if nothing is. */
static const char *try_fault(const Work *work)
{
        int r;

        work->prepare();
        fault.seen = fault.failed = 0;
        fault.is_armed = true;
        r = work->run();
        fault.is_armed = false;
        if (fault.failed == 0)
                return r < 0 ? "it fails by itself" : NULL;
        if (r != -EIO)
                return "it does not tell that a call failed";
        if (!nothing_is_lost())
                return "a file is lost";
        if (do_again(work) < 0)
                return "it does not finish";
        if (strcmp(all_names(), work->names) != 0 || !nothing_is_lost())
                return "it does not come to the same end";
        return is_sound() ? NULL : "the volume is not sound";
}

/* Each call of that kind in turn; how many there are. */
static unsigned fail_each(const Work *work, Kind kind, bool is_lasting, const char **ret_problem)
{
        fault.kind = kind;
        fault.is_lasting = is_lasting;
        for (fault.number = 1; fault.number < CALLS_MAX; fault.number++) {
                *ret_problem = try_fault(work);
                if (*ret_problem || fault.failed == 0)
                        break;
        }
        return fault.number - 1;
}

static void fail_all(const Work *work)
{
        static const char *const kinds[KIND_COUNT] = { "read", "write", "flush" };

        for (unsigned i = 0; i < 2 * KIND_COUNT; i++) {
                const char *problem = NULL;
                unsigned count = fail_each(work, i / 2, i % 2, &problem);

                if (problem)
                        TEST_FAIL("%s: %s %u fails%s: %s; there are %s", work->name, kinds[i / 2], count + 1,
                                        i % 2 ? ", and all later ones" : "", problem, all_names());
                CHECK(count >= 2);
        }
}

TEST(a_blessing_whose_calls_fail_loses_nothing)
{
        fail_all(&works[0]);
}

TEST(an_entry_that_appears_while_calls_fail_loses_nothing)
{
        fail_all(&works[1]);
}

TEST(mending_while_calls_fail_loses_nothing)
{
        fail_all(&works[2]);
}

/* The table of faults is worth what it sees. */
TEST(a_lost_name_is_told)
{
        start();
        CHECK(nothing_is_lost());
        image_set(fd, 103, 0);
        CHECK(!nothing_is_lost());
        start();
        image_add(fd, 3, "B1234567.EFI", 0, 100, 5000);
        CHECK(!nothing_is_lost());
        (void)fd_close(fd);
        fd = image_make_esp();
        image_chain(fd, 100, 10);
        image_chain(fd, 200, 4);
        image_add(fd, 4, "incoming.efi", 0, 200, 2000);
        CHECK(!nothing_is_lost());
}

TEST_MAIN
