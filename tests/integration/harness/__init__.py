# SPDX-License-Identifier: Apache-2.0
"""What the integration tests are made of: images, a repository, servers good and bad, and a host in files."""
