import QiMesh
import QiMessaging

extension CommandFailure {
    /// What the bus says went wrong.
    /// - Parameter device: whose service was meant.
    init(_ error: QiError, device: String? = nil) { self.init(MeshError(error), device: device) }

    /// What went wrong on the node, or on the way to it.
    init(_ error: MeshError, device: String? = nil) {
        self.init(error.code, error.message, hint: error.hint, device: device)
        retryAfter = error.retryAfter
        causes = error.causes
    }
}
