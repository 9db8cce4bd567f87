# SPDX-License-Identifier: Apache-2.0
"""The table of what servers do to hosts: each row is a name, how it is set up, and how an update may end.

A row's function gets a Stage and returns the configuration of the host: a list of Repository= addresses and more lines
of [Update]. Servers that it makes are stopped when the row is done."""
import os
import subprocess
import threading

from harness import servers as s
from harness import tuf

from . import hostile as h

NETWORK, UNTRUSTED, EITHER, FINE = {8}, {9, 10}, {8, 9, 10}, {0}
TIMESTAMP, SNAPSHOT, TARGETS, ROOT = r"timestamp\.json", r"snapshot\.json", r"metadata/.*targets\.json", r"2\.root\.json"
CHANNEL, MANIFEST, PAYLOAD = r"stable\.json", r"manifest\.json", r"/payloads/"
ROOT_PAYLOAD = r"/payloads/.*root\.full"

ROWS = []
LOCK = threading.RLock()  # for what makes files: keys sign one thing at a time


class Row:
    def __init__(self, name, setup, codes):
        self.name, self.setup, self.codes = name, setup, codes


class Stage:
    """What the rows are made of: a repository and servers over it."""

    def __init__(self, world, images, repository):
        self.world, self.images, self.repository = world, images, repository
        self.servers = []

    def keep(self, server):
        self.servers.append(server)
        return server

    def hostile(self, certificate=None, repository=None):
        return self.keep(s.Hostile((repository or self.repository).folder, certificate))

    def raw(self, talk, certificate=None, protocols=()):
        return self.keep(h.RawServer(talk, certificate, protocols))

    def certificate(self, name, **options):
        return certificate(os.path.join(self.world.new_folder("certificates"), name), **options)

    def own_repository(self, *images):
        return self.world.repository(*images or self.images)

    def stop(self):
        for server in self.servers:
            server.stop()
        self.servers.clear()


def certificate(path, address="127.0.0.1", days=2):
    """One that vouches for itself."""
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=" + address, "-addext", "subjectAltName=IP:" + address, "-keyout", path + ".key", "-out", path + ".csr"],
                   check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", path + ".csr", "-signkey", path + ".key", "-days", str(days),
                    "-copy_extensions", "copy", "-out", path + ".crt"], check=True, capture_output=True)
    return path


def row(name, codes):
    def add(function):
        ROWS.append(Row(name, function, codes))
        return function
    return add


def simple(name, pattern, act, codes, times=None):
    """One server over the repository with one rule."""
    def setup(stage):
        server = stage.hostile()
        server.rule(pattern, act, times)
        return [server.url], ""
    ROWS.append(Row(name, setup, codes))


def _trusting(path):
    return "CertificateAuthorities=%s.crt" % path


# ---- Connections ----

@row("nobody listens", NETWORK)
def _(stage):
    return ["http://127.0.0.1:%d" % s.free_port()], ""


@row("closes without reading", NETWORK)
def _(stage):
    return [stage.raw(lambda connection: None).url], ""


@row("accepts and says nothing", NETWORK)
def _(stage):
    server = stage.raw(lambda connection: server.stopped.wait(60))
    return [server.url], ""


simple("closes without an answer", TIMESTAMP, h.raw(b""), NETWORK)
simple("resets instead of an answer", TIMESTAMP, h.reset(), NETWORK)
simple("resets when payloads are asked for", PAYLOAD, h.reset(), NETWORK)
simple("hangs before the answer", TIMESTAMP, h.hang_after(b""), NETWORK)
simple("hangs before the next root", ROOT, h.hang_after(b""), NETWORK)
simple("hangs after the status line", TIMESTAMP, h.hang_after(b"HTTP/1.1 200 OK\r\n"), NETWORK)
simple("hangs within a header", TIMESTAMP, h.hang_after(b"HTTP/1.1 200 OK\r\nContent-Le"), NETWORK)
simple("hangs after the headers", TIMESTAMP, h.hang_after_headers(), NETWORK)
simple("hangs within metadata", SNAPSHOT, s.stall(10), NETWORK)
simple("hangs within the manifest", MANIFEST, s.stall(10), NETWORK)
simple("hangs before a payload", PAYLOAD, h.hang_after(b""), NETWORK)
simple("hangs within a payload", PAYLOAD, s.stall(50000), NETWORK)
simple("a byte of header a second", TIMESTAMP, h.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\n"), NETWORK)
simple("a byte of metadata a second", TIMESTAMP, h.trickle(), NETWORK)
simple("a byte of payload a second", PAYLOAD, h.trickle(), NETWORK)
simple("a byte of payload a connection", PAYLOAD, s.cut(1), NETWORK)
simple("no HTTP at all", TIMESTAMP, h.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), NETWORK)
simple("HTTP/0.9", TIMESTAMP, h.raw(b"{\"signatures\": [], \"signed\": {}}"), NETWORK)
simple("a status that is no number", TIMESTAMP, h.raw(b"HTTP/1.1 fine OK\r\n\r\n{}"), NETWORK)

