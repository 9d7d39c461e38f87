// What a proxy may ask for: a service, one instance of a service, or an address; each with a port.
// Source: linkerd2 controller/api/destination/server.go.

import Base
import GRPC

struct Authority: Hashable {
    enum Target: Hashable {
        case address(IPAddress)
        case service(Cluster.Name)
        /// One pod of a StatefulSet, by its host name.
        case instance(String, of: Cluster.Name)
    }

    var target: Target
    var port: UInt16

    /// Port 80 when none is given. A final dot is taken off only where overrides are told with one, and case matters, as upstream.
    init(_ path: String, options: DestinationOptions) throws(GRPCStatus) {
        var host = path[...]
        port = 80
        if let address = SocketAddress(path) {
            guard address.port > 0 else { throw GRPCStatus(.invalidArgument, "invalid authority: \(path.prefix(300))") }
            port = address.port
            target = .address(address.ip)
            return
        }
        if let ip = IPAddress(path) {
            target = .address(ip)
            return
        }
        if let colon = path.firstIndex(of: ":") {
            guard let number = parsePort(path[path.index(after: colon)...]), number > 0 else { throw GRPCStatus(.invalidArgument, "invalid port in \(path.prefix(300))") }
            port = number
            host = path[..<colon]
            if let ip = IPAddress(host) {
                target = .address(ip)
                return
            }
        }
        if options.readsTrafficSplits, host.hasSuffix(".") { host = host.dropLast() }
        let suffix = ".svc." + options.clusterDomain
        let refusal = GRPCStatus(.invalidArgument, "the name \(host.prefix(300)) does not end in \(suffix.dropFirst())")
        guard host.hasSuffix(suffix) else { throw refusal }
        let labels = host.dropLast(suffix.count).split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !labels.contains("") else { throw refusal }
        switch labels.count {
        case 2: target = .service(Cluster.Name(labels[1], labels[0]))
        case 3: target = .instance(labels[0], of: Cluster.Name(labels[2], labels[1]))
        default: throw GRPCStatus(.invalidArgument, "the name \(host.prefix(300)) names neither a service nor an instance of one")
        }
    }
}
