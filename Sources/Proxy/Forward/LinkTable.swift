// The connections that a server holds, so that it can count and drain them. Order does not matter for look-up; leaving is O(1).

import Base

/// Something that is in at most one table.
class Linked {
    fileprivate var slot = -1
}

final class LinkTable<Link: Linked> {
    private(set) var links: [Link] = []

    var count: Int { links.count }

    func insert(_ link: Link) {
        invariant(link.slot < 0, "a link is in one table only")
        link.slot = links.count
        links.append(link)
    }

    /// Harmless when it has left already.
    func remove(_ link: Link) {
        guard link.slot >= 0 else { return }
        let last = links.removeLast()
        if last !== link {
            links[link.slot] = last
            last.slot = link.slot
        }
        link.slot = -1
    }
}
