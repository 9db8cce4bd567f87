/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pairs of files, before and after 32 bytes were inserted in the code: a program, a kernel image, and a
 * module of that kernel. A type is inserted in the kernel's BTF also. */

#include "elf-sample.h"
#include "patch-fields.h"

#define SCENE_GAP 32  /* bytes of code inserted */
#define SCENE_HEAD 16 /* bytes of code before it */
#define SCENE_SYMBOLS 1024
#define SCENE_STRINGS 16 /* bytes of strings in the kernel's BTF */

typedef struct Scene {
        Buffer old_file, new_file;
        PatchSegment segments[4];
        size_t count;
} Scene;

static inline void scene_done(Scene *scene)
{
        buffer_done(&scene->old_file);
        buffer_done(&scene->new_file);
}

/* Little programs: a function of 16 bytes that calls a second one behind the gap. */
static inline void put_relative(uint8_t *field, uint64_t field_address, uint64_t target, unsigned behind)
{
        write_le32(field, (uint32_t)(target - (field_address + behind)));
}

static inline void put_call(uint8_t *code, uint64_t address, uint64_t target)
{
        memset(code, 0x90, SCENE_HEAD);
        code[0] = 0xe8;
        put_relative(code + 1, address + 1, target, 4);
}

/* lea (%rip), mov (%rip), a jump back: 21 bytes. */
static inline void put_function(uint8_t *code, uint64_t address, uint64_t table, uint64_t data)
{
        static const uint8_t lea[] = { 0x48, 0x8d, 0x05 }, mov[] = { 0x48, 0x8b, 0x05 },
                             jump[] = { 0x0f, 0x84 };

        memcpy(code, lea, 3);
        put_relative(code + 3, address + 3, table, 4);
        memcpy(code + 7, mov, 3);
        put_relative(code + 10, address + 10, data, 4);
        memcpy(code + 14, jump, 2);
        put_relative(code + 16, address + 16, address, 4);
        code[20] = 0xc3;
}

static inline void put_rela(uint8_t *p, uint64_t where, uint32_t type, uint32_t symbol, uint64_t addend)
{
        write_le64(p, where);
        write_le32(p + 8, type);
        write_le32(p + 12, symbol);
        write_le64(p + 16, addend);
}

static inline void put_symbol(
                uint8_t *p, uint32_t name, uint8_t info, uint16_t section, uint64_t value, uint64_t size)
{
        write_le32(p, name);
        p[4] = info;
        write_le16(p + 6, section);
        write_le64(p + 8, value);
        write_le64(p + 16, size);
}

/* One common record and the frame of one function. */
static inline void put_frames(uint8_t *p, uint64_t address, uint64_t function, uint32_t size)
{
        static const uint8_t common[] = { 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0 };

        write_le32(p, 16);
        memcpy(p + 8, common, sizeof(common));
        write_le32(p + 20, 16);
        write_le32(p + 24, 24);
        put_relative(p + 28, address + 28, function, 0);
        write_le32(p + 32, size);
}

static inline void put_frame_index(uint8_t *p, uint64_t address, uint64_t frames, uint64_t function)
{
        write_le32(p, 0x3b031b01);
        put_relative(p + 4, address + 4, frames, 0);
        write_le32(p + 8, 1);
        write_le32(p + 12, (uint32_t)(function - address));
        write_le32(p + 16, (uint32_t)(frames + 20 - address));
}

