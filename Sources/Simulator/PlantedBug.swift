// Bugs of the world itself, switched on by tests only: a judge counts once one of these has made it speak.

import Base

enum PlantedBug {
    /// The first byte of the second segment of each flow changes on its way.
    case flipsByte
    /// The second delivery of each flow loses its last byte.
    case losesByte
}

extension World {
    func spoil(_ bug: PlantedBug, _ flow: Flow) {
        guard flow.received.length > 0 else { return }
        var bytes = scratch.array()
        switch bug {
        case .flipsByte: bytes[0] ^= 1
        case .losesByte: bytes.removeLast()
        }
        scratch.removeAll()
        scratch.append(bytes)
    }
}
