import Testing

/// `#expect` for expressions that change the value they are asked of, which the macro cannot take apart.
func check<Value: Equatable>(_ value: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
