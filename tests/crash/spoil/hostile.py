# SPDX-License-Identifier: Apache-2.0
"""More ways for a web server to misbehave than harness/servers.py has: bytes as no server library would send them.

An act is called with the handler of one request and what was asked for, (body, span, size of the file) or None. Its
wfile is the connection; what it raises ends the connection."""
import socket
import ssl
import struct
import threading
import time

CRLF = b"\r\n"
INVERTED = bytes(range(255, -1, -1))  # for bytes.translate()


def _end(handler):
    handler.close_connection = True


def _headers(found, **other):
    """Of an honest answer, changed by `other` (None leaves one out)."""
    body, span, total = found
    fields = {"Content-Length": len(body)}
    if span:
        fields["Content-Range"] = "bytes %d-%d/%d" % (span[0], span[1], total)
    fields.update({name.replace("_", "-"): value for name, value in other.items()})
    lines = [b"HTTP/1.1 206 Partial Content" if span else b"HTTP/1.1 200 OK"]
    lines += [("%s: %s" % item).encode() for item in fields.items() if item[1] is not None]
    return CRLF.join(lines) + CRLF + CRLF


def raw(data):
    """These bytes instead of an answer, and the end."""
    def act(handler, found):
        handler.wfile.write(data)
        _end(handler)
    return act


def reset():
    """The connection is torn down without a word."""
    def act(handler, found):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        _end(handler)
    return act


def hang_after(data):
    """These bytes, and then nothing, with the connection open."""
    def act(handler, found):
        handler.wfile.write(data)
        handler.wfile.flush()
        handler.server.hostile.stopped.wait(60)
        _end(handler)
    return act


def hang_after_headers():
    return lambda handler, found: hang_after(_headers(found))(handler, found)


def trickle(head=b""):
    """A byte a second: of `head`, or of an honest answer's body."""
    def act(handler, found):
        data = head or found[0]
        if not head:
            handler.wfile.write(_headers(found))
        for at in range(len(data)):
            handler.wfile.write(data[at:at + 1])
            handler.wfile.flush()
            if handler.server.hostile.stopped.wait(1):
                break
        _end(handler)
    return act


def forever(first, piece):
    """`piece` again and again, as fast as it is taken."""
    def act(handler, found):
        handler.wfile.write(first(found) if callable(first) else first)
        while not handler.server.hostile.stopped.is_set():
            handler.wfile.write(piece)
        _end(handler)
    return act


def headers(**other):
    """An honest body under these headers."""
    def act(handler, found):
        handler.wfile.write(_headers(found, **other) + found[0])
        _end(handler)
    return act


def endless_body(**other):
    return forever(lambda found: _headers(found, **other) + found[0], b"\0" * 65536)


def other_range(by):
    """Says and sends a range that begins `by` bytes elsewhere."""
    def act(handler, found):
        body, span, total = found
        if not span:
            handler.wfile.write(_headers(found) + body)
            return
        handler.wfile.write(_headers((body, (span[0] + by, span[1] + by), total)) + body)
        _end(handler)
    return act


def half_range():
    """Half of what was asked for, and says so: who goes on from there gets on."""
    def act(handler, found):
        body, span, total = found
        if span and len(body) > 1:
            body = body[:(len(body) + 1) // 2]
            found = body, (span[0], span[0] + len(body) - 1), total
        handler.wfile.write(_headers(found) + found[0])
        _end(handler)
    return act


def other_bytes():
    """Headers that are right, over the bytes of another file."""
    def act(handler, found):
        handler.wfile.write(_headers(found) + found[0].translate(INVERTED))
        _end(handler)
    return act


def multipart():
    def act(handler, found):
        body, span, total = found
        part = b"--x\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (*(span or (0, len(body) - 1)), total) + body + b"\r\n--x--\r\n"
        handler.wfile.write(b"HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(part) + part)
        _end(handler)
    return act


def redirect(location, body=b"", code=302):
    """`location` may hold %s for the path."""
    def act(handler, found):
        place = location % handler.path if "%s" in location else location
        handler.wfile.write(("HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n" % (code, place, len(body)))
                            .encode() + body)
        _end(handler)
    return act


def chunked(pieces=None, end=b"0\r\n\r\n", extra=()):
    """The honest body in chunks; or these bytes where chunks should be."""
    def act(handler, found):
        fields = {"Content_Length": None, "Transfer_Encoding": "chunked", **dict(extra)}
        handler.wfile.write(_headers(found, **fields))
        if pieces is None:
            for at in range(0, len(found[0]), 1000):
                piece = found[0][at:at + 1000]
                handler.wfile.write(b"%x\r\n" % len(piece) + piece + CRLF)
        else:
            handler.wfile.write(pieces)
        handler.wfile.write(end)
        _end(handler)
    return act


def endless_chunks(piece):
    return forever(lambda found: _headers(found, Content_Length=None, Transfer_Encoding="chunked"), piece)


def once(action, act):
    """Calls `action` before the first answer, for instance to change the repository."""
    lock, done = threading.Lock(), []

    def wrapped(handler, found):
        with lock:
            if not done:
                done.append(True)
                action()
        act(handler, found)
    return wrapped


def honest():
    return lambda handler, found: handler.wfile.write(handler.answer(*found)) if found else handler.send_error(404)


class RawServer:
    """A listener that calls `talk(connection)` for each connection, over TLS with a certificate."""

    def __init__(self, talk, certificate=None, protocols=()):
        self.talk, self.connections, self.stopped = talk, 0, threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate + ".crt", certificate + ".key")
            if protocols:
                self.context.set_alpn_protocols(list(protocols))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.scheme = "https" if certificate else "http"
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % (self.scheme, self.listener.getsockname()[1])

    def _serve(self):
        while not self.stopped.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        try:
            connection.settimeout(60)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.talk(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def stop(self):
        self.stopped.set()
        self.listener.close()


# ---- HTTP/2, as far as misbehaving needs it ----

_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_STATUS_200 = b"\x88"  # the eighth entry of the static table of headers


def _frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


def http2(answer):
    """Calls answer(connection, stream) for each request."""
    def talk(connection):
        _read_exactly(connection, 24)  # the preface
        connection.sendall(_SETTINGS)
        while True:
            head = _read_exactly(connection, 9)
            _read_exactly(connection, int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                answer(connection, int.from_bytes(head[5:], "big"))
            elif head[3] == 4 and not head[4] & 1:
                connection.sendall(_frame(4, 1, 0))
    return talk


def h2_reset(connection, stream):
    connection.sendall(_frame(3, 0, stream, struct.pack(">I", 7)))


def h2_reset_in_body(connection, stream):
    connection.sendall(_frame(1, 4, stream, _STATUS_200) + _frame(0, 0, stream, b"{\"signed\":") +
                       _frame(3, 0, stream, struct.pack(">I", 2)))


def h2_go_away(connection, stream):
    connection.sendall(_frame(7, 0, 0, struct.pack(">II", 0, 11)))
    raise OSError("gone")


def h2_pings(connection, stream):
    while True:
        connection.sendall(_frame(6, 0, 0, b"pingping") * 64)
        time.sleep(0.01)


def h2_garbage(connection, stream):
    connection.sendall(b"\xff" * 4096)
