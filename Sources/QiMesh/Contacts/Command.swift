import XMPP

/// Commands that are shown to be typed. Addresses and names are shell words there: a server may send any characters in them.
enum Command {
    static func approve(_ jid: JID, name: String? = nil) -> String {
        "qimesh approve \(PrivateFile.quoted("\(jid.bare)"))" + (name.map { " --name \(PrivateFile.quoted($0))" } ?? "")
    }

    static func invite(_ jid: JID) -> String { "qimesh invite \(PrivateFile.quoted("\(jid.bare)"))" }
}
