# SPDX-License-Identifier: Apache-2.0
"""Cases, the server they talk to, and the clients they run."""
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from urllib.parse import unquote

from .repo import Repo, utc

COMMAND_SECONDS = 60
CASES = []


class Broken(Exception):
    """A client did something else than the case says."""


def case(section, title, second=None, **repo_arguments):
    """Registers a case. `second` says why the second implementation is known to differ, or None: it must agree."""
    def register(function):
        CASES.append({"section": section, "title": title, "function": function, "second": second, "repo": repo_arguments})
        return function
    return register


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves /NUMBER/metadata/... and /NUMBER/targets/... of the repository with that number."""
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        _, number, path = self.path.split("/", 2)
        test = self.server.tests[int(number)]
        test.log.append(path)
        test.problems += ["a Range request for " + path] if self.headers.get("Range") else []
        repo = test.repo
        answer = repo.files.get(unquote(path) if path.startswith("targets/") else path)
        if callable(answer):
            answer(self)
        elif answer is None:
            self.send_error(404)
        else:
            self.answer(200, answer)

    def answer(self, status, data, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def answer_other(self):
        _, number, path = self.path.split("/", 2)
        self.server.tests[int(number)].problems.append("%s %s" % (self.command, path))
        self.send_error(501)

    do_HEAD = do_POST = do_PUT = do_OPTIONS = answer_other

    def log_message(self, *_):
        pass


def status(code):
    return lambda handler: handler.send_error(code)


def endless(start=b""):
    """Far more bytes than any client may read."""
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            handler.wfile.write(start)
            for _ in range(512):
                handler.wfile.write(b" " * 65536)
        except OSError:
            pass
    return answer


def cut_off(data):
    """Promises all the bytes, sends half."""
    def answer(handler):
        handler.answer(200, data[:len(data) // 2], len(data))
    return answer


class Ours:
    """The program tests/tuf-client."""
    name = "tuf-client"

    def __init__(self, program):
        self.program = program

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=COMMAND_SECONDS, check=False)

    def start(self, test):
        return self.run("--metadata-dir", test.metadata, "init", test.root_file)

    def refresh(self, test):
        return self.run("--metadata-url", test.url + "metadata", "--metadata-dir", test.metadata, "refresh")

    def download(self, test, names):
        wanted = [word for name in names for word in ("--target-name", name)]
        return self.run("--metadata-url", test.url + "metadata", "--metadata-dir", test.metadata, *wanted, "--target-dir",
                        test.targets, "--target-base-url", test.url + "targets", "download")

    def close(self):
        pass


class Second:
    """tuf-js, in one process of node that is sent one command a line."""
    name = "tuf-js"

    def __init__(self, modules):
        driver = os.path.join(os.path.dirname(__file__), "tuf-js-driver.js")
        self.process = subprocess.Popen(["node", driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env=dict(os.environ, NODE_PATH=modules))
        self.lock, self.answers, self.arrived, self.number = threading.Lock(), {}, threading.Condition(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.arrived:
                self.answers[answer["id"]] = answer
                self.arrived.notify_all()

    def ask(self, **command):
        with self.lock:
            self.number += 1
            number = self.number
            self.process.stdin.write(json.dumps({"id": number, **command}) + "\n")
            self.process.stdin.flush()
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.answers, COMMAND_SECONDS):
                raise Broken("no answer from node")
            answer = self.answers.pop(number)
        return subprocess.CompletedProcess("tuf-js", 0 if answer["ok"] else 1, None, answer.get("error", ""))

    def start(self, test):
        shutil.copy(test.root_file, os.path.join(test.metadata, "root.json"))
        return subprocess.CompletedProcess("init", 0, None, "")

    def refresh(self, test):
        return self.ask(metadata=test.metadata, targets=test.targets, url=test.url, names=[])

    def download(self, test, names):
        return self.ask(metadata=test.metadata, targets=test.targets, url=test.url, names=names)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Test:
    """What a case works with: a repository, one client, and what it may look at."""

    def __init__(self, client, server, repo_arguments):
        self.client, self.log, self.problems = client, [], []
        self.is_ours = client.name == Ours.name
        self.repo = Repo(**repo_arguments)
        number = server.add(self)
        self.url = "http://127.0.0.1:%d/%d/" % (server.server_port, number)
        self.folder = tempfile.mkdtemp(prefix="tuf-conformance-")
        self.metadata, self.targets = (os.path.join(self.folder, name) for name in ("metadata", "targets"))
        os.mkdir(self.metadata)
        os.mkdir(self.targets)
        self.root_file = os.path.join(self.folder, "trusted.json")

    def close(self):
        shutil.rmtree(self.folder)

    # What a case does.

    def init(self, root=None):
        """Hands over the trusted root: that of the repository as it is, or the given bytes."""
        with open(self.root_file, "wb") as file:
            file.write(self.repo.bytes["root"] if root is None else root)
        return self.client.start(self)

    def start(self):
        """A client that has seen the repository as it is."""
        self.init()
        self.refreshes()

    def refreshes(self):
        result = self.client.refresh(self)
        if result.returncode != 0:
            raise Broken("refresh failed: " + result.stderr.strip())

    def refuses(self, **trusted):
        """A refresh must fail, and leave these versions trusted."""
        result = self.client.refresh(self)
        if result.returncode == 0:
            raise Broken("refresh succeeded")
        if result.returncode != 1:
            raise Broken("refresh ended with status %d: %s" % (result.returncode, result.stderr.strip()))
        if trusted:
            self.trusts(**trusted)

    def downloads(self, *names):
        result = self.client.download(self, names)
        if result.returncode != 0:
            raise Broken("download failed: " + result.stderr.strip())

    def cannot_download(self, *names):
        result = self.client.download(self, names)
        if result.returncode != 1:
            raise Broken("download ended with status %d" % result.returncode)

    # What it looks at.

    def trusted(self):
        versions = {}
        for name in os.listdir(self.metadata):
            with open(os.path.join(self.metadata, name), "rb") as file:
                try:
                    versions[unquote(name[:-len(".json")])] = json.loads(file.read())["signed"]["version"]
                except (ValueError, KeyError, TypeError):
                    pass
        return versions

    def trusts(self, **expected):
        """The given roles have these versions (0: none is there); other roles do not matter."""
        found = self.trusted()
        for role, version in expected.items():
            if found.get(role, 0) != version:
                raise Broken("trusts %s %d, not %d" % (role, found.get(role, 0), version))

    def distrusts(self, **versions):
        """None of these versions is trusted. (What was trusted before may be gone, if its keys are: section 5.3.11.)"""
        found = self.trusted()
        for role, version in versions.items():
            if found.get(role) == version:
                raise Broken("trusts %s %d" % (role, version))

    def holds(self, role, data):
        with open(os.path.join(self.metadata, role + ".json"), "rb") as file:
            self.same(file.read(), data, "stored " + role)

    def forget_requests(self):
        self.log.clear()

    def requested(self, *expected):
        """The metadata asked for since forget_requests(), in order, without "metadata/" and ".json"."""
        found = [path[len("metadata/"):-len(".json")] for path in self.log if path.startswith("metadata/")]
        self.same(found, list(expected), "requests")

    def stored_targets(self):
        found = []
        for folder, _, names in os.walk(self.targets):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found.append(file.read())
        return sorted(found)

    def has_targets(self, *expected):
        self.same(self.stored_targets(), sorted(expected), "target files")

    @staticmethod
    def same(found, expected, what):
        if found != expected:
            raise Broken("%s: %r, not %r" % (what, found, expected))

    @staticmethod
    def soon():
        """A time of expiry a little ahead, and how to wait for it."""
        moment = int(time.time()) + 4
        return utc(moment), lambda: time.sleep(max(0, moment + 0.1 - time.time()))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tests, self.lock = {}, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, test):
        with self.lock:
            self.tests[len(self.tests)] = test
            return len(self.tests) - 1

    def handle_error(self, *_):
        pass


def run_case(each, client, server):
    """None, or what was wrong."""
    test = Test(client, server, each["repo"])
    try:
        each["function"](test)
        if test.problems and test.is_ours:
            return "asked for what it must not: " + ", ".join(test.problems)
    except Broken as problem:
        return str(problem)
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as problem:
        return repr(problem)
    finally:
        test.close()
    return None
