"""The gRPC interoperability tests by `grpcio`, both ends, as grpc/doc/interop-test-descriptions.md has them, and some of our own.

Usage: interop.py serve PORT                 0: any; prints `LISTENING PORT`
       interop.py call HOST:PORT [CASE...]   all cases but those that need a server without compression; prints `CASE ok` or what was wrong
"""

import concurrent.futures
import itertools
import os
import sys
import tempfile
import threading
import time

import grpc

fixtures = os.environ["WEFT_FIXTURES"]
with tempfile.TemporaryDirectory() as directory:
    # The published files import each other by this path.
    os.makedirs(f"{directory}/src/proto/grpc")
    os.symlink(f"{fixtures}/grpc/testing", f"{directory}/src/proto/grpc/testing")
    sys.path.insert(0, directory)
    _, services = grpc.protos_and_services("src/proto/grpc/testing/test.proto")
    empty = grpc.protos("src/proto/grpc/testing/empty.proto")
    messages = grpc.protos("src/proto/grpc/testing/messages.proto")

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


def payload(size):
    return messages.Payload(body=b"\0" * size)


def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == INITIAL:
            context.send_initial_metadata(((key, value),))
        elif key == TRAILING:
            context.set_trailing_metadata(((key, value),))


def echo_status(request, context):
    if request.HasField("response_status") and request.response_status.code:
        context.set_details(request.response_status.message)
        context.set_code({code.value[0]: code for code in grpc.StatusCode}[request.response_status.code])
        return True
    return False


class Service(services.TestServiceServicer):
    def EmptyCall(self, request, context):
        return empty.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        if echo_status(request, context):
            return messages.SimpleResponse()
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        return messages.SimpleResponse(payload=payload(request.response_size))

    def outputs(self, request, context):
        for wanted in request.response_parameters:
            time.sleep(wanted.interval_us / 1e6)
            yield messages.StreamingOutputCallResponse(payload=payload(wanted.size))

    def StreamingOutputCall(self, request, context):
        if not echo_status(request, context):
            yield from self.outputs(request, context)

    def StreamingInputCall(self, requests, context):
        return messages.StreamingInputCallResponse(aggregated_payload_size=sum(len(r.payload.body) for r in requests))

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            if echo_status(request, context):
                return
            yield from self.outputs(request, context)

    def HalfDuplexCall(self, requests, context):
        for request in list(requests):
            yield from self.outputs(request, context)


OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]


def serve(port):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=OPTIONS)
    services.add_TestServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


# The client.


def output_request(*sizes, body=None, **more):
    request = messages.StreamingOutputCallRequest(response_parameters=[messages.ResponseParameters(size=s) for s in sizes], **more)
    if body is not None:
        request.payload.CopyFrom(payload(body))
    return request


LARGE = messages.SimpleRequest(response_size=314159, payload=payload(271828))
PINGS = [(31415, 27182), (9, 8), (2653, 1828), (58979, 45904)]


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def code_of(action):
    try:
        action()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def expect_code(action, code, details=None):
    found = code_of(action)
    expect(found[0] == code and (details is None or found[1] == details), f"ended with {found}")


def empty_unary(stub):
    expect(stub.EmptyCall(empty.Empty()) == empty.Empty(), "no Empty")


def large_unary(stub):
    expect(stub.UnaryCall(LARGE).payload.body == b"\0" * 314159, "another payload")


def client_streaming(stub):
    answer = stub.StreamingInputCall(messages.StreamingInputCallRequest(payload=payload(n)) for n in (27182, 8, 1828, 45904))
    expect(answer.aggregated_payload_size == 74922, f"{answer.aggregated_payload_size} bytes")


def server_streaming(stub):
    sizes = [len(r.payload.body) for r in stub.StreamingOutputCall(output_request(31415, 9, 2653, 58979))]
    expect(sizes == [31415, 9, 2653, 58979], f"{sizes}")


class Requests:
    """Gives out requests as they are put in."""

    def __init__(self):
        self.waiting, self.arrived = [], threading.Condition()

    def put(self, request):
        with self.arrived:
            self.waiting.append(request)
            self.arrived.notify()

    def __iter__(self):
        while True:
            with self.arrived:
                self.arrived.wait_for(lambda: self.waiting)
                request = self.waiting.pop(0)
            if request is None:
                return
            yield request


def ping_pong(stub):
    requests = Requests()
    answers = stub.FullDuplexCall(iter(requests))
    for size, body in PINGS:
        requests.put(output_request(size, body=body))
        expect(len(next(answers).payload.body) == size, "another size")
    requests.put(None)
    expect(list(answers) == [], "more answers")


def empty_stream(stub):
    expect(list(stub.FullDuplexCall(iter(()))) == [], "answers to nothing")


def half_duplex(stub):
    sizes = [len(r.payload.body) for r in stub.HalfDuplexCall(output_request(size, body=body) for size, body in PINGS)]
    expect(sizes == [size for size, _ in PINGS], f"{sizes}")


def custom_metadata(stub):
    metadata = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
    _, call = stub.UnaryCall.with_call(LARGE, metadata=metadata)
    answers = stub.FullDuplexCall(iter([output_request(314159, body=271828)]), metadata=metadata)
    expect(len(list(answers)) == 1, "not one answer")
    for one in (call, answers):
        expect((INITIAL, "test_initial_metadata_value") in [tuple(m) for m in one.initial_metadata()], f"initial: {one.initial_metadata()}")
        expect((TRAILING, b"\xab\xab\xab") in [tuple(m) for m in one.trailing_metadata()], f"trailing: {one.trailing_metadata()}")


