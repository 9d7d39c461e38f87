// `weft inject` and `weft uninject` as their users meet them: what is printed where, and with which exit code.

import Commands
import Documents
import Testing

private let deployment = """
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        spec:
          containers:
          - name: web
            image: web
            args:
            - |
              one
              two

    """

private func inject(_ text: String, _ arguments: Inject.Arguments = Inject.Arguments()) -> (output: String, notes: String, exitCode: Int32) {
    var notes = ""
    let outcome = Inject.run(arguments, input: Array(text.utf8)) { notes += $0 }
    return (outcome.output, notes, outcome.exitCode)
}

@Test func `a manifest comes out with its proxy, a report beside it`() throws {
    var arguments = Inject.Arguments()
    arguments.values.trustAnchorsPEM = "-----BEGIN CERTIFICATE-----\n"
    let result = inject("# comment\n" + deployment + "---\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'yes'}\n", arguments)
    #expect(result.exitCode == 0)
    #expect(result.notes == "\ndeployment \"web\" injected\nconfigmap \"c\" skipped\n\n")
    #expect(result.output.hasPrefix("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: web\n        args:\n        - |\n          one\n          two\n      initContainers:\n      - args:\n"))
    #expect(result.output.hasSuffix("---\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: \"yes\"\n"))
    var notes = ""
    let back = Uninject.run(Uninject.Arguments(), input: Array(result.output.utf8)) { notes += $0 }
    #expect(back.output.hasPrefix(deployment) && back.exitCode == 0)
    #expect(notes == "\ndeployment \"web\" uninjected\nconfigmap \"c\" skipped\n\n")
}

@Test func `annotate-only leaves the proxy to the webhook`() throws {
    var arguments = Inject.Arguments()
    arguments.isAnnotateOnly = true
    arguments.opaquePorts = "9000"
    arguments.format = .json
    let result = inject("kind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n", arguments)
    #expect(
        try Value(json: Array(result.output.utf8)).json()
            == #"{"kind":"Pod","metadata":{"name":"p","annotations":{"config.linkerd.io/opaque-ports":"9000","linkerd.io/inject":"enabled"}},"spec":{"containers":[]}}"#)
    #expect(result.exitCode == 0 && result.notes == "\npod \"p\" injected\n\n")
}

@Test(arguments: [
    ("a: [1\n", "stdin:2:1: while parsing a flow sequence: did not find expected ',' or ']'", 65), ("", "stdin:1:1: there is no object in it", 65), ("# nothing\n---\n", "stdin:1:1: there is no object in it", 65),
    ("kind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n---\nhello\n", "stdin:5:1: a string is not a Kubernetes object", 65),
    ("kind: Namespace\nmetadata: {name: n}\n---\n\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [], hostNetwork: true}\n", "stdin:5:1: failed to inject pod/p: hostNetwork is enabled", 1),
]) func `a bad manifest is refused by its place and prints nothing`(text: String, reason: String, exitCode: Int32) {
    let result = inject(text)
    #expect(result.output == "" && result.notes == "weft inject: \(reason)\n" && result.exitCode == exitCode)
}

@Test func `messages name the file`() {
    var arguments = Inject.Arguments()
    arguments.file = "web.yaml"
    #expect(inject("\t", arguments).notes.hasPrefix("weft inject: web.yaml:1:1: "))
}

@Test func `who gives no anchors is told where the proxy takes them from`() {
    #expect(inject(deployment).notes.contains("no trust anchors given: proxies will read them from the ConfigMap linkerd-identity-trust-roots of their namespace"))
}
