"""An HTTP/1 server that tells exactly what reached it: its own reading of bytes, one thread a connection, no library's leniency.

Usage: origin.py PORT

Answers JSON about the request; the path says what else is wanted:
  /echo              what came, body by length and hash, framing, trailers
  /chunked           an answer in chunks with a trailer
  /until-close       an answer that ends with the connection
  /early-hints       103 before the answer
  /refuse            417 before the body of a request that expects 100
  /status/NUMBER     that status; 204 and 304 have no body
  /upgrade           101 to `Upgrade: echo`, then what comes goes back
  /bytes/NUMBER      so many bytes, with content-length
"""

import hashlib
import json
import socket
import sys
import threading


class Closed(Exception):
    pass


class Wire:
    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def more(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise Closed
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        if b"\n" in line or b"\r" in line:
            raise ValueError(f"a bare line ending reached the origin: {line!r}")
        return line

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def send(self, data):
        self.connection.sendall(data)


def fields(wire):
    found = []
    while line := wire.line():
        name, value = line.split(b":", 1)
        if name != name.strip() or not name:
            raise ValueError(f"a field name with blanks reached the origin: {line!r}")
        found.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return found


def value(headers, name):
    return next((v for n, v in headers if n.lower() == name), None)


def body(wire, headers):
    """Its bytes, how it was framed, its trailers."""
    coding, lengths = value(headers, "transfer-encoding"), [v for n, v in headers if n.lower() == "content-length"]
    if coding is not None:
        if lengths or coding.lower() != "chunked":
            raise ValueError(f"ambiguous framing reached the origin: {headers}")
        data = b""
        while True:
            size = int(wire.line().split(b";")[0], 16)
            if size == 0:
                return data, "chunked", fields(wire)
            data += wire.take(size)
            if wire.take(2) != b"\r\n":
                raise ValueError("a chunk without its end reached the origin")
    if len(lengths) > 1:
        raise ValueError(f"ambiguous framing reached the origin: {headers}")
    if lengths:
        return wire.take(int(lengths[0])), "length", []
    return b"", "none", []


def head(status, reason, headers):
    return f"HTTP/1.1 {status} {reason}\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in headers) + b"\r\n"


def answer(wire, method, status, reason, content, headers=()):
    wire.send(head(status, reason, [("content-type", "application/json"), ("content-length", len(content)), *headers]) + (b"" if method == "HEAD" else content))


def serve(connection):
    wire = Wire(connection)
    requests = 0
    while True:
        method, target, version = wire.line().decode("latin-1").split(" ")
        headers = fields(wire)
        path = target.split("?")[0]
        requests += 1
        if path == "/refuse":
            answer(wire, method, 417, "Expectation Failed", b"no", [("connection", "close")])
            return
        if path == "/upgrade":
            wire.send(head(101, "Switching Protocols", [("connection", "upgrade"), ("upgrade", value(headers, "upgrade") or "")]))
            wire.send(wire.buffer)
            while piece := connection.recv(65536):
                wire.send(piece)
            return
        expects = (value(headers, "expect") or "").lower() == "100-continue"
        if expects:
            # Nobody may send a body that was asked about before the answer.
            connection.settimeout(0.1)
            early = len(wire.buffer)
            try:
                early += len(connection.recv(1, socket.MSG_PEEK))
            except TimeoutError:
                pass
            connection.settimeout(None)
            wire.send(head(100, "Continue", []))
        data, framing, trailers = body(wire, headers)
        story = {
            "method": method, "target": target, "version": version, "headers": headers, "framing": framing, "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(), "trailers": trailers, "request": requests, "early": early if expects else None,
        }
        content = json.dumps(story).encode()
        if path == "/early-hints":
            wire.send(head(103, "Early Hints", [("link", "</style.css>; rel=preload")]))
        if path == "/chunked":
            wire.send(head(200, "OK", [("transfer-encoding", "chunked"), ("trailer", "x-sum")]))
            if method != "HEAD":
                for i in range(0, len(content), 7):
                    piece = content[i:i + 7]
                    wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                wire.send(b"0\r\nx-sum: " + str(len(content)).encode() + b"\r\n\r\n")
        elif path == "/until-close":
            wire.send(head(200, "OK", [("connection", "close")]) + content)
            return
        elif path.startswith("/status/"):
            status = int(path.split("/")[2])
            if status in (204, 304):
                wire.send(head(status, "Nothing", [("etag", '"a"')]))
            else:
                answer(wire, method, status, "So", content)
        elif path.startswith("/bytes/"):
            count = int(path.split("/")[2])
            answer(wire, method, 200, "OK", (bytes(range(256)) * (count // 256 + 1))[:count])
        else:
            answer(wire, method, 200, "OK", content, [("x-origin", "python")])
        if (value(headers, "connection") or "").lower() == "close" or version == "HTTP/1.0":
            return


def run(connection):
    with connection:
        try:
            serve(connection)
        except (Closed, ConnectionError):
            pass
        except ValueError as error:
            print(f"origin: {error}", flush=True)
            connection.sendall(head(599, "Malformed", [("content-length", 0), ("connection", "close")]))


listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=128)
while True:
    threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()
