/* SPDX-License-Identifier: Apache-2.0 */
/* /sbin/init of the small releases that init-vm.sh boots: tells on the console what it finds, changes /etc
 * if the kernel command line has "test.change", reads all of a large file if it has "test.read", and
 * reboots. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char text[65536];

static const char *read_text(const char *path)
{
        int fd = open(path, O_RDONLY);
        ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        if (fd >= 0)
                (void)close(fd);
        text[size > 0 ? size : 0] = 0;
        text[strcspn(text, "\n")] = 0;
        return size < 0 ? "(none)" : text;
}

static void tell(const char *path)
{
        printf("TELL %s = %s\n", path, read_text(path));
}

static void tell_folder(const char *path)
{
        DIR *directory = opendir(path);
        struct dirent *item;

        while (directory && (item = readdir(directory)))
                if (item->d_name[0] != '.')
                        printf("TELL %s has %s\n", path, item->d_name);
}

static void tell_mounts(void)
{
        FILE *mounts = fopen("/proc/mounts", "re");
        char line[1024];

        while (mounts && fgets(line, sizeof(line), mounts)) {
                char path[128], type[32], options[32];

                if (sscanf(line, "%*s %127s %31s %31[a-z,]", path, type, options) == 3)
                        printf("TELL mount %s is %s %s\n", path, type, options);
        }
}

static void write_text(const char *path, const char *data)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

        if (fd < 0 || write(fd, data, strlen(data)) < 0)
                printf("TELL cannot write %s\n", path);
        (void)close(fd);
}

/* A file changed, one gone, a folder replaced by another of its name, two names of one file. */
static void change_etc(void)
{
        write_text("/etc/changed", "by the host\n");
        (void)unlink("/etc/removed");
        (void)unlink("/etc/folder/old");
        (void)rmdir("/etc/folder");
        (void)mkdir("/etc/folder", 0750);
        write_text("/etc/folder/new", "x\n");
        write_text("/etc/one", "linked\n");
        if (chown("/etc/one", 12, 34) < 0 || link("/etc/one", "/etc/two") < 0)
                printf("TELL cannot link\n");
}

static void tell_link(void)
{
        struct stat one, two;

        if (stat("/etc/one", &one) >= 0 && stat("/etc/two", &two) >= 0)
                printf("TELL link of %u:%u, %s\n", (unsigned)one.st_uid, (unsigned)one.st_gid,
                                one.st_ino == two.st_ino && one.st_nlink == 2 ? "one file" : "two files");
}

static void read_all(const char *path)
{
        int fd = open(path, O_RDONLY);

        while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
                ;
        printf("TELL all was read\n");
}

int main(void)
{
        static const char *const notes[] = { "/run/bascule/var-volatile", "/run/bascule/etc-volatile",
                "/etc/changed", "/etc/removed", "/etc/release", "/var/seed" };
        char line[4096];

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        printf("TELL up\n");
        (void)snprintf(line, sizeof(line), "%s", read_text("/proc/cmdline"));
        tell_mounts();
        for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
                tell(notes[i]);
        tell_folder("/etc/folder");
        tell_folder("/var/lib/bascule/etc");
        tell_link();
        if (strstr(line, "test.change"))
                change_etc();
        if (strstr(line, "test.read"))
                read_all("/usr/large");
        printf("TELL end\n");
        sync();
        (void)reboot(RB_AUTOBOOT);
        return 1;
}
