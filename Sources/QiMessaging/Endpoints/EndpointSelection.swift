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
    /// On the same machine: unix socket, then loopback, then the rest; on another: never loopback.
    public static func choose(
        for info: ServiceInfo, machineID: String, directoryMachineID: String, directoryEndpoint: String
    ) -> Choice {
        if info.machineID == directoryMachineID,
            info.endpoints.contains("qi:ServiceDirectory") || info.endpoints.contains(directoryEndpoint)
        {
            return .directoryConnection
        }
        let isLocal = info.machineID == machineID
        let usable = info.endpoints.compactMap(Endpoint.init).filter { endpoint in
            switch endpoint.kind {
            case .tcp: isLocal || !endpoint.isLoopback
            case .unix: isLocal
            case .tls, .relative, .other: false
            }
        }
        guard isLocal else { return .dial(usable) }
        return .dial(usable.filter(\.isUnix) + usable.filter { !$0.isUnix && $0.isLoopback } + usable.filter { !$0.isLoopback })
    }
}

extension Endpoint {
    var isUnix: Bool { if case .unix = kind { true } else { false } }
}
