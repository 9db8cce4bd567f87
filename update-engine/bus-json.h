/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* D-Bus values and JSON, one to one, so that the daemon describes things once, the bus carries them typed,
 * and the command line shows them to a person or as JSON from the same value.
 *
 *     string  s        whole number  t, or x when negative      true, false  b       real number  d
 *     object  a{sv}    array of objects  aa{sv}                 array of strings  as
 *
 * null members and empty arrays inside objects are left out (their type would be unknown). */

#include "error.h"

#include <jansson.h>
#include <systemd/sd-bus.h>

#define BUS_JSON_DEPTH_MAX 16

/* Appends an object as a{sv}; an array of objects as aa{sv}. -EINVAL for JSON without a D-Bus form. */
int bus_json_append_object(sd_bus_message *message, const json_t *object);
int bus_json_append_objects(sd_bus_message *message, const json_t *array);

/* Reads one value of any type, unwrapping variants. Returns 1 and a new reference, or 0 at the end of the
 * message or container. Byte and integer types become whole numbers (above INT64_MAX: INT64_MAX), structs
 * and arrays become arrays, dictionaries with string keys objects. */
int bus_json_read(sd_bus_message *message, json_t **ret);
