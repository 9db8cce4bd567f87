/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-arm64.h"
#include "patch-x86.h"
#include "test.h"

typedef struct Sample {
        const char *bytes; /* of one instruction */
        unsigned length, relative_at, displacement_at, immediate_at;
} Sample;

static const Sample samples[] = {
        { "\x90", 1, 0, 0, 0 },                              /* nop */
        { "\xe8\1\2\3\4", 5, 1, 0, 0 },                      /* call */
        { "\x0f\x85\1\2\3\4", 6, 2, 0, 0 },                  /* jne */
        { "\x75\1", 2, 0, 0, 0 },                            /* jne, short */
        { "\x48\x8b\x05\1\2\3\4", 7, 3, 0, 0 },              /* mov (%rip), %rax */
        { "\x48\x8d\x3d\1\2\3\4", 7, 3, 0, 0 },              /* lea (%rip), %rdi */
        { "\xc7\x05\1\2\3\4\5\6\7\x08", 10, 2, 0, 6 },       /* movl $, (%rip) */
        { "\x83\x3d\1\2\3\4\5", 7, 2, 0, 0 },                /* cmpl $, (%rip) */
        { "\x48\xc7\xc7\1\2\3\4", 7, 0, 0, 3 },              /* mov $, %rdi */
        { "\x48\x8b\x04\xc5\1\2\3\4", 8, 0, 4, 0 },          /* mov table(,%rax,8), %rax */
        { "\x65\x48\x8b\x04\x25\1\2\3\4", 9, 0, 5, 0 },      /* mov %gs:, %rax */
        { "\x8b\x83\1\2\3\4", 6, 0, 2, 0 },                  /* mov disp32(%rbx), %eax */
        { "\x8b\x44\x24\1", 4, 0, 0, 0 },                    /* mov disp8(%rsp), %eax */
        { "\x66\x81\x3d\1\2\3\4\5\6", 9, 3, 0, 0 },          /* cmpw $, (%rip) */
        { "\x48\xb8\1\2\3\4\5\6\7\x08", 10, 0, 0, 0 },       /* movabs */
        { "\xf6\x05\1\2\3\4\5", 7, 2, 0, 0 },                /* testb $, (%rip) */
        { "\xf7\xd8", 2, 0, 0, 0 },                          /* neg %eax */
        { "\x0f\x1f\x84\0\0\0\0\0", 8, 0, 4, 0 },            /* nopl */
        { "\xf3\x0f\x1e\xfa", 4, 0, 0, 0 },                  /* endbr64 */
        { "\x66\x0f\x6f\x05\1\2\3\4", 8, 4, 0, 0 },          /* movdqa (%rip), %xmm0 */
        { "\x66\x0f\x3a\x0f\x05\1\2\3\4\5", 10, 5, 0, 0 },   /* palignr $, (%rip), %xmm0 */
        { "\x66\x0f\x38\0\x05\1\2\3\4", 9, 5, 0, 0 },        /* pshufb (%rip), %xmm0 */
        { "\xc5\xfd\x6f\x05\1\2\3\4", 8, 4, 0, 0 },          /* vmovdqa (%rip), %ymm0 */
        { "\xc4\xe3\x7d\x0f\x05\1\2\3\4\5", 10, 5, 0, 0 },   /* vpalignr $, (%rip) */
        { "\xc5\xf8\x77", 3, 0, 0, 0 },                      /* vzeroupper */
        { "\x62\xf1\xfd\x48\x6f\x05\1\2\3\4", 10, 6, 0, 0 }, /* vmovdqa64 (%rip), %zmm0 */
        { "\x06", 0, 0, 0, 0 },                              /* none in 64-bit mode */
};

TEST(x86_instructions_have_their_lengths_and_fields)
{
        for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
                uint8_t bytes[PATCH_X86_MAX] = { 0 };
                PatchX86 x;

                memcpy(bytes, samples[i].bytes, samples[i].length > 0 ? samples[i].length : 1);
                CHECK_EQ(patch_x86_decode(bytes, &x), samples[i].length);
                if (samples[i].length == 0)
                        continue;
                CHECK_EQ(x.relative_at, samples[i].relative_at);
                CHECK_EQ(x.displacement_at, samples[i].displacement_at);
                CHECK_EQ(x.immediate_at, samples[i].immediate_at);
        }
}

TEST(no_bytes_make_an_x86_instruction_too_long)
{
        uint8_t bytes[PATCH_X86_MAX + 16];
        uint32_t state = 1;

        for (int i = 0; i < 200000; i++) {
                PatchX86 x;

                for (size_t k = 0; k < sizeof(bytes); k++) {
                        state = state * 1664525 + 1013904223;
                        bytes[k] = (uint8_t)(state >> 24);
                }
                for (int k = 0; k < i % 6; k++)
                        bytes[k] = "\x66\x65\xf0\x48\x26\x67"[(i + k) % 6];
                CHECK(patch_x86_decode(bytes, &x) <= PATCH_X86_MAX);
                CHECK(x.relative_at + 4 <= PATCH_X86_MAX && x.displacement_at + 4 <= PATCH_X86_MAX &&
                                x.immediate_at + 4 <= PATCH_X86_MAX);
        }
}

TEST(aarch64_targets_are_read_and_written)
{
        static const struct {
                uint32_t word;
                PatchArm64Form form;
                uint64_t target; /* when it is at 0x21004 */
        } words[] = {
                { 0x94000004, PATCH_ARM64_BRANCH26, 0x21014 }, /* bl */
                { 0x17ffffff, PATCH_ARM64_BRANCH26, 0x21000 }, /* b */
                { 0x54000041, PATCH_ARM64_BRANCH19, 0x2100c }, /* b.ne */
                { 0xb4ffffe3, PATCH_ARM64_BRANCH19, 0x21000 }, /* cbz x3 */
                { 0x37080041, PATCH_ARM64_BRANCH14, 0x2100c }, /* tbnz w1, #1 */
                { 0x58000040, PATCH_ARM64_LITERAL, 0x2100c },  /* ldr x0 */
                { 0x30000000, PATCH_ARM64_ADR, 0x21005 },      /* adr x0 */
                { 0xb0000005, PATCH_ARM64_ADRP, 0x22000 },     /* adrp x5 */
                { 0x9100a0a5, PATCH_ARM64_LOW, 0x28 },         /* add x5, x5 */
                { 0xf94008a5, PATCH_ARM64_LOW, 0x10 },         /* ldr x5, [x5] */
                { 0x3dc008a5, PATCH_ARM64_LOW, 0x20 },         /* ldr q5, [x5] */
                { 0x394008a5, PATCH_ARM64_LOW, 0x2 },          /* ldrb w5, [x5] */
        };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                uint64_t moved = words[i].target + (words[i].form == PATCH_ARM64_ADRP ? 0x3000 : 0x20);
                uint32_t word;

                CHECK_EQ(patch_arm64_form(words[i].word), words[i].form);
                CHECK_EQ(patch_arm64_target(words[i].word, words[i].form, 0x21004), words[i].target);
                word = patch_arm64_with_target(words[i].word, words[i].form, 0x21004, moved);
                CHECK_EQ(patch_arm64_form(word), words[i].form);
                CHECK_EQ(patch_arm64_target(word, words[i].form, 0x21004), moved);
                CHECK_EQ(patch_arm64_with_target(word, words[i].form, 0x21004, words[i].target),
                                words[i].word);
        }
        CHECK_EQ(patch_arm64_form(0xd503201f), PATCH_ARM64_NONE);
}

TEST_MAIN
