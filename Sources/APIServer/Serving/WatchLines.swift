// Lines of watches, encoded once for all watches that show a change alike. The turn that brought a change tells it to all of them, so few
// need to be remembered.

import Base
import Documents

final class WatchLines {
    struct Key: Hashable {
        var change: UInt64
        var kind: String
        var version: String
        var type: String
    }

    private let countMax: Int
    /// Look-up only.
    private var lines: [Key: [UInt8]] = [:]
    private var oldest: [Key] = []
    private var next = 0

    /// `countMax`: lines remembered; the oldest goes first.
    init(countMax: Int) { self.countMax = countMax }

    func line(_ key: Key, _ make: () -> [UInt8]) -> [UInt8] {
        if let known = lines[key] { return known }
        let made = make()
        lines[key] = made
        if oldest.count < countMax {
            oldest.append(key)
        } else {
            lines[oldest[next]] = nil
            oldest[next] = key
            next = (next + 1) % countMax
        }
        return made
    }
}
