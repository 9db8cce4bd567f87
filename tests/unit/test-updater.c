/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine as a whole allows when, on a described host whose disk is not there: each operation fails,
 * but its end is noticed only when the loop runs. */
#include "file.h"
#include "test.h"
#include "updater.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <utmpx.h>

/* Nobody is logged in who could be told of a reboot. */
struct utmpx *getutxent(void)
{
        return NULL;
}

static char folder[] = "/tmp/bascule-updater-XXXXXX";

typedef struct Scene {
        sd_event *event;
        Updater *updater;
        unsigned ends;
} Scene;

static void must(int r)
{
        if (r < 0)
                abort();
}

/* Reboots are noted in the file of that name; in a folder that is not there, they are refused. */
static void scene_begin(Scene *scene, const char *reboot_file)
{
        _cleanup_free_ char *text = NULL, *path = NULL;
        static const char *const no_folders[] = { NULL };
        UpdaterOptions options = { .config_folders = no_folders };

        *scene = (Scene){ 0 };
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        must(mkdtemp(folder) ? 0 : -1);
        text = string_format("[Host]\nDisk=/nowhere/disk\nEsp=%s\nState=%s/state\nRuntime=%s\n"
                             "TrustedRoot=%s/root.json\nImageId=host\nRunningVersion=1\nReboot=%s/%s\n",
                        folder, folder, folder, folder, folder, reboot_file);
        path = string_format("%s/host.conf", folder);
        must(text && path ? 0 : -1);
        must(file_replace(AT_FDCWD, path, text, strlen(text), 0644));
        must(sd_event_new(&scene->event));
        options.event = scene->event;
        options.host_description = path;
        must(updater_new(&options, &scene->updater, NULL));
}

static void scene_end(Scene *scene)
{
        updater_free(scene->updater);
        sd_event_unref(scene->event);
        must(tree_remove(AT_FDCWD, folder));
}

static void on_done(void *data, int r, const Error *error, const Plan *plan)
{
        Scene *scene = data;
        scene->ends++;
}

static int begin_check(Scene *scene, Error *error)
{
        return updater_check(scene->updater, NULL, 0, on_done, scene, error);
}

static void run_until(Scene *scene, unsigned ends)
{
        while (scene->ends < ends)
                must(sd_event_run(scene->event, UINT64_MAX));
}

static EngineState state_of(const Scene *scene)
{
        return updater_status(scene->updater)->state;
}

TEST(an_operation_that_a_refused_reboot_stopped_comes_to_its_end_before_another_begins)
{
        Scene scene;
        Error error = { 0 };

        scene_begin(&scene, "missing/reboots");
        CHECK_OK(begin_check(&scene, NULL));
        CHECK_EQ(state_of(&scene), ENGINE_CHECKING);
        CHECK(updater_reboot(scene.updater, true, NULL) < 0);
        CHECK_EQ(state_of(&scene), ENGINE_IDLE);
        CHECK_EQ(begin_check(&scene, &error), -EBUSY);
        CHECK_EQ(error.code, ERROR_BUSY);
        CHECK_EQ(updater_bless(scene.updater, NULL), -EBUSY);
        run_until(&scene, 1);
        CHECK_OK(begin_check(&scene, NULL));
        run_until(&scene, 2);
        scene_end(&scene);
}

TEST(what_there_is_to_cancel)
{
        Scene scene;
        Error error = { 0 };

        scene_begin(&scene, "reboots");
        CHECK_EQ(updater_cancel(scene.updater, &error), -EALREADY);
        CHECK_EQ(error.code, ERROR_NOTHING_TO_DO);
        CHECK_OK(updater_reboot(scene.updater, false, NULL));
        CHECK(updater_status(scene.updater)->is_reboot_planned);
        CHECK_OK(updater_cancel(scene.updater, NULL));
        CHECK(!updater_status(scene.updater)->is_reboot_planned);
        CHECK_EQ(updater_cancel(scene.updater, NULL), -EALREADY);

        /* The operation first, and then the reboot. */
        CHECK_OK(updater_reboot(scene.updater, false, NULL));
        CHECK_OK(begin_check(&scene, NULL));
        CHECK_OK(updater_cancel(scene.updater, NULL));
        CHECK(updater_status(scene.updater)->is_reboot_planned);
        run_until(&scene, 1);
        CHECK(updater_status(scene.updater)->is_reboot_planned);
        CHECK_OK(updater_cancel(scene.updater, NULL));
        CHECK(!updater_status(scene.updater)->is_reboot_planned);
        scene_end(&scene);
}

TEST(nothing_begins_while_the_machine_goes_down)
{
        Scene scene;
        Error error = { 0 };

        scene_begin(&scene, "reboots");
        CHECK_OK(updater_reboot(scene.updater, true, NULL));
        CHECK_EQ(state_of(&scene), ENGINE_REBOOTING);
        CHECK_EQ(begin_check(&scene, &error), -EBUSY);
        CHECK(strstr(error.message, "going down"));
        CHECK_EQ(updater_bless(scene.updater, NULL), -EBUSY);
        CHECK_EQ(updater_cancel(scene.updater, NULL), -EBUSY);
        CHECK_EQ(updater_reboot(scene.updater, false, NULL), -EBUSY);
        CHECK_EQ(updater_reboot(scene.updater, true, NULL), -EBUSY);
        CHECK(!updater_status(scene.updater)->is_reboot_planned);
        scene_end(&scene);
}

TEST_MAIN
