import Logging
import QiMessaging
import XMPP

/// What devices say of themselves, in a disco node of its own. Asked for only where it is shown.
extension XMPPGateway {
    /// What this device says it is (XEP-0128), beside the capabilities, which are the same for all devices of one version.
    var description: DiscoInfo {
        get async {
            let device = device
            var boards: [String] = []
            do throws(QiError) {
                boards = try await server.boardNames().values.sorted()
            } catch {
                logger.debug("boards not known", metadata: ["error": "\(error)"])
            }
            return DeviceDescription(name: device.name ?? "", model: device.model ?? "", version: MeshNode.version, boards: boards).info
        }
    }

    /// Asks contacts that are there what they say they are, unless they have said it since they came; a few at a time, no longer than
    /// `limit` in all.
    func learnDescriptions(within limit: Duration) async {
        let unknown = peers.undescribed()
        guard !unknown.isEmpty else { return }
        await Race.within(limit) { [self] in
            await withDiscardingTaskGroup { group in
                for lane in 0..<min(16, unknown.count) {
                    group.addTask { [self] in
                        for index in stride(from: lane, to: unknown.count, by: 16) where !Task.isCancelled {
                            await learnDescription(of: unknown[index])
                        }
                    }
                }
            }
        }
    }

    private func learnDescription(of device: JID) async {
        do throws(XMPPError) {
            peers.described(device, DeviceDescription(try await client.discoInfo(of: device, node: MeshNamespaces.device)))
        } catch {
            logger.debug("a contact does not say what it is", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error)"])
            // A device of another version has no such node: it is not asked for ever.
            if error.stanzaError?.condition == "item-not-found" { peers.described(device, DeviceDescription()) }
        }
    }
}