def status_code_and_message(stub):
    status = messages.EchoStatus(code=2, message="test status message")
    expect_code(lambda: stub.UnaryCall(messages.SimpleRequest(response_status=status)), grpc.StatusCode.UNKNOWN, "test status message")
    expect_code(lambda: list(stub.FullDuplexCall(iter([output_request(response_status=status)]))), grpc.StatusCode.UNKNOWN, "test status message")
    for code in grpc.StatusCode:
        if code.value[0]:
            wanted = messages.EchoStatus(code=code.value[0], message=f"code {code.value[0]}")
            expect_code(lambda: stub.UnaryCall(messages.SimpleRequest(response_status=wanted)), code, f"code {code.value[0]}")


def special_status_message(stub):
    status = messages.EchoStatus(code=2, message=SPECIAL)
    expect_code(lambda: stub.UnaryCall(messages.SimpleRequest(response_status=status)), grpc.StatusCode.UNKNOWN, SPECIAL)


def unimplemented_method(stub):
    expect_code(lambda: stub.UnimplementedCall(empty.Empty()), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(stub):
    expect_code(lambda: stub.unimplemented.UnimplementedCall(empty.Empty()), grpc.StatusCode.UNIMPLEMENTED)


def cancel_after_begin(stub):
    requests = Requests()
    call = stub.StreamingInputCall.future(iter(requests))
    call.cancel()
    expect(call.code() == grpc.StatusCode.CANCELLED, f"{call.code()}")
    requests.put(None)


def cancel_after_first_response(stub):
    requests = Requests()
    answers = stub.FullDuplexCall(iter(requests))
    requests.put(output_request(31415, body=27182))
    next(answers)
    answers.cancel()
    expect_code(lambda: next(answers), grpc.StatusCode.CANCELLED)
    requests.put(None)


def timeout_on_sleeping_server(stub):
    requests = Requests()
    answers = stub.FullDuplexCall(iter(requests), timeout=0.001)
    requests.put(output_request(body=27182))
    expect_code(lambda: list(answers), grpc.StatusCode.DEADLINE_EXCEEDED)
    requests.put(None)


def deadline_on_slow_answer(stub):
    request = messages.StreamingOutputCallRequest(response_parameters=[messages.ResponseParameters(size=1), messages.ResponseParameters(size=1, interval_us=5_000_000)])
    answers = stub.StreamingOutputCall(request, timeout=0.3)
    next(answers)
    begun = time.monotonic()
    expect_code(lambda: next(answers), grpc.StatusCode.DEADLINE_EXCEEDED)
    expect(time.monotonic() - begun < 3, "too late")


def many_at_once(stub):
    calls = [stub.UnaryCall.future(messages.SimpleRequest(response_size=n, payload=payload(n))) for n in range(0, 30000, 150)]
    expect([len(c.result().payload.body) for c in calls] == list(range(0, 30000, 150)), "mixed up")


def much_both_ways(stub):
    sizes = [len(r.payload.body) for r in stub.FullDuplexCall(output_request(50000, body=50000) for _ in range(200))]
    expect(sizes == [50000] * 200, f"{len(sizes)} answers")


def slow_reader(stub):
    answers = stub.StreamingOutputCall(output_request(*[100000] * 60))
    next(answers)
    time.sleep(0.3)
    expect(sum(1 for _ in answers) == 59, "not all")


def compressed(stub):
    """Compression is between the ends: proxies carry it."""
    request = messages.SimpleRequest(response_size=314159, payload=payload(271828), response_compressed=messages.BoolValue(value=True))
    expect(len(stub.UnaryCall(request, compression=grpc.Compression.Gzip).payload.body) == 314159, "another payload")
    answer = stub.StreamingInputCall((messages.StreamingInputCallRequest(payload=payload(n)) for n in (27182, 45904)), compression=grpc.Compression.Deflate)
    expect(answer.aggregated_payload_size == 73086, "another sum")


def compressed_refused(stub):
    """A server that takes no compression says UNIMPLEMENTED, and what it takes."""
    try:
        stub.UnaryCall(LARGE, compression=grpc.Compression.Gzip)
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.UNIMPLEMENTED, f"{error.code()}")
    else:
        expect(False, "accepted")
    large_unary(stub)


def too_long_refused(stub):
    """A message of more than 4 MiB."""
    expect_code(lambda: stub.UnaryCall(messages.SimpleRequest(payload=payload(5 << 20))), grpc.StatusCode.RESOURCE_EXHAUSTED)


COMMON = [
    empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, half_duplex, custom_metadata, status_code_and_message, special_status_message,
    unimplemented_method, unimplemented_service, cancel_after_begin, cancel_after_first_response, timeout_on_sleeping_server, deadline_on_slow_answer, many_at_once, much_both_ways,
    slow_reader,
]
CASES = {case.__name__: case for case in COMMON + [compressed, compressed_refused, too_long_refused]}


def call(target, *names):
    with grpc.insecure_channel(target, options=OPTIONS) as channel:
        stub = services.TestServiceStub(channel)
        stub.unimplemented = services.UnimplementedServiceStub(channel)
        grpc.channel_ready_future(channel).result(10)
        for name in names or [case.__name__ for case in COMMON]:
            begun = time.monotonic()
            try:
                CASES[name](stub)
                print(f"{name} ok {time.monotonic() - begun:.3f} s", flush=True)
            except Exception as error:
                print(f"{name} FAILED: {type(error).__name__}: {error}", flush=True)


serve(sys.argv[2]) if sys.argv[1] == "serve" else call(*sys.argv[2:])
