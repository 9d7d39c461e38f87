# Watches a proxy's requests by gRPC's own client, with messages made from the protocol files named first; a line of JSON an event.
import importlib
import json
import os
import sys
import tempfile

import grpc
from google.protobuf import json_format
from grpc_tools import protoc
import grpc_tools

protos, target, limit, prefix = sys.argv[1:5]
folder = tempfile.mkdtemp()
well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
files = [name for name in os.listdir(protos) if name in ("tap.proto", "net.proto", "http_types.proto")]
if protoc.main(["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={folder}"] + files) != 0:
    sys.exit("the protocol files cannot be compiled")
sys.path.insert(0, folder)
tap = importlib.import_module("tap_pb2")

request = tap.ObserveRequest(limit=int(limit))
request.match.http.path.prefix = prefix
channel = grpc.insecure_channel(target)
observe = channel.unary_stream("/io.linkerd.proxy.tap.Tap/Observe", tap.ObserveRequest.SerializeToString, tap.TapEvent.FromString)
try:
    for event in observe(request, timeout=20):
        print(json.dumps(json_format.MessageToDict(event)), flush=True)
    print(json.dumps({"status": "OK"}), flush=True)
except grpc.RpcError as error:
    print(json.dumps({"status": error.code().name, "details": error.details()}), flush=True)
