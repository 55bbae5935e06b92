/// Values the elementary functions start from, truncated to 128 bits with the lost part recorded in the last.
enum ElementaryTables {
    /// 2^(`sixteenths`/16) for 0 to 15.
    static func exponential2(sixteenths: Int32) -> UnpackedNumber { exponentials[Int(sixteenths & 15)] }

    /// log₂(`thirtySeconds`/32) for 23 to 45; zero beyond.
    static func logarithm2(thirtySeconds: UInt64) -> UnpackedNumber {
        guard thirtySeconds != 32, thirtySeconds >= 23, thirtySeconds <= 45 else { return .zero(isNegative: false) }
        return logarithms[Int(thirtySeconds &- (thirtySeconds < 32 ? 23 : 24))]
    }

    /// atan(`sixteenths`/16) for 1 to 16; zero beyond.
    static func arcTangent(sixteenths: UInt64) -> UnpackedNumber {
        guard sixteenths >= 1, sixteenths <= 16 else { return .zero(isNegative: false) }
        return arcTangents[Int(sixteenths &- 1)]
    }

    private static let exponentials: [UnpackedNumber] = [
        .one,
        UnpackedNumber(0, 0x85AA_C367_CC48_7B14, 0xC5C9_5B8C_2154_C1B3),
        UnpackedNumber(0, 0x8B95_C1E3_EA8B_D6E6, 0xFBE4_6287_58A5_3C91),
        UnpackedNumber(0, 0x91C3_D373_AB11_C336, 0x0FD6_D8E0_AE5A_C9D9),
        UnpackedNumber(0, 0x9837_F051_8DB8_A96F, 0x46AD_2318_2E42_F6F7),
        UnpackedNumber(0, 0x9EF5_3260_91A1_11AD, 0xA091_1F09_EBB9_FDD1),
        UnpackedNumber(0, 0xA5FE_D6A9_B151_38EA, 0x1CBD_7F62_1710_701B),
        UnpackedNumber(0, 0xAD58_3EEA_42A1_4AC6, 0x4980_A8C8_F59A_2EC5),
        UnpackedNumber(0, 0xB504_F333_F9DE_6484, 0x597D_89B3_754A_BE9F),
        UnpackedNumber(0, 0xBD08_A39F_580C_36BE, 0xA881_1FB6_6D0F_AF7B),
        UnpackedNumber(0, 0xC567_2A11_5506_DADD, 0x3E2A_D0C9_64DD_9F37),
        UnpackedNumber(0, 0xCE24_8C15_1F84_80E3, 0xE235_838F_95F2_C6ED),
        UnpackedNumber(0, 0xD744_FCCA_D69D_6AF4, 0x39A6_8BB9_902D_3FDF),
        UnpackedNumber(0, 0xE0CC_DEEC_2A94_E111, 0x0658_9504_8DD3_33CB),
        UnpackedNumber(0, 0xEAC0_C6E7_DD24_392E, 0xD02D_75B3_706E_54FB),
        UnpackedNumber(0, 0xF525_7D15_2486_CC2C, 0x7B9D_0C7A_ED98_0FC3),
    ]

