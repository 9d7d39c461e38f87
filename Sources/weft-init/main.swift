// weft-init: redirects a pod's TCP through its proxy, once, before the pod's own containers start. Takes the arguments of
// Linkerd's proxy-init. `weft-init network-validator` takes those of Linkerd's network validator. Deliberately absent: everything else;
// rules and running are in the Linux module, the validator in Interception.

import Base
import Glibc
import Interception
import Linux
import Platform

/// The exit status: 0 done, 1 failed, 2 not understood.
func setUp(_ settings: Settings) -> Int32 {
    let flags: IptablesFlags
    do throws(Refusal) { flags = try IptablesFlags(settings.arguments) } catch {
        Log.logrus(.info, json: false)(.error, "weft_init", "\(error); --help tells the flags")
        return 2
    }
    if flags.wantsHelp {
        _ = IptablesFlags.help.withCString { write(1, $0, strlen($0)) }
        return 0
    }
    let log = Log.logrus(flags.logLevel, json: flags.logFormat == .json)
    for word in flags.skipped { log(.error, "weft_init", "invalid port range \(word), passed over") }
    // A container's PATH may lack the folders of system tools.
    let searchPath = (settings["PATH"].map { $0 + ":" } ?? "") + ChildProcess.systemPath
    do {
        for ipv6 in flags.ipv6 ? [false, true] : [false] {
            let runner = try IptablesRunner(mode: flags.effectiveMode, ipv6: ipv6, searchPath: searchPath, networkNamespace: flags.networkNamespace) {
                log(.info, "weft_init", $0)
            }
            if flags.removes {
                try runner.remove(usesWaitFlag: flags.usesWaitFlag)
            } else {
                try runner.setUp(flags.options(ipv6: ipv6), simulating: flags.simulates)
            }
        }
        if flags.closeWaitSeconds > 0, !flags.simulates, !flags.removes { try setCloseWaitTimeout(seconds: flags.closeWaitSeconds) }
        return 0
    } catch {
        log(.error, "weft_init", "\(error)")
        return 1
    }
}

/// The exit status: 0 redirected, 95 not, 2 not understood.
func validate(_ arguments: [String]) -> Int32 {
    let flags: ValidatorFlags
    do throws(Refusal) { flags = try ValidatorFlags(arguments) } catch {
        Log.logrus(.info, json: false)(.error, "network_validator", "\(error); weft-init network-validator --help tells the flags")
        return 2
    }
    if flags.wantsHelp {
        _ = ValidatorFlags.help.withCString { write(1, $0, strlen($0)) }
        return 0
    }
    let log = Log.logrus(flags.logLevel, json: flags.isJSON)
    do {
        let host = try LinuxHost(settings: .ofThisProcess(), log: log, takesSignals: true)
        let validator = NetworkValidator(host: host, flags: flags) { refusal in
            if let refusal { log(.error, "network_validator", "\(refusal)") } else { log(.info, "network_validator", "Validated: what this pod sends is redirected") }
            host.exit(refusal == nil ? 0 : NetworkValidator.failureStatus)
        }
        host.onShutdown { validator.stop() }
        validator.start()
        return host.run()
    } catch {
        log(.error, "network_validator", "\(error)")
        return NetworkValidator.failureStatus
    }
}

let arguments = Settings.ofThisProcess().arguments
exit(arguments.first == "network-validator" ? validate(Array(arguments.dropFirst())) : setUp(.ofThisProcess()))
