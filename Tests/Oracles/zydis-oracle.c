// Decodes byte strings with Zydis, a disassembler with tables of its own, as a child process of the tests.
//
// Standard output begins with three lists of zero-terminated names, each ended by an empty one: mnemonics, registers
// and ISA sets, in the order of their numbers. Then each request on standard input, a 32-bit count and that many
// `struct request`, is answered by as many `struct reply`. All numbers are little-endian.

#include <Zydis/Zydis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { operand_limit = 4 };

struct request {
    uint8_t mode;  // 0, 1, 2 for 16-, 32- and 64-bit code
    uint8_t bytes[15];
};

struct operand {
    int64_t displacement;
    uint64_t immediate;
    uint16_t kind;  // ZydisOperandType
    uint16_t is_hidden;
    uint16_t width;
    uint16_t reg;
    uint16_t segment;
    uint16_t base;
    uint16_t index;
    uint16_t scale;
};

enum trait { is_privileged = 1, accepts_repetition = 2, writes_instruction_pointer = 4, writes_segment_or_control = 8 };

struct reply {
    uint8_t is_valid;
    uint8_t length;
    uint16_t mnemonic;
    uint16_t isa_set;
    uint8_t encoding;  // ZydisInstructionEncoding
    uint8_t visible_operand_count;
    uint8_t operand_count;
    uint8_t operand_width;
    uint8_t address_width;
    uint8_t traits;  // enum trait
    uint32_t flags_read;
    uint32_t flags_written;
    uint32_t flags_undefined;
    struct operand operands[operand_limit];
};

static void describe(const ZydisDecodedOperand *from, struct operand *to) {
    to->kind = from->type;
    to->is_hidden = from->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    to->width = from->size;
    switch (from->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: to->reg = from->reg.value; break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        to->segment = from->mem.segment;
        to->base = from->mem.base;
        to->index = from->mem.index;
        to->scale = from->mem.scale;
        to->displacement = from->mem.disp.has_displacement ? from->mem.disp.value : 0;
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        to->immediate = from->ptr.offset;
        to->displacement = from->ptr.segment;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: to->immediate = from->imm.value.u; break;
    default: break;
    }
}

static uint8_t traits(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operands) {
    const uint64_t repetition = ZYDIS_ATTRIB_ACCEPTS_REP | ZYDIS_ATTRIB_ACCEPTS_REPE | ZYDIS_ATTRIB_ACCEPTS_REPNE;
    uint8_t result = 0;
    if (instruction->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) result |= is_privileged;
    if (instruction->attributes & repetition) result |= accepts_repetition;
    for (unsigned i = 0; i < instruction->operand_count; i++) {
        if (operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        if (!(operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) continue;
        switch (ZydisRegisterGetClass(operands[i].reg.value)) {
        case ZYDIS_REGCLASS_IP: result |= writes_instruction_pointer; break;
        case ZYDIS_REGCLASS_SEGMENT:
        case ZYDIS_REGCLASS_CONTROL:
        case ZYDIS_REGCLASS_DEBUG: result |= writes_segment_or_control; break;
        default: break;
        }
    }
    return result;
}

static void answer(const ZydisDecoder *decoder, const struct request *request, struct reply *reply) {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(decoder, request->bytes, sizeof request->bytes, &instruction, operands)))
        return;
    reply->is_valid = 1;
    reply->length = instruction.length;
    reply->mnemonic = instruction.mnemonic;
    reply->isa_set = instruction.meta.isa_set;
    reply->encoding = instruction.encoding;
    reply->visible_operand_count = instruction.operand_count_visible;
    reply->operand_width = instruction.operand_width;
    reply->address_width = instruction.address_width;
    reply->traits = traits(&instruction, operands);
    if (instruction.cpu_flags) {
        const ZydisAccessedFlags *flags = instruction.cpu_flags;
        reply->flags_read = flags->tested;
        reply->flags_written = flags->modified | flags->set_0 | flags->set_1 | flags->undefined;
        reply->flags_undefined = flags->undefined;
    }
    for (unsigned i = 0; i < instruction.operand_count && i < operand_limit; i++, reply->operand_count++)
        describe(&operands[i], &reply->operands[i]);
}

static void initialize(ZydisDecoder *decoder, ZydisMachineMode mode, ZydisStackWidth width) {
    ZydisDecoderInit(decoder, mode, width);
    // Extensions that turn what is a NOP on other processors into something else
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
}

static void print_names(const char *(*name)(uint32_t), uint32_t last) {
    for (uint32_t i = 0; i <= last; i++) {
        const char *text = name(i);
        fputs(text && *text ? text : "?", stdout);
        putchar(0);
    }
    putchar(0);
}

static const char *mnemonic_name(uint32_t i) { return ZydisMnemonicGetString((ZydisMnemonic)i); }
static const char *register_name(uint32_t i) { return ZydisRegisterGetString((ZydisRegister)i); }
static const char *isa_set_name(uint32_t i) { return ZydisISASetGetString((ZydisISASet)i); }

int main(void) {
    ZydisDecoder decoders[3];
    initialize(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    initialize(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    initialize(&decoders[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    print_names(mnemonic_name, ZYDIS_MNEMONIC_MAX_VALUE);
    print_names(register_name, ZYDIS_REGISTER_MAX_VALUE);
    print_names(isa_set_name, ZYDIS_ISA_SET_MAX_VALUE);
    fflush(stdout);

    uint32_t count;
    while (fread(&count, sizeof count, 1, stdin) == 1) {
        struct request *requests = calloc(count, sizeof *requests);
        struct reply *replies = calloc(count, sizeof *replies);
        if (!requests || !replies || fread(requests, sizeof *requests, count, stdin) != count) return 1;
        for (uint32_t i = 0; i < count; i++) answer(&decoders[requests[i].mode % 3], &requests[i], &replies[i]);
        fwrite(replies, sizeof *replies, count, stdout);
        fflush(stdout);
        free(requests);
        free(replies);
    }
    return 0;
}
