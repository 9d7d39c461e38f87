# A collector as OpenTelemetry's own messages define it, on gRPC's own server: each span that comes is a line of JSON.
import json
import sys
from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service


def value(attribute):
    return getattr(attribute.value, attribute.value.WhichOneof("value"))


def export(request, context):
    for part in request.resource_spans:
        resource = {attribute.key: value(attribute) for attribute in part.resource.attributes}
        for scope in part.scope_spans:
            for span in scope.spans:
                print(
                    json.dumps(
                        {
                            "resource": resource,
                            "trace": span.trace_id.hex(),
                            "span": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "name": span.name,
                            "kind": span.kind,
                            "nanoseconds": span.end_time_unix_nano - span.start_time_unix_nano,
                            "attributes": {attribute.key: value(attribute) for attribute in span.attributes},
                        }
                    ),
                    flush=True,
                )
    return service.ExportTraceServiceResponse()


server = grpc.server(futures.ThreadPoolExecutor(2))
handler = grpc.unary_unary_rpc_method_handler(export, service.ExportTraceServiceRequest.FromString, service.ExportTraceServiceResponse.SerializeToString)
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", {"Export": handler})])
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
