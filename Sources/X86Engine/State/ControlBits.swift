/// Bits of RFLAGS.
///
/// SDM vol. 1 section 3.4.3.
package enum RFLAGS {
    package static let CF: UInt64 = 1 << 0
    /// Bit 1, which always reads as one.
    package static let fixed: UInt64 = 1 << 1
    package static let PF: UInt64 = 1 << 2
    package static let AF: UInt64 = 1 << 4
    package static let ZF: UInt64 = 1 << 6
    package static let SF: UInt64 = 1 << 7
    package static let TF: UInt64 = 1 << 8
    package static let IF: UInt64 = 1 << 9
    package static let DF: UInt64 = 1 << 10
    package static let OF: UInt64 = 1 << 11
    package static let IOPL: UInt64 = 3 << 12
    package static let NT: UInt64 = 1 << 14
    package static let RF: UInt64 = 1 << 16
    package static let VM: UInt64 = 1 << 17
    package static let AC: UInt64 = 1 << 18
    package static let VIF: UInt64 = 1 << 19
    package static let VIP: UInt64 = 1 << 20
    package static let ID: UInt64 = 1 << 21
    /// The six that arithmetic writes.
    package static let status: UInt64 = CF | PF | AF | ZF | SF | OF
}

/// Bits of CR0.
///
/// SDM vol. 3 section 2.5.
package enum CR0 {
    package static let PE: UInt64 = 1 << 0
    package static let MP: UInt64 = 1 << 1
    package static let EM: UInt64 = 1 << 2
    package static let TS: UInt64 = 1 << 3
    package static let ET: UInt64 = 1 << 4
    package static let NE: UInt64 = 1 << 5
    package static let WP: UInt64 = 1 << 16
    package static let AM: UInt64 = 1 << 18
    package static let NW: UInt64 = 1 << 29
    package static let CD: UInt64 = 1 << 30
    package static let PG: UInt64 = 1 << 31
}

/// Bits of CR4.
///
/// SDM vol. 3 section 2.5.
package enum CR4 {
    package static let VME: UInt64 = 1 << 0
    package static let PVI: UInt64 = 1 << 1
    package static let TSD: UInt64 = 1 << 2
    package static let DE: UInt64 = 1 << 3
    package static let PSE: UInt64 = 1 << 4
    package static let PAE: UInt64 = 1 << 5
    package static let MCE: UInt64 = 1 << 6
    package static let PGE: UInt64 = 1 << 7
    package static let PCE: UInt64 = 1 << 8
    package static let OSFXSR: UInt64 = 1 << 9
    package static let OSXMMEXCPT: UInt64 = 1 << 10
    package static let UMIP: UInt64 = 1 << 11
    package static let VMXE: UInt64 = 1 << 13
    package static let FSGSBASE: UInt64 = 1 << 16
    package static let PCIDE: UInt64 = 1 << 17
    package static let OSXSAVE: UInt64 = 1 << 18
    package static let SMEP: UInt64 = 1 << 20
    package static let SMAP: UInt64 = 1 << 21
}

/// Bits of IA32_EFER.
///
/// SDM vol. 3 section 2.2.1; AMD APM vol. 2 section 3.1.7.
package enum EFER {
    package static let SCE: UInt64 = 1 << 0
    package static let LME: UInt64 = 1 << 8
    package static let LMA: UInt64 = 1 << 10
    package static let NXE: UInt64 = 1 << 11
    package static let SVME: UInt64 = 1 << 12
}
