// A kind that is another form of one that is kept elsewhere: the same objects under two groups, with some members named differently.
// Source: k8s.io/kubernetes pkg/apis/events/v1/conversion.go: Event of events.k8s.io/v1 is Event of v1 in other words.

import Documents
import Kube
import OrderedCollections

struct Conversion: Sendable {
    /// Where the objects are kept.
    let collection: String
    /// The type of what is kept.
    let storedType: String
    private let storedAPIVersion: String
    private let shownAPIVersion: String
    /// Members that are called otherwise: kept, shown.
    private let names: [(stored: String, shown: String)]

    static let events = Conversion(
        collection: "events", storedType: "CoreV1Event", storedAPIVersion: "v1", shownAPIVersion: "events.k8s.io/v1",
        names: [
            ("involvedObject", "regarding"), ("message", "note"), ("reportingComponent", "reportingController"), ("source", "deprecatedSource"),
            ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"),
        ])

    func shown(_ object: Value) -> Value { renamed(object, shownAPIVersion, names.map { ($0.stored, $0.shown) }) }
    func stored(_ object: Value) -> Value { renamed(object, storedAPIVersion, names.map { ($0.shown, $0.stored) }) }

    private func renamed(_ object: Value, _ apiVersion: String, _ names: [(from: String, to: String)]) -> Value {
        guard case .object(let members) = object else { return object }
        var result = Object(minimumCapacity: members.count)
        for (name, member) in members { result[names.first { $0.from == name }?.to ?? name] = member }
        result["apiVersion"] = .string(apiVersion)
        return .object(result)
    }
}