static inline void program_file(size_t gap, Buffer *ret)
{
        SampleElf elf = sample_elf(ET_DYN, 0x10000);
        uint32_t text = sample_section(&elf, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 48 + gap);
        uint32_t table = sample_section(&elf, ".rodata", SHT_PROGBITS, SHF_ALLOC, 16);
        uint32_t rela = sample_section(&elf, ".rela.dyn", SHT_RELA, SHF_ALLOC, 72);
        uint32_t symbols = sample_section(&elf, ".dynsym", SHT_DYNSYM, SHF_ALLOC, 48);
        uint32_t strings = sample_section(&elf, ".dynstr", SHT_STRTAB, SHF_ALLOC, 16);
        uint32_t frames = sample_section(&elf, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, 48);
        uint32_t index = sample_section(&elf, ".eh_frame_hdr", SHT_PROGBITS, SHF_ALLOC, 20);
        uint32_t data = sample_section(&elf, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 16);
        uint32_t init = sample_section(&elf, ".init_array", SHT_INIT_ARRAY, SHF_ALLOC | SHF_WRITE, 8);
        uint32_t dynamic = sample_section(&elf, ".dynamic", SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE, 32);
        uint64_t code, function;

        sample_layout(&elf);
        code = sample_address(&elf, text);
        function = code + SCENE_HEAD + gap;
        memset(sample_bytes(&elf, text), 0x90, 48 + gap);
        put_call(sample_bytes(&elf, text), code, function);
        put_function(sample_bytes(&elf, text) + SCENE_HEAD + gap, function, sample_address(&elf, table),
                        sample_address(&elf, data));
        for (uint32_t i = 0; i < 4; i++)
                write_le32(sample_bytes(&elf, table) + 4 * (size_t)i,
                                (uint32_t)(function + 7 * (i % 3) - sample_address(&elf, table)));
        elf.sections[rela].link = symbols;
        put_rela(sample_bytes(&elf, rela), sample_address(&elf, data), R_X86_64_RELATIVE, 0, function);
        put_rela(sample_bytes(&elf, rela) + 24, sample_address(&elf, data) + 8, R_X86_64_GLOB_DAT, 1, 0);
        put_rela(sample_bytes(&elf, rela) + 48, sample_address(&elf, init), R_X86_64_RELATIVE, 0, function);
        elf.sections[symbols].link = strings;
        put_symbol(sample_bytes(&elf, symbols) + 24, 1, STT_FUNC, (uint16_t)text, function, 21);
        memcpy(sample_bytes(&elf, strings), "\0function", 10);
        put_frames(sample_bytes(&elf, frames), sample_address(&elf, frames), function, 21);
        put_frame_index(sample_bytes(&elf, index), sample_address(&elf, index), sample_address(&elf, frames),
                        function);
        write_le64(sample_bytes(&elf, data), function);
        write_le64(sample_bytes(&elf, init), function);
        write_le64(sample_bytes(&elf, dynamic), DT_RELA);
        write_le64(sample_bytes(&elf, dynamic) + 8, sample_address(&elf, rela));
        sample_finish(&elf, ret);
}

/* The code's first bytes stay, all else moves. */
static inline PatchSegment scene_behind(
                const Scene *scene, uint64_t old_from, uint64_t moved, uint64_t old_to)
{
        (void)scene;
        return (PatchSegment){ old_from, old_from + moved, old_to - old_from };
}

static inline Scene scene_empty(void)
{
        return (Scene){ .old_file = BUFFER_WITH_CAP(16 * MIB), .new_file = BUFFER_WITH_CAP(16 * MIB) };
}

static inline Scene program_scene(void)
{
        Scene scene = scene_empty();
        uint64_t cut = 64 + SCENE_HEAD;

        program_file(0, &scene.old_file);
        program_file(SCENE_GAP, &scene.new_file);
        scene.segments[0] = scene_behind(&scene, 0, 0, cut);
        scene.segments[1] = scene_behind(&scene, cut, SCENE_GAP, scene.old_file.size);
        scene.count = 2;
        return scene;
}

/* A number of the kernel's table of symbols: the first half of them is the first function, then the second.
 */
static inline void put_kallsyms(uint8_t *p, uint64_t base, uint64_t first, uint64_t second, bool swapped)
{
        uint8_t *names = p + 4 * SCENE_SYMBOLS + 16, *ranks = names + 2 * SCENE_SYMBOLS + 16;

        for (uint32_t i = 0; i < SCENE_SYMBOLS; i++) {
                uint64_t address = i < SCENE_SYMBOLS / 2 ? first : second;

                write_le32(p + 4 * (size_t)i, (uint32_t)(base - 1 - address));
                names[2 * i] = 1;
                names[2 * i + 1] = (uint8_t)(swapped && (i & 255) / 2 == 8 ? i ^ 1 : i);
                ranks[3 * i] = 0;
                ranks[3 * i + 1] = (uint8_t)(i >> 8);
                ranks[3 * i + 2] = (uint8_t)i;
        }
        write_le64(p + 4 * SCENE_SYMBOLS, base);
        write_le32(p + 4 * SCENE_SYMBOLS + 8, SCENE_SYMBOLS);
        for (uint32_t i = 0; i < SCENE_SYMBOLS / 256; i++)
                write_le32(names + 2 * SCENE_SYMBOLS + 4 * (size_t)i, 512 * i);
}

#define SCENE_KALLSYMS (4 * SCENE_SYMBOLS + 16 + 2 * SCENE_SYMBOLS + 16 + 3 * SCENE_SYMBOLS)

