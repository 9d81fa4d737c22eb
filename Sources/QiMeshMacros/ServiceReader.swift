import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder

/// Reads a protocol into a `ServiceModel`, and says of everything that a service cannot have why, and what to do instead.
struct ServiceReader {
    private(set) var findings = Findings()
    private var methods: [ServiceModel.Method] = []
    private var members: [ServiceModel.Member] = []

    /// What the generated proxy has itself.
    private static let reserved: Set<String> = ["object", "deadline", "serviceName", "local"]

    /// - Parameter serviceName: what `@Service` was given, nil for the protocol's own name.
    mutating func read(_ declaration: ProtocolDeclSyntax, serviceName: String?, documentation: String) -> ServiceModel {
        readHead(declaration)
        for member in declaration.memberBlock.members { read(member.decl) }
        let levels: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
        let name = declaration.name.text
        return ServiceModel(
            name: name, serviceName: serviceName ?? name.unescaped, documentation: documentation,
            access: declaration.modifiers.map(\.name.text).first(where: levels.contains),
            isNonisolated: declaration.modifiers.contains { $0.name.text == "nonisolated" }, methods: methods, members: members)
    }

    private mutating func readHead(_ declaration: ProtocolDeclSyntax) {
        if let clause = declaration.primaryAssociatedTypeClause { findings.refuse(clause, .generic) }
        if let clause = declaration.genericWhereClause { findings.refuse(clause, .generic) }
        for attribute in declaration.attributes.compactMap({ $0.as(AttributeSyntax.self) })
        where attribute.attributeName.trimmedDescription == "MainActor" {
            findings.refuse(attribute, .isolated)
        }
        for inherited in declaration.inheritanceClause?.inheritedTypes ?? [] {
            switch inherited.type.trimmedDescription {
            case "Sendable", "Swift.Sendable": break
            case "Actor", "AnyObject", "DistributedActor", "AnyActor":
                findings.refuse(inherited.type, .inheritsClass(inherited.type.trimmedDescription))
            default: findings.refuse(inherited.type, .inherits(inherited.type.trimmedDescription))
            }
        }
    }

    private mutating func read(_ declaration: DeclSyntax) {
        switch declaration.as(DeclSyntaxEnum.self) {
        case .functionDecl(let function): readMethod(function)
        case .variableDecl(let variable): readMember(variable)
        case .associatedTypeDecl(let type): findings.refuse(type.associatedtypeKeyword, .associatedType)
        case .typeAliasDecl(let alias): findings.refuse(alias.typealiasKeyword, .typeAlias)
        case .subscriptDecl(let declaration): findings.refuse(declaration.subscriptKeyword, .noMember("a subscript"))
        case .initializerDecl(let declaration): findings.refuse(declaration.initKeyword, .noMember("an initializer"))
        case .ifConfigDecl(let declaration): findings.refuse(declaration, .noMember("a conditional part"))
        default: findings.refuse(declaration, .noMember("this"))
        }
    }

    private mutating func checkModifiers(of declaration: some WithModifiersSyntax) {
        for modifier in declaration.modifiers {
            switch modifier.name.text {
            case "static", "class": findings.refuse(modifier, .noMember("a static member"))
            case "mutating":
                let mended = declaration.trimmed.with(\.modifiers, declaration.modifiers.filter { $0.id != modifier.id })
                findings.refuse(modifier, .mutating, [.replace("remove 'mutating'", declaration, with: mended)])
            default: break
            }
        }
    }

    // MARK: - Methods

    private mutating func readMethod(_ function: FunctionDeclSyntax) {
        checkModifiers(of: function)
        if let clause = function.genericParameterClause { findings.refuse(clause, .generic) }
        if let clause = function.genericWhereClause { findings.refuse(clause, .generic) }
        if case .binaryOperator = function.name.tokenKind { findings.refuse(function.name, .noMember("an operator")) }
        checkEffects(function)
        let parameters = function.signature.parameterClause.parameters.enumerated().map { read($1, at: $0) }
        var result = function.signature.returnClause?.type.trimmed
        if let type = function.signature.returnClause?.type {
            if type.isVoid { result = nil } else { findings.examine(type) }
        }
        let method = ServiceModel.Method(
            name: function.name.text, attributes: readAttributes(function.attributes), parameters: parameters,
            throwing: function.signature.effectSpecifiers?.throwsClause?.trimmedDescription ?? "throws", result: result,
            documentation: documentation(of: function))
        if parameters.isEmpty { checkReserved(function.name) }
        if methods.contains(where: { $0.storage == method.storage }) {
            findings.refuse(function.name, .overloaded(method.publishedName, parameters.count))
        }
        methods.append(method)
    }

    /// The doc comment, and behind it that the method may run twice, where an attribute says so.
    private mutating func documentation(of function: FunctionDeclSyntax) -> String {
        let attribute = function.attributes.lazy.compactMap { $0.as(AttributeSyntax.self) }.first(where: \.isOfMethod)
        guard let attribute else { return function.documentation }
        guard let isIdempotent = QiMethodMacro.isIdempotent(attribute) else {
            findings.refuse(attribute, .methodArgument)
            return function.documentation
        }
        guard isIdempotent else { return function.documentation }
        return [function.documentation, QiMethodMacro.idempotent].filter { !$0.isEmpty }.joined(separator: " ")
    }

    private mutating func checkReserved(_ name: TokenSyntax) {
        if Self.reserved.contains(name.text.unescaped) { findings.refuse(name, .reserved(name.text.unescaped)) }
    }

