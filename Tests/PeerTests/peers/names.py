"""A name server for what no decent one does, by `dnslib`. The name says how it is answered, over datagrams and streams of one port.

Usage: names.py PORT [PORT...]      on every address; answers of the second port and later end in .2, .3, …
"""

import socket
import sys
import threading
import time

from dnslib import AAAA, CNAME, DNSHeader, DNSQuestion, DNSRecord, NS, QTYPE, RCODE, RR, SOA, A

#: Questions seen, by name, for those that are answered later.
seen = {}
lock = threading.Lock()


def soa(minimum, ttl=600):
    return RR("odd.test", QTYPE.SOA, ttl=ttl, rdata=SOA("ns.odd.test", "host.odd.test", (1, 2, 3, 4, minimum)))


def answer(data, index, stream):
    """What goes back: a list of (delay, bytes), or None for nothing, or b"" for closing a stream."""
    query = DNSRecord.parse(data)
    name = str(query.q.qname).rstrip(".").lower()
    kind = name.split(".")[0]
    reply = query.reply(aa=1, ra=0)
    own = f"10.9.0.{index}"
    with lock:
        seen[name, index] = count = seen.get((name, index), 0) + 1
    if query.q.qtype != QTYPE.A and kind not in ("onlysix", "literal"):
        reply.add_auth(soa(60))
        return [(0, reply.pack())]
    if kind == "silent" and index == 1:
        return None
    if kind == "late" and count == 1:
        return None
    if kind == "broken" and index == 1:
        reply.header.rcode = RCODE.SERVFAIL
        return [(0, reply.pack())]
    if kind == "refused":
        reply.header.rcode = RCODE.REFUSED
        return [(0, reply.pack())]
    if kind == "forged":
        # Another id, another question, then the truth.
        wrong = DNSRecord(DNSHeader(id=query.header.id ^ 1, qr=1), q=query.q, a=RR(name, rdata=A("6.6.6.6"), ttl=9))
        other = DNSRecord(DNSHeader(id=query.header.id, qr=1), q=DNSQuestion("other.test"), a=RR("other.test", rdata=A("6.6.6.6"), ttl=9))
        reply.add_answer(RR(name, rdata=A(own), ttl=9))
        return [(0, wrong.pack()), (0, other.pack()), (0.05, reply.pack())]
    if kind == "garbage" and index == 1:
        return [(0, data[:2] + b"\x81\x80" + b"\xff" * 30)]
    if kind == "cut":
        if not stream:
            reply.header.tc = 1
            return [(0, reply.pack())]
        if index == 1:
            return b""
    if kind == "loop":
        reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME("loop2.odd.test"), ttl=9), RR("loop2.odd.test", QTYPE.CNAME, rdata=CNAME(name), ttl=9))
        return [(0, reply.pack())]
    if kind == "chain":
        # One link an answer: whoever asks must go on by itself.
        number = int(name.split(".")[1])
        if number > 0:
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(f"chain.{number - 1}.odd.test"), ttl=100 + number))
            return [(0, reply.pack())]
    if kind == "dangling":
        reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME("nowhere.odd.test"), ttl=50))
        reply.header.rcode = RCODE.NXDOMAIN
        reply.add_auth(soa(20))
        return [(0, reply.pack())]
    if kind == "absent":
        reply.header.rcode = RCODE.NXDOMAIN
        reply.add_auth(soa(25, ttl=90))
        return [(0, reply.pack())]
    if kind == "referral":
        reply.add_auth(RR("odd.test", QTYPE.NS, rdata=NS("elsewhere.test"), ttl=9))
        return [(0, reply.pack())]
    if kind == "onlysix":
        if query.q.qtype == QTYPE.AAAA:
            reply.add_answer(RR(name, QTYPE.AAAA, rdata=AAAA("fd00::9"), ttl=11))
        else:
            reply.add_auth(soa(60))
        return [(0, reply.pack())]
    if kind == "shouting":
        # An answer whose owner is written in capitals answers the same question (RFC 4343).
        reply.add_answer(RR(name.upper(), rdata=A(own), ttl=9))
        return [(0, reply.pack())]
    ttl = int(name.split(".")[1]) if kind == "ttl" else 9
    address = f"10.9.{count}.{index}" if kind == "ttl" else own
    reply.add_answer(RR(name, rdata=A(address), ttl=ttl))
    return [(0, reply.pack())]


def datagrams(port, index):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    while True:
        data, client = server.recvfrom(65535)
        for delay, reply in answer(data, index, False) or []:
            time.sleep(delay)
            server.sendto(reply, client)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def streams(port, index):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = listener.accept()
        with connection:
            while (head := exactly(connection, 2)) and (data := exactly(connection, int.from_bytes(head, "big"))):
                replies = answer(data, index, True)
                if replies == b"":
                    break
                for delay, reply in replies or []:
                    # In pieces, so that lengths and messages are cut.
                    for byte in len(reply).to_bytes(2, "big") + reply:
                        connection.sendall(bytes([byte]))


for number, port in enumerate(sys.argv[1:], 1):
    for serve in (datagrams, streams):
        threading.Thread(target=serve, args=(int(port), number), daemon=True).start()
threading.Event().wait()