static inline void put_btf_header(uint8_t *p, uint32_t types, uint32_t strings)
{
        write_le16(p, 0xeb9f);
        p[2] = 1;
        write_le32(p + 4, 24);
        write_le32(p + 12, types);
        write_le32(p + 16, types);
        write_le32(p + 20, strings);
}

static inline uint8_t *put_type(uint8_t *p, uint32_t name, uint32_t kind, uint32_t members, uint32_t third)
{
        write_le32(p, name);
        write_le32(p + 4, kind << 24 | members);
        write_le32(p + 8, third);
        return p + 12;
}

/* An int, a pointer to it, a struct with one such pointer; 52 bytes, and 16 for an int before them. */
static inline void put_kernel_types(uint8_t *p, bool inserted)
{
        uint32_t first = inserted ? 2 : 1;

        put_btf_header(p, inserted ? 68 : 52, SCENE_STRINGS);
        p += 24;
        if (inserted) {
                p = put_type(p, 5, 1, 0, 8);
                write_le32(p, 64);
                p += 4;
        }
        p = put_type(p, 1, 1, 0, 4);
        write_le32(p, 32);
        p = put_type(p + 4, 0, 2, 0, first);
        p = put_type(p, 5, 4, 1, 8);
        write_le32(p, 9);
        write_le32(p + 4, first + 1);
        memcpy(p + 12, "\0int\0two\0member", SCENE_STRINGS);
}

static inline uint64_t kernel_file(size_t gap, Buffer *ret)
{
        SampleElf elf = sample_elf(ET_EXEC, UINT64_C(0xffffffff81000000));
        uint64_t alloc = SHF_ALLOC, code, function, types_at;
        uint32_t text = sample_section(&elf, ".text", SHT_PROGBITS, alloc | SHF_EXECINSTR, 64 + gap);
        uint32_t table = sample_section(&elf, ".rodata", SHT_PROGBITS, alloc, SCENE_KALLSYMS);
        uint32_t exported = sample_section(&elf, "__ksymtab", SHT_PROGBITS, alloc, 12);
        uint32_t checksums = sample_section(&elf, "__kcrctab", SHT_PROGBITS, alloc, 4);
        uint32_t unwind = sample_section(&elf, ".orc_unwind_ip", SHT_PROGBITS, alloc, 8);
        uint32_t data = sample_section(&elf, ".data", SHT_PROGBITS, alloc | SHF_WRITE, 16);
        uint32_t types = sample_section(
                        &elf, ".BTF", SHT_PROGBITS, alloc, 24 + 52 + (gap ? 16 : 0) + SCENE_STRINGS);
        static const uint8_t move[] = { 0x48, 0xc7, 0xc7 };
        uint8_t relocation[4];

        sample_layout(&elf);
        code = sample_address(&elf, text);
        function = code + SCENE_HEAD + gap;
        types_at = elf.sections[types].offset + 24;
        memset(sample_bytes(&elf, text), 0x90, 64 + gap);
        put_call(sample_bytes(&elf, text), code, function);
        put_function(sample_bytes(&elf, text) + SCENE_HEAD + gap, function, sample_address(&elf, table),
                        sample_address(&elf, data));
        memcpy(sample_bytes(&elf, text) + 48 + gap, move, sizeof(move));
        write_le32(sample_bytes(&elf, text) + 51 + gap, (uint32_t)sample_address(&elf, data));
        put_kallsyms(sample_bytes(&elf, table), code, code, function, gap > 0);
        put_relative(sample_bytes(&elf, exported), sample_address(&elf, exported), function, 0);
        put_relative(sample_bytes(&elf, exported) + 4, sample_address(&elf, exported) + 4, code, 0);
        write_le32(sample_bytes(&elf, checksums), gap ? 0x87654321 : 0x12345678);
        put_relative(sample_bytes(&elf, unwind), sample_address(&elf, unwind), code, 0);
        put_relative(sample_bytes(&elf, unwind) + 4, sample_address(&elf, unwind) + 4, function, 0);
        write_le64(sample_bytes(&elf, data), function);
        put_kernel_types(sample_bytes(&elf, types), gap > 0);
        write_le32(relocation, (uint32_t)sample_address(&elf, data));
        (void)buffer_append(&elf.tail, relocation, sizeof(relocation));
        sample_finish(&elf, ret);
        return types_at;
}

