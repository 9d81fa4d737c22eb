import QiMesh
import QiMessaging
import QiWire

/// A service that a target names, with the member if it names one.
struct FoundService: Sendable {
    let proxy: ObjectProxy
    /// As errors and output call it: `lab-nao/ALMemory`.
    let label: String
    let service: String
    let member: String?
}

extension NodeSession {
    /// Finds the service of a target, trying its readings in order.
    /// - Throws: `notFound` with the nearest name, and whatever stands between us and the device.
    func find(_ target: Target, readings: [Target.Reading]) async throws(CommandFailure) -> FoundService {
        for reading in readings {
            let name = target.lookUpName(of: reading.service)
            do throws(CommandFailure) {
                let proxy = try await lookUp(name, device: target.device)
                return FoundService(proxy: proxy, label: name, service: reading.service, member: reading.member)
            } catch {
                guard error.code == .notFound, reading != readings.last else { throw await explain(error, target, reading) }
            }
        }
        throw CommandFailure(.notFound, "no service \"\(target.rest)\"")
    }

    private func lookUp(_ name: String, device: DeviceName?) async throws(CommandFailure) -> ObjectProxy {
        let contact = device?.contact
        let limit = contact == nil ? patience.answer : patience.device
        let session = self.session
        do throws(CommandFailure) {
            return try await patience.wait(for: name, atMost: limit, device: contact, console) {
                () async throws(CommandFailure) in
                do throws(QiError) {
                    return try await session.service(name, deadline: limit)
                } catch {
                    throw CommandFailure(error, device: contact)
                }
            }
        } catch {
            guard let contact else { throw error }
            throw await judged(error, contact: contact)
        }
    }

    /// Adds what only the list of services tells: the name that was probably meant.
    private func explain(_ failure: CommandFailure, _ target: Target, _ reading: Target.Reading) async -> CommandFailure {
        guard failure.code == .notFound, failure.hint == nil else { return failure }
        var failure = failure
        var names: [String] = []
        do throws(CommandFailure) {
            names = try await services(of: target.device).map(\.name)
        } catch {
            // The list is only for a hint; the failure stands without it.
            console.detail("no list of services: \(error.message)")
        }
        let place = target.device.map { " on \($0.text)" } ?? ""
        failure.message = "no service \"\(reading.service)\"\(place)"
        let prefix = target.device.map { $0.text + "/" } ?? ""
        if let near = Spelling.nearest(to: reading.service, in: names) {
            failure.message += "; did you mean \(prefix)\(near)?"
        } else {
            failure.hint = ShellWord.joined(["qimesh", "ls"] + (target.device.map { [$0.text] } ?? []))
        }
        return failure
    }

    /// A service as `qimesh ls` shows it.
    struct Listed: Hashable {
        var name: String
        var id: Int64
        var machine: String
        /// What its computer is called in the robot, the device that hosts it from afar, or ``naoqi``; empty where that is not known.
        var board = ""
        var process: Int64
        var session: String
        /// Empty for a service behind a gateway: it has none of its own here.
        var endpoints: [String] = []

        /// Stands for the directory that `device.naoqi` names.
        static let naoqi = "naoqi"

        init(_ info: ServiceInfo, endpoints: [String]) {
            name = info.name
            id = Int64(info.serviceID)
            machine = info.machineID
            process = Int64(info.processID)
            session = info.sessionID
            self.endpoints = endpoints
        }
    }

    /// Says of each service of this robot what its computer is called, or the device that hosts it. Only the unix socket of a node tells.
    func nameBoards(of services: inout [Listed]) async {
        guard url.hasPrefix("unix:") else { return }
        do throws(CommandFailure) {
            let node = try await control()
            let names = try await node.ask { try await $0.boards() }
            let naoqi = Set(try await node.ask { try await $0.naoqiServices() })
            let hosted = try await node.ask { try await $0.hosted() }
            let devices = Dictionary(hosted.map { ($0.service, $0.device) }) { first, _ in first }
            for index in services.indices {
                let service = services[index]
                let own = devices[service.name] ?? names[service.machine] ?? ""
                services[index].board = naoqi.contains(service.name) ? Listed.naoqi : own
            }
        } catch {
            // A list without names is better than none: this may be a directory of libqi.
            console.detail("no names of boards: \(error.message)")
        }
    }

    /// ``Listed/naoqi`` for a service that the directory there has; nil for all others, and where that cannot be asked.
    func board(of service: String) async -> String? {
        guard url.hasPrefix("unix:") else { return nil }
        do throws(CommandFailure) {
            return try await control().ask { try await $0.naoqiServices() }.contains(service) ? Listed.naoqi : nil
        } catch {
            console.detail("not known where \(service) comes from: \(error.message)")
            return nil
        }
    }

    /// The services of a device, nil for the directory we are connected to.
    func services(of device: DeviceName?) async throws(CommandFailure) -> [Listed] {
        if case .contact(let contact) = device {
            return try await control().ask(limit: patience.device, device: contact) {
                try await $0.services(of: contact)
            }.map { Listed($0, endpoints: []) }
        }
        let session = self.session
        let limit = patience.answer
        return try await patience.wait(for: "the list of services", atMost: limit, console) { () async throws(CommandFailure) in
            do throws(QiError) {
                return try await session.services(deadline: limit).map { Listed($0, endpoints: $0.endpoints) }
            } catch {
                throw CommandFailure(error)
            }
        }
    }
}