    /// From 23/32 to 45/32, without 32/32.
    private static let logarithms: [UnpackedNumber] = [
        UnpackedNumber(-2, 0xF3EF_AFF2_9C55_9A77, 0xDA8A_D649_DA21_EAAF).negated,
        UnpackedNumber(-2, 0xD47F_CB8C_0852_F0C0, 0xBFE9_DBEB_F2E8_A45D).negated,
        UnpackedNumber(-2, 0xB658_7B43_2E47_501B, 0x6D40_900B_2502_4B33).negated,
        UnpackedNumber(-2, 0x995F_F71B_8773_432D, 0x124B_C6F1_ACF9_5DC3).negated,
        UnpackedNumber(-3, 0xFAFE_C548_31F1_A484, 0x7F7B_2787_B173_DA33).negated,
        UnpackedNumber(-3, 0xC544_C055_FDE9_9333, 0x54DB_F16F_B069_5EE3).negated,
        UnpackedNumber(-3, 0x916D_6E15_59A4_B696, 0x91D7_9938_E722_6383).negated,
        UnpackedNumber(-4, 0xBEB0_24B6_7DDA_6339, 0xDA28_8FC6_15A7_27DB).negated,
        UnpackedNumber(-5, 0xBB9C_A64E_CAC6_AAEF, 0x2E1C_07F0_438E_BABF).negated,
        UnpackedNumber(-5, 0xB5D6_9BAC_77EC_3989, 0xB037_84B5_BE08_4907),
        UnpackedNumber(-4, 0xB31F_B7D6_4898_B3E6, 0x629C_130A_22BA_D61F),
        UnpackedNumber(-3, 0x8462_C466_D3CF_1CB1, 0x3DE3_7E85_2A94_55EB),
        UnpackedNumber(-3, 0xAE00_D1CF_DEB4_3CFD, 0x0058_9050_345D_6E89),
        UnpackedNumber(-3, 0xD67A_F16D_A764_9F7F, 0x08F6_5E00_C1B1_A5A9),
        UnpackedNumber(-3, 0xFDE0_B5C8_1340_511D, 0x46CC_C53C_2779_AF93),
        UnpackedNumber(-2, 0x9220_3D58_7039_CC12, 0x2DCA_5D22_601D_FDDF),
        UnpackedNumber(-2, 0xA4D3_C25E_68DC_57F2, 0x495F_B7FA_6D7E_DA67),
        UnpackedNumber(-2, 0xB711_0E6C_E866_F2BC, 0x6A90_5A27_B81E_2219),
        UnpackedNumber(-2, 0xC8DD_D448_F8B8_45A5, 0x95A8_2B5C_34E2_AC31),
        UnpackedNumber(-2, 0xDA3F_5FB9_C415_0520, 0xA377_C7EC_513C_756F),
        UnpackedNumber(-2, 0xEB3A_9F01_9750_77F1, 0xF5F0_CC82_AAA9_AD7F),
        UnpackedNumber(-2, 0xFBD4_2B46_5836_7670, 0xC98C_0022_87AD_91AB),
    ]

    private static let arcTangents: [UnpackedNumber] = [
        UnpackedNumber(-5, 0xFFAA_DDB9_67EF_4E36, 0xCB27_92DC_0E2E_0D51),
        UnpackedNumber(-4, 0xFEAD_D4D5_617B_6E32, 0xC897_989F_3E88_8EF7),
        UnpackedNumber(-3, 0xBDCB_DA5E_72D8_1134, 0x7B0B_4F88_1C9C_7487),
        UnpackedNumber(-3, 0xFADB_AFC9_6406_EB15, 0x6DC7_9EF5_F7A2_17E5),
        UnpackedNumber(-2, 0x9B13_B9B8_3F5E_5E69, 0xC5AB_B498_D27A_F329),
        UnpackedNumber(-2, 0xB7B0_CA0F_26F7_8473, 0x8AA3_2122_DCFE_4483),
        UnpackedNumber(-2, 0xD327_761E_611F_E5B6, 0x427C_95E9_001E_7137),
        UnpackedNumber(-2, 0xED63_382B_0DDA_7B45, 0x6FE4_45EC_BC3A_8D03),
        UnpackedNumber(-1, 0x832B_F4A6_D986_7E2A, 0x4B6A_09CB_61A5_15C1),
        UnpackedNumber(-1, 0x8F00_5D5E_F7F5_9F9B, 0x5C83_5E16_65C4_3747),
        UnpackedNumber(-1, 0x9A2F_80E6_71BD_DA20, 0x4226_F8E2_204F_F3BD),
        UnpackedNumber(-1, 0xA4BC_7D19_34F7_0924, 0x19A8_7F2A_457D_AC9F),
        UnpackedNumber(-1, 0xAEAC_4C38_B4D8_C080, 0x1472_5E2F_3E52_070B),
        UnpackedNumber(-1, 0xB805_3E2B_C231_9E73, 0xCB2D_A552_10A4_443D),
        UnpackedNumber(-1, 0xC0CE_85B8_AC52_6640, 0x89DD_62C4_6E92_FA25),
        UnpackedNumber(-1, 0xC90F_DAA2_2168_C234, 0xC4C6_628B_80DC_1CD1),
    ]
}
