#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# call-names.sh COMPILER: prints call-names.c, made of the SYS_ names that the C library has.
set -eu
echo '/* SPDX-License-Identifier: Apache-2.0 */'
echo '#include "call-names.h"'
echo '#include <stddef.h>'
echo '#include <sys/syscall.h>'
echo 'static const char *const names[512] = {'
echo '#include <sys/syscall.h>' | "$@" -E -dM - | sed -n 's/^#define SYS_\([a-z0-9_]*\) .*/        [SYS_\1] = "\1",/p' | LC_ALL=C sort
echo '};'
echo 'const char *call_name(unsigned long number)'
echo '{'
echo '        return number < 512 && names[number] ? names[number] : "call";'
echo '}'
