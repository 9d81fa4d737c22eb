public import NIOCore

/// A bytestream that is open.
public struct OpenBytestream: Sendable {
    /// Active and initialised; on the event loop that was asked for.
    public let channel: any Channel
    /// Which way its bytes take.
    public let report: BytestreamReport
}
