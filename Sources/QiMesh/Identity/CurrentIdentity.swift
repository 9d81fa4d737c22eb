import Synchronization

/// The identity that a node uses now, for all its accounts; changes when the owner makes the device a new key.
final class CurrentIdentity: Sendable {
    private let directory: String
    private let identity: Mutex<DeviceIdentity>

    /// - Parameter directory: where `identity` was loaded from.
    init(_ identity: DeviceIdentity, directory: String) {
        self.identity = Mutex(identity)
        self.directory = directory
    }

    var value: DeviceIdentity { identity.withLock { $0 } }

    var fingerprint: KeyFingerprint { value.fingerprint }

    /// TLS for a new tunnel. Tunnels that exist keep the key they began with.
    var tls: TunnelTLS { TunnelTLS(identity: value) }

    /// Makes a new key; whoever asks from now on gets it.
    /// - Returns: the fingerprints of the old and of the new one.
    /// - Throws: `identity`; the old key is then kept.
    func rotate() throws(MeshError) -> (old: KeyFingerprint, new: KeyFingerprint) {
        try identity.withLock { (identity) throws(MeshError) in
            let old = identity.fingerprint
            identity = try DeviceIdentity.rotate(directory: directory)
            return (old, identity.fingerprint)
        }
    }
}