# ---- Headers ----

simple("a status line without end", TIMESTAMP, h.forever(b"HTTP/1.1 200 ", b"A" * 65536), NETWORK)
simple("a header without end", TIMESTAMP, h.forever(b"HTTP/1.1 200 OK\r\nX: ", b"A" * 65536), NETWORK)
simple("headers without end", TIMESTAMP, h.forever(b"HTTP/1.1 200 OK\r\n", b"X-Flood: 1\r\n" * 4096), NETWORK)
simple("interim answers without end", TIMESTAMP, h.forever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 512), NETWORK)
simple("cookies without end", PAYLOAD, h.forever(b"HTTP/1.1 206 OK\r\n", b"Set-Cookie: a=b\r\n" * 4096), NETWORK)

# ---- Where a connection is closed ----

for _name, _place in (("before the first byte", 0), ("within the index", 40), ("after the first group", 262144),
                      ("within a group", 300001), ("before the last byte", 1048575)):
    simple("payload closed %s" % _name, ROOT_PAYLOAD, s.truncate(_place), {0, 8} if _place > 1000000 else NETWORK)
simple("metadata closed half way", TIMESTAMP, s.truncate(150), EITHER)
simple("manifest closed half way", MANIFEST, s.truncate(150), EITHER)
simple("payload closed now and then", PAYLOAD, s.cut(200000), FINE, times=3)

# ---- Lengths ----

simple("metadata shorter than its length", TIMESTAMP, h.headers(Content_Length=100000), NETWORK)
simple("metadata longer than its length", TIMESTAMP, h.headers(Content_Length=20), EITHER)
simple("no length, and a close", TIMESTAMP, h.headers(Content_Length=None), FINE)
simple("payload without a length", PAYLOAD, h.headers(Content_Length=None), FINE)
simple("a negative length", TIMESTAMP, h.headers(Content_Length=-1), EITHER)
simple("a length that is no number", TIMESTAMP, h.headers(Content_Length="many"), {0, 8, 9})
simple("a length of 2^70", TIMESTAMP, h.headers(Content_Length=1 << 70), {0, 8, 9})
simple("two lengths", TIMESTAMP, h.headers(Content_Length="10\r\nContent-Length: 20"), EITHER)
simple("payload shorter, and says so", PAYLOAD, s.shorter(5000), EITHER)
simple("payload longer, and says so", PAYLOAD, s.longer(5000), FINE)
simple("metadata a megabyte longer", TIMESTAMP, s.longer(1 << 20), EITHER)
simple("the manifest a little longer", MANIFEST, s.longer(5), EITHER)
simple("metadata without end", TIMESTAMP, h.endless_body(Content_Length=None), EITHER)
simple("a payload without end", PAYLOAD, h.endless_body(Content_Length=None), FINE)

# ---- Ranges ----

