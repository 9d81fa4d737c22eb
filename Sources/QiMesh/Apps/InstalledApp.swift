import Foundation

/// A remote application that the owner has installed. Of its session id only the hash is kept.
struct InstalledApp: Hashable, Sendable {
    let manifest: AppManifest
    /// SHA-256 of the session id; 32 bytes.
    let sessionHash: [UInt8]
    let installed: Date
    /// When the owner agreed to the manifest; nil while that is to be done, and the application has no access.
    var approved: Date?

    var name: String { manifest.name }
}
