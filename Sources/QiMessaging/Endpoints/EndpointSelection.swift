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
    /// Nearest first; what is loopback only on the same machine.
    ///
    /// - Parameter rank: how near an endpoint is, the smaller the nearer; nil for one that cannot be dialled. Asked once for each.
    public static func choose(
        for info: ServiceInfo, machineID: String, directoryMachineID: String, directoryEndpoint: String, rank: (Endpoint) -> Int?
    ) -> Choice {
        if info.machineID == directoryMachineID,
            info.endpoints.contains("qi:ServiceDirectory") || info.endpoints.contains(directoryEndpoint)
        {
            return .directoryConnection
        }
        let isLocal = info.machineID == machineID
        var seen: Set<Endpoint> = []
        var usable: [(endpoint: Endpoint, rank: Int)] = []
        // Filtered first, then bounded: before the real endpoints libqi lists a relative one for every service of the process.
        for text in info.endpoints.prefix(maximumListed) where usable.count < maximumEndpoints {
            guard let endpoint = Endpoint(text), isLocal || !endpoint.isLoopback else { continue }
            guard seen.insert(endpoint).inserted, let rank = rank(endpoint) else { continue }
            usable.append((endpoint, rank))
        }
        let ranked = usable.enumerated().sorted { one, other in
            (one.element.rank, one.offset) < (other.element.rank, other.offset)
        }
        return .dial(ranked.map(\.element.endpoint))
    }

    /// More than any service has: of the endpoints that could be dialled those beyond are not looked at.
    private static let maximumEndpoints = 64
    /// More than a process has services and addresses: what a peer lists beyond is not read.
    private static let maximumListed = 16_384
}

extension Endpoint {
    var isUnix: Bool { if case .unix = kind { true } else { false } }
}
