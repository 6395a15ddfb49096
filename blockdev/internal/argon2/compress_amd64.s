//go:build !purego

#include "textflag.h"

// Two permutations are worked on at a time, one in the lower and one in the upper halves of Y0 to
// Y7, with two words in each: Y0 and Y1 hold what GB calls a, Y2 and Y3 b, Y4 and Y5 c, Y6 and Y7 d.
// Y8 to Y11 are lost. Y14 and Y15 rotate words right by 24 and by 16.

DATA rotate24<>+0(SB)/8, $0x0201000706050403
DATA rotate24<>+8(SB)/8, $0x0a09080f0e0d0c0b
GLOBL rotate24<>(SB), RODATA|NOPTR, $16

DATA rotate16<>+0(SB)/8, $0x0100070605040302
DATA rotate16<>+8(SB)/8, $0x09080f0e0d0c0b0a
GLOBL rotate16<>(SB), RODATA|NOPTR, $16

// MULTIPLYADD sets a += b + 2 × the product of their lower halves, twice.
#define MULTIPLYADD(a0, a1, b0, b1) \
	VPMULUDQ a0, b0, Y8; \
	VPMULUDQ a1, b1, Y9; \
	VPADDQ b0, a0, a0; \
	VPADDQ b1, a1, a1; \
	VPADDQ Y8, Y8, Y8; \
	VPADDQ Y9, Y9, Y9; \
	VPADDQ Y8, a0, a0; \
	VPADDQ Y9, a1, a1

#define XOR(from0, from1, to0, to1) \
	VPXOR from0, to0, to0; \
	VPXOR from1, to1, to1

// MIX is GB of four pairs of words.
#define MIX(a0, a1, b0, b1, c0, c1, d0, d1) \
	MULTIPLYADD(a0, a1, b0, b1); \
	XOR(a0, a1, d0, d1); \
	VPSHUFD $0xb1, d0, d0; \
	VPSHUFD $0xb1, d1, d1; \
	MULTIPLYADD(c0, c1, d0, d1); \
	XOR(c0, c1, b0, b1); \
	VPSHUFB Y14, b0, b0; \
	VPSHUFB Y14, b1, b1; \
	MULTIPLYADD(a0, a1, b0, b1); \
	XOR(a0, a1, d0, d1); \
	VPSHUFB Y15, d0, d0; \
	VPSHUFB Y15, d1, d1; \
	MULTIPLYADD(c0, c1, d0, d1); \
	XOR(c0, c1, b0, b1); \
	VPADDQ b0, b0, Y8; \
	VPADDQ b1, b1, Y9; \
	VPSRLQ $63, b0, b0; \
	VPSRLQ $63, b1, b1; \
	XOR(Y8, Y9, b0, b1)

// PERMUTE is P of two times 16 words: GB of columns and then of diagonals, for which b and d are
// moved by one word and back.
#define PERMUTE \
	MIX(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7); \
	VPALIGNR $8, Y2, Y3, Y10; \
	VPALIGNR $8, Y3, Y2, Y3; \
	VPALIGNR $8, Y6, Y7, Y2; \
	VPALIGNR $8, Y7, Y6, Y6; \
	MIX(Y0, Y1, Y10, Y3, Y5, Y4, Y6, Y2); \
	VPALIGNR $8, Y2, Y6, Y7; \
	VPALIGNR $8, Y6, Y2, Y6; \
	VPALIGNR $8, Y10, Y3, Y11; \
	VPALIGNR $8, Y3, Y10, Y2; \
	VMOVDQA Y11, Y3

// ROWS loads 16 bytes of each of two rows of x and y, and adds them.
#define ROWS(at, lower, whole) \
	VMOVDQU at(SI), lower; \
	VINSERTI128 $1, (at+128)(SI), whole, whole; \
	VMOVDQU at(DX), X8; \
	VINSERTI128 $1, (at+128)(DX), Y8, Y8; \
	VPXOR Y8, whole, whole

#define STOREROWS(at, lower, whole) \
	VMOVDQU lower, at(CX); \
	VEXTRACTI128 $1, whole, (at+128)(CX)

// COLUMNS adds x, y and what is kept of to to 32 bytes of a row, and stores them.
#define COLUMNS(at, whole) \
	VPXOR at(SI), whole, whole; \
	VPXOR at(DX), whole, whole; \
	VPAND at(DI), Y12, Y8; \
	VPXOR Y8, whole, whole; \
	VMOVDQU whole, at(DI)

// func compressFast(to, x, y, scratch *block, mask uint64)
TEXT ·compressFast(SB), NOSPLIT, $0-40
	MOVQ to+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	MOVQ scratch+24(FP), CX
	VPBROADCASTQ mask+32(FP), Y12
	VBROADCASTI128 rotate24<>(SB), Y14
	VBROADCASTI128 rotate16<>(SB), Y15

	MOVL $4, AX

rows:
	ROWS(0, X0, Y0)
	ROWS(16, X1, Y1)
	ROWS(32, X2, Y2)
	ROWS(48, X3, Y3)
	ROWS(64, X4, Y4)
	ROWS(80, X5, Y5)
	ROWS(96, X6, Y6)
	ROWS(112, X7, Y7)
	PERMUTE
	STOREROWS(0, X0, Y0)
	STOREROWS(16, X1, Y1)
	STOREROWS(32, X2, Y2)
	STOREROWS(48, X3, Y3)
	STOREROWS(64, X4, Y4)
	STOREROWS(80, X5, Y5)
	STOREROWS(96, X6, Y6)
	STOREROWS(112, X7, Y7)
	ADDQ $256, SI
	ADDQ $256, DX
	ADDQ $256, CX
	DECL AX
	JNZ  rows

	SUBQ $1024, SI
	SUBQ $1024, DX
	SUBQ $1024, CX
	MOVL $4, AX

columns:
	VMOVDQU (CX), Y0
	VMOVDQU 128(CX), Y1
	VMOVDQU 256(CX), Y2
	VMOVDQU 384(CX), Y3
	VMOVDQU 512(CX), Y4
	VMOVDQU 640(CX), Y5
	VMOVDQU 768(CX), Y6
	VMOVDQU 896(CX), Y7
	PERMUTE
	COLUMNS(0, Y0)
	COLUMNS(128, Y1)
	COLUMNS(256, Y2)
	COLUMNS(384, Y3)
	COLUMNS(512, Y4)
	COLUMNS(640, Y5)
	COLUMNS(768, Y6)
	COLUMNS(896, Y7)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, CX
	DECL AX
	JNZ  columns

	VZEROUPPER
	RET
