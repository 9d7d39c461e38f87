// What scripts/bench needs from inside our own code: a control plane's world for a real proxy, and the speed of the simulator. Not
// shipped. Deliberately absent: the peers, the load and the tables, which are the script's.

import Base
import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch arguments.first {
    case "cluster" where arguments.count >= 3: try serveCluster(directory: arguments[1], manifests: Array(arguments[2...]))
    case "simulator": print("events_per_second \(simulatorEventsPerSecond())")
    case "mesh": print("requests_per_second \(try meshRequestsPerSecond())")
    default: throw Refusal("usage: weft-bench cluster DIRECTORY MANIFEST... | simulator | mesh")
    }
} catch {
    let line = "weft-bench: \(error)\n"
    _ = Array(line.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    exit(1)
}
