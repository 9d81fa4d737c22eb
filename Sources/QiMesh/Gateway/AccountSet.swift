import Logging
import QiMessaging
import ServiceLifecycle
import Synchronization

/// The accounts of a node, while it runs: each lives by itself, whatever a server says to another, and which there are may change.
/// ``run()`` is their lifetime.
final class AccountSet: Sendable {
    typealias Maker = @Sendable (MeshConfiguration.Account, MeshConfiguration.Device) throws(MeshError) -> XMPPGateway

    /// What a new list of accounts changed.
    struct Change: Hashable {
        var added: [String] = []
        var removed: [String] = []
        var changed: [String] = []
        /// Those that cannot be used, with the reason.
        var refused: [String] = []

        /// One line of a log: `+a@x -b@x ~c@x`.
        var text: String {
            (added.map { "+" + $0 } + removed.map { "-" + $0 } + changed.map { "~" + $0 }).joined(separator: " ")
        }
    }

    private struct State {
        var gateways: [XMPPGateway]
        /// Made, and not running yet.
        var new: [XMPPGateway]
    }

    private let state: Mutex<State>
    private let news = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let make: Maker
    private let logger: Logger

    /// - Throws: `configuration` for an account that cannot be one.
    init(_ configuration: MeshConfiguration, logger: Logger, make: @escaping Maker) throws(MeshError) {
        var gateways: [XMPPGateway] = []
        for account in configuration.xmpp { gateways.append(try make(account, configuration.device)) }
        state = Mutex(State(gateways: gateways, new: gateways))
        self.make = make
        self.logger = logger
        news.continuation.yield()
    }

    /// A set that is run elsewhere and does not change.
    init(running gateway: XMPPGateway) {
        state = Mutex(State(gateways: [gateway], new: []))
        make = { (_, _) throws(MeshError) in gateway }
        logger = gateway.logger
    }

    /// Those of now, in the order of the configuration.
    var gateways: [XMPPGateway] { state.withLock { $0.gateways } }

    /// Runs every account until the node shuts down; an account that was taken out ends alone.
    func run() async {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await _ in news.stream {
                    for gateway in takeNew() { group.addTask { await self.run(gateway) } }
                }
            }
        } onGracefulShutdown: { [news] in
            news.continuation.finish()
        }
    }

    private func takeNew() -> [XMPPGateway] {
        state.withLock { state in
            defer { state.new = [] }
            return state.new
        }
    }

    private func run(_ gateway: XMPPGateway) async {
        do {
            try await gateway.run()
        } catch {
            // What a server says does not come here: an account that cannot be one stays in `status` with its reason.
            logger.error("an account cannot be used", metadata: ["xmpp.account": "\(gateway.own)", "error": "\(error)"])
        }
    }

    /// Takes over another list: accounts that are new begin, those that are gone end with their tunnels, and those that differ begin
    /// anew. Nothing happens to the others.
    func take(_ configuration: MeshConfiguration) -> Change {
        var change = Change()
        let old = gateways
        var kept: [XMPPGateway] = []
        var new: [XMPPGateway] = []
        for account in configuration.xmpp {
            let known = old.first { $0.account.jid == account.jid }
            if let known, known.account == account {
                kept.append(known)
                continue
            }
            do throws(MeshError) {
                let gateway = try make(account, configuration.device)
                new.append(gateway)
                kept.append(gateway)
                if known == nil { change.added.append(account.jid) } else { change.changed.append(account.jid) }
            } catch {
                change.refused.append("\(account.jid): \(error.message)")
                if let known { kept.append(known) }
            }
        }
        state.withLock { state in
            state.gateways = kept
            state.new = state.new.filter { gateway in kept.contains { $0 === gateway } } + new
        }
        for gateway in old where !kept.contains(where: { $0 === gateway }) {
            let isReplaced = kept.contains { $0.account.jid == gateway.account.jid }
            if !isReplaced { change.removed.append(gateway.account.jid) }
            gateway.end("the account \(gateway.own) " + (isReplaced ? "begins anew" : "was taken out of the configuration"))
        }
        // A device that was waited for at one account may be reached over another one now.
        if !new.isEmpty { for gateway in kept { gateway.peers.wakeAll() } }
        for gateway in kept { gateway.setDevice(configuration.device) }
        news.continuation.yield()
        return change
    }
}
