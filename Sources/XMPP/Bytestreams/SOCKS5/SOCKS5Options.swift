/// What the owner of a client allows SOCKS5 bytestreams (XEP-0260) to do.
public struct SOCKS5Options: Sendable {
    /// Whether addresses of ours are offered, and the peer's dialled.
    public var allowsDirect: Bool
    /// Whether proxies are offered and dialled (XEP-0065 §6).
    public var allowsProxy: Bool
    /// Addresses of this device to offer, the best first: numeric, IPv6 link-local ones with their scope (`fe80::1%eth0`). Asked for each
    /// session, on any thread; must return soon. The first 8 count.
    public var addresses: @Sendable () -> [String]
    /// Why a numeric address may not be dialled; nil when it may. Asked for each address of each candidate, proxies included, before the
    /// first packet: without it a contact could have us knock on any door that we can reach. On any thread; must return soon.
    public var permits: @Sendable (_ address: String) -> String?

    /// Makes options.
    public init(
        allowsDirect: Bool = true, allowsProxy: Bool = true, addresses: @escaping @Sendable () -> [String],
        permits: @escaping @Sendable (_ address: String) -> String?
    ) {
        self.allowsDirect = allowsDirect
        self.allowsProxy = allowsProxy
        self.addresses = addresses
        self.permits = permits
    }

    /// Whether anything is allowed.
    public var isOn: Bool { allowsDirect || allowsProxy }
}