    private mutating func checkEffects(_ function: FunctionDeclSyntax) {
        let effects = function.signature.effectSpecifiers
        let isAsync = effects?.asyncSpecifier != nil
        let isThrowing = effects?.throwsClause != nil
        if !isAsync || !isThrowing {
            var mended = function.signature.trimmed
            var specifiers = mended.effectSpecifiers ?? FunctionEffectSpecifiersSyntax()
            specifiers.asyncSpecifier = .keyword(.async, leadingTrivia: .space)
            let clause = specifiers.throwsClause?.trimmed ?? ThrowsClauseSyntax(throwsSpecifier: .keyword(.throws))
            specifiers.throwsClause = clause.with(\.leadingTrivia, .space)
            specifiers.trailingTrivia = []
            mended.effectSpecifiers = specifiers
            mended.parameterClause.trailingTrivia = []
            if mended.returnClause != nil { mended.returnClause?.leadingTrivia = .space }
            findings.refuse(
                function.name, .effects(function.name.text),
                [.replace("make it 'async throws'", function.signature, with: mended)])
        }
        guard let type = effects?.throwsClause?.type else { return }
        guard !["QiError", "QiMessaging.QiError", "any Error", "any Swift.Error"].contains(type.trimmedDescription) else { return }
        findings.refuse(type, .typedThrows, [.replace("throw QiError", type, with: TypeSyntax("QiError"))])
    }

    private mutating func readAttributes(_ attributes: AttributeListSyntax) -> [String] {
        var copied: [String] = []
        for attribute in attributes {
            let name = attribute.as(AttributeSyntax.self)?.attributeName.trimmedDescription ?? ""
            if name == "discardableResult" || name == "available" {
                copied.append(attribute.trimmedDescription)
            } else if attribute.as(AttributeSyntax.self)?.isOfMethod != true {
                findings.refuse(attribute, .attribute(attribute.trimmedDescription))
            }
        }
        return copied
    }

    private mutating func read(_ parameter: FunctionParameterSyntax, at index: Int) -> ServiceModel.Parameter {
        if let ellipsis = parameter.ellipsis {
            var mended = parameter.trimmed
            mended.ellipsis = nil
            mended.type = TypeSyntax(ArrayTypeSyntax(element: parameter.type.trimmed))
            findings.refuse(ellipsis, .variadic, [.replace("take an array", parameter, with: mended)])
        }
        for attribute in parameter.attributes { findings.refuse(attribute, .attribute(attribute.trimmedDescription)) }
        findings.examine(parameter.type)
        let inner = (parameter.secondName ?? parameter.firstName).text
        let name = inner == "_" ? "argument\(index)" : inner
        let label = parameter.firstName.text
        let names = inner == "_" ? "\(label) \(name)" : parameter.secondName == nil ? label : "\(label) \(inner)"
        return ServiceModel.Parameter(
            label: label == "_" ? "" : "\(label): ", declaration: "\(names): \(parameter.type.trimmedDescription)",
            name: name.reference, publishedName: inner == "_" ? "" : inner.unescaped, type: parameter.type.trimmed)
    }

    // MARK: - Signals and properties

    private mutating func readMember(_ variable: VariableDeclSyntax) {
        checkModifiers(of: variable)
        for attribute in variable.attributes { findings.refuse(attribute, .attribute(attribute.trimmedDescription)) }
        for binding in variable.bindings {
            guard let name = binding.pattern.as(IdentifierPatternSyntax.self)?.identifier, let type = binding.typeAnnotation?.type
            else { continue }
            checkReserved(name)
            checkAccessors(binding)
            guard let kind = kind(of: type) else {
                let property = TypeSyntax("Property<\(type.trimmed)>")
                findings.refuse(
                    type, .notMember(type.trimmedDescription),
                    [.replace("make it a property", type, with: property)])
                continue
            }
            members.append(ServiceModel.Member(kind: kind, name: name.text, type: type.trimmed))
        }
    }

    private mutating func checkAccessors(_ binding: PatternBindingSyntax) {
        guard case .accessors(let accessors) = binding.accessorBlock?.accessors else { return }
        for accessor in accessors {
            if accessor.accessorSpecifier.text == "set" {
                findings.refuse(accessor, .settable, [.remove("remove 'set'", accessor)])
            } else if let effects = accessor.effectSpecifiers {
                findings.refuse(effects, .accessorEffects, [.remove("remove '\(effects.trimmedDescription)'", effects)])
            }
        }
    }

    /// What a type's name says: nil when it is neither a signal nor a property. Their values are examined on the way.
    private mutating func kind(of type: TypeSyntax) -> ServiceModel.Member.Kind? {
        let name: String
        let arguments: GenericArgumentClauseSyntax?
        if let type = type.as(IdentifierTypeSyntax.self) {
            (name, arguments) = (type.name.text, type.genericArgumentClause)
        } else if let type = type.as(MemberTypeSyntax.self), type.baseType.trimmedDescription == "QiMessaging" {
            (name, arguments) = (type.name.text, type.genericArgumentClause)
        } else {
            return nil
        }
        guard name == "Signal" || name == "Property" else { return nil }
        if let arguments {
            for argument in arguments.arguments {
                if case .type(let value) = argument.argument { findings.examine(value) }
            }
        } else {
            findings.refuse(type, .valuesMissing(name))
        }
        return name == "Signal" ? .signal : .property
    }
}

extension AttributeSyntax {
    fileprivate var isOfMethod: Bool { ["QiMethod", "QiMessaging.QiMethod"].contains(attributeName.trimmedDescription) }
}
