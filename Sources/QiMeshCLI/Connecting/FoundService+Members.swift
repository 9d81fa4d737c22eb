import QiMesh
import QiMessaging
import QiWire

extension FoundService {
    /// The method that a name, or full name, and arguments mean, and the arguments as it takes them.
    ///
    /// An argument is what it is by itself first; only when no method takes that, a number counts as a text, and the other way round.
    /// - Throws: `notFound` with the nearest name; `usage` with the overloads when the arguments fit none, or several.
    func method(_ name: String, _ arguments: [CallArgument]) throws(CommandFailure) -> (method: MetaMethod, values: [QiValue]) {
        let values = arguments.map(\.value)
        if let method = try? OverloadResolution.resolve(name, arguments: values, in: proxy.metaObject),
            Self.fitting(arguments, method)?.isFirstMeaning == true
        {
            return (method, values)
        }
        let bare = name.firstRange(of: "::").map { String(name[..<$0.lowerBound]) } ?? name
        let overloads = proxy.metaObject.methods.filter { $0.name == bare }
        guard !overloads.isEmpty else {
            throw missing("method", bare, proxy.metaObject.methods.filter { !$0.isPrivate }.map(\.name))
        }
        let meant = overloads.filter { name == bare || $0.fullName == name }
        let taken = meant.compactMap { method in Self.fitting(arguments, method).map { (method, $0.values) } }
        if taken.count == 1 { return taken[0] }
        if taken.isEmpty, meant.count == 1, let values = Self.leaving(arguments, to: meant[0]) { return (meant[0], values) }
        throw mismatch(bare, overloads, meant, arguments, isAmbiguous: taken.count > 1)
    }

    /// The arguments as a method declares them; nil when it does not take them.
    private static func fitting(_ arguments: [CallArgument], _ method: MetaMethod) -> (values: [QiValue], isFirstMeaning: Bool)? {
        guard let type = (try? method.parsedParameters())?.type else { return nil }
        if type == .dynamic { return (arguments.map(\.value), true) }
        guard let members = type.tupleMembers, members.count == arguments.count else { return nil }
        let values = zip(arguments, members).compactMap { $0.fitting($1) }
        return values.count == arguments.count ? (values, values == arguments.map(\.value)) : nil
    }

    /// The arguments, where those that do not fit are lists and maps: the callee may know more of the structure that is meant.
    private static func leaving(_ arguments: [CallArgument], to method: MetaMethod) -> [QiValue]? {
        guard let members = (try? method.parsedParameters())?.type.tupleMembers, members.count == arguments.count else { return nil }
        let values = zip(arguments, members).compactMap { argument, type in
            argument.fitting(type) ?? (argument.value.asList != nil || argument.value.asMap != nil ? argument.value : nil)
        }
        return values.count == arguments.count ? values : nil
    }

    private func mismatch(
        _ name: String, _ overloads: [MetaMethod], _ meant: [MetaMethod], _ arguments: [CallArgument], isAmbiguous: Bool
    ) -> CommandFailure {
        let known = overloads.prefix(8).map { "\($0.name)(\(TypeName.parameters(signature: $0.parametersSignature)))" }.joined(separator: ", ")
        if isAmbiguous {
            let full = meant.first?.fullName ?? name
            return .usage("several \(label).\(name) take these arguments: \(known); name one by its signature, such as '\(label).\(full)'")
        }
        // Of one method the argument can be named that is wrong.
        if meant.count == 1, let members = (try? meant[0].parsedParameters())?.type.tupleMembers, members.count == arguments.count,
            let (argument, type) = zip(arguments, members).first(where: { $0.fitting($1) == nil })
        {
            return .usage("\"\(argument.text)\" is no \(TypeName.text(type)), which \(label).\(known) wants")
        }
        return .usage("the arguments fit no \(label).\(name); there is \(known)")
    }

    /// - Throws: `notFound` with the nearest name.
    func property(_ name: String) throws(CommandFailure) -> MetaProperty {
        if let property = proxy.metaObject.property(named: name) { return property }
        throw missing("property", name, proxy.metaObject.properties.map(\.name))
    }

    /// The signals that a name or pattern means; a property counts as the signal it raises when it changes.
    /// - Throws: `notFound` with the nearest name.
    func signals(_ pattern: String) throws(CommandFailure) -> [MetaSignal] {
        let known = proxy.metaObject.signals.filter { !$0.isPrivate }
        let found = proxy.metaObject.signals.filter { Glob.matches(pattern, $0.name) && ($0.name == pattern || !$0.isPrivate) }
        guard found.isEmpty else { return found }
        throw missing("signal", pattern, known.map(\.name))
    }

    private func missing(_ kind: String, _ name: String, _ known: [String]) -> CommandFailure {
        let near = Spelling.nearest(to: name, in: known).map { "; did you mean \($0)?" } ?? ""
        return CommandFailure(
            .notFound, "\(label) has no \(kind) \"\(name)\"\(near)", hint: near.isEmpty ? "qimesh info \(word: label)" : nil)
    }
}

extension NodeSession {
    /// Calls a method.
    /// - Parameter most: the longest result to accept, in bytes; nil: any that its node sends.
    func call(
        _ found: FoundService, _ method: MetaMethod, _ arguments: [QiValue], device: DeviceName?, most: Int? = nil
    ) async throws(CommandFailure) -> QiValue {
        let limit = patience.answer
        let isFar = device?.contact != nil
        return try await asking(found, method.name, device) { (proxy) async throws(QiError) in
            guard isFar || most != nil else { return try await proxy.call(method.fullName, arguments: arguments, deadline: limit) }
            return try await proxy.call(method.fullName, arguments: arguments, deadline: limit, mostBytes: most)
        }
    }

