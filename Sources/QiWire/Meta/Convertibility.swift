/// How well a value of one type stands for another, judged from the types alone (reference §21; libqi `src/type/signature.cpp`).
public enum Convertibility {
    /// From 0, impossible, to 1, the same as far as callers care: the width of integers does not count.
    public static func score(from source: QiType, to target: QiType) -> Double {
        let source = plain(source)
        switch plain(target) {
        case .void: return 1
        case .unknown: return source == .unknown ? 1 : 0.9
        case .dynamic: return 0.95
        // An empty container may become one of anything.
        case _ where source == .none: return 0.95
        case .optional(let content): return optional(from: source, content: content)
        case let target: return concrete(from: source, to: target)
        }
    }

    /// Varargs count as the list they are on the wire.
    private static func plain(_ type: QiType) -> QiType {
        if case .varargs(let element) = type { .list(element) } else { type }
    }

    private static func optional(from source: QiType, content: QiType) -> Double {
        switch source {
        case .optional(let element): score(from: element, to: content)
        case .void: 1
        default: score(from: source, to: content)
        }
    }

    private static func concrete(from source: QiType, to target: QiType) -> Double {
        switch (source, target) {
        case (.list(let from), .list(let to)): return weigh([(from, to)])
        case (.map(let fromKey, let fromValue), .map(let toKey, let toValue)):
            return weigh([(fromKey, toKey), (fromValue, toValue)])
        case (.tuple(let from), .tuple(let to)):
            if from.members.count == to.members.count { return weigh(zip(from.members, to.members)) }
            return areVersions(from, to) ? 0.1 : 0
        default:
            if isNumeric(source) { return isNumeric(target) ? numeric(from: source, to: target) : 0 }
            return source == target ? 1 : 0
        }
    }

    /// Two shapes of one structure.
    private static func areVersions(_ from: TupleType, _ to: TupleType) -> Bool {
        guard let name = from.name, !from.memberNames.isEmpty, !to.memberNames.isEmpty else { return false }
        return name == to.name
    }

    private static func weigh(_ children: some Sequence<(QiType, QiType)>) -> Double {
        var result = 1.0
        for (from, to) in children {
            let child = score(from: from, to: to)
            if child == 0 { return 0 }
            result *= 1 - (1 - child) * 0.95
        }
        return result
    }

    private static func isNumeric(_ type: QiType) -> Bool { type.isInteger || isFloating(type) || type == .bool }

    private static func isFloating(_ type: QiType) -> Bool { type == .float || type == .double }

    private static func numeric(from source: QiType, to target: QiType) -> Double {
        var loss = 0.0
        if !isFloating(source), isFloating(target) { loss += 2 }
        if isFloating(source), !isFloating(target) { loss += 3 }
        if source != .bool, target == .bool { loss += 4 }
        return 1 - loss / 100
    }
}
