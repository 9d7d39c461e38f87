// Every story, in the order in which they are told. A new story is a file in its folder and a line here.

import Scenario

public enum Stories {
    public static let all: [Story] =
        basics + identity + policy + faults + cluster + reliability + outbound + balancing + stale + detection + telemetry + drain
        + demo + worlds + interception + hostile + negative

    public static let basics: [Story] = [twoPodsMTLS, keepAliveAndBodies, opaqueTCP, serverSpeaksFirst, unmeshedClient, http2AndGRPC]
    public static let identity: [Story] = [unknownRoot, wrongIdentity, renewal, rootsReplaced, issuerRotation, clockSkew]
    public static let policy: [Story] = [denied, allowedByIdentity]
    public static let faults: [Story] = [garbageUpstream, applicationDown, partitionHeals, proxyCrash, slowNetwork]
    public static let cluster: [Story] = [endpointReplaced, apiServerRestarts, rollingRestart, apiServerKilled, watchCutEverywhere, slowAPIServer, churn]
    public static let demo: [Story] = [twoWorlds]
    public static let worlds: [Story] = [manyExchanges]
    public static let interception: [Story] = [pluginMissing]
    public static let reliability: [Story] = [retriesHideFailures, retryBudget, timeoutOnTime, endpointEjected, noDuplicates, rateLimited, retryBodyBound, grpcRetries, retryStorm, perTryTimeout, idleTimeout, requestHeaders, failfast, refusedStream]
    public static let outbound: [Story] = [routesAndWeights, routeFilters, failover, routeChangesLive, ingress, gateway, gatewayRefuses, gatewayLoop, gatewayBytes, opaqueFailover]
    public static let balancing: [Story] = [slowServer, fastFailures, allEjected, opaqueSpread]
    public static let stale: [Story] = [scaleDown, addressReused, controllerLost, headlessPod, emptyBackend, silentController, discoveryIdle]
    public static let detection: [Story] = [greetingLate, firstSegmentTiny, silentStranger, mixedProtocols]
    public static let drain: [Story] = [drainServer, drainClient, drainBytes, jobCompletes, drainRolling, jobSidecar, jobFails, jobAsksProxy]
    public static let telemetry: [Story] = [accessLog, apacheLog, traces, collectorDown, tapWatches, tapRefused, stateShown]
    /// Told by name only: they take minutes.
    public static let large: [Story] = [churn5000]
    public static let hostile: [Story] = [
        rapidReset, madeYouReset, continuationFlood, headerBombs, controlFloods, slowReaders, neverReading, slowSenders, smuggling,
    ]
    public static let negative: [Story] = [plaintextLeak, duplicatedRequest]
}
