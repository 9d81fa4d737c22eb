/// How the bytes of a bytestream that we open are to travel.
public enum BytestreamTransport: Sendable {
    /// In stanzas (XEP-0261): slow, and there wherever stanzas get through.
    case inBand
    /// In a TCP connection, to the peer or to a proxy (XEP-0260). There is no way back to stanzas inside the same session: when no
    /// candidate works the attempt fails, and says why each of them did.
    case socks5(SOCKS5Options)

    /// The same without its options.
    public enum Kind: String, Hashable, Sendable {
        case inBand = "in-band"
        case socks5
    }

    /// The same without its options.
    public var kind: Kind {
        switch self {
        case .inBand: .inBand
        case .socks5: .socks5
        }
    }
}
