import ArgumentParser
import QiMesh
import QiMessaging
import QiWire

/// `qimesh gen`: the interface of live services as source.
struct Generate: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "gen", abstract: "The interface of services as source text: Swift protocols, or IDL.",
        discussion: """
            Prints what a program needs to use the services with types: one Swift protocol with @Service each, and a @QiStruct for \
            each structure they exchange. Members that Swift cannot express are named in a comment; call these by name.
            """)

    /// What is printed.
    enum Language: String, CaseIterable, ExpressibleByArgument {
        /// Protocols for `import QiMessaging`.
        case swift
        /// The interface language of qiloop.
        case idl
    }

    @Argument(help: "[DEVICE/]Service, one or more")
    var targets: [String]

    @Option(help: "What to print: \(Language.allCases.map(\.rawValue).joined(separator: ", ")).")
    var lang = Language.swift

    @Flag(help: "Include names that begin with _.")
    var hidden = false

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        var text = lang == .swift ? AnyInterface.swift(SwiftInterface()) : .idl(QiInterface())
        for target in targets {
            let target = try Target(target, device: device.name(environment))
            let (service, metaObject) = try await withSession(console, waitingFor: target.device) {
                (session) async throws(CommandFailure) in
                let found = try await session.find(target, readings: target.readings)
                if let member = found.member {
                    throw .usage("\(member) is a member; an interface is made of a whole service", hint: "qimesh gen \(word: found.label)")
                }
                return (found.service, found.proxy.metaObject)
            }
            text.add(ServiceMembers(metaObject, hidden: hidden, generic: false), service: service)
        }
        if console.json {
            console.done(.object([("language", .string(lang.rawValue)), ("text", .string(text.text))]))
        } else {
            console.data(text.text)
        }
    }

    private enum AnyInterface {
        case swift(SwiftInterface)
        case idl(QiInterface)

        mutating func add(_ members: ServiceMembers, service: String) {
            switch self {
            case .swift(var interface):
                interface.add(members, service: service)
                self = .swift(interface)
            case .idl(var interface):
                interface.add(members, service: service)
                self = .idl(interface)
            }
        }

        var text: String {
            switch self {
            case .swift(let interface): interface.text
            case .idl(let interface): interface.text
            }
        }
    }
}
