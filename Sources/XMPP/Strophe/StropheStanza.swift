import CStrophe
import Glibc

/// A stanza the library lends for the time of a callback. Everything that leaves is copied, except ``DataBlock``.
struct StropheStanza {
    /// `<iq type='set'><data xmlns='http://jabber.org/protocol/ibb'/></iq>`, the one stanza that comes often.
    struct DataBlock {
        var from: String?
        var id: String
        var sid: String?
        var sequence: String?
        /// The character data, borrowed.
        var base64: UnsafeRawBufferPointer
    }

    private let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
    }

    /// The block, when the stanza is one and has one child with at most one text node.
    var dataBlock: DataBlock? {
        guard isName(pointer, "iq"), let type = xmpp_stanza_get_type(pointer), strcmp(type, "set") == 0,
            let id = xmpp_stanza_get_id(pointer), let data = xmpp_stanza_get_children(pointer),
            isName(data, "data"), xmpp_stanza_get_next(data) == nil,
            let namespace = xmpp_stanza_get_ns(data), strcmp(namespace, Namespaces.ibb) == 0
        else { return nil }
        var base64 = UnsafeRawBufferPointer(start: nil, count: 0)
        if let content = xmpp_stanza_get_children(data) {
            guard xmpp_stanza_is_text(content) != 0, xmpp_stanza_get_next(content) == nil,
                let text = xmpp_stanza_get_text_ptr(content)
            else { return nil }
            base64 = UnsafeRawBufferPointer(start: text, count: strlen(text))
        }
        return DataBlock(
            from: xmpp_stanza_get_from(pointer).map { String(cString: $0) }, id: String(cString: id),
            sid: attribute(data, "sid"), sequence: attribute(data, "seq"), base64: base64)
    }

    /// The first tag, without children.
    var tag: Element {
        var element = Element(name(pointer), namespace: Namespaces.client)
        for key in ["type", "id", "from", "to"] { element[key] = attribute(pointer, key) }
        return element
    }

    /// The whole stanza as a value; nil when it is larger or deeper than that. Walks without recursion and stops at the
    /// first excess, so a hostile stanza costs no more than the limit.
    func element(bytes: Int, depth: Int) -> Element? {
        var budget = bytes
        guard let root = shallow(pointer, &budget) else { return nil }
        var open = [root]
        var cursors = [xmpp_stanza_get_children(pointer)]
        while true {
            let level = open.count - 1
            guard let node = cursors[level] else {
                let finished = open.removeLast()
                cursors.removeLast()
                if open.isEmpty { return finished }
                open[level - 1].children.append(finished)
                continue
            }
            cursors[level] = xmpp_stanza_get_next(node)
            if xmpp_stanza_is_text(node) != 0 {
                guard let text = xmpp_stanza_get_text_ptr(node) else { continue }
                budget -= strlen(text)
                guard budget >= 0 else { return nil }
                open[level].text += String(cString: text)
            } else {
                guard open.count < depth, let child = shallow(node, &budget) else { return nil }
                open.append(child)
                cursors.append(xmpp_stanza_get_children(node))
            }
        }
    }

    /// One element without its children; nil when the budget does not reach.
    private func shallow(_ node: OpaquePointer, _ budget: inout Int) -> Element? {
        var element = Element(name(node))
        // Every element costs something, or a stanza of empty ones would be free.
        budget -= element.name.utf8.count + 16
        let count = Int(xmpp_stanza_get_attribute_count(node))
        guard budget >= 0, count <= 64 else { return nil }
        var pairs = [UnsafePointer<CChar>?](repeating: nil, count: count * 2)
        xmpp_stanza_get_attributes(node, &pairs, Int32(count * 2))
        for index in 0..<count {
            guard let key = pairs[2 * index], let value = pairs[2 * index + 1] else { continue }
            budget -= strlen(key) + strlen(value)
            guard budget >= 0 else { return nil }
            let name = String(cString: key)
            if name == "xmlns" {
                element.namespace = String(cString: value)
            } else {
                element.attributes[name] = String(cString: value)
            }
        }
        return element
    }

    private func name(_ node: OpaquePointer) -> String {
        xmpp_stanza_get_name(node).map { String(cString: $0) } ?? ""
    }

    private func isName(_ node: OpaquePointer, _ name: StaticString) -> Bool {
        guard let actual = xmpp_stanza_get_name(node) else { return false }
        return strcmp(actual, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)) == 0
    }

    private func attribute(_ node: OpaquePointer, _ key: String) -> String? {
        xmpp_stanza_get_attribute(node, key).map { String(cString: $0) }
    }
}