static inline Scene kernel_scene(void)
{
        Scene scene = scene_empty();
        uint64_t cut = 64 + SCENE_HEAD, types_at = kernel_file(0, &scene.old_file);

        (void)kernel_file(SCENE_GAP, &scene.new_file);
        scene.segments[0] = scene_behind(&scene, 0, 0, cut);
        scene.segments[1] = scene_behind(&scene, cut, SCENE_GAP, types_at);
        scene.segments[2] = scene_behind(&scene, types_at, SCENE_GAP + 16, scene.old_file.size);
        scene.count = 3;
        return scene;
}

/* Two functions and their prototypes, which return types of the kernel; its own numbers begin at `first`. */
static inline void put_module_types(uint8_t *p, uint32_t first, uint32_t returned)
{
        put_btf_header(p, 48, 8);
        p = put_type(p + 24, 0, 13, 0, returned);
        p = put_type(p, SCENE_STRINGS, 12, 0, first);
        p = put_type(p, 0, 13, 0, returned + 1);
        p = put_type(p, SCENE_STRINGS + 4, 12, 0, first + 2);
        memcpy(p, "one\0six", 8);
}

static inline void module_file(size_t gap, Buffer *ret)
{
        SampleElf elf = sample_elf(ET_REL, 0);
        uint32_t text = sample_section(&elf, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 48 + gap);
        uint32_t rela = sample_section(&elf, ".rela.text", SHT_RELA, SHF_INFO_LINK, 48);
        uint32_t calls = sample_section(&elf, ".return_sites", SHT_PROGBITS, SHF_ALLOC, 8);
        uint32_t places = sample_section(&elf, ".rela.return_sites", SHT_RELA, SHF_INFO_LINK, 48);
        uint32_t versions = sample_section(&elf, "__versions", SHT_PROGBITS, SHF_ALLOC, 64);
        uint32_t about = sample_section(&elf, ".modinfo", SHT_PROGBITS, SHF_ALLOC, 64);
        uint32_t types = sample_section(&elf, ".BTF", SHT_PROGBITS, 0, 24 + 48 + 8);
        uint32_t symbols = sample_section(&elf, ".symtab", SHT_SYMTAB, 0, 72);
        uint32_t strings = sample_section(&elf, ".strtab", SHT_STRTAB, 0, 16);
        uint8_t *p;

        sample_layout(&elf);
        memset(sample_bytes(&elf, text), 0x90, 48 + gap);
        put_call(sample_bytes(&elf, text), 0, 5);
        elf.sections[rela].link = elf.sections[places].link = symbols;
        elf.sections[rela].info = text;
        elf.sections[places].info = calls;
        p = sample_bytes(&elf, rela);
        put_rela(p, 1, R_X86_64_PLT32, 1, SCENE_HEAD + gap - 4);
        put_rela(p + 24, SCENE_HEAD + gap + 3, R_X86_64_PC32, 2, (uint64_t)-4);
        p = sample_bytes(&elf, places);
        put_rela(p, 0, R_X86_64_PC32, 1, 5);
        put_rela(p + 24, 4, R_X86_64_PC32, 1, SCENE_HEAD + gap + 5);
        write_le32(sample_bytes(&elf, versions), gap ? 0x87654321 : 0x12345678);
        memcpy(sample_bytes(&elf, versions) + 8, "printk", 7);
        memcpy(sample_bytes(&elf, about), gap ? "vermagic=6.1.0-56 SMP" : "vermagic=6.1.0-50 SMP", 22);
        put_module_types(sample_bytes(&elf, types), gap ? 5 : 4, gap ? 2 : 1);
        elf.sections[symbols].link = strings;
        p = sample_bytes(&elf, symbols);
        put_symbol(p + 24, 0, STT_SECTION, (uint16_t)text, 0, 0);
        put_symbol(p + 48, 1, STT_FUNC, (uint16_t)text, SCENE_HEAD + gap, 16);
        memcpy(sample_bytes(&elf, strings), "\0function", 10);
        sample_finish(&elf, ret);
}

/* A call over the gap; behind it the address of data, by page and low bits, and a jump back. The data moves
 * to another page. */
