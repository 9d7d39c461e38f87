// Every bound of documents: what it bounds, in which unit, what happens when it is full, where the number comes from.

public struct DocumentLimits: Sendable {
    /// One text. Unit: bytes. When over: refused before parsing. Source: Kube's largest answer, 256 MiB.
    public var textBytesMax = 256 * 1024 * 1024
    /// Arrays and objects within each other. Unit: levels. When over: refused at the level's first byte.
    /// Source: own choice; CustomResourceDefinitions nest about 60 deep, and 512 frames of ours fit any stack.
    public var depthMax = 512
    /// What YAML aliases add to a stream when they are written out, and what JSON Patch copies add to a document: a node counts 1, its text counts its bytes.
    /// When over: refused at that alias or copy, so that no text of a few hundred bytes becomes gigabytes.
    /// Source: own choice; real manifests stay below a few thousand.
    public var aliasWeightMax = 10 * 1024 * 1024

    /// Operations of one JSON Patch. When over: refused. Source: kube-apiserver maxJSONPatchOperations, 10000.
    public var patchOperationsMax = 10_000

    public init() {}
}
