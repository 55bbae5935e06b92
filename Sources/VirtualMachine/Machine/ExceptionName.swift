/// The names of the exceptions.
///
/// SDM vol. 3 table 6-1.
public enum ExceptionName {
    private static let names = [
        "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "CSO", "TS", "NP", "SS", "GP", "PF", "15", "MF", "AC",
        "MC", "XM", "VE", "CP",
    ]

    /// `#GP` and the like; the number for vectors without a name.
    public static func short(_ vector: UInt8) -> String {
        Int(vector) < names.count ? "#" + names[Int(vector)] : "exception \(vector)"
    }

    /// The vector of `GP`, `#GP` and the like, nil if there is none of that name.
    public static func vector(named name: String) -> UInt8? {
        let bare = name.hasPrefix("#") ? String(name.dropFirst()) : name
        return names.firstIndex(of: bare).map { UInt8($0) }
    }
}

/// A number with 0x before it.
package func hexadecimal<Value: BinaryInteger>(_ value: Value) -> String { "0x" + String(value, radix: 16) }
