// Written by scripts/embed-manifests from manifests/: the same text for kubectl and for the simulator. Do not edit.

public enum EmbeddedManifests {

    /// The mesh's custom resource definitions, manifests/crds/ in order of name.
    public static let customResources = #"""
        # Lets in clients that prove all of what it asks for.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: authorizationpolicies.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: AuthorizationPolicy
            plural: authorizationpolicies
            singular: authorizationpolicy
            shortNames: [authzpolicy]
          versions:
          - name: v1alpha1
            served: true
            storage: true
            additionalPrinterColumns:
            - {name: Target_Kind, type: string, jsonPath: .spec.targetRef.kind}
            - {name: Target_Name, type: string, jsonPath: .spec.targetRef.name}
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [targetRef, requiredAuthenticationRefs]
                    properties:
                      targetRef:
                        description: A Server, a route, or the policy's own namespace.
                        type: object
                        required: [kind, name]
                        properties:
                          group: {type: string, description: Empty for the core group.}
                          kind: {type: string}
                          name: {type: string}
                      requiredAuthenticationRefs:
                        description: All of these must hold for a client.
                        type: array
                        items:
                          type: object
                          required: [kind, name]
                          properties:
                            group: {type: string, description: Empty for the core group.}
                            kind: {type: string}
                            name: {type: string}
                            namespace: {type: string, description: The policy's own when left out.}
        ---
        # Addresses outside of the cluster, and whether traffic to them is let out where no route says otherwise.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: egressnetworks.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: EgressNetwork
            plural: egressnetworks
            singular: egressnetwork
          versions:
          - name: v1alpha1
            served: true
            storage: true
            subresources: {status: {}}
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [trafficPolicy]
                    properties:
                      networks:
                        description: All that is not the cluster's own when left out.
                        type: array
                        items:
                          type: object
                          required: [cidr]
                          properties:
                            cidr: {type: string}
                            except:
                              type: array
                              items: {type: string}
                      trafficPolicy:
                        description: Of what no route sends elsewhere.
                        type: string
                        enum: [Allow, Deny]
                  status:
                    type: object
                    x-kubernetes-preserve-unknown-fields: true
        ---
        # How many requests a second each instance of a Server lets in.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: httplocalratelimitpolicies.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: HTTPLocalRateLimitPolicy
            plural: httplocalratelimitpolicies
            singular: httplocalratelimitpolicy
          versions:
          - name: v1alpha1
            served: true
            storage: true
            subresources: {status: {}}
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [targetRef]
                    properties:
                      targetRef:
                        description: The Server, in the policy's namespace.
                        type: object
                        required: [kind, name]
                        properties:
                          group: {type: string}
                          kind: {type: string}
                          name: {type: string}
                      total:
                        description: Of all clients together.
                        type: object
                        required: [requestsPerSecond]
                        properties:
                          requestsPerSecond: {type: integer, format: int64, minimum: 1}
                      identity:
                        description: Of each client identity; clients without one share a quota.
                        type: object
                        required: [requestsPerSecond]
                        properties:
                          requestsPerSecond: {type: integer, format: int64, minimum: 1}
                      overrides:
                        description: Limits of certain clients, in place of the identity's.
                        type: array
                        items:
                          type: object
                          required: [requestsPerSecond, clientRefs]
                          properties:
                            requestsPerSecond: {type: integer, format: int64, minimum: 1}
                            clientRefs:
                              type: array
                              minItems: 1
                              items:
                                type: object
                                required: [kind, name]
                                properties:
                                  group: {type: string}
                                  kind: {type: string}
                                  name: {type: string}
                                  namespace: {type: string, description: The policy's own when left out.}
                  status:
                    type: object
                    x-kubernetes-preserve-unknown-fields: true
        ---
        # Requests by path, header, query or method: which policy applies to them, and where they go.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: httproutes.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: HTTPRoute
            plural: httproutes
            singular: httproute
          versions:
          - name: v1beta3
            served: true
            storage: true
            subresources:
              status: {}
            additionalPrinterColumns: &columns
            - {name: Hostnames, type: string, jsonPath: .spec.hostnames}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            schema: &schema
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    properties:
                      parentRefs:
                        description: What the route belongs to, such as a Server (for what comes in) or a Service (for what goes out).
                        type: array
                        items:
                          type: object
                          required: [name]
                          properties:
                            group: {type: string, default: policy.linkerd.io}
                            kind: {type: string, default: Server}
                            namespace: {type: string}
                            name: {type: string}
                            sectionName: {type: string}
                            port: {type: integer, minimum: 1, maximum: 65535}
                      hostnames:
                        type: array
                        items: {type: string}
                      rules:
                        type: array
                        items:
                          type: object
                          properties:
                            matches:
                              description: One of them must hold for a request; within one, all.
                              type: array
                              items:
                                type: object
                                properties:
                                  path:
                                    type: object
                                    properties:
                                      type: {type: string, enum: [Exact, PathPrefix, RegularExpression], default: PathPrefix}
                                      value: {type: string, default: /}
                                  headers:
                                    type: array
                                    items:
                                      type: object
                                      required: [name, value]
                                      properties:
                                        type: {type: string, enum: [Exact, RegularExpression], default: Exact}
                                        name: {type: string}
                                        value: {type: string}
                                  queryParams:
                                    type: array
                                    items:
                                      type: object
                                      required: [name, value]
                                      properties:
                                        type: {type: string, enum: [Exact, RegularExpression], default: Exact}
                                        name: {type: string}
                                        value: {type: string}
                                  method: {type: string, enum: [GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH]}
                            filters:
                              type: array
                              items:
                                type: object
                                required: [type]
                                properties:
                                  type: {type: string, enum: [RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect]}
                                  requestHeaderModifier:
                                    type: object
                                    properties:
                                      set:
                                        type: array
                                        items:
                                          type: object
                                          required: [name, value]
                                          properties:
                                            name: {type: string}
                                            value: {type: string}
                                      add:
                                        type: array
                                        items:
                                          type: object
                                          required: [name, value]
                                          properties:
                                            name: {type: string}
                                            value: {type: string}
                                      remove:
                                        type: array
                                        items: {type: string}
                                  responseHeaderModifier:
                                    type: object
                                    properties:
                                      set:
                                        type: array
                                        items:
                                          type: object
                                          required: [name, value]
                                          properties:
                                            name: {type: string}
                                            value: {type: string}
                                      add:
                                        type: array
                                        items:
                                          type: object
                                          required: [name, value]
                                          properties:
                                            name: {type: string}
                                            value: {type: string}
                                      remove:
                                        type: array
                                        items: {type: string}
                                  requestRedirect:
                                    type: object
                                    properties:
                                      scheme: {type: string, enum: [http, https]}
                                      hostname: {type: string}
                                      port: {type: integer, minimum: 1, maximum: 65535}
                                      statusCode: {type: integer, enum: [301, 302, 303, 307, 308], default: 302}
                                      path:
                                        type: object
                                        required: [type]
                                        properties:
                                          type: {type: string, enum: [ReplaceFullPath, ReplacePrefixMatch]}
                                          replaceFullPath: {type: string}
                                          replacePrefixMatch: {type: string}
                            backendRefs:
                              type: array
                              items:
                                type: object
                                required: [name]
                                properties:
                                  group: {type: string, default: ""}
                                  kind: {type: string, default: Service}
                                  namespace: {type: string}
                                  name: {type: string}
                                  port: {type: integer, minimum: 1, maximum: 65535}
                                  weight: {type: integer, minimum: 0, maximum: 1000000, default: 1}
                                  filters:
                                    type: array
                                    items:
                                      type: object
                                      required: [type]
                                      properties:
                                        type: {type: string, enum: [RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect]}
                                        requestHeaderModifier:
                                          type: object
                                          properties:
                                            set:
                                              type: array
                                              items:
                                                type: object
                                                required: [name, value]
                                                properties:
                                                  name: {type: string}
                                                  value: {type: string}
                                            add:
                                              type: array
                                              items:
                                                type: object
                                                required: [name, value]
                                                properties:
                                                  name: {type: string}
                                                  value: {type: string}
                                            remove:
                                              type: array
                                              items: {type: string}
                                        responseHeaderModifier:
                                          type: object
                                          properties:
                                            set:
                                              type: array
                                              items:
                                                type: object
                                                required: [name, value]
                                                properties:
                                                  name: {type: string}
                                                  value: {type: string}
                                            add:
                                              type: array
                                              items:
                                                type: object
                                                required: [name, value]
                                                properties:
                                                  name: {type: string}
                                                  value: {type: string}
                                            remove:
                                              type: array
                                              items: {type: string}
                                        requestRedirect:
                                          type: object
                                          properties:
                                            scheme: {type: string, enum: [http, https]}
                                            hostname: {type: string}
                                            port: {type: integer, minimum: 1, maximum: 65535}
                                            statusCode: {type: integer, enum: [301, 302, 303, 307, 308], default: 302}
                                            path:
                                              type: object
                                              required: [type]
                                              properties:
                                                type: {type: string, enum: [ReplaceFullPath, ReplacePrefixMatch]}
                                                replaceFullPath: {type: string}
                                                replacePrefixMatch: {type: string}
                            timeouts:
                              type: object
                              description: Durations such as 500ms or 10s; 0s is none.
                              properties:
                                request: {type: string}
                                backendRequest: {type: string}
                  status:
                    type: object
                    properties:
                      parents:
                        type: array
                        items:
                          type: object
                          required: [parentRef, controllerName]
                          properties:
                            parentRef:
                              type: object
                              required: [name]
                              properties:
                                group: {type: string, default: policy.linkerd.io}
                                kind: {type: string, default: Server}
                                namespace: {type: string}
                                name: {type: string}
                                sectionName: {type: string}
                                port: {type: integer, minimum: 1, maximum: 65535}
                            controllerName: {type: string}
                            conditions:
                              type: array
                              items:
                                type: object
                                required: [type, status, lastTransitionTime, reason, message]
                                properties:
                                  type: {type: string}
                                  status: {type: string, enum: ["True", "False", Unknown]}
                                  observedGeneration: {type: integer, format: int64, minimum: 0}
                                  lastTransitionTime: {type: string, format: date-time}
                                  reason: {type: string}
                                  message: {type: string}
          - name: v1beta2
            served: true
            storage: false
            subresources:
              status: {}
            additionalPrinterColumns: *columns
            schema: *schema
          - name: v1beta1
            served: true
            storage: false
            subresources:
              status: {}
            additionalPrinterColumns: *columns
            schema: *schema
        ---
        # Clients by the identity that they prove by mesh TLS.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: meshtlsauthentications.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: MeshTLSAuthentication
            plural: meshtlsauthentications
            singular: meshtlsauthentication
            shortNames: [meshtlsauthn]
          versions:
          - name: v1alpha1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    oneOf:
                    - required: [identities]
                    - required: [identityRefs]
                    properties:
                      identities:
                        description: Names that clients prove; '*' for any, '*.suffix' for all that end so.
                        type: array
                        minItems: 1
                        items: {type: string}
                      identityRefs:
                        description: Service accounts, or namespaces with all of theirs.
                        type: array
                        minItems: 1
                        items:
                          type: object
                          required: [kind]
                          properties:
                            group: {type: string, description: Empty for the core group.}
                            kind: {type: string}
                            name: {type: string}
                            namespace: {type: string, description: The authentication's own when left out.}
        ---
        # Clients by the network they come from.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: networkauthentications.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: NetworkAuthentication
            plural: networkauthentications
            singular: networkauthentication
            shortNames: [netauthn, networkauthn]
          versions:
          - name: v1alpha1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [networks]
                    properties:
                      networks:
                        description: Where clients may come from.
                        type: array
                        minItems: 1
                        items:
                          type: object
                          required: [cidr]
                          properties:
                            cidr: {type: string}
                            except:
                              type: array
                              items: {type: string}
        ---
        # Who may come in at one or several Servers. AuthorizationPolicy is its successor.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: serverauthorizations.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: ServerAuthorization
            plural: serverauthorizations
            singular: serverauthorization
            shortNames: [saz, serverauthz, srvauthz]
          versions:
          - name: v1beta1
            served: true
            storage: true
            additionalPrinterColumns:
            - {name: Server, type: string, jsonPath: .spec.server.name}
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [server, client]
                    properties:
                      server:
                        type: object
                        description: One Server by its name, or several by their labels.
                        oneOf:
                        - required: [name]
                        - required: [selector]
                        properties:
                          name: {type: string}
                          selector:
                            type: object
                            description: Labels of the Servers.
                            properties:
                              matchLabels:
                                type: object
                                additionalProperties: {type: string}
                              matchExpressions:
                                type: array
                                items:
                                  type: object
                                  required: [key, operator]
                                  properties:
                                    key: {type: string}
                                    operator: {type: string, enum: [In, NotIn, Exists, DoesNotExist]}
                                    values:
                                      type: array
                                      items: {type: string}
                      client:
                        type: object
                        description: Who may come in. Conditions given together must all hold.
                        properties:
                          networks:
                            type: array
                            minItems: 1
                            items:
                              type: object
                              required: [cidr]
                              properties:
                                cidr: {type: string}
                                except:
                                  type: array
                                  items: {type: string}
                          unauthenticated:
                            description: Clients without mesh TLS, too.
                            type: boolean
                          meshTLS:
                            type: object
                            properties:
                              unauthenticatedTLS:
                                description: Clients with TLS, whoever they are.
                                type: boolean
                              identities:
                                type: array
                                items: {type: string}
                              serviceAccounts:
                                type: array
                                items:
                                  type: object
                                  required: [name]
                                  properties:
                                    name: {type: string}
                                    namespace: {type: string}
        ---
        # A port of some pods: what is spoken on it, and who may come in when nothing else says so.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: servers.policy.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: policy.linkerd.io
          scope: Namespaced
          names:
            kind: Server
            plural: servers
            singular: server
            shortNames: [srv]
          versions:
          - name: v1beta3
            served: true
            storage: true
            additionalPrinterColumns: &columns
            - {name: Port, type: string, jsonPath: .spec.port}
            - {name: Protocol, type: string, jsonPath: .spec.proxyProtocol}
            - {name: Access Policy, type: string, jsonPath: .spec.accessPolicy}
            schema: &schema
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [port]
                    oneOf:
                    - required: [podSelector]
                    - required: [externalWorkloadSelector]
                    properties:
                      podSelector:
                        type: object
                        description: Which pods of the namespace have this port.
                        properties:
                          matchLabels:
                            type: object
                            additionalProperties: {type: string}
                          matchExpressions:
                            type: array
                            items:
                              type: object
                              required: [key, operator]
                              properties:
                                key: {type: string}
                                operator: {type: string, enum: [In, NotIn, Exists, DoesNotExist]}
                                values:
                                  type: array
                                  items: {type: string}
                      externalWorkloadSelector:
                        type: object
                        description: Which workloads outside the cluster have this port.
                        properties:
                          matchLabels:
                            type: object
                            additionalProperties: {type: string}
                          matchExpressions:
                            type: array
                            items:
                              type: object
                              required: [key, operator]
                              properties:
                                key: {type: string}
                                operator: {type: string, enum: [In, NotIn, Exists, DoesNotExist]}
                                values:
                                  type: array
                                  items: {type: string}
                      port:
                        description: The port's number, or its name in the pods.
                        x-kubernetes-int-or-string: true
                      proxyProtocol:
                        description: What is spoken on the port; unknown means that the proxy finds out.
                        type: string
                        enum: [unknown, HTTP/1, HTTP/2, gRPC, opaque, TLS]
                        default: unknown
                      accessPolicy:
                        description: What happens to clients whom no authorization names.
                        type: string
                        enum: [deny, audit, all-authenticated, all-unauthenticated, cluster-authenticated, cluster-unauthenticated]
                        default: deny
          - name: v1beta2
            served: true
            storage: false
            additionalPrinterColumns: *columns
            schema: *schema
          - name: v1beta1
            served: true
            storage: false
            additionalPrinterColumns: *columns
            schema: *schema
        ---
        # The routes of a service by its full name: metrics, retries and timeouts for each.
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: serviceprofiles.linkerd.io
          labels:
            linkerd.io/control-plane-ns: linkerd
        spec:
          group: linkerd.io
          scope: Namespaced
          names:
            kind: ServiceProfile
            plural: serviceprofiles
            singular: serviceprofile
            shortNames: [sp]
          versions:
          - name: v1alpha2
            served: true
            storage: true
            schema: &schema
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    properties:
                      routes:
                        type: array
                        items:
                          type: object
                          required: [name, condition]
                          properties:
                            name: {type: string, description: As metrics show it.}
                            timeout: {type: string, description: A duration such as 500ms.}
                            isRetryable: {type: boolean}
                            condition:
                              description: Which requests are of this route.
                              type: object
                              minProperties: 1
                              properties:
                                pathRegex: {type: string}
                                method: {type: string}
                                all: &conditions
                                  type: array
                                  items: &condition
                                    type: object
                                    x-kubernetes-preserve-unknown-fields: true
                                any: *conditions
                                not: *condition
                            responseClasses:
                              description: Which responses are failures; the first that fits decides.
                              type: array
                              items:
                                type: object
                                required: [condition]
                                properties:
                                  isFailure: {type: boolean}
                                  condition:
                                    type: object
                                    properties:
                                      status:
                                        type: object
                                        properties:
                                          min: {type: integer, minimum: 100, maximum: 599}
                                          max: {type: integer, minimum: 100, maximum: 599}
                                      all: *conditions
                                      any: *conditions
                                      not: *condition
                      retryBudget:
                        description: How much retries may add to the load.
                        type: object
                        required: [retryRatio, minRetriesPerSecond, ttl]
                        properties:
                          retryRatio: {type: number, minimum: 0, maximum: 1000}
                          minRetriesPerSecond: {type: integer, minimum: 0}
                          ttl: {type: string, description: A duration such as 10s.}
                      dstOverrides:
                        description: Other services that share the traffic, by weight.
                        type: array
                        items:
                          type: object
                          required: [authority, weight]
                          properties:
                            authority: {type: string}
                            weight: {x-kubernetes-int-or-string: true, description: A quantity such as 500m.}
                      opaquePorts:
                        type: array
                        items: {type: string}
          - name: v1alpha1
            served: true
            storage: false
            schema: *schema
        """#

    /// The demo, manifests/demo/demo.yaml.
    public static let demo = #"""
        # The demo: `web`, a client that asks `api` once a second, and `api`, which serves HTTP on port 80 and echoes bytes on port 9000.
        # Ordinary objects for kubectl and for the local cluster. The namespace asks for proxies; `weft inject` adds them without it.
        apiVersion: v1
        kind: Namespace
        metadata:
          name: demo
          annotations:
            linkerd.io/inject: enabled
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: web
          namespace: demo
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: api
          namespace: demo
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: api
          namespace: demo
          labels:
            app: api
          annotations:
            config.linkerd.io/opaque-ports: "9000"
        spec:
          selector:
            app: api
          ports:
          - name: http
            port: 80
            targetPort: 80
          - name: echo
            port: 9000
            targetPort: 9000
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: api
          namespace: demo
          labels:
            app: api
        spec:
          replicas: 1
          selector:
            matchLabels:
              app: api
          template:
            metadata:
              labels:
                app: api
              annotations:
                config.linkerd.io/opaque-ports: "9000"
            spec:
              serviceAccountName: api
              containers:
              - name: nginx
                image: nginx:1.27-alpine
                ports:
                - name: http
                  containerPort: 80
                readinessProbe:
                  httpGet:
                    path: /
                    port: 80
              - name: echo
                image: alpine/socat:1.8.0.3
                args:
                - TCP-LISTEN:9000,fork,reuseaddr
                - EXEC:cat
                ports:
                - name: echo
                  containerPort: 9000
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
          namespace: demo
          labels:
            app: web
        spec:
          replicas: 1
          selector:
            matchLabels:
              app: web
          template:
            metadata:
              labels:
                app: web
            spec:
              serviceAccountName: web
              containers:
              - name: curl
                image: curlimages/curl:8.12.1
                command:
                - sh
                - -c
                - while true; do curl -sS -o /dev/null -w '%{http_code}\n' http://api.demo.svc.cluster.local/; sleep 1; done
        """#

    /// Who may call whom in the demo, manifests/demo/policy.yaml.
    public static let demoPolicy = #"""
        # Who may come in at the demo's `api`: only `web`, by its identity, on both ports. Apply it after the demo to see denials end or begin.
        apiVersion: policy.linkerd.io/v1beta3
        kind: Server
        metadata:
          name: api-http
          namespace: demo
        spec:
          podSelector:
            matchLabels:
              app: api
          port: http
          proxyProtocol: HTTP/1
        ---
        apiVersion: policy.linkerd.io/v1beta3
        kind: Server
        metadata:
          name: api-echo
          namespace: demo
        spec:
          podSelector:
            matchLabels:
              app: api
          port: echo
          proxyProtocol: opaque
        ---
        apiVersion: policy.linkerd.io/v1alpha1
        kind: MeshTLSAuthentication
        metadata:
          name: web
          namespace: demo
        spec:
          identityRefs:
          - kind: ServiceAccount
            name: web
        ---
        apiVersion: policy.linkerd.io/v1alpha1
        kind: AuthorizationPolicy
        metadata:
          name: api-http-from-web
          namespace: demo
        spec:
          targetRef:
            group: policy.linkerd.io
            kind: Server
            name: api-http
          requiredAuthenticationRefs:
          - group: policy.linkerd.io
            kind: MeshTLSAuthentication
            name: web
        ---
        apiVersion: policy.linkerd.io/v1alpha1
        kind: AuthorizationPolicy
        metadata:
          name: api-echo-from-web
          namespace: demo
        spec:
          targetRef:
            group: policy.linkerd.io
            kind: Server
            name: api-echo
          requiredAuthenticationRefs:
          - group: policy.linkerd.io
            kind: MeshTLSAuthentication
            name: web
        """#
}
