public import QiWire

/// Which of a service's endpoints to use, and in which order (wire reference §19). Pure.
public enum EndpointSelection {
    public enum Choice: Equatable, Sendable {
        /// The connection to the directory already reaches the service.
        case directoryConnection
        /// Dial these, best first.
        case dial([Endpoint])
    }

    /// Decides for a client on `machineID`, connected to a directory that calls itself `directoryMachineID` and was reached
    /// under `directoryEndpoint`.
    ///
    /// On the same machine: unix socket, then loopback, then the rest; on another: never loopback. Of equally near ones the clear
    /// comes first on loopback, where it is cheaper, and TLS elsewhere.
    ///
    /// - Parameter usesMutualTLS: whether we have a certificate, and trust to check others by: else `tcpsm` is left out.
    public static func choose(
        for info: ServiceInfo, machineID: String, directoryMachineID: String, directoryEndpoint: String, usesMutualTLS: Bool = false
    ) -> Choice {
        if info.machineID == directoryMachineID,
            info.endpoints.contains("qi:ServiceDirectory") || info.endpoints.contains(directoryEndpoint)
        {
            return .directoryConnection
        }
        let isLocal = info.machineID == machineID
        var seen: Set<Endpoint> = []
        var usable: [Endpoint] = []
        // Filtered first, then bounded: before the real endpoints libqi lists a relative one for every service of the process.
        for text in info.endpoints.prefix(maximumListed) where usable.count < maximumEndpoints {
            guard let endpoint = Endpoint(text), isLocal || !endpoint.isLoopback else { continue }
            let isUsable = switch endpoint.kind {
            case .tcp, .unix: true
            case .tls(_, _, let mutual): !mutual || usesMutualTLS
            case .relative, .other: false
            }
            if isUsable, seen.insert(endpoint).inserted { usable.append(endpoint) }
        }
        let ranked = usable.enumerated().sorted { one, other in
            (one.element.rank, one.offset) < (other.element.rank, other.offset)
        }
        return .dial(ranked.map(\.element))
    }

    /// More than any service has: of the endpoints that could be dialled those beyond are not looked at.
    private static let maximumEndpoints = 64
    /// More than a process has services and addresses: what a peer lists beyond is not read.
    private static let maximumListed = 16_384
}

extension Endpoint {
    var isUnix: Bool { if case .unix = kind { true } else { false } }

    /// How far it is to its host, and what it costs: smaller is better.
    fileprivate var rank: Int {
        switch kind {
        case .unix: 0
        case .tcp: isLoopback ? 1 : 6
        case .tls(_, _, let mutual): (isLoopback ? 2 : 4) + (mutual ? 0 : 1)
        case .relative, .other: 9
        }
    }
}
