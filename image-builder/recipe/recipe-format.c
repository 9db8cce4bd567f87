/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "recipe.h"
#include "strv.h"

#include <string.h>

#define TEXT_MAX (4 * MIB)

/* Collects the first error so that the callers stay short. */
typedef struct Writer {
        Buffer out;
        int r;
} Writer;

/* A backslash would join the next line; white space behind it is dropped where it is read. */
static void end_line(Writer *writer)
{
        const Buffer *out = &writer->out;

        if (writer->r >= 0)
                writer->r = buffer_printf(&writer->out, "%s\n", out->data[out->size - 1] == '\\' ? " " : "");
}

static void put(Writer *writer, const char *key, const char *value)
{
        if (writer->r >= 0 && value)
                writer->r = buffer_printf(&writer->out, "%s=%s", key, value);
        if (value)
                end_line(writer);
}

static void put_words(Writer *writer, const char *key, char *const *words)
{
        for (; words && *words; words++)
                put(writer, key, *words);
}

/* A list of which the last line counts. */
static void put_whole_list(Writer *writer, const char *key, char *const *words)
{
        if (!words || !*words)
                return;
        if (writer->r >= 0)
                writer->r = buffer_printf(&writer->out, "%s=%s", key, *words);
        while (writer->r >= 0 && *++words)
                writer->r = buffer_printf(&writer->out, " %s", *words);
        end_line(writer);
}

static void put_size(Writer *writer, const char *key, uint64_t bytes)
{
        bool is_whole = bytes % MIB == 0;

        if (writer->r >= 0)
                writer->r = buffer_printf(&writer->out, "%s=%llu%s\n", key,
                                (unsigned long long)(is_whole ? bytes / MIB : bytes), is_whole ? "M" : "");
}

static void section(Writer *writer, const char *name)
{
        if (writer->r >= 0)
                writer->r = buffer_printf(&writer->out, "%s[%s]\n", writer->out.size > 0 ? "\n" : "", name);
}

static const char *or_empty(const char *text)
{
        return text ? text : "";
}

static void put_nodes(Writer *writer, const Recipe *recipe)
{
        for (size_t i = 0; writer->r >= 0 && i < recipe->node_count; i++) {
                const RecipeNode *node = &recipe->nodes[i];

                if (node->target)
                        writer->r = buffer_printf(&writer->out, "Link=%s:%s", node->path, node->target);
                else
                        writer->r = buffer_printf(&writer->out, "Directory=%s:%04o:%s:%s", node->path,
                                        node->mode, or_empty(node->owner), or_empty(node->group));
                end_line(writer);
        }
}

static void put_sources(Writer *writer, const Recipe *recipe)
{
        if (recipe->base)
                writer->r = buffer_printf(&writer->out, "Base=%s%s%s%s", recipe->base_is_oci ? "oci:" : "",
                                recipe->base, recipe->base_tag ? ":" : "", or_empty(recipe->base_tag));
        if (recipe->base) {
                end_line(writer);
                put_size(writer, "BaseLimit", recipe->base_limit_bytes);
        }
        for (size_t i = 0; writer->r >= 0 && i < recipe->tree_count; i++) {
                writer->r = buffer_printf(
                                &writer->out, "Tree=%s:%s", recipe->trees[i].source, recipe->trees[i].path);
                end_line(writer);
        }
        for (size_t i = 0; writer->r >= 0 && i < recipe->file_count; i++) {
                const RecipeFile *file = &recipe->files[i];

                writer->r = buffer_printf(&writer->out, "File=%s:%s:%04o:%s:%s", file->source, file->path,
                                file->mode, or_empty(file->owner), or_empty(file->group));
                end_line(writer);
        }
}

static void put_content(Writer *writer, const Recipe *recipe)
{
        section(writer, "Content");
        if (writer->r >= 0)
                put_sources(writer, recipe);
        put_nodes(writer, recipe);
        put_words(writer, "Script", recipe->scripts);
        if (recipe->scripts)
                put(writer, "ScriptNetwork", recipe->script_network ? "yes" : "no");
        put_words(writer, "Remove", recipe->removed_globs);
        put_words(writer, "RemovePackages", recipe->removed_packages);
        put_words(writer, "AllowSecret", recipe->allowed_secrets);
        put_words(writer, "Setuid", recipe->allowed_setuid);
}

static void put_option(Writer *writer, const char *name, const char *value)
{
        if (writer->r >= 0 && value)
                writer->r = buffer_printf(&writer->out, ":%s=%s", name, value);
}