    /// The same session, for a command whose look-up and call together end in the time of one step: in 30 s, or as the user said.
    func forAllSteps() -> NodeSession {
        NodeSession(session: session, url: url, patience: patience.forAllSteps(), console: console)
    }

    /// Runs `body`, and again when a limit has said how long to wait: as often as that fits into the time of one answer.
    func withinLimits<Value: Sendable>(_ body: () async throws(CommandFailure) -> Value) async throws(CommandFailure) -> Value {
        let end = ContinuousClock.now + patience.answer
        var attempts = 0
        while true {
            do throws(CommandFailure) {
                return try await body()
            } catch {
                guard let told = error.retryAfter else { throw error }
                attempts += 1
                // Longer each time: a look-up is several calls, and the first would use up for ever what the second waits for. And
                // never at once, whatever a peer says.
                let wait = max(told, .milliseconds(10)) * attempts
                guard ContinuousClock.now + wait < end else { throw error }
                console.detail("\(error.message): waiting")
                do { try await Task.sleep(for: wait) } catch { throw CommandFailure(.cancelled, "gave up waiting for a limit") }
            }
        }
    }

    /// Reads a property.
    func read(_ property: MetaProperty, of found: FoundService, device: DeviceName?) async throws(CommandFailure) -> QiDynamic {
        let limit = patience.answer
        return try await asking(found, property.name, device) { (proxy) async throws(QiError) in
            try await proxy.property(property.name, deadline: limit)
        }
    }

    /// Writes a property.
    func write(
        _ value: QiValue, to property: MetaProperty, of found: FoundService, device: DeviceName?
    ) async throws(CommandFailure) {
        let limit = patience.answer
        try await asking(found, property.name, device) { (proxy) async throws(QiError) in
            try await proxy.setProperty(property.name, value, deadline: limit)
        }
    }

    /// Returns when the peer has answered something after what was posted before.
    func fence(_ found: FoundService) async throws(CommandFailure) {
        let limit = patience.answer
        _ = try await asking(found, "an answer", nil) { (proxy) async throws(QiError) in
            try await proxy.call("properties", arguments: [], deadline: limit)
        }
    }

    /// Waits for the answer of a service. An error that the service raised is told in its own words; of a contact that has gone
    /// meanwhile it is the node's word that the way is lost.
    private func asking<Value: Sendable>(
        _ found: FoundService, _ member: String, _ device: DeviceName?,
        _ body: @escaping @Sendable (ObjectProxy) async throws(QiError) -> Value
    ) async throws(CommandFailure) -> Value {
        let (limit, label) = (patience.answer, "\(found.label).\(member)")
        do throws(CommandFailure) {
            return try await patience.wait(for: label, atMost: limit, device: device?.text, console) {
                () async throws(CommandFailure) in
                do throws(QiError) {
                    return try await body(found.proxy)
                } catch {
                    var failure = CommandFailure(error, device: device?.text)
                    if error.code == .timedOut {
                        failure.message = "timed out after \(TimeText.seconds(limit)) waiting for \(label)"
                    }
                    throw failure
                }
            }
        } catch {
            guard case .contact(let contact) = device else { throw error }
            throw await judged(error, contact: contact)
        }
    }

    /// Waits until the node sees a contact online, also while the node itself is not connected yet, or not any more, and while the contact
    /// has not approved us.
    /// - Throws: `timedOut` with what kept the contact away; at once for a contact that a person has to do something about here.
    func waitOnline(_ device: DeviceName?, atMost limit: Duration) async throws(CommandFailure) {
        guard let contact = device?.contact else {
            throw .usage("--wait-online waits for a contact, and none is named: DEVICE/Service, or --device DEVICE", hint: "qimesh devices")
        }
        let control = try await control()
        let console = self.console
        let quiet = ControlInterface(proxy: control.proxy, patience: control.patience, console: console.silent)
        try await patience.wait(for: "\(contact) (presence)", atMost: limit, device: contact, console) {
            () async throws(CommandFailure) in
            let end = ContinuousClock.now + limit
            while true {
                let rows = try await quiet.ask { try await $0.devices() }
                let groups = try await quiet.ask { try await $0.groups() }
                if let failure = try Self.trouble(of: contact, in: rows, groups) {
                    guard ContinuousClock.now + .milliseconds(500) < end else {
                        var late = failure
                        late.code = .timedOut
                        late.message = "timed out after \(TimeText.seconds(limit)) waiting for \(contact): \(failure.message)"
                        do { try await Task.sleep(until: end, clock: .continuous) } catch { throw CommandFailure(.cancelled, "gave up") }
                        throw late
                    }
                } else {
                    return
                }
                // The control interface has no signal about devices: a look twice a second is what a person notices.
                do { try await Task.sleep(for: .milliseconds(500)) } catch { throw CommandFailure(.cancelled, "gave up") }
            }
        }
    }

    /// What keeps a contact away, or all devices of a group; nil when there is nothing.
    private static func trouble(of name: String, in rows: [DeviceRow], _ groups: [GroupRow]) throws(CommandFailure) -> CommandFailure? {
        guard let group = groups.first(where: { $0.name == name }) else { return try DeviceRow.trouble(of: name, in: rows) }
        guard !group.members.contains(where: \.online) else { return nil }
        return CommandFailure(
            .offline, "no device of the group \(group.name) is online", hint: "qimesh path \(word: group.name)", device: group.name)
    }
}