static inline void arm64_file(size_t gap, Buffer *ret)
{
        SampleElf elf = sample_elf(ET_DYN, 0x10f70);
        uint32_t text = sample_section(&elf, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 48 + gap);
        uint32_t data = sample_section(&elf, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 16);
        uint64_t function, target, pages;
        uint8_t *p;

        elf.machine = EM_AARCH64;
        sample_layout(&elf);
        function = sample_address(&elf, text) + SCENE_HEAD + gap;
        target = sample_address(&elf, data);
        pages = (target >> 12) - (function >> 12);
        p = sample_bytes(&elf, text);
        for (size_t i = 0; i < 48 + gap; i += 4)
                write_le32(p + i, 0xd503201f);                        /* nop */
        write_le32(p, 0x94000000 | (uint32_t)(SCENE_HEAD + gap) / 4); /* bl */
        p += SCENE_HEAD + gap;
        write_le32(p, 0x90000000 | (uint32_t)(pages & 3) << 29);              /* adrp x0 */
        write_le32(p + 4, 0x91000000 | (uint32_t)(target & 4095) << 10);      /* add x0, x0 */
        write_le32(p + 8, 0x90000001 | (uint32_t)(pages & 3) << 29);          /* adrp x1 */
        write_le32(p + 12, 0xf9400022 | (uint32_t)(target & 4095) / 8 << 10); /* ldr x2, [x1] */
        write_le32(p + 16, 0x54ffff81);                                       /* b.ne -16 */
        sample_finish(&elf, ret);
}

static inline Scene arm64_scene(void)
{
        Scene scene = scene_empty();
        uint64_t cut = 64 + SCENE_HEAD;

        arm64_file(0, &scene.old_file);
        arm64_file(SCENE_GAP, &scene.new_file);
        scene.segments[0] = scene_behind(&scene, 0, 0, cut);
        scene.segments[1] = scene_behind(&scene, cut, SCENE_GAP, scene.old_file.size);
        scene.count = 2;
        return scene;
}

/* One record of a function: where it begins, its name, three tables of the program counter and a fourth. */
static inline void put_go_record(uint8_t *p, uint32_t entry, uint32_t name)
{
        write_le32(p, entry);
        write_le32(p + 4, name);
        for (uint32_t i = 0; i < 3; i++)
                write_le32(p + 16 + 4 * (size_t)i, i + 1);
        write_le32(p + 28, 1);
        write_le32(p + 44, 4);
}

/* Two functions, the second behind the gap. */
static inline void go_file(size_t gap, Buffer *ret)
{
        SampleElf elf = sample_elf(ET_EXEC, 0x400000);
        uint32_t text = sample_section(&elf, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 48 + gap);
        uint32_t table = sample_section(&elf, ".gopclntab", SHT_PROGBITS, SHF_ALLOC, 72 + 16 + 16 + 96);
        uint64_t offsets[] = { 72, 72, 72, 80, 88 };
        uint8_t *p;

        sample_layout(&elf);
        memset(sample_bytes(&elf, text), 0x90, 48 + gap);
        p = sample_bytes(&elf, table);
        write_le32(p, 0xfffffff1);
        p[6] = 1;
        p[7] = 8;
        write_le64(p + 8, 2);
        write_le64(p + 24, sample_address(&elf, text));
        for (size_t i = 0; i < ELEMENTS(offsets); i++)
                write_le64(p + 32 + 8 * i, offsets[i]);
        memcpy(p + 72, "\0one\0two", 8);
        write_le32(p + 92, 16);
        write_le32(p + 96, (uint32_t)(SCENE_HEAD + gap));
        write_le32(p + 100, 64);
        put_go_record(p + 104, 0, 1);
        put_go_record(p + 152, (uint32_t)(SCENE_HEAD + gap), 5);
        sample_finish(&elf, ret);
}

static inline Scene go_scene(void)
{
        Scene scene = scene_empty();
        uint64_t cut = 64 + SCENE_HEAD;

        go_file(0, &scene.old_file);
        go_file(SCENE_GAP, &scene.new_file);
        scene.segments[0] = scene_behind(&scene, 0, 0, cut);
        scene.segments[1] = scene_behind(&scene, cut, SCENE_GAP, scene.old_file.size);
        scene.count = 2;
        return scene;
}

static inline Scene module_scene(void)
{
        Scene scene = scene_empty();
        uint64_t cut = 64 + SCENE_HEAD;

        module_file(0, &scene.old_file);
        module_file(SCENE_GAP, &scene.new_file);
        scene.segments[0] = scene_behind(&scene, 0, 0, cut);
        scene.segments[1] = scene_behind(&scene, cut, SCENE_GAP, scene.old_file.size);
        scene.count = 2;
        return scene;
}
