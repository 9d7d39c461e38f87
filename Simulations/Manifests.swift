// The manifests that stories share. `demo` is the text of manifests/demo/, which a test compares, so that the rehearsed cluster
// is the one that `make demo` runs.

enum Manifest {
    /// `count` web servers behind a service, and a client, in namespace `demo`, all meshed. `service`: the Service's annotations.
    static func servers(_ count: Int, annotations: String = "", service: String = "") -> String {
        var text = """
            {apiVersion: v1, kind: Namespace, metadata: {name: demo}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: demo}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: api, namespace: demo}}
            ---
            {apiVersion: v1, kind: Service, metadata: {name: api, namespace: demo, annotations: {\(service)}}, spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: 80}]}}

            """
        for i in 0..<count { text += "---\n" + server("api-\(i)", annotations: annotations) }
        return text + "---\n" + client("web")
    }

    static func server(_ name: String, annotations: String = "") -> String {
        """
        {apiVersion: v1, kind: Pod, metadata: {name: \(name), namespace: demo, labels: {app: api}, annotations: {linkerd.io/inject: enabled\(annotations.isEmpty ? "" : ", " + annotations)}},
         spec: {serviceAccountName: api, containers: [{name: api, image: nginx, ports: [{containerPort: 80}]}]}}

        """
    }

    static func client(_ name: String, isMeshed: Bool = true, account: String = "web") -> String {
        """
        {apiVersion: v1, kind: Pod, metadata: {name: \(name), namespace: demo, labels: {app: \(name)}, annotations: {linkerd.io/inject: \(isMeshed ? "enabled" : "disabled")}},
         spec: {serviceAccountName: \(account), containers: [{name: shell, image: curl}]}}

        """
    }
}
