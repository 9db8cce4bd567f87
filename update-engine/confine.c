/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "seccomp: say the audit name of this architecture"
#endif

#define X32_BIT 0x40000000
#define PROGRAM_MAX 512

/* Lower half of an argument (little-endian). */
#define ARGUMENT(n) (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (n))

typedef struct Program {
        struct sock_filter code[PROGRAM_MAX];
        unsigned short length;
        bool is_full;
} Program;

static void emit(Program *program, struct sock_filter instruction)
{
        if (program->length >= PROGRAM_MAX) {
                program->is_full = true;
                return;
        }
        program->code[program->length++] = instruction;
}

static void emit_load(Program *program, uint32_t offset)
{
        emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void emit_return(Program *program, uint32_t value)
{
        emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value));
}

/* The next instruction runs only if the loaded value is (or is not) this one. */
static void emit_if_equal(Program *program, uint32_t value)
{
        emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
}

static void emit_allow(Program *program, int number)
{
        emit_if_equal(program, (uint32_t)number);
        emit_return(program, SECCOMP_RET_ALLOW);
}

/* Allows a call if `argument & mask` is not `bad`. Five instructions after the test of the number. */
static void emit_allow_unless(Program *program, int number, unsigned argument, uint32_t mask, uint32_t bad)
{
        emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 5));
        emit_load(program, ARGUMENT(argument));
        emit(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
        emit_if_equal(program, bad);
        emit_return(program, SECCOMP_RET_KILL_PROCESS);
        emit_return(program, SECCOMP_RET_ALLOW);
}

/* Allows socket() for these families. For another it fails as on a kernel without it: libraries try a few.
 */
static void emit_allow_families(Program *program, const int *families)
{
        uint8_t count = 0;
        while (families[count] >= 0)
                count++;
        emit(program, (struct sock_filter)BPF_JUMP(
                                      BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (uint8_t)(2 * count + 2)));
        emit_load(program, ARGUMENT(0));
        for (uint8_t i = 0; i < count; i++)
                emit_allow(program, families[i]);
        emit_return(program, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
}

static void build(Program *program, const ConfineProfile *profile)
{
        emit_load(program, offsetof(struct seccomp_data, arch));
        emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCHITECTURE, 1, 0));
        emit_return(program, SECCOMP_RET_KILL_PROCESS);
        emit_load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
        emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
        emit_return(program, SECCOMP_RET_KILL_PROCESS);
#endif
        for (const int *call = profile->system_calls; *call >= 0; call++)
                emit_allow(program, *call);
        if (profile->socket_families)
                emit_allow_families(program, profile->socket_families);
        if (profile->may_map_code)
                emit_allow_unless(program, SYS_mmap, 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC);
        else
                emit_allow_unless(program, SYS_mmap, 2, PROT_EXEC, PROT_EXEC);
        emit_allow_unless(program, SYS_mprotect, 2, PROT_EXEC, PROT_EXEC);
        if (profile->may_start_threads) {
                emit_allow_unless(program, SYS_clone, 0, CLONE_THREAD, 0);
                /* Its flags lie in memory, out of sight: the C library goes on with clone(). */
                emit_if_equal(program, SYS_clone3);
                emit_return(program, SECCOMP_RET_ERRNO | ENOSYS);
        }
        emit_return(program, SECCOMP_RET_KILL_PROCESS);
}

int confine_system_calls(const ConfineProfile *profile)
{
        Program program = { 0 };
        build(&program, profile);
        if (program.is_full)
                return -E2BIG;
        struct sock_fprog filter = { .len = program.length, .filter = program.code };
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? -errno : 0;
}

static int allow_reading(int ruleset_fd, const char *path)
{
        _cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return 0; /* what is not there need not be allowed */
        struct landlock_path_beneath_attr rule = { .parent_fd = fd,
                .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
        if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
                return 0;
        /* A rule for a file must not speak of folders. */
        rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
        return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno
                                                                                                    : 0;
}

/* Every kind of access that the first version of Landlock knows; later versions add two that we take when
 * they are there: moving between folders, and truncation. */
static uint64_t known_accesses(long version)
{
        uint64_t accesses = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
        if (version >= 2)
                accesses |= UINT64_C(1) << 13;
        if (version >= 3)
                accesses |= UINT64_C(1) << 14;
        return accesses;
}

int confine_paths(const ConfineProfile *profile)
{
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (version < 1)
                return 0;
        struct landlock_ruleset_attr rules = { .handled_access_fs = known_accesses(version) };
        _cleanup_fd_ int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
        if (fd < 0)
                return -errno;
        for (const char *const *path = profile->read_paths; path && *path; path++) {
                int r = allow_reading(fd, *path);
                if (r < 0)
                        return r;
        }
        return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

int confine_enter(const ConfineProfile *profile, Error *error)
{
        int r = confine_paths(profile);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "role %s: Landlock: %s", profile->name,
                                strerror(-r));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        /* A sanitizer's runtime makes calls of its own; only such builds run without the filter. */
        r = confine_system_calls(profile);
#endif
        if (r < 0)
                return error_set(error, ERROR_MISSING_TOOL, -r, "role %s: seccomp: %s", profile->name,
                                strerror(-r));
        return 0;
}
