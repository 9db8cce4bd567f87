# SPDX-License-Identifier: Apache-2.0
"""What tests/crash/calls and tests/crash/servers are made of: hosts that are put back to their first state, ways to
spoil a system call, and servers that lie. The harness of tests/integration stands beside it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../integration"))
