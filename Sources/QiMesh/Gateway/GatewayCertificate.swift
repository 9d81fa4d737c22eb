import NIOSSL
import QiMessaging

/// A certificate of our own making, for a gateway that was given none: libqi's clients do not look at it (wire reference §24). Not the
/// device's own: whoever breaks into the gateway must not become the device.
enum GatewayCertificate {
    static let fileName = "gateway.pem"

    /// The one kept in `directory`, made there if there is none yet.
    static func loadOrCreate(directory: String) throws(MeshError) -> TLSOptions.Identity {
        let identity = try DeviceIdentity.loadOrCreate(directory: directory, fileName: fileName)
        do {
            return TLSOptions.Identity(
                certificates: [.der(try identity.certificate.toDERBytes())], privateKey: .der(try identity.privateKey.derBytes))
        } catch {
            throw MeshError(.identity, "\(directory)/\(fileName) cannot be used for TLS", hint: "remove it, and another is made", cause: error)
        }
    }
}