/* Lines end with a colon, which says nothing, where what is before it would not outlive their end. */
static void put_user(Writer *writer, const RecipeUser *user)
{
        Buffer *out = &writer->out;

        writer->r = buffer_printf(out, "User=%s", user->name);
        if (writer->r >= 0 && user->uid)
                writer->r = buffer_printf(out, ":uid=%u", user->uid);
        put_option(writer, "comment", user->comment);
        put_option(writer, "home", user->home);
        put_option(writer, "shell", user->shell);
        for (char **group = user->groups; writer->r >= 0 && group && *group; group++)
                writer->r = buffer_printf(out, "%s%s", group == user->groups ? ":groups=" : ",", *group);
        if (writer->r >= 0)
                writer->r = buffer_printf(out, "%s%s%s\n", user->is_system ? ":system" : "",
                                user->subordinate_ids ? ":subids" : "",
                                strchr(" \t\\", out->data[out->size - 1]) ? ":" : "");
        for (char **key = user->ssh_keys; writer->r >= 0 && key && *key; key++) {
                writer->r = buffer_printf(out, "SshKey=%s %s", user->name, *key);
                end_line(writer);
        }
        if (writer->r >= 0 && user->password_hash) {
                writer->r = buffer_printf(out, "PasswordHash=%s %s", user->name, user->password_hash);
                end_line(writer);
        }
}

static void put_image_and_packages(Writer *writer, const Recipe *recipe)
{
        section(writer, "Image");
        put(writer, "Id", recipe->image_id);
        put(writer, "Version", recipe->version);
        put(writer, "Architecture", recipe->architecture);
        put(writer, "Hostname", recipe->hostname);
        put(writer, "Epoch", recipe->epoch_text);
        section(writer, "Packages");
        put_whole_list(writer, "Suites", recipe->suites);
        put_whole_list(writer, "Areas", recipe->areas);
        put(writer, "Mirror", recipe->mirror);
        put(writer, "SecurityMirror", recipe->security_mirror);
        put_words(writer, "FallbackMirrors", recipe->fallback_mirrors);
        put(writer, "Expired", recipe->with_expired ? "yes" : "no");
        put(writer, "Keyring", or_empty(recipe->keyring));
        put_words(writer, "Install", recipe->packages);
        put_words(writer, "Exclude", recipe->excluded_packages);
        put(writer, "Recommended", recipe->with_recommended ? "yes" : "no");
        put(writer, "Documentation", recipe->with_documentation ? "yes" : "no");
}

static void put_system(Writer *writer, const Recipe *recipe)
{
        section(writer, "Kernel");
        put(writer, "Package", recipe->kernel_package);
        put_words(writer, "Modules", recipe->modules);
        put_words(writer, "RootModules", recipe->root_modules);
        put_words(writer, "CommandLine", recipe->command_line);
        section(writer, "Users");
        put_words(writer, "Group", recipe->groups);
        for (size_t i = 0; writer->r >= 0 && i < recipe->user_count; i++)
                put_user(writer, &recipe->users[i]);
        section(writer, "Services");
        put_words(writer, "Enable", recipe->enabled_units);
        put_words(writer, "Disable", recipe->disabled_units);
        put_words(writer, "Mask", recipe->masked_units);
        put_words(writer, "Listen", recipe->listening_units);
        put(writer, "DefaultTarget", recipe->default_target);
}

int recipe_format(const Recipe *recipe, char **ret)
{
        Writer writer = { .out = BUFFER_WITH_CAP(TEXT_MAX) };

        put_image_and_packages(&writer, recipe);
        put_content(&writer, recipe);
        put_system(&writer, recipe);
        section(&writer, "Disk");
        put_size(&writer, "EspSize", recipe->esp_size_bytes);
        put_size(&writer, "SlotSize", recipe->slot_size_bytes);
        put_size(&writer, "VarSize", recipe->var_size_bytes);
        put_whole_list(&writer, "Formats", recipe->formats);
        section(&writer, "Budget");
        put_words(&writer, "Layout", recipe->budget_layouts);
        put_size(&writer, "Reserve", recipe->reserve_bytes);
        section(&writer, "SecureBoot");
        put(&writer, "Key", recipe->secure_boot_key);
        put(&writer, "Certificate", recipe->secure_boot_certificate);
        put(&writer, "Enroll", recipe->secure_boot_enroll);
        put(&writer, "PcrKey", recipe->pcr_key);
        section(&writer, "Update");
        put_words(&writer, "Repository", recipe->repositories);
        put(&writer, "Channel", recipe->channel);
        put(&writer, "TrustedRoot", recipe->trusted_root);
        if (writer.r >= 0) {
                *ret = buffer_take(&writer.out, NULL);
                writer.r = *ret ? 0 : -ENOMEM;
        }
        buffer_done(&writer.out);
        return writer.r;
}
