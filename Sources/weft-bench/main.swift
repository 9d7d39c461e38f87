// What scripts/bench needs from inside our own code: a control plane's world for real proxies, an application behind them, callers in
// front of them, and the speed of the simulator. Not shipped. Deliberately absent: the peers, the rounds and the tables, which are
// the script's.

import Glibc

do { try run(Array(CommandLine.arguments.dropFirst())) } catch {
    let line = "weft-bench: \(error)\n"
    _ = Array(line.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    exit(1)
}
