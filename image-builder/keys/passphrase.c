/* SPDX-License-Identifier: Apache-2.0 */
#include "passphrase.h"

#include "file.h"
#include "process.h"
#include "strv.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define PASSPHRASE_MAX 1024

extern char **environ;

void passphrase_wipe(Buffer *buffer)
{
        if (buffer->data)
                OPENSSL_cleanse(buffer->data, buffer->capacity);
        buffer_done(buffer);
}

static int append_first_line(Buffer *ret, const char *text)
{
        return buffer_append(ret, text, strcspn(text, "\r\n"));
}

static int from_file(const char *path, Buffer *ret, Error *error)
{
        char *text;
        size_t size;
        int r = file_read(AT_FDCWD, path, PASSPHRASE_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read the passphrase file %s: %s", path,
                                strerror(-r));
        r = append_first_line(ret, text);
        OPENSSL_cleanse(text, size);
        free(text);
        return r < 0 ? error_oom(error) : 0;
}

static int from_command(const char *command, const char *name, Buffer *ret, Error *error)
{
        /* An agent needs to find its user: it gets the caller's whole environment. */
        const ProcessOptions options = { .environment = (const char *const *)environ, .log_fd = STDERR_FILENO };
        _cleanup_strv_ char **words = NULL;
        char *text;
        size_t size;
        int r;

        if (strv_append_words(&words, command) < 0 || strv_append(&words, name) < 0)
                return error_oom(error);
        r = process_capture((const char *const *)words, &options, PASSPHRASE_MAX, &text, &size, error);
        if (r < 0)
                return error_prefix(error, r, "asking for the passphrase of %s", name);
        r = append_first_line(ret, text);
        OPENSSL_cleanse(text, size);
        free(text);
        return r < 0 ? error_oom(error) : 0;
}

static int from_terminal(const char *name, bool is_new, Buffer *ret, Error *error)
{
        _cleanup_free_ char *prompt = string_format("Passphrase for %s: ", name);
        _cleanup_fd_ int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        char text[PASSPHRASE_MAX + 1];
        int r;

        /* Without this check OpenSSL would read standard input instead. */
        if (terminal < 0)
                return error_set(error, ERROR_UNTRUSTED, ENOKEY,
                                "the key %s needs a passphrase; give --passphrase-file or "
                                "--passphrase-command",
                                name);
        if (!prompt)
                return error_oom(error);
        r = EVP_read_pw_string(text, sizeof(text), prompt, is_new ? 1 : 0);
        if (r == 0)
                r = buffer_append(ret, text, strlen(text));
        OPENSSL_cleanse(text, sizeof(text));
        return r != 0 ? error_set(error, ERROR_UNTRUSTED, ENOKEY, "no passphrase was given for %s", name)
                      : 0;
}

int passphrase_get(const PassphraseSource *source, const char *name, bool is_new, Buffer *ret, Error *error)
{
        if (source && source->file)
                return from_file(source->file, ret, error);
        if (source && source->command)
                return from_command(source->command, name, ret, error);
        return from_terminal(name, is_new, ret, error);
}
