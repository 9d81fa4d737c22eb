import QiWire
import XMPP

/// What a device says it is, as the form of its disco node (XEP-0128). Shown only: nothing is decided by it.
struct DeviceDescription: Hashable, Sendable {
    var name = ""
    var model = ""
    var version = ""
    /// The computers that it consists of.
    var boards: [String] = []

    /// In bytes of UTF-8.
    private static let longest = 64
    private static let mostBoards = 64

    init(name: String = "", model: String = "", version: String = "", boards: [String] = []) {
        self.name = name
        self.model = model
        self.version = version
        self.boards = boards
    }

    /// What a contact answered, cut to what is shown.
    init(_ info: DiscoInfo) {
        let fields = info.forms.first { $0.type == MeshNamespaces.device }?.fields ?? [:]
        func text(_ field: String) -> String { (fields[field]?.first ?? "").cut(toBytes: Self.longest) }
        self.init(
            name: text("name"), model: text("model"), version: text("version"),
            boards: (fields["boards"] ?? []).prefix(Self.mostBoards).map { $0.cut(toBytes: Self.longest) })
    }

    /// The answer to disco#info about ``MeshNamespaces/device``.
    var info: DiscoInfo {
        var fields = ["version": [version]]
        if !name.isEmpty { fields["name"] = [name] }
        if !model.isEmpty { fields["model"] = [model] }
        if !boards.isEmpty { fields["boards"] = Array(boards.prefix(Self.mostBoards)) }
        return DiscoInfo(
            identities: [.init(category: "client", type: "bot", name: name)], features: [Namespaces.discoInfo],
            forms: [.init(type: MeshNamespaces.device, fields: fields)])
    }

    /// `nao, NAO V6`: name and model, whichever there are.
    var text: String { [name, model].filter { !$0.isEmpty }.joined(separator: ", ") }
}