simple("ranges ignored", PAYLOAD, s.ignore_range(), FINE)
simple("another range, and says so", PAYLOAD, h.other_range(1000), NETWORK)
simple("an earlier range, and says so", ROOT_PAYLOAD, h.other_range(-1), NETWORK)
simple("half of each range", PAYLOAD, h.half_range(), FINE)
simple("the range of another file", PAYLOAD, h.other_bytes(), UNTRUSTED)
simple("a range without saying which", PAYLOAD, h.headers(Content_Range=None), NETWORK)
simple("a range that makes no sense", PAYLOAD, h.headers(Content_Range="bytes 9-5/1"), NETWORK)
simple("ranges in parts", PAYLOAD, h.multipart(), NETWORK)
simple("no range is satisfiable", PAYLOAD, s.status(416), NETWORK)
simple("a part where all was asked for", TIMESTAMP, h.raw(
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/2\r\nContent-Length: 2\r\n\r\n{}"), NETWORK)

# ---- Redirects ----

simple("a redirect to itself", TIMESTAMP, h.redirect("%s"), NETWORK)
simple("redirects without end", TIMESTAMP, s.redirect_forever(), NETWORK)
simple("payload redirects without end", PAYLOAD, s.redirect_forever(), NETWORK)
simple("a redirect to a file", TIMESTAMP, h.redirect("file:///etc/passwd"), NETWORK)
simple("a redirect to gopher", PAYLOAD, h.redirect("gopher://127.0.0.1:9/_x"), NETWORK)
simple("a redirect to nowhere", TIMESTAMP, h.redirect("http://127.0.0.1:9%s"), NETWORK)
simple("a redirect without a place", TIMESTAMP, h.raw(b"HTTP/1.1 302 Elsewhere\r\nContent-Length: 0\r\n\r\n"), EITHER)
simple("a redirect of a megabyte", TIMESTAMP, h.redirect("http://127.0.0.1:9/" + "a" * (1 << 20)), NETWORK)
simple("a redirect with a body without end", TIMESTAMP, h.forever(
    b"HTTP/1.1 302 Elsewhere\r\nLocation: /nowhere\r\n\r\n", b"x" * 65536), NETWORK)


@row("a redirect to a host that has it", FINE)
def _(stage):
    other, server = stage.hostile(), stage.hostile()
    server.rule(".", h.redirect(other.url + "%s"))
    return [server.url], ""


@row("https left by a redirect", NETWORK)
def _(stage):
    plain, path = stage.hostile(), stage.certificate("ours")
    server = stage.hostile(path)
    server.rule(".", h.redirect(plain.url + "%s"))
    return [server.url], _trusting(path)


# ---- Chunks and encodings ----

simple("metadata in chunks", TIMESTAMP, h.chunked(), FINE)
simple("payloads in chunks", PAYLOAD, h.chunked(), FINE)
simple("a chunk that is no number", TIMESTAMP, h.chunked(b"zz\r\n{}\r\n"), NETWORK)
simple("a chunk of 2^80", PAYLOAD, h.chunked(b"ffffffffffffffffffff\r\n{}\r\n"), NETWORK)
simple("chunks that break off", PAYLOAD, h.chunked(b"1000\r\nabc", b""), NETWORK)
simple("chunks without end", TIMESTAMP, h.endless_chunks(b"1000\r\n" + b"\0" * 4096 + b"\r\n"), EITHER)
simple("a chunk extension without end", TIMESTAMP, h.forever(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=", b"y" * 65536), NETWORK)
simple("trailers without end", TIMESTAMP, h.forever(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-Flood: 1\r\n" * 4096), EITHER)
simple("chunks and a length", TIMESTAMP, h.chunked(extra=(("Content_Length", 7),)), {0, 8, 9})
simple("an unknown transfer encoding", TIMESTAMP, h.headers(Transfer_Encoding="gzip"), {0, 8, 9})
simple("metadata said to be gzip", TIMESTAMP, h.headers(Content_Encoding="gzip"), NETWORK)
simple("a payload said to be gzip", PAYLOAD, h.headers(Content_Encoding="gzip"), NETWORK)
simple("a payload said to be brotli", PAYLOAD, h.headers(Content_Encoding="br"), NETWORK)

# ---- Statuses ----

_ERROR_PAGE = b"<html><body>" + b"Please log in to the network. " * 30 + b"</body></html>"
_PORTAL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(_ERROR_PAGE) + _ERROR_PAGE
simple("a login page for everything", ".", h.raw(_PORTAL), EITHER)
simple("a login page for payloads", PAYLOAD, h.raw(_PORTAL), EITHER)
simple("nothing, with success", TIMESTAMP, h.raw(b"HTTP/1.1 204 No Content\r\n\r\n"), EITHER)
simple("not modified, though nobody asked", TIMESTAMP, h.raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"), EITHER)
for _code, _place in ((401, TIMESTAMP), (403, PAYLOAD), (404, TIMESTAMP), (404, SNAPSHOT), (404, TARGETS), (404, CHANNEL),
                      (404, MANIFEST), (404, PAYLOAD), (500, TIMESTAMP), (500, PAYLOAD), (503, "."), (999, PAYLOAD)):
    simple("%d for %s" % (_code, _place.replace("\\", "")), _place, s.status(_code), {8, 9} if _code == 404 else NETWORK)
simple("busy for a day", PAYLOAD, h.raw(
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n"), NETWORK)
simple("an error without end", PAYLOAD, h.forever(b"HTTP/1.1 500 Sorry\r\n\r\n", b"x" * 65536), NETWORK)

# ---- Bytes ----

simple("a wrong byte in metadata", TIMESTAMP, s.flip(200), UNTRUSTED)
simple("a wrong byte in the snapshot", SNAPSHOT, s.flip(100), UNTRUSTED)
simple("a wrong byte in the targets", TARGETS, s.flip(300), UNTRUSTED)
simple("a wrong byte in the channel", CHANNEL, s.flip(20), UNTRUSTED)
simple("a wrong byte in the manifest", MANIFEST, s.flip(150), UNTRUSTED)
simple("a wrong byte in an index", PAYLOAD, s.flip(20), UNTRUSTED)
simple("a wrong byte in a group", PAYLOAD, s.flip(30000), UNTRUSTED)
simple("a root that is none", ROOT, h.raw(_PORTAL), UNTRUSTED)


# ---- TLS ----

def _tls(name, codes, trusted=True, **options):
    def setup(stage):
        path = stage.certificate("server", **options)
        server = stage.hostile(path)
        return [server.url], _trusting(path) if trusted else ""
    ROWS.append(Row(name, setup, codes))


_tls("TLS as it should be", FINE)
_tls("a certificate that nobody vouches for", NETWORK, trusted=False)
_tls("a certificate that has expired", NETWORK, days=-1)
_tls("a certificate of another name", NETWORK, address="127.0.0.2")


@row("TLS that hangs in its handshake", NETWORK)
def _(stage):
    server = stage.raw(lambda connection: server.stopped.wait(60))
    return [server.url.replace("http:", "https:")], ""


@row("no TLS where TLS was asked for", NETWORK)
def _(stage):
    return [stage.hostile().url.replace("http:", "https:")], ""


# ---- HTTP/2 ----

def _http2(name, answer):
    def setup(stage):
        path = stage.certificate("server")
        return [stage.raw(h.http2(answer), path, ["h2"]).url], _trusting(path)
    ROWS.append(Row("HTTP/2: " + name, setup, NETWORK))


_http2("each stream is refused", h.h2_reset)
_http2("streams are reset within their body", h.h2_reset_in_body)
_http2("go away", h.h2_go_away)
_http2("pings without end", h.h2_pings)
_http2("garbage", h.h2_garbage)


# ---- Mirrors, and changes while a host looks ----

def _two(name, codes, spoil, first=0):
    """`spoil(stage, bad)` bends the mirror that is asked first; the second one is honest."""
    def setup(stage):
        bad, good = stage.hostile(), stage.hostile()
        return [spoil(stage, bad) or bad.url, good.url], ""
    ROWS.append(Row("two mirrors, the first " + name, setup, codes))


def _rule(pattern, act):
    return lambda stage, server: server.rule(pattern, act)


_two("is down", FINE, lambda stage, server: "http://127.0.0.1:%d" % s.free_port())
_two("hangs", FINE, _rule(".", h.hang_after(b"")))
_two("has a login page for everything", FINE, _rule(".", h.raw(_PORTAL)))
_two("lacks the snapshot", FINE, _rule(SNAPSHOT, s.status(404)))
_two("has wrong targets", FINE, _rule(TARGETS, s.flip(300)))
_two("has a wrong manifest", FINE, _rule(MANIFEST, s.flip(150)))
_two("lacks payloads", FINE, _rule(PAYLOAD, s.status(404)))
_two("has wrong payloads", FINE, _rule(PAYLOAD, s.flip(30000)))
_two("cuts payloads off", FINE, _rule(PAYLOAD, s.cut(30000)))
_two("trickles payloads", FINE, _rule(PAYLOAD, h.trickle()))
_two("redirects in circles", FINE, _rule(".", h.redirect("%s")))


def _older(stage, server):
    """Signed by the same keys, and behind: what it offers is less, and no lie."""
    server.root = stage.own_repository(stage.images[0]).folder


def _expired(stage, server):
    repository = stage.own_repository(stage.images[0])
    repository.metadata.expires["timestamp"] = tuf.expired()
    repository.publish()
    server.root = repository.folder


def _foreign(stage, server):
    server.root = stage.world.repository(*stage.images, keys=stage.world.new_folder("keys")).folder


_two("is behind", {0, 4}, _older)
_two("has expired", FINE, _expired)
_two("is of someone else", FINE, _foreign)


def _locked(action):
    def act():
        with LOCK:
            action()
    return act


@row("metadata changes while it is read", {0, 8, 9})
def _(stage):
    repository = stage.own_repository()
    server = stage.hostile(repository=repository)
    server.rule(SNAPSHOT, h.once(_locked(repository.publish), h.honest()))
    return [server.url], ""


@row("a release appears while another is fetched", FINE)
def _(stage):
    repository = stage.own_repository()
    server = stage.hostile(repository=repository)
    server.rule(PAYLOAD, h.once(lambda: threading.Thread(target=_locked(repository.publish)).start(), h.honest()))
    return [server.url], ""


@row("a payload changes while it is fetched", UNTRUSTED)
def _(stage):
    repository = stage.own_repository()
    server = stage.hostile(repository=repository)

    def change():
        for name in repository.files("root.full"):
            data = repository.read(name)
            repository.write(name, data[:9000] + data[9000:].translate(h.INVERTED))
    server.rule(ROOT_PAYLOAD, h.once(change, h.honest()))
    server.rule(ROOT_PAYLOAD, h.honest())
    return [server.url], ""
