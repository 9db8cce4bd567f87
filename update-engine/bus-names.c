/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-names.h"

#include <ctype.h>
#include <string.h>

#define BUS_OWN_ERROR_PREFIX "org.freedesktop.DBus.Error."

typedef struct BusError {
        const char *name; /* after BUS_OWN_ERROR_PREFIX */
        ErrorCode code;
} BusError;

static const BusError bus_errors[] = {
        { "AccessDenied", ERROR_PERMISSION },
        { "AuthFailed", ERROR_PERMISSION },
        { "Disconnected", ERROR_UNAVAILABLE },
        { "FileNotFound", ERROR_UNAVAILABLE },
        { "InteractiveAuthorizationRequired", ERROR_PERMISSION },
        { "NameHasNoOwner", ERROR_UNAVAILABLE },
        { "NoReply", ERROR_UNAVAILABLE },
        { "NoServer", ERROR_UNAVAILABLE },
        { "ServiceUnknown", ERROR_UNAVAILABLE },
        { "TimedOut", ERROR_UNAVAILABLE },
        { "Timeout", ERROR_UNAVAILABLE },
        { "UnknownMethod", ERROR_INCOMPATIBLE },
        { "UnknownObject", ERROR_INCOMPATIBLE },
        { "InvalidArgs", ERROR_USAGE },
};

const char *bus_error_name(ErrorCode code, char ret[static BUS_ERROR_NAME_MAX])
{
        const char *word = error_code_name(code);
        size_t length = strlen(BUS_ERROR_PREFIX);
        bool begins = true;

        memcpy(ret, BUS_ERROR_PREFIX, length);
        for (; *word && length < BUS_ERROR_NAME_MAX - 1; word++) {
                if (*word != '-')
                        ret[length++] = (char)(begins ? toupper((unsigned char)*word) : *word);
                begins = *word == '-';
        }
        ret[length] = 0;
        return ret;
}

ErrorCode bus_error_code(const char *name)
{
        char own[BUS_ERROR_NAME_MAX];

        if (!name)
                return ERROR_FAILED;
        for (int code = ERROR_FAILED; code < ERROR_CODE_MAX; code++)
                if (strcmp(name, bus_error_name((ErrorCode)code, own)) == 0)
                        return (ErrorCode)code;
        if (strncmp(name, BUS_OWN_ERROR_PREFIX, strlen(BUS_OWN_ERROR_PREFIX)) != 0)
                return ERROR_FAILED;
        name += strlen(BUS_OWN_ERROR_PREFIX);
        if (strncmp(name, "Spawn.", strlen("Spawn.")) == 0)
                return ERROR_UNAVAILABLE;
        for (size_t i = 0; i < ELEMENTS(bus_errors); i++)
                if (strcmp(name, bus_errors[i].name) == 0)
                        return bus_errors[i].code;
        return ERROR_FAILED;
}
