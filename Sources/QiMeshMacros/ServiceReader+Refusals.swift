/// What `@Service` says of a protocol it cannot serve.
extension Refusal {
    static let notProtocol = Refusal(
        "notProtocol", "@Service applies to a protocol, which names the methods, signals and properties of the service")
    static let serviceName = Refusal(
        "serviceName", "the service's name has to be a string literal: it is needed where the code is generated")
    static let methodElsewhere = Refusal("methodElsewhere", "'@QiMethod' is said of a method of a protocol with '@Service'")
    static let methodArgument = Refusal(
        "methodArgument",
        "whether a method may run twice has to be a literal, '@QiMethod(idempotent: true)': it is needed where the code is generated")
    static let generic = Refusal("generic", "a service cannot be generic: each member has one signature, known before the first call")
    static let isolated = Refusal(
        "isolated", "a service's protocol cannot be isolated, for its proxy is used from any task; isolate the implementation")
    static let associatedType = Refusal("associatedType", "a service cannot have associated types: each member has one signature")
    static let typeAlias = Refusal("typeAlias", "declare the type alias outside of the protocol: the generated code lies there too")
    static let mutating = Refusal("mutating", "a remote method changes nothing of the proxy")
    static let typedThrows = Refusal(
        "typedThrows", "a call can fail in all the ways of the bus, so it throws 'QiError', or any error by plain 'throws'")
    static let variadic = Refusal("variadic", "a remote method has a fixed number of parameters; take an array")
    static let settable = Refusal(
        "settable", "a member is never replaced; the value of a property is written by 'set(_:)', so '{ get }' is enough")
    static let accessorEffects = Refusal(
        "accessorEffects", "a signal or property is at hand without waiting; what waits is its use, such as 'get()'")

    static func inheritsClass(_ name: String) -> Refusal {
        Refusal(
            "inheritsClass",
            "'\(name)' would exclude the generated proxy, which is a structure; a class or an actor can implement the protocol without it")
    }

    static func inherits(_ name: String) -> Refusal {
        Refusal("inherits", "@Service cannot see the members of '\(name)'; declare them here (only 'Sendable' can be inherited)")
    }

    static func noMember(_ what: String) -> Refusal {
        Refusal("noMember", "a service has methods, signals and properties; \(what) cannot be reached on the bus")
    }

    static func effects(_ name: String) -> Refusal {
        Refusal("effects", "'\(name)' has to be 'async throws': a remote call waits for its answer, which may be an error")
    }

    static func attribute(_ text: String) -> Refusal {
        Refusal("attribute", "'\(text)' says nothing about a member that is reached on the bus")
    }

    static func overloaded(_ name: String, _ count: Int) -> Refusal {
        Refusal(
            "overloaded",
            "'\(name)' with \(count) parameter\(count == 1 ? "" : "s") is declared already: a macro sees how types are spelled, not whether "
                + "they differ on the bus; give one another name, or leave it out and use 'object.call'")
    }

    static func reserved(_ name: String) -> Refusal {
        Refusal("reserved", "the generated proxy has a member '\(name)' of its own")
    }

    static func notMember(_ type: String) -> Refusal {
        Refusal("notMember", "a variable of a service is a 'Signal' or a 'Property'; '\(type)' is neither")
    }

    static func valuesMissing(_ name: String) -> Refusal {
        Refusal("valuesMissing", "say what '\(name)' holds, for example '\(name)<String>'\(name == "Signal" ? " ('Signal< >' for nothing)" : "")")
    }
}
