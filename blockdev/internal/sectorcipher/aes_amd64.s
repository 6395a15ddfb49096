//go:build !purego

#include "textflag.h"

// The blocks in work are in X0 to X7. AX points to the round keys, DX counts the rounds but the
// last, BX walks over the round keys.

// What a tweak that lost its highest bit is reduced by, beside the carry between its halves.
DATA reduce<>+0(SB)/8, $0x87
DATA reduce<>+8(SB)/8, $1
GLOBL reduce<>(SB), RODATA|NOPTR, $16

// NEXT sets to = from × x in GF(2^128), of which the lowest bit is in the first byte. X0 is lost.
#define NEXT(from, to) \
	VPSRAD $31, from, X0; \
	VPSHUFD $0x13, X0, X0; \
	VPAND reduce<>(SB), X0, X0; \
	VPADDQ from, from, to; \
	VPXOR X0, to, to

// EACH does op with the round key at BX to all eight blocks.
#define EACH(op) \
	op (BX), X0, X0; \
	op (BX), X1, X1; \
	op (BX), X2, X2; \
	op (BX), X3, X3; \
	op (BX), X4, X4; \
	op (BX), X5, X5; \
	op (BX), X6, X6; \
	op (BX), X7, X7

// ROUNDS does all the rounds; the first key must have been added.
#define ROUNDS(op, last) \
	MOVQ AX, BX; \
	MOVQ DX, R9; \
round: \
	ADDQ $16, BX; \
	EACH(op); \
	DECQ R9; \
	JNZ  round; \
	ADDQ $16, BX; \
	EACH(last)

#define STORE \
	VMOVDQU X0, (DI); \
	VMOVDQU X1, 16(DI); \
	VMOVDQU X2, 32(DI); \
	VMOVDQU X3, 48(DI); \
	VMOVDQU X4, 64(DI); \
	VMOVDQU X5, 80(DI); \
	VMOVDQU X6, 96(DI); \
	VMOVDQU X7, 112(DI)

// XTS is the whole of a function (keys *byte, rounds int, tweak, dst, src *byte, groups int).
#define XTS(op, last) \
	MOVQ keys+0(FP), AX; \
	MOVQ rounds+8(FP), DX; \
	DECQ DX; \
	MOVQ tweak+16(FP), R8; \
	MOVQ dst+24(FP), DI; \
	MOVQ src+32(FP), SI; \
	MOVQ groups+40(FP), CX; \
	VMOVDQU (R8), X8; \
group: \
	NEXT(X8, X9); \
	NEXT(X9, X10); \
	NEXT(X10, X11); \
	NEXT(X11, X12); \
	NEXT(X12, X13); \
	NEXT(X13, X14); \
	NEXT(X14, X15); \
	VPXOR (SI), X8, X0; \
	VPXOR 16(SI), X9, X1; \
	VPXOR 32(SI), X10, X2; \
	VPXOR 48(SI), X11, X3; \
	VPXOR 64(SI), X12, X4; \
	VPXOR 80(SI), X13, X5; \
	VPXOR 96(SI), X14, X6; \
	VPXOR 112(SI), X15, X7; \
	MOVQ AX, BX; \
	EACH(VPXOR); \
	ROUNDS(op, last); \
	VPXOR X8, X0, X0; \
	VPXOR X9, X1, X1; \
	VPXOR X10, X2, X2; \
	VPXOR X11, X3, X3; \
	VPXOR X12, X4, X4; \
	VPXOR X13, X5, X5; \
	VPXOR X14, X6, X6; \
	VPXOR X15, X7, X7; \
	STORE; \
	NEXT(X15, X8); \
	ADDQ $128, SI; \
	ADDQ $128, DI; \
	DECQ CX; \
	JNZ  group; \
	VMOVDQU X8, (R8)

// func xtsEncrypt(keys *byte, rounds int, tweak, dst, src *byte, groups int)
TEXT ·xtsEncrypt(SB), NOSPLIT, $0-48
	XTS(VAESENC, VAESENCLAST)
	RET

// func xtsDecrypt(keys *byte, rounds int, tweak, dst, src *byte, groups int)
TEXT ·xtsDecrypt(SB), NOSPLIT, $0-48
	XTS(VAESDEC, VAESDECLAST)
	RET

#define LOAD \
	VMOVDQU (SI), X0; \
	VMOVDQU 16(SI), X1; \
	VMOVDQU 32(SI), X2; \
	VMOVDQU 48(SI), X3; \
	VMOVDQU 64(SI), X4; \
	VMOVDQU 80(SI), X5; \
	VMOVDQU 96(SI), X6; \
	VMOVDQU 112(SI), X7

// func ecbEncrypt(keys *byte, rounds int, dst, src *byte, groups int)
TEXT ·ecbEncrypt(SB), NOSPLIT, $0-40
	MOVQ keys+0(FP), AX
	MOVQ rounds+8(FP), DX
	DECQ DX
	MOVQ dst+16(FP), DI
	MOVQ src+24(FP), SI
	MOVQ groups+32(FP), CX
group:
	LOAD
	MOVQ AX, BX
	EACH(VPXOR)
	ROUNDS(VAESENC, VAESENCLAST)
	STORE
	ADDQ $128, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  group
	RET

// func cbcDecrypt(keys *byte, rounds int, iv, dst, src *byte, groups int)
TEXT ·cbcDecrypt(SB), NOSPLIT, $0-48
	MOVQ keys+0(FP), AX
	MOVQ rounds+8(FP), DX
	DECQ DX
	MOVQ iv+16(FP), R8
	MOVQ dst+24(FP), DI
	MOVQ src+32(FP), SI
	MOVQ groups+40(FP), CX
	VMOVDQU (R8), X8
group:
	LOAD
	MOVQ AX, BX
	EACH(VPXOR)
	ROUNDS(VAESDEC, VAESDECLAST)
	// What was read is looked at again before anything is written: dst may be src.
	VPXOR X8, X0, X0
	VPXOR (SI), X1, X1
	VPXOR 16(SI), X2, X2
	VPXOR 32(SI), X3, X3
	VPXOR 48(SI), X4, X4
	VPXOR 64(SI), X5, X5
	VPXOR 80(SI), X6, X6
	VPXOR 96(SI), X7, X7
	VMOVDQU 112(SI), X8
	STORE
	ADDQ $128, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  group
	VMOVDQU X8, (R8)
	RET

// func subWord(w uint32) uint32
//
// The last round with a key of zeroes is the S-box, and ShiftRows moves nothing where all columns
// are alike.
TEXT ·subWord(SB), NOSPLIT, $0-12
	MOVL w+0(FP), AX
	VMOVD AX, X0
	VPSHUFD $0, X0, X0
	VPXOR X1, X1, X1
	VAESENCLAST X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+8(FP)
	RET

// func invMixColumns(dst, src *byte)
TEXT ·invMixColumns(SB), NOSPLIT, $0-16
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	VAESIMC (SI), X0
	VMOVDQU X0, (DI)
	RET
