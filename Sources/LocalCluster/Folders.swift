// Directories of a run, by system calls: what the files of a host cannot do.

import Base
import Glibc
import Platform

enum Folders {
    /// Makes a directory and those above it; one that is there already is left as it is.
    static func make(_ path: String, mode: UInt32 = 0o755, owner: UInt32? = nil) throws(HostFailure) {
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex, access(String(path[..<slash]), F_OK) != 0 { try make(String(path[..<slash])) }
        if mkdir(path, mode) < 0, errno != EEXIST { throw HostFailure("make directory", .other, subject: "\(path): \(String(cString: strerror(errno)))", errno: errno) }
        // Past the umask.
        guard chmod(path, mode) == 0 else { throw HostFailure("set mode", .other, subject: path, errno: errno) }
        if let owner { try give(path, to: owner) }
    }

    static func give(_ path: String, to owner: UInt32) throws(HostFailure) {
        guard chown(path, owner, owner) == 0 else { throw HostFailure("set owner", .other, subject: path, errno: errno) }
    }
}
