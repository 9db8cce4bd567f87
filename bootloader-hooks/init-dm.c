/* SPDX-License-Identifier: Apache-2.0 */
#include "init-dm.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#define CONTROL_PATH "/dev/mapper/control"
#define PARAMETERS_MAX 1024

/* A request with room for one target. */
typedef struct Request {
        struct dm_ioctl header;
        struct dm_target_spec target;
        char parameters[PARAMETERS_MAX];
} Request;

static void request_start(Request *request, const char *name)
{
        *request = (Request){
                .header = {
                        .version = { 4, 0, 0 },
                        .data_size = sizeof(Request),
                        .data_start = offsetof(Request, target),
                },
        };
        (void)snprintf(request->header.name, sizeof(request->header.name), "%s", name);
}

static int request_send(int fd, unsigned long command, Request *request)
{
        return ioctl(fd, command, request) < 0 ? -errno : 0;
}

static int create(int fd, const char *name, const char *uuid, char ret_device[static 32])
{
        Request request;
        int r;

        request_start(&request, name);
        request.header.flags = DM_READONLY_FLAG;
        (void)snprintf(request.header.uuid, sizeof(request.header.uuid), "%s", uuid);
        r = request_send(fd, DM_DEV_CREATE, &request);
        if (r >= 0)
                (void)snprintf(ret_device, 32, "/dev/dm-%u", minor((dev_t)request.header.dev));
        return r;
}

static int load(int fd, const char *name, const char *target, const char *parameters, uint64_t size_bytes)
{
        Request request;

        if (strlen(parameters) >= PARAMETERS_MAX)
                return -E2BIG;
        request_start(&request, name);
        request.header.flags = DM_READONLY_FLAG;
        request.header.target_count = 1;
        request.target.length = size_bytes / 512;
        (void)snprintf(request.target.target_type, sizeof(request.target.target_type), "%s", target);
        memcpy(request.parameters, parameters, strlen(parameters) + 1);
        return request_send(fd, DM_TABLE_LOAD, &request);
}

/* "Suspend" without the flag that asks for it means resume. */
static int resume(int fd, const char *name)
{
        Request request;

        request_start(&request, name);
        request.header.flags = DM_READONLY_FLAG;
        return request_send(fd, DM_DEV_SUSPEND, &request);
}

static int link_node(const char *name, const char *device)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "/dev/mapper/%s", name);
        (void)unlink(path);
        return symlink(device, path) < 0 ? -errno : 0;
}

int dm_remove(const char *name)
{
        _cleanup_fd_ int fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
        Request request;
        int r;

        if (fd < 0)
                return -errno;
        request_start(&request, name);
        r = request_send(fd, DM_DEV_REMOVE, &request);
        return r == -ENXIO ? 0 : r;
}

int dm_create(const char *name, const char *uuid, const char *target, const char *parameters,
                uint64_t size_bytes, char ret_device[static 32], Error *error)
{
        _cleanup_fd_ int fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
        int r;

        if (fd < 0)
                return error_set(error, ERROR_MISSING_TOOL, errno, "the kernel has no device mapper: %s",
                                strerror(errno));
        r = create(fd, name, uuid, ret_device);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make the device %s: %s", name, strerror(-r));
        r = load(fd, name, target, parameters, size_bytes);
        if (r >= 0)
                r = resume(fd, name);
        if (r >= 0)
                r = link_node(name, ret_device);
        if (r < 0) {
                (void)dm_remove(name);
                return error_set(error, ERROR_IO, -r, "the kernel does not take the %s table: %s", target,
                                strerror(-r));
        }
        return 0;
}
