/// A test server could not be started; the test that needs it fails.
public struct ServerFailure: Error, CustomStringConvertible {
    /// What failed, with the end of the log where there is one.
    public let description: String

    /// Makes a failure.
    public init(_ description: String) {
        self.description = description
    }
}
