# SPDX-License-Identifier: Apache-2.0
"""Parts of the crash proof. Nothing here shares code with the engine; only the recorder runs it."""
