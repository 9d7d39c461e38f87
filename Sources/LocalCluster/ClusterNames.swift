// Cluster DNS as a table and its answers, without sockets: what CoreDNS's kubernetes plugin says of services. Names of pods,
// reverse look-ups, names outside of the cluster and wildcard queries are deliberately absent: nothing in a pod here needs them.
// Source: Kubernetes DNS-Based Service Discovery, specification 1.1.0.

import Base
import DNS
import Nodes

final class ClusterNames {
    /// `cluster.local`: what is below it and not in the table does not exist; what is not below it is refused.
    let zone: DNSName
    /// Life of answers. Unit: seconds. Source: CoreDNS's kubernetes plugin, default `ttl 5`.
    static let ttlSeconds: UInt32 = 5

    /// Look-up only: records by name. A name without records exists for those below it.
    private var table: [DNSName: [DNSRecord]] = [:]

    init(zone: DNSName) { self.zone = zone }

    /// The table anew from these services. One whose name is no domain name is left out.
    func publish(_ services: [PublishedService]) {
        table = [zone: []]
        for service in services {
            guard let relative = DNSName(service.name), let name = relative.appending(zone) else { continue }
            for ip in service.addresses { add(.address(name, ip, ttlSeconds: Self.ttlSeconds)) }
            // A name without records of a type is not a name that does not exist.
            exist(name)
            var targets = [name]
            if service.isHeadless {
                targets = service.addresses.compactMap { ip in
                    guard let target = DNSName(Self.dashed(ip))?.appending(name) else { return nil }
                    add(.address(target, ip, ttlSeconds: Self.ttlSeconds))
                    return target
                }
            }
            for port in service.portNames {
                let named = port.name.isEmpty ? nil : DNSName("_\(port.name)._tcp")?.appending(name)
                for owner in [name, named].compactMap({ $0 }) {
                    for target in targets { add(.service(owner, port: port.port, target: target, ttlSeconds: Self.ttlSeconds)) }
                }
            }
        }
    }

    private func add(_ record: DNSRecord) {
        exist(record.name)
        table[record.name, default: []].append(record)
    }

    private func exist(_ name: DNSName) {
        var labels = name.labels[...]
        while labels.count > zone.labels.count, let above = DNSName(labels: Array(labels)) {
            if table[above] == nil { table[above] = [] }
            labels = labels.dropFirst()
        }
    }

    /// `10-1-2-3`, `fd00--1`: an address as a label.
    private static func dashed(_ ip: IPAddress) -> String { String("\(ip)".map { $0 == "." || $0 == ":" ? "-" : $0 }) }

    /// The answer's bytes; nil: what came is no query, and nothing is answered.
    func answer(_ bytes: RawSpan, overStream: Bool) -> [UInt8]? {
        let query: DNSMessage
        do throws(PeerError) { query = try DNSMessage(bytes) } catch { return malformed(bytes, overStream: overStream) }
        if query.isResponse { return nil }
        let message = respond(to: query)
        return overStream ? message.encodedForStream() : message.encoded(bytesMax: query.datagramBytesMax)
    }

    /// FORMERR for a query whose header can be read (RFC 1035 section 4.1.1).
    private func malformed(_ bytes: RawSpan, overStream: Bool) -> [UInt8]? {
        let header = bytes.withUnsafeBytes { raw in raw.count >= 12 && raw[2] & 0x80 == 0 ? UInt16(raw[0]) << 8 | UInt16(raw[1]) : nil }
        guard let header else { return nil }
        let message = DNSMessage(id: header).response(.formatError)
        return overStream ? message.encodedForStream() : message.encoded()
    }

    private func respond(to query: DNSMessage) -> DNSMessage {
        guard query.opcode == 0 else { return query.response(.notImplemented) }
        guard query.questions.count == 1, let question = query.questions.first else { return query.response(.formatError) }
        guard question.class == 1, question.name.isBelow(zone) else { return query.response(.refused) }
        guard let records = table[question.name] else { return query.response(.nameError, authorities: [authority]) }
        let found = records.filter { $0.type == question.type }
        if found.isEmpty { return query.response(authorities: [authority]) }
        var response = query.response(answers: found)
        // The addresses of an SRV record's targets spare the asker a question (RFC 2782).
        for record in found {
            guard case .service(_, _, _, let target) = record.data else { continue }
            response.additionals += (table[target] ?? []).filter { ($0.type == .a || $0.type == .aaaa) && !response.additionals.contains($0) }
        }
        return response
    }

    private var authority: DNSRecord {
        DNSRecord(
            name: zone, type: .soa, ttlSeconds: Self.ttlSeconds,
            data: .authority(primary: zone, mailbox: zone, serial: 1, refreshSeconds: 7200, retrySeconds: 1800, expireSeconds: 86_400, minimumSeconds: Self.ttlSeconds))
    }
}
