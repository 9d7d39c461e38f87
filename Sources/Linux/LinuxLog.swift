// Log lines in Linkerd's two formats, each written by one system call. Which lines are written is the filter's business.

import Base
import CLinux
import Platform

public enum LogFormat: Sendable {
    /// `[     0.001234s]  INFO ThreadId(01) target: message`, uptime in seconds.
    case plain
    /// One object a line: timestamp, level, fields, target, threadId.
    case json

    /// `LINKERD2_PROXY_LOG_FORMAT`: `json` in any case, else plain.
    public init(_ setting: String?) { self = setting?.lowercased() == "json" ? .json : .plain }
}

extension Log.Level {
    var word: StaticString {
        switch self {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO"
        case .warn: "WARN"
        case .error, .off: "ERROR"
        }
    }
}

extension Log {
    /// Lines to a descriptor (1: stdout, as Linkerd's proxy; 2: stderr). `thread` is the loop's number, from 1.
    public static func linux(_ filter: LogFilter, format: LogFormat, descriptor: Int32 = 1, thread: Int = 1) -> Log {
        let writer = LinuxLogWriter(format: format, descriptor: descriptor, thread: thread)
        let log = Log(control: Control(filter)) { level, target, message in writer.write(level, target, message) }
        for directive in filter.refused { log(.warn, "weft_linux", "log directive ignored: \(directive)") }
        return log
    }
}

private final class LinuxLogWriter {
    private let format: LogFormat
    private let descriptor: Int32
    private let thread: String
    private let started = clinux_monotonic()
    private var line = ByteBuffer()

    init(format: LogFormat, descriptor: Int32, thread: Int) {
        self.format = format
        self.descriptor = descriptor
        self.thread = format == .plain ? padded(Int64(thread), 2) : String(thread)
    }

    func write(_ level: Log.Level, _ target: String, _ message: String) {
        line.removeAll()
        if target == Log.servedTarget { return bare(message) }
        switch format {
        case .plain: plain(level, target, message)
        case .json: json(level, target, message)
        }
        // A log that cannot be written is lost: there is nobody to tell.
        _ = line.withUnsafeBytes { clinux_write(descriptor, $0.baseAddress, $0.count) }
    }

    /// On stderr, where Linkerd's proxy has its access log.
    private func bare(_ message: String) {
        line.append(string: message)
        line.append(0x0a)
        _ = line.withUnsafeBytes { clinux_write(2, $0.baseAddress, $0.count) }
    }

    private func plain(_ level: Log.Level, _ target: String, _ message: String) {
        let micros = (clinux_monotonic() - started) / 1000
        let seconds = String(micros / 1_000_000)
        line.append("[")
        for _ in 0..<max(0, 6 - seconds.utf8.count) { line.append(0x20) }
        line.append(string: seconds)
        line.append(".")
        line.append(string: padded(micros % 1_000_000, 6))
        line.append("s] ")
        let word = level.word
        for _ in 0..<(5 - word.utf8CodeUnitCount) { line.append(0x20) }
        line.append(word)
        line.append(" ThreadId(")
        line.append(string: thread)
        line.append(") ")
        line.append(string: target)
        line.append(": ")
        // One event is one line, whatever a peer made us print.
        for byte in message.utf8 {
            switch byte {
            case 0x0a: line.append("\\n")
            case 0x0d: line.append("\\r")
            case 0..<0x20 where byte != 0x09, 0x7f: line.append(0x3f)
            default: line.append(byte)
            }
        }
        line.append(0x0a)
    }

    private func json(_ level: Log.Level, _ target: String, _ message: String) {
        line.append("{\"timestamp\":\"")
        line.append(string: WallTime(nanoseconds: clinux_wall()).preciseDescription)
        line.append("\",\"level\":\"")
        line.append(level.word)
        line.append("\",\"fields\":{\"message\":")
        line.append(quoted: message)
        line.append("},\"target\":")
        line.append(quoted: target)
        line.append(",\"threadId\":\"ThreadId(")
        line.append(string: thread)
        line.append(")\"}\n")
    }
}

extension ByteBuffer {
    /// A JSON string with its quotation marks.
    mutating func append(quoted text: String) {
        append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: append("\\\"")
            case 0x5c: append("\\\\")
            case 0x0a: append("\\n")
            case 0x0d: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20:
                append("\\u00")
                append(hexDigits[Int(byte >> 4)])
                append(hexDigits[Int(byte & 15)])
            default: append(byte)
            }
        }
        append(0x22)
    }
}

private let hexDigits = [UInt8]("0123456789abcdef")

extension Log {
    /// Lines as Linkerd's Go programs write them (logrus), to stderr unless told otherwise.
    public static func logrus(_ level: Level, json: Bool, descriptor: Int32 = 2) -> Log {
        Log(control: Control(level: level)) { level, _, message in
            let time = WallTime(nanoseconds: clinux_wall()).description
            let word = level == .warn ? "warning" : level == .off ? "error" : "\(level)"
            var line = ByteBuffer()
            line.append(string: json ? "{\"level\":\"\(word)\",\"msg\":" : "time=\"\(time)\" level=\(word) msg=")
            line.append(quoted: message)
            if json { line.append(string: ",\"time\":\"\(time)\"}") }
            line.append(0x0a)
            _ = line.withUnsafeBytes { clinux_write(descriptor, $0.baseAddress, $0.count) }
        }
    }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    func trimmingSpaces() -> String {
        let rest = drop { $0 == " " || $0 == "\t" }
        guard let last = rest.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return String(rest[...last])
    }
}
