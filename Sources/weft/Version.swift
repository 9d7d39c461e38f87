// Which program this is: the version that people see, and a digest of the file that runs, for traces.

import Base
import Glibc

enum Version {
    static let text = "0.1.0"

    /// Sixteen hexadecimal digits over the bytes of the running executable: equal programs, equal builds.
    static let build: String = {
        guard let file = fopen("/proc/self/exe", "r") else { return "unknown" }
        defer { fclose(file) }
        var digest = Digest64()
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            chunk.withUnsafeBytes { digest.mix(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        return digest.value.hex
    }()
}
