// Every bound of this module: what it bounds, in which unit, what happens when it is full, and where the number comes from.

import Base

public struct HTTPLimits: Sendable {
    /// A request or response head, or trailers, on HTTP/1. Unit: bytes. When longer: 431 and the connection closes (client side: the
    /// response fails). Source: hyper's default maximum buffer is 400 KiB; nginx takes 32 KiB, Node 16 KiB.
    public var headBytesMax = 64 * 1024
    /// Fields of one head. When more: as above. Source: hyper's default is 100, Apache's LimitRequestFields is 100.
    public var fieldsMax = 128
    /// Pipelined request bytes that wait for the response before them. Unit: bytes. When more: `wantsReadPause`.
    public var pipelineBytesMax = 64 * 1024

    /// Names in the Connection fields of one HTTP/1 head, beside those that engines know. When more: as for a head that is too long.
    /// Source: own choice; each name costs a comparison with every field.
    public var connectionOptionsMax = 32
    /// Chunk extensions of one HTTP/1 body, all chunks together. Unit: bytes. When more: 400 and the connection closes (client side: the
    /// response fails). Source: hyper's limit is 16 KiB; they are read and dropped.
    public var chunkExtensionBytesMax = 16 * 1024
    /// The compressed bytes of one header block on HTTP/2, HEADERS and CONTINUATION together (or `maxHeaderListBytes` if that is more).
    /// Unit: bytes. When more: GOAWAY ENHANCE_YOUR_CALM. A list that only exceeds `maxHeaderListBytes` ends its stream: 431 on the server side.
    /// Source: the CONTINUATION flood (VU#421644); nghttp2 and Envoy take 64 KiB.
    public var headerBlockBytesMax = 256 * 1024
    /// How many times `maxHeaderListBytes` a list on HTTP/2 may say before the connection ends and not just its stream: nobody means that, and each
    /// field costs a lookup. Unit: times. When more: GOAWAY ENHANCE_YOUR_CALM. Source: the HPACK bomb (CVE-2016-6581), whose blocks say a
    /// thousand times what is announced.
    public var headerListExcess = 16
    /// CONTINUATION frames behind one HEADERS. Unit: frames. When more: GOAWAY ENHANCE_YOUR_CALM. Source: VU#421644; nghttp2 takes 8,
    /// which a list of 256 KiB in frames of 16 KiB needs twice over.
    public var continuationsMax = 64
    /// Body bytes of one HTTP/2 stream that wait for the peer's windows. Unit: bytes. When more: `sendData` is refused. Owners stop
    /// far below, by `bytesQueued`; this only bounds what a component may hand over whole (a list of every pod of a large cluster).
    public var streamQueueBytesMax = 64 * 1024 * 1024
    /// Streams of the peer that may be open on HTTP/2 when `maxConcurrentStreams` announces none; and streams, finished ones included,
    /// of which received bytes are still with the owner. Unit: streams. When more: RST_STREAM REFUSED_STREAM. Source: ours; hyper and Envoy
    /// announce 200 and 2^31-1.
    public var streamsMax = 10_000
    /// Streams that a client opens before the server's SETTINGS have come. Unit: streams. When more: `sendRequest` is refused.
    /// Source: h2's initial_max_send_streams, and the least that RFC 9113 section 6.5.2 recommends to announce.
    public var streamsBeforeSettingsMax = 100
    /// Streams that the peer makes end early: its own RST_STREAM within `resetAgeMin` of opening and before our head is out (CVE-2023-44487), those
    /// that its faults make us send (CVE-2025-8671), and refused ones. Unit: streams at once, and streams a second that come back; each
    /// stream that ends regularly gives one back. When more: GOAWAY ENHANCE_YOUR_CALM. Source: nghttp2's stream reset rate limit of 1000
    /// and 33; Envoy's rule that half of the streams may be reset early, and its age of one second.
    public var resetsBurst = 1000
    public var resetsPerSecond = 33
    public var resetAgeMin = Interval.seconds(1)
    /// Frames that carry nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown types, empty DATA and CONTINUATION, and late frames on streams
    /// that are over. Unit: frames at once, and frames a second that come back; each stream opened and each DATA frame sent or received
    /// gives back `controlFramesPerWork`. When more: GOAWAY ENHANCE_YOUR_CALM. Source: CVE-2019-9512, -9515, -9518; Envoy queues 1000 answers and
    /// takes 10 WINDOW_UPDATE for each DATA frame sent.
    public var controlFramesBurst = 1000
    public var controlFramesPerSecond = 100
    public var controlFramesPerWork = 10
    /// Streams that we reset lately and remember, so that frames that crossed our RST_STREAM are told from broken ones.
    /// Unit: streams. When full: the oldest is forgotten, and a frame on it is answered with RST_STREAM STREAM_CLOSED. Source: ours; of
    /// streams that ended otherwise at most 64 are remembered.
    public var closedStreamsMax = 1024
    /// Header blocks that are remembered with what they said, 8 requests, 8 responses and 2 trailers a connection. Unit: bytes of the compressed
    /// block, and of its list as RFC 9113 section 6.5.2 counts. When longer: decoded each time. Source: ours.
    public var repeatedBlockBytesMax = 128
    public var repeatedListBytesMax = 2048
    /// Informational responses (100, 102, 103) before one final response, on either version. Unit: responses. When more: HTTP/1 fails with 502, an
    /// HTTP/2 stream is reset with ENHANCE_YOUR_CALM. Source: ours; each goes on to the caller, whose reading does not slow them down.
    public var informationalsMax = 64
    /// What HTTP/2 has to send outside of flow control (heads, trailers, answers to PING and SETTINGS, resets, window updates) and the peer has not
    /// taken. Unit: bytes. When more: GOAWAY ENHANCE_YOUR_CALM. Source: CVE-2019-9517 and -9512; Envoy keeps 10,000 frames, 1,000 of them answers.
    public var unpacedBytesMax = 1024 * 1024
    /// How long a peer may take to acknowledge our SETTINGS. When over: GOAWAY SETTINGS_TIMEOUT. Source: RFC 9113 section 6.5.3 leaves the time
    /// open; nghttp2's tools wait 10 seconds.
    public var settingsTimeout = Interval.seconds(10)
    /// How far adaptive windows grow. Unit: bytes. When reached: they stay. Source: hyper's BDP limit, 16 MiB.
    public var adaptiveWindowBytesMax = 16 * 1024 * 1024
    /// How long a drain waits for the answer to the PING behind its first GOAWAY. When over: the final GOAWAY is sent. Source: ours.
    public var drainPingTimeout = Interval.seconds(1)

    public init() {}
}
