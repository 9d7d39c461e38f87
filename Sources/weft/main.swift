// The command line tool: one subcommand a file. Here is only the list of them.

import ArgumentParser

struct Weft: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weft",
        abstract: "A service mesh you can rehearse.",
        discussion: """
            Examples:
              weft simulate basics/two-pods-mtls --seed 7 --twice
              weft replay traffic.pcap
              weft inject deployment.yaml | kubectl apply -f -
              weft cluster api --data-dir ./cluster --kubeconfig ./kubeconfig
              weft demo
              weft differential
            """,
        version: Version.text,
        subcommands: [Simulate.self, Replay.self, InjectCommand.self, UninjectCommand.self, ClusterCommand.self, DemoCommand.self, DifferentialCommand.self])
}

Weft.main()
