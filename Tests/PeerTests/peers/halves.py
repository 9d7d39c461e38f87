"""TLS half-closed by Python's ssl, which the openssl programs cannot do. The other side's end comes first or last.

Usage: halves.py call PORT CAFILE NAME       says, ends its half, prints what comes after that
       halves.py serve CERTS KEY             prints `LISTENING PORT`, takes one connection, hears it out, answers after its end
"""

import socket
import ssl
import sys


class Stream:
    def __init__(self, connection, context, **flags):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **flags)
        self.drive(self.tls.do_handshake)

    def drive(self, action, wants_answer=True):
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self.flush()
                if not wants_answer:
                    return None
                piece = self.connection.recv(65536)
                if piece:
                    self.incoming.write(piece)
                else:
                    self.incoming.write_eof()
            finally:
                self.flush()

    def flush(self):
        if data := self.outgoing.read():
            self.connection.sendall(data)

    def read(self):
        """Until the other side's close_notify; a cut connection is an error."""
        heard = b""
        while True:
            try:
                piece = self.drive(lambda: self.tls.read(65536))
            except ssl.SSLZeroReturnError:
                return heard
            if not piece:
                return heard
            heard += piece

    def write(self, data):
        self.drive(lambda: self.tls.write(data))

    def end(self):
        self.drive(self.tls.unwrap, wants_answer=False)


def call(port, root, name):
    context = ssl.create_default_context(cafile=root)
    stream = Stream(socket.create_connection(("127.0.0.1", int(port))), context, server_hostname=name)
    stream.write(b"before my end\n")
    stream.end()
    print(f"HEARD {stream.read().decode()!r}", flush=True)


def serve(certificates, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    stream = Stream(listener.accept()[0], context, server_side=True)
    print(f"HEARD {stream.read().decode()!r}", flush=True)
    stream.write(b"after your end\n")
    stream.end()


(call if sys.argv[1] == "call" else serve)(*sys.argv[2:])
