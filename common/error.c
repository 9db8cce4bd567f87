/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <string.h>

static const char *const code_names[ERROR_CODE_MAX] = {
        [ERROR_NONE] = "none",
        [ERROR_FAILED] = "failed",
        [ERROR_USAGE] = "usage",
        [ERROR_CONFIG] = "config",
        [ERROR_NOTHING_TO_DO] = "nothing-to-do",
        [ERROR_REFUSED] = "refused",
        [ERROR_BUSY] = "busy",
        [ERROR_NO_SPACE] = "no-space",
        [ERROR_NETWORK] = "network",
        [ERROR_UNTRUSTED] = "untrusted",
        [ERROR_CORRUPT] = "corrupt",
        [ERROR_IO] = "io",
        [ERROR_INCOMPATIBLE] = "incompatible",
        [ERROR_CANCELLED] = "cancelled",
        [ERROR_PERMISSION] = "permission",
        [ERROR_MISSING_TOOL] = "missing-tool",
        [ERROR_UNAVAILABLE] = "unavailable",
};

static void make_printable(char *text)
{
        for (unsigned char *p = (unsigned char *)text; *p; p++)
                if (*p < 0x20 || *p == 0x7f)
                        *p = '?';
}

/* To find no room is no failure of a device. */
static ErrorCode refine(ErrorCode code, int errnum)
{
        return code == ERROR_IO && (errnum == ENOSPC || errnum == EDQUOT) ? ERROR_NO_SPACE : code;
}

int error_set(Error *error, ErrorCode code, int errnum, const char *format, ...)
{
        va_list arguments;

        if (!error || error_is_set(error))
                return -errnum;
        error->code = refine(code, errnum);
        va_start(arguments, format);
        (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
        va_end(arguments);
        make_printable(error->message);
        return -errnum;
}

int error_prefix(Error *error, int r, const char *format, ...)
{
        char joined[2 * ERROR_MESSAGE_MAX];
        va_list arguments;
        int length;

        if (!error || !error_is_set(error))
                return r;
        va_start(arguments, format);
        length = vsnprintf(joined, ERROR_MESSAGE_MAX, format, arguments);
        va_end(arguments);
        if (length < 0 || length >= ERROR_MESSAGE_MAX - 2)
                return r;
        (void)snprintf(joined + length, sizeof(joined) - (size_t)length, ": %s", error->message);
        memcpy(error->message, joined, ERROR_MESSAGE_MAX - 1);
        error->message[ERROR_MESSAGE_MAX - 1] = 0;
        make_printable(error->message);
        return r;
}

int error_oom(Error *error)
{
        return error_set(error, ERROR_FAILED, ENOMEM,
                        "out of memory: end what takes much of it, and try again");
}

bool error_is_set(const Error *error)
{
        return error && error->code != ERROR_NONE;
}

void error_clear(Error *error)
{
        if (error)
                *error = (Error){ 0 };
}

const char *error_code_name(ErrorCode code)
{
        if ((unsigned)code >= ERROR_CODE_MAX)
                return code_names[ERROR_FAILED];
        return code_names[code];
}

ErrorCode error_code_from_name(const char *name)
{
        for (size_t i = 0; name && i < ELEMENTS(code_names); i++)
                if (strcmp(code_names[i], name) == 0)
                        return (ErrorCode)i;
        return ERROR_FAILED;
}
