import XMPP

/// The request that proves a token: `<pair xmlns='urn:qimesh:pair:1' token='HANDLE' key='SHA256:…' proof='…'/>` in an IQ set to the
/// enrolling device's full address. The only request that is looked at from somebody who is no contact.
struct PairingOffer: Hashable, Sendable {
    /// ``PairingVerifier/handle``.
    var handle: [UInt8]
    /// The pairing device's key.
    var key: KeyFingerprint
    /// ``PairingProof/make(_:_:)``.
    var proof: [UInt8]

    static let name = "pair"

    var element: Element {
        Element(
            Self.name, namespace: MeshNamespaces.pairing,
            attributes: ["token": Base64URL.encode(handle), "key": "\(key)", "proof": Base64URL.encode(proof)])
    }

    init(handle: [UInt8], key: KeyFingerprint, proof: [UInt8]) {
        self.handle = handle
        self.key = key
        self.proof = proof
    }

    /// Reads a request; nil for anything else.
    init?(_ element: Element) {
        guard element.isNamed(Self.name, MeshNamespaces.pairing), element.children.isEmpty,
            let handle = element["token"].flatMap({ Base64URL.decode($0, count: PairingToken.length) }),
            let key = element["key"].flatMap({ KeyFingerprint($0) }),
            let proof = element["proof"].flatMap({ Base64URL.decode($0, count: PairingProof.length) })
        else { return nil }
        self.init(handle: handle, key: key, proof: proof)
    }
}

/// What a pairing device hears.
enum PairingAnswer: Hashable, Sendable {
    /// `<paired xmlns='urn:qimesh:pair:1' proof='…' contact='pending'/>`: the enrolling device's own proof, and whether the other is a
    /// contact of its, both ways, already; then without the last attribute.
    case accepted(proof: [UInt8], isContact: Bool = true)
    /// A stanza error with one of our conditions.
    case refused(PairingRefusal)

    private static let name = "paired"

    var result: Result<Element?, StanzaError> {
        switch self {
        case .accepted(let proof, let isContact):
            var element = Element(Self.name, namespace: MeshNamespaces.pairing, attributes: ["proof": Base64URL.encode(proof)])
            if !isContact { element["contact"] = "pending" }
            return .success(element)
        case .refused(let refusal):
            let condition = Element(refusal.rawValue, namespace: MeshNamespaces.pairing)
            return .failure(StanzaError(.auth, "not-authorized", application: condition))
        }
    }

    /// Reads a result's child; nil for anything else.
    init?(_ element: Element?) {
        guard let element, element.isNamed(Self.name, MeshNamespaces.pairing),
            let proof = element["proof"].flatMap({ Base64URL.decode($0, count: PairingProof.length) })
        else { return nil }
        self = .accepted(proof: proof, isContact: element["contact"] != "pending")
    }

    /// Reads an error; nil for one that says nothing of tokens.
    init?(_ error: StanzaError?) {
        guard let condition = error?.application, condition.namespace == MeshNamespaces.pairing,
            let refusal = PairingRefusal(rawValue: condition.name)
        else { return nil }
        self = .refused(refusal)
    }
}
