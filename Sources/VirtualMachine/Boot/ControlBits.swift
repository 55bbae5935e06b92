/// Bits of CR0 (SDM volume 3, section 2.5).
enum CR0 {
    static let PE: UInt64 = 1 << 0
    static let MP: UInt64 = 1 << 1
    static let ET: UInt64 = 1 << 4
    static let NE: UInt64 = 1 << 5
    static let WP: UInt64 = 1 << 16
    static let PG: UInt64 = 1 << 31
}

/// Bits of CR4 (SDM volume 3, section 2.5).
enum CR4 {
    static let PSE: UInt64 = 1 << 4
    static let PAE: UInt64 = 1 << 5
    static let OSFXSR: UInt64 = 1 << 9
    static let OSXMMEXCPT: UInt64 = 1 << 10
}

/// Bits of IA32_EFER (SDM volume 3, section 2.2.1).
enum EFER {
    static let SCE: UInt64 = 1 << 0
    static let LME: UInt64 = 1 << 8
    static let LMA: UInt64 = 1 << 10
    static let NXE: UInt64 = 1 << 11
}
