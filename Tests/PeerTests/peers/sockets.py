"""WebSocket by the `websockets` package, both ends.

Usage: sockets.py serve PORT      echoes messages; refuses /refused with 403; closes /close by itself
       sockets.py call URL        goes through every case and prints a line of JSON for each
"""

import asyncio
import hashlib
import http
import json
import sys

import websockets


async def echo(socket):
    path = socket.request.path
    if path == "/close":
        await socket.recv()
        await socket.close(4001, "enough")
        return
    if path == "/sizes":
        # A message in pieces is one message here.
        async for message in socket:
            await socket.send(json.dumps({"kind": type(message).__name__, "size": len(message)}))
        return
    if path == "/fragments":
        async for message in socket:
            await socket.send(message[i:i + 5] for i in range(0, len(message), 5))
        return
    async for message in socket:
        await socket.send(message)


def refuse(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")
    return None


def choose(connection, offered):
    return "superchat" if "superchat" in offered else None


async def serve(port):
    async with websockets.serve(echo, "0.0.0.0", port, process_request=refuse, select_subprotocol=choose, max_size=4 << 20):
        await asyncio.get_running_loop().create_future()


async def pieces(parts):
    for part in parts:
        yield part
        await asyncio.sleep(0.01)


async def call(url):
    def say(case, **facts):
        print(json.dumps({"case": case, **facts}), flush=True)

    async with websockets.connect(url + "/echo", max_size=4 << 20) as socket:
        await socket.send("grüße")
        say("text", answer=await socket.recv())
        data = bytes(range(256)) * 4096
        await socket.send(data)
        back = await socket.recv()
        say("binary", size=len(back), same=back == data)
        await socket.send("")
        say("empty", answer=await socket.recv())
        noise = b"".join(hashlib.sha256(bytes([i & 255, i >> 8])).digest() for i in range(32768))
        await socket.send(noise)
        say("large", same=await socket.recv() == noise)
        latency = await asyncio.wait_for(await socket.ping(b"are you there"), 5)
        say("ping", answered=latency >= 0)
        for i in range(200):
            await socket.send(str(i))
        say("many", inOrder=[await socket.recv() for _ in range(200)] == [str(i) for i in range(200)])
    say("closed by client", code=socket.close_code)
    async with websockets.connect(url + "/sizes", compression=None) as socket:
        await socket.send(pieces(["one ", "two ", "three"]))
        say("fragments sent", **json.loads(await socket.recv()))
        await socket.send(pieces([b"\0" * 70000, b"\1" * 70000]))
        say("binary fragments sent", **json.loads(await socket.recv()))
    async with websockets.connect(url + "/fragments", compression=None) as socket:
        await socket.send("a message that comes back in pieces")
        parts = [part async for part in socket.recv_streaming()]
        say("fragments received", count=len(parts), answer="".join(parts))
    async with websockets.connect(url + "/close") as socket:
        await socket.send("go")
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            say("closed by server", code=closed.rcvd.code, reason=closed.rcvd.reason)
    async with websockets.connect(url + "/echo", subprotocols=["superchat"]) as socket:
        say("subprotocol", agreed=socket.subprotocol)
    try:
        async with websockets.connect(url + "/refused"):
            say("refused", status=101)
    except websockets.InvalidStatus as error:
        say("refused", status=error.response.status_code, body=error.response.body.decode())
    sockets = await asyncio.gather(*[websockets.connect(url + "/echo") for _ in range(20)])
    await asyncio.gather(*[socket.send(str(i)) for i, socket in enumerate(sockets)])
    say("side by side", answers=await asyncio.gather(*[socket.recv() for socket in sockets]) == [str(i) for i in range(20)])
    await asyncio.gather(*[socket.close() for socket in sockets])


asyncio.run(serve(int(sys.argv[2])) if sys.argv[1] == "serve" else call(sys.argv[2]))
