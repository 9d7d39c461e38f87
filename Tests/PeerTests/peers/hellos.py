"""A TLS client whose first bytes come in pieces: each split of its ClientHello in two, then byte by byte. Every session is verified and used.

Usage: hellos.py HOST PORT CAFILE NAME
"""

import socket
import ssl
import sys
import time


def session(address, context, name, cut):
    """`cut` takes the ClientHello and gives its pieces."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        isFirst = True

        def flush():
            nonlocal isFirst
            data = outgoing.read()
            if not data:
                return
            pieces = cut(data) if isFirst else [data]
            isFirst = False
            for i, piece in enumerate(pieces):
                if i:
                    time.sleep(0.002)
                connection.sendall(piece)

        def drive(action):
            while True:
                try:
                    result = action()
                    flush()
                    return result
                except ssl.SSLWantReadError:
                    flush()
                    piece = connection.recv(65536)
                    if not piece:
                        raise ConnectionError("closed early")
                    incoming.write(piece)

        drive(tls.do_handshake)
        drive(lambda: tls.write(b"drawer\n"))
        answer = b""
        while not answer.endswith(b"\n"):
            answer += drive(lambda: tls.read(100))
        if answer != b"reward\n":
            raise AssertionError(answer)


def main(host, port, root, name):
    context = ssl.create_default_context(cafile=root)
    address = (host, int(port))
    size = 0

    def whole(data):
        nonlocal size
        size = len(data)
        return [data]

    session(address, context, name, whole)
    splits = sorted({*range(1, min(size, 90)), *range(90, size, 29), size - 1})
    failures = []
    for at in splits:
        try:
            session(address, context, name, lambda data: [data[:at], data[at:]])
        except Exception as error:
            failures.append(f"{at}: {error!r}")
    try:
        session(address, context, name, lambda data: [data[i:i + 1] for i in range(len(data))])
    except Exception as error:
        failures.append(f"byte by byte: {error!r}")
    print(f"{ssl.OPENSSL_VERSION}: a hello of {size} bytes, {len(splits)} splits, {len(failures)} failures", *failures[:10], sep="\n", flush=True)


main(*sys.argv[1:])
