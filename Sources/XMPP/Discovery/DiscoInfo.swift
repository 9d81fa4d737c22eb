/// What an entity is and can do (XEP-0030 §3).
public struct DiscoInfo: Hashable, Sendable {
    /// What an entity is.
    public struct Identity: Hashable, Sendable {
        /// Category, for example `client`.
        public let category: String
        /// Type within the category, for example `bot`.
        public let type: String
        /// Language of the name; empty when not given.
        public let language: String
        /// Name for people; empty when not given.
        public let name: String

        /// Makes an identity.
        public init(category: String, type: String, language: String = "", name: String = "") {
            self.category = category
            self.type = type
            self.language = language
            self.name = name
        }
    }

    /// A data form that extends the answer (XEP-0128).
    public struct Form: Hashable, Sendable {
        /// Value of its FORM_TYPE field.
        public let type: String
        /// Values of each other field, by the field's name.
        public let fields: [String: [String]]

        /// Makes a form.
        public init(type: String, fields: [String: [String]]) {
            self.type = type
            self.fields = fields
        }
    }

    /// What the entity is; at least one.
    public var identities: [Identity]
    /// What it can do.
    public var features: Set<String>
    /// Extensions.
    public var forms: [Form]

    /// Makes an answer.
    public init(identities: [Identity], features: Set<String>, forms: [Form] = []) {
        self.identities = identities
        self.features = features
        self.forms = forms
    }

    /// True when the feature is announced.
    public func has(_ feature: String) -> Bool { features.contains(feature) }
}
