# SPDX-License-Identifier: Apache-2.0
"""Web servers over a repository: nginx as it comes, and one that misbehaves on purpose."""
import http.server
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from .patience import PATIENCE

NGINX_CONFIG = """
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log %(folder)s/nginx-error.log;
events { worker_connections 64; }
http {
    access_log %(folder)s/nginx-access.log;
    client_body_temp_path %(folder)s/nginx-body;
    proxy_temp_path %(folder)s/nginx-proxy;
    fastcgi_temp_path %(folder)s/nginx-fastcgi;
    uwsgi_temp_path %(folder)s/nginx-uwsgi;
    scgi_temp_path %(folder)s/nginx-scgi;
    server {
        listen 127.0.0.1:%(port)d;
        root %(root)s;
    }
}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("nothing listens on port %d" % port)


class Nginx:
    """Debian's nginx over a folder. Can be stopped and started again on the same port."""

    def __init__(self, folder, root):
        self.port, self.folder = free_port(), folder
        self.config = os.path.join(folder, "nginx.conf")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG % {"folder": folder, "root": root, "port": self.port})
        self.process = None
        self.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-c", self.config, "-p", self.folder, "-e", self.folder + "/nginx-error.log"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Rule:
    """What is done to answers whose path matches. `times` bounds how often (None: always)."""

    def __init__(self, pattern, act, times=None):
        self.pattern, self.act, self.times = re.compile(pattern), act, times


class _Counting:
    """A connection's output that counts what goes through it."""

    def __init__(self, file, hostile):
        self.file, self.hostile = file, hostile

    def write(self, data):
        self.hostile.sent_bytes += len(data)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.wfile = _Counting(self.wfile, self.server.hostile)

    def log_message(self, *unused):  # pylint: disable=arguments-differ
        pass

    def _find(self):
        """The content and the first byte asked for, or None."""
        path = os.path.join(self.server.hostile.root, urllib.parse.unquote(self.path).lstrip("/"))
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            return None
        wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if not wanted:
            return content, None, len(content)
        first = int(wanted[1])
        last = min(int(wanted[2]) if wanted[2] else len(content) - 1, len(content) - 1)
        return content[first:last + 1], (first, last), len(content)

    def answer(self, body, span, total, length=None, status=None):
        self.send_response(status or (206 if span else 200))
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if span:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (span[0], span[1], total))
        self.end_headers()
        return body

    def do_GET(self):  # pylint: disable=invalid-name
        hostile = self.server.hostile
        hostile.requests.append(self.path)
        rule = hostile.rule_for(self.path)
        found = self._find()
        try:
            if rule:
                rule.act(self, found)
            elif found is None:
                self.send_error(404)
            else:
                self.wfile.write(self.answer(*found))
        except OSError:
            self.close_connection = True


def status(code):
    """Answers with an error status."""
    return lambda handler, found: handler.send_error(code)


def _until(found, at):
    """How much of this answer lies before place `at` of the file."""
    body, span, _ = found
    return min(len(body), max(0, at - (span[0] if span else 0)))


def truncate(at):
    """Promises everything, and hangs up at this place of the file."""
    def act(handler, found):
        handler.wfile.write(handler.answer(*found)[:_until(found, at)])
        handler.close_connection = True
    return act


def cut(keep):
    """Sends `keep` bytes of each answer and hangs up: who goes on from there gets on."""
    def act(handler, found):
        handler.wfile.write(handler.answer(*found)[:keep])
        handler.close_connection = True
    return act


def flip(at):
    """Changes one byte; `at` counts in the file."""
    def act(handler, found):
        body, span, _ = found
        place = at - (span[0] if span else 0)
        changed = bytearray(handler.answer(*found))
        if 0 <= place < len(body):
            changed[place] ^= 0x55
        handler.wfile.write(changed)
    return act


def longer(extra):
    """Sends `extra` bytes more than there are."""
    def act(handler, found):
        body, span, total = found
        handler.wfile.write(handler.answer(body + b"x" * extra, span, total))
    return act


def shorter(less):
    """Sends, and says so, `less` bytes fewer than there are."""
    def act(handler, found):
        body, span, total = found
        handler.wfile.write(handler.answer(body[:-less], span, total))
    return act


def stall(at):
    """Sends what lies before this place of the file and then nothing, with the connection open."""
    def act(handler, found):
        handler.wfile.write(handler.answer(*found)[:_until(found, at)])
        handler.wfile.flush()
        handler.server.hostile.stopped.wait(60)
        handler.close_connection = True
    return act


def slow(bytes_per_second):
    def act(handler, found):
        body = handler.answer(*found)
        step = max(1, bytes_per_second // 20)
        for at in range(0, len(body), step):
            handler.wfile.write(body[at:at + step])
            handler.wfile.flush()
            if handler.server.hostile.stopped.wait(0.05):
                return
    return act


def ignore_range():
    """Sends the whole file whatever part was asked for."""
    def act(handler, found):
        path = os.path.join(handler.server.hostile.root, handler.path.lstrip("/"))
        with open(path, "rb") as file:
            content = file.read()
        handler.wfile.write(handler.answer(content, None, len(content)))
    return act


def redirect_forever():
    def act(handler, found):
        handler.send_response(302)
        handler.send_header("Location", handler.path + "x")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return act


def make_certificate(path):
    """One that vouches for itself, for 127.0.0.1: path.crt and path.key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path + ".key", "-out",
                    path + ".crt"], check=True, capture_output=True)
    return path


class Hostile:
    """Serves a folder, and does what its rules say to the paths that they match."""

    def __init__(self, root, certificate=None):
        """`certificate` is a path without ".crt" and ".key"; with it the server speaks TLS."""
        self.root, self.rules, self.requests, self.stopped = root, [], [], threading.Event()
        self.sent_bytes = 0
        self.scheme = "https" if certificate else "http"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.hostile = self
        self.server.daemon_threads = True
        self.server.handle_error = lambda *unused: None  # hosts hang up on it; that is the point
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate + ".crt", certificate + ".key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % (self.scheme, self.server.server_address[1])

    def rule(self, pattern, act, times=None):
        self.rules.append(Rule(pattern, act, times))

    def rule_for(self, path):
        for rule in self.rules:
            if rule.pattern.search(path) and (rule.times is None or rule.times > 0):
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def behave(self):
        self.rules.clear()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
