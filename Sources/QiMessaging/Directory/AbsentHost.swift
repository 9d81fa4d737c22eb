import NIOCore

/// A device whose services are kept while there is no way to it.
struct AbsentHost {
    let device: String
    /// The program there, and its process, where its stream has told them.
    let opener: StreamProcess?
    /// Ends the keeping.
    let expiry: Scheduled<Void>
}
