// Code that was given back: less of it resident, and all of it still there when it is used.

import Base
import Platform
import Testing

@testable import Linux

/// Of this process. Unit: KiB.
private func residentFileKiB() throws -> Int {
    let status = String(decoding: try LinuxFiles(limits: LinuxLimits()).read("/proc/self/status"), as: UTF8.self)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
    return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
}

@Test func `code that was given back is not resident and runs all the same`() throws {
    let before = try residentFileKiB()
    LinuxHost.forgetStartupCode()
    let after = try residentFileKiB()
    #expect(after < before)
    let host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .off)) { _, _, _ in }, takesSignals: false)
    defer { host.shutDown() }
    var hasFired = false
    host.after(.zero) { hasFired = true }
    #expect(host.run(atMost: .seconds(5)) { hasFired })
}
